import fraisier_bitbucket.bitbucket_statuses
from fraisier_core.testing import ApiRequest, StatusConformance
from fraisier_core.testing.commit_statuses import COMMIT, StatusForge

from tests.forge_apis import Taken, take_bitbucket_cloud, take_bitbucket_data_center


class TestCloud(StatusConformance):
    plugin = fraisier_bitbucket.bitbucket_statuses
    api_path = "/2.0"
    page = "/acme/my-api/commits/"

    def take(self, request: ApiRequest, token: str) -> Taken:
        return take_bitbucket_cloud(request, token)

    def test_without_a_page_of_ours_a_link_leads_to_the_commit(self, status_forge: StatusForge) -> None:
        taken = status_forge.tell("success")
        assert taken
        assert taken.url == f"{status_forge.server.url}{self.page}{COMMIT}"


class TestDataCenter(TestCloud):
    api_path = "/rest/api/latest"
    repository_path = "scm/acme/my-api"
    page = "/projects/acme/repos/my-api/commits/"

    def take(self, request: ApiRequest, token: str) -> Taken:
        return take_bitbucket_data_center(request, token)

    def test_an_address_for_ssh_names_the_same_repository(self, status_forge: StatusForge) -> None:
        assert status_forge.tell("success", path="acme/my-api")
