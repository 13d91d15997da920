import fraisier_gitlab.gitlab_statuses
import pytest
from fraisier_core.testing import ApiRequest, StatusConformance
from fraisier_core.testing.commit_statuses import StatusForge

from tests.forge_apis import GitLab, Taken


class TestGitLab(StatusConformance):
    plugin = fraisier_gitlab.gitlab_statuses
    api_path = "/api/v4"

    @pytest.fixture(autouse=True)
    def gitlab(self) -> None:
        self.forge = GitLab()

    def take(self, request: ApiRequest, token: str) -> Taken:
        return self.forge.take(request, token)

    def test_what_is_requested_again_once_it_ran_goes_on_running(self, status_forge: StatusForge) -> None:
        for status, event in (("running", "claimed"), ("pending", "requeued"), ("running", "claimed")):
            status_forge.tell(status, event)
        assert self.forge.states.popitem()[1] == "running"
        assert status_forge.tell("success")

    def test_a_status_is_of_the_branch_or_tag_that_was_deployed(self, status_forge: StatusForge) -> None:
        for ref, name in (("refs/heads/main", "main"), ("refs/tags/v1", "v1")):
            status_forge.tell("success", ref=ref)
            assert status_forge.server.requests[-1].json()["ref"] == name
        status_forge.tell("success", ref=None)
        assert "ref" not in status_forge.server.requests[-1].json()
