import hmac
import json
import uuid
from collections.abc import Sequence

from fraisier_core.testing import ApiRequest

from tests.end_to_end import EndToEnd, Hook, Pushed
from tests.forge_apis import Taken, take_github
from tests.statuses_end_to_end import StatusesEndToEnd


class TestGitHub(EndToEnd):
    provider = "github"

    def hooks(self, pushed: Pushed, secret: str) -> Sequence[Hook]:
        deleted = not pushed.after.strip("0")
        payload = {
            "ref": pushed.ref,
            "before": pushed.before,
            "after": pushed.after,
            "created": not pushed.before.strip("0"),
            "deleted": deleted,
            "repository": {"full_name": "acme/my-api", "clone_url": pushed.url, "ssh_url": pushed.url},
            "pusher": {"name": "release-bot"},
            "head_commit": None if deleted else {"id": pushed.commit},
        }
        body = json.dumps(payload).encode()
        digest = hmac.digest(secret.encode(), body, "sha256").hex()
        headers = {"X-GitHub-Event": "push", "X-GitHub-Delivery": str(uuid.uuid4())}
        return [Hook(headers | {"X-Hub-Signature-256": f"sha256={digest}"}, body)]


class TestGitHubStatuses(StatusesEndToEnd):
    pushes = TestGitHub()
    api_path = "/api/v3"

    def take(self, request: ApiRequest, token: str) -> Taken:
        return take_github(request, token)
