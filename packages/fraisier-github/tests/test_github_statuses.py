import time

import fraisier_github.github_statuses
from fraisier_core.testing import ApiRequest, ApiResponse, StatusConformance
from fraisier_core.testing.commit_statuses import StatusForge

from tests.forge_apis import Taken, take_github


class TestGitHub(StatusConformance):
    plugin = fraisier_github.github_statuses
    api_path = "/api/v3"

    def take(self, request: ApiRequest, token: str) -> Taken:
        return take_github(request, token)

    def test_a_limit_of_requests_is_told_in_three_ways(self, status_forge: StatusForge) -> None:
        reset = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(time.time()) + 600)}
        said = {"message": "You have exceeded a secondary rate limit."}
        assert 0 < (status_forge.delay(ApiResponse(403, {}, reset)).seconds or 0) <= 600
        assert status_forge.delay(ApiResponse(403, {}, {"retry-after": "9"})).seconds == 9
        assert status_forge.delay(ApiResponse(403, said)).seconds == 60
        assert status_forge.delay(ApiResponse(429, said)).seconds == 60
        left = {"x-ratelimit-remaining": "4999", "x-ratelimit-reset": "1"}
        assert ": 403 " in status_forge.refusal(ApiResponse(403, {"message": "Not yours"}, left))
