"""The web app beside the command, and deliveries to it over HTTP, signed as a forge signs them."""

from __future__ import annotations

import hmac
import json
import re
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.command import FRAISIER
from tests.end_to_end import NOTHING, Hook
from tests.waiting import wait_until

from .installation import Installation

COMMAND = FRAISIER.with_name("fraisier-webhook")
SECRET = "correct-horse-battery-staple"
MAPPING = """
branch_mapping:
  main: {fraise: my_api, environment: production}
"""


@dataclass(frozen=True, slots=True)
class WebApp:
    """The web app at work.

    Args:
        url: where it listens.
        address: of the repository that deliveries name.
        ids: of what was delivered, oldest first.
    """

    url: str
    address: str
    ids: list[str] = field(default_factory=list)

    def push(self, commit: str | None, ref: str = "refs/heads/main", **changes: Any) -> dict[str, Any]:
        """Deliver a push; None deletes the ref. Return the response."""
        return self.send(hook(self.address, commit, ref, **changes))

    def send(self, sent: Hook, path: str = "/webhook") -> dict[str, Any]:
        """Deliver, and return the response."""
        _, answer = sent.deliver(f"{self.url}{path}")
        found: dict[str, Any] = answer
        return found


def hook(
    address: str,
    commit: str | None,
    ref: str = "refs/heads/main",
    *,
    before: str = NOTHING,
    secret: str = SECRET,
    delivery: str = "",
    pusher: str = "ada",
    headers: Mapping[str, str | None] | None = None,
) -> Hook:
    """Return a push as GitHub sends it; headers that are None are left out."""
    payload = {
        "ref": ref,
        "before": before,
        "after": commit or NOTHING,
        "repository": {"full_name": "acme/my-api", "clone_url": address, "ssh_url": address},
        "pusher": {"name": pusher},
        "head_commit": {"id": commit} if commit else None,
    }
    body = json.dumps(payload).encode()
    signature = f"sha256={hmac.digest(secret.encode(), body, 'sha256').hex()}"
    sent = {
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": delivery or str(uuid.uuid4()),
        "X-Hub-Signature-256": signature,
    } | dict(headers or {})
    return Hook({name: value for name, value in sent.items() if value is not None}, body)


@contextmanager
def receiving(installation: Installation, *arguments: str, mapping: str = MAPPING) -> Iterator[WebApp]:
    """Run the web app, without a worker unless `--worker` is given; it is killed with the block."""
    installation.environ["FRAISIER_WEBHOOK_SECRET"] = SECRET
    if "branch_mapping" not in installation.config.read_text():
        installation.config.write_text(installation.config.read_text() + mapping)
    log = installation.folder / "webhook.log"
    command: list[str | Path] = [COMMAND, "--port", "0", *(arguments or ["--no-worker"])]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, cwd=installation.folder, env=installation.environ, stdout=output, stderr=output
        ) as process,
    ):
        try:
            found = wait_until(lambda: re.search(r"listening on (\S+)\n", log.read_text()), log.read_text)
            yield WebApp(found[1], installation.forge.url)
        finally:
            process.terminate()
            process.wait(30)


def rename_section(installation: Installation) -> None:
    """Give the section that receives deliveries another name."""
    text = installation.config.read_text().replace("provider: github", "provider: work")
    installation.config.write_text(text.replace("  github:\n", "  work:\n    type: github\n"))


def settled(installation: Installation) -> None:
    """Wait until every deployment has ended."""
    wait_until(lambda: not {each.status for each in installation.recorded()} & {"pending", "running"})
