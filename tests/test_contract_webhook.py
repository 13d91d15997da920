"""A real `git push`, a signed webhook over HTTP, a supervised worker, and the pushed commit serves."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fraisier_core.testing import Forge

from tests.waiting import wait_until

BIN = Path(sys.executable).parent
SECONDS = 60.0
SECRET = "correct-horse-battery-staple"

CONFIG = """
git:
  provider: {provider}
  {provider}: {{webhook_secret: "${{FRAISIER_WEBHOOK_SECRET}}"}}
fraises:
  my_api:
    type: api
    repository: {url}
    environments:
      production:
        branch: main
        app_path: {folder}/app
        restart: [touch, {folder}/restarted]
        health_check: {{command: [test, -f, build.txt], retries: 1}}
        stable_for: 0
branch_mapping:
  main: {{fraise: my_api, environment: production}}
"""

# What a forge does after a push: it tells the webhook of each ref, and signs as it does.
POST_RECEIVE = """#!{python}
import hmac, json, sys, urllib.request, uuid

url, author = "{url}", "author"
for line in sys.stdin:
    before, after, ref = line.split()
    payload = {{"ref": ref, "before": before, "after": after}}
    if "{provider}" == "github":
        payload["repository"] = {{"full_name": "acme/my-api", "clone_url": url, "ssh_url": url}}
        payload |= {{"pusher": {{"name": author}}, "head_commit": {{"id": after}}}}
        body = json.dumps(payload).encode()
        signature = "sha256=" + hmac.digest(b"{secret}", body, "sha256").hex()
        headers = {{"X-GitHub-Event": "push", "X-Hub-Signature-256": signature}}
        headers["X-GitHub-Delivery"] = str(uuid.uuid4())
    else:
        payload["project"] = {{"path_with_namespace": "acme/my-api", "git_http_url": url, "git_ssh_url": url}}
        payload |= {{"object_kind": "push", "user_username": author, "checkout_sha": after}}
        body = json.dumps(payload).encode()
        headers = {{"X-Gitlab-Token": "{secret}", "Idempotency-Key": str(uuid.uuid4())}}
    headers["Content-Type"] = "application/json"
    request = urllib.request.Request("{webhook}/webhook", body, headers)
    with urllib.request.urlopen(request) as answer, open("{answers}", "a") as file:
        file.write(answer.read().decode() + "\\n")
"""


class Host:
    """A host with a configuration, and the environment in which its commands run."""

    def __init__(self, folder: Path, forge: Forge, provider: str) -> None:
        folder.mkdir()
        self.folder = folder
        self.log = folder / "webhook.log"
        (folder / "fraises.yaml").write_text(CONFIG.format(provider=provider, url=forge.url, folder=folder))
        path = os.environ.get("PATH", os.defpath)
        self.environ = {
            "PATH": path,
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "FRAISIER_WEBHOOK_SECRET": SECRET,
        }

    @contextmanager
    def webhook(self) -> Iterator[str]:
        """Run the web app with its worker, and give its URL."""
        command = [str(BIN / "fraisier-webhook"), "--port", "0"]
        with (
            self.log.open("wb") as log,
            subprocess.Popen(command, cwd=self.folder, env=self.environ, stdout=log, stderr=log) as process,
        ):
            try:
                yield wait_until(lambda: re.search(r"listening on (\S+)\n", self.log.read_text()))[1]
                process.send_signal(signal.SIGTERM)
                process.wait(SECONDS)
            finally:
                process.kill()

    def fraisier(self, *arguments: str) -> Any:
        """Return what `fraisier` prints as JSON."""
        command = [str(BIN / "fraisier"), *arguments, "--json"]
        done = subprocess.run(command, cwd=self.folder, env=self.environ, check=True, capture_output=True)
        return json.loads(done.stdout)


def push(forge: Forge, text: str) -> str:
    return forge.push_files({"build.sh": "#!/bin/sh\necho built > build.txt\n", "page.txt": text})


@pytest.mark.parametrize("provider", ["github", "gitlab"])
def test_a_push_is_deployed_recorded_and_serves(tmp_path: Path, provider: str) -> None:
    forge = Forge.create(tmp_path / "forge")
    host = Host(tmp_path / "host", forge, provider)
    answers = tmp_path / "answers"
    with host.webhook() as url:
        hook = forge.bare / "hooks" / "post-receive"
        facts = {"provider": provider, "url": forge.url, "secret": SECRET, "webhook": url, "answers": answers}
        hook.write_text(POST_RECEIVE.format(python=sys.executable, **facts))
        hook.chmod(0o755)

        first = push(forge, "first")
        wait_until(lambda: [each for each in host.fraisier("history") if each["status"] == "success"])
        assert (host.folder / "app" / "page.txt").read_text() == "first"
        assert (host.folder / "app" / "build.txt").read_text() == "built\n"
        assert (host.folder / "restarted").exists()

        second = push(forge, "second")
        wait_until(lambda: [each for each in host.fraisier("history") if each["status"] == "success"][1:])
        assert (host.folder / "app" / "page.txt").read_text() == "second"

    newest, oldest = host.fraisier("history", "my_api")
    assert [oldest["commit_sha"], newest["commit_sha"]] == [first, second]
    answered = [json.loads(line) for line in answers.read_text().splitlines()]
    assert [answer["status"] for answer in answered] == ["accepted", "accepted"]
    assert [answer["deployments"][0]["id"] for answer in answered] == [oldest["id"], newest["id"]]
    written = [path.read_bytes() for path in host.folder.rglob("*") if path.is_file()]
    assert not any(SECRET.encode() in content for content in written)
