import hmac
import json
import uuid
from collections.abc import Sequence
from typing import Any

from fraisier_core.testing import ApiRequest

from tests.end_to_end import EndToEnd, Hook, Pushed
from tests.forge_apis import Taken, take_bitbucket_cloud, take_bitbucket_data_center
from tests.statuses_end_to_end import StatusesEndToEnd


def signed(headers: dict[str, str], payload: dict[str, Any], secret: str) -> Hook:
    body = json.dumps(payload).encode()
    digest = hmac.digest(secret.encode(), body, "sha256").hex()
    return Hook(headers | {"X-Hub-Signature": f"sha256={digest}"}, body)


class TestCloud(EndToEnd):
    """It names no address: the configuration says by `aliases:` that the one it has is the fraise's."""

    provider = "bitbucket"

    def hooks(self, pushed: Pushed, secret: str) -> Sequence[Hook]:
        change = {"old": self.ref(pushed, pushed.before), "new": self.ref(pushed, pushed.after)}
        if change["new"]:
            change["new"] = self.ref(pushed, pushed.commit)
        payload = {
            "push": {"changes": [change]},
            "repository": {"full_name": "acme/my-api"},
            "actor": {"display_name": "Release bot", "nickname": "release-bot"},
        }
        headers = {"X-Event-Key": "repo:push", "X-Request-UUID": str(uuid.uuid4()), "X-Attempt-Number": "1"}
        return [signed(headers, payload, secret)]

    def ref(self, pushed: Pushed, commit: str) -> dict[str, Any] | None:
        kind = "tag" if pushed.is_tag else "branch"
        found = {"type": kind, "name": pushed.name, "target": {"type": "commit", "hash": commit}}
        return found if commit.strip("0") else None


class TestDataCenter(EndToEnd):
    provider = "bitbucket"

    def hooks(self, pushed: Pushed, secret: str) -> Sequence[Hook]:
        ids = {"fromHash": pushed.before, "toHash": pushed.after}
        payload = {
            "eventKey": "repo:refs_changed",
            "actor": {"name": "release-bot"},
            "repository": {
                "slug": "my-api",
                "project": {"key": "ACME"},
                "links": {"clone": [{"href": pushed.url, "name": "http"}]},
            },
            "changes": [{"ref": {"id": pushed.ref}, **ids}],
        }
        if pushed.after.strip("0"):
            payload["toCommit"] = {"id": pushed.commit}
        headers = {"X-Event-Key": "repo:refs_changed", "X-Request-Id": str(uuid.uuid4())}
        return [signed(headers, payload, secret)]


class TestCloudStatuses(StatusesEndToEnd):
    pushes: EndToEnd = TestCloud()
    api_path = "/2.0"
    states = ("INPROGRESS", "INPROGRESS", "SUCCESSFUL")

    def take(self, request: ApiRequest, token: str) -> Taken:
        return take_bitbucket_cloud(request, token)


class TestDataCenterStatuses(TestCloudStatuses):
    pushes = TestDataCenter()
    api_path = "/rest/api/latest"

    def take(self, request: ApiRequest, token: str) -> Taken:
        return take_bitbucket_data_center(request, token)
