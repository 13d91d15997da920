import fraisier_gitea.gitea_statuses
import pytest
from fraisier_core import ForgeApi, TellNoMoreError
from fraisier_core.testing import ApiRequest, StatusConformance
from fraisier_core.testing.commit_statuses import StatusForge
from pydantic import SecretStr

from tests.forge_apis import Taken, take_gitea


class TestGitea(StatusConformance):
    plugin = fraisier_gitea.gitea_statuses
    api_path = "/api/v1"

    def take(self, request: ApiRequest, token: str) -> Taken:
        return take_gitea(request, token)

    def test_an_api_without_an_address_is_a_problem(self, status_forge: StatusForge) -> None:
        forge = ForgeApi(api_token=SecretStr("token"), hosts=("127.0.0.1",))
        with pytest.raises(TellNoMoreError, match=r"commit status at git\.mine: api_url is missing"):
            status_forge.tell("success", forges={"mine": forge}, section="mine", delivered_to="mine")
