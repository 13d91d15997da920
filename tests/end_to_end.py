"""From a real `git push` to the commit that serves: deliveries over HTTP as a forge sends them, and a worker.

A provider's tests subclass `EndToEnd`; nothing but the application, the core and that provider is needed.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fraisier_core.testing import Forge

from tests.command import run_fraisier
from tests.waiting import wait_until

BIN = Path(sys.executable).parent
SECONDS = 60.0
SECRET = "correct-horse-battery-staple"
TOKEN = "token-of-the-forge"
NOTHING = "0" * 40

CONFIG = """
git:
  provider: {provider}
  {provider}: {{webhook_secret: "${{FRAISIER_WEBHOOK_SECRET}}"{api}}}
fraises:
  my_api:
    type: api
    repository: {url}
    aliases: [https://bitbucket.org/acme/my-api.git, {alias}]
    environments:
      production:
        app_path: {folder}/app
        restart: [touch, {folder}/restarted]
        health_check: {{command: [test, -f, build.txt], retries: 1}}
        stable_for: 0
branch_mapping:
  main: {{fraise: my_api, environment: production}}
  "v*": {{fraise: my_api, environment: production, tags: true}}
"""


@dataclass(frozen=True, slots=True)
class Pushed:
    """A ref that was pushed, as a forge knows it.

    Args:
        url: the repository's address.
        ref: the full ref.
        before: the object it pointed to; zeros if it was created.
        after: the object it points to, of an annotated tag the tag object; zeros if it was deleted.
        commit: the commit it points to; zeros if it was deleted.
    """

    url: str
    ref: str
    before: str
    after: str
    commit: str

    @property
    def name(self) -> str:
        """The branch or tag without its prefix."""
        return self.ref.split("/", 2)[2]

    @property
    def is_tag(self) -> bool:
        """Whether the ref is a tag."""
        return self.ref.startswith("refs/tags/")


@dataclass(frozen=True, slots=True)
class Hook:
    """A request that a forge sends: its headers and its raw body."""

    headers: Mapping[str, str]
    body: bytes

    def deliver(self, url: str) -> tuple[int, Any]:
        """Send it, and return the status and the JSON of the response."""
        headers = {"Content-Type": "application/json", **self.headers}
        try:
            with urllib.request.urlopen(
                urllib.request.Request(url, self.body, headers), timeout=SECONDS
            ) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


class Repository:
    """A throwaway forge, and what each push to it changed."""

    def __init__(self, folder: Path) -> None:
        self.forge = Forge.create(folder)

    def commit(self, text: str) -> str:
        """Commit a version of the application."""
        return self.forge.commit({"build.sh": "#!/bin/sh\necho built > build.txt\n", "page.txt": text})

    def push(self, refspec: str, ref: str) -> Pushed:
        """Push, and return what became of a ref."""
        before = self._object(ref)
        self.forge.git("push", "--quiet", "origin", refspec)
        after = self._object(ref)
        commit = self.forge.git("rev-parse", f"{after}^{{commit}}") if after != NOTHING else NOTHING
        return Pushed(self.forge.url, ref, before, after, commit)

    def _object(self, ref: str) -> str:
        return self.forge.git("ls-remote", "origin", ref).partition("\t")[0] or NOTHING


class Host:
    """A host with a configuration, and the environment in which its commands run."""

    def __init__(self, folder: Path, url: str, provider: str, secret: str, api_url: str = "") -> None:
        folder.mkdir()
        self.folder = folder
        self.log = folder / "webhook.log"
        api = f", api_url: {api_url}, api_token: '${{FRAISIER_API_TOKEN}}'" if api_url else ""
        host = urlsplit(api_url).netloc or "git.example.com"
        alias = f"https://{host}/acme/my-api.git"
        config = CONFIG.format(provider=provider, url=url, folder=folder, api=api, alias=alias)
        (folder / "fraises.yaml").write_text(config)
        path = os.environ.get("PATH", os.defpath)
        self.environ = {"PATH": path, "HOME": str(folder), "LANG": "C.UTF-8"}
        self.environ["FRAISIER_WEBHOOK_SECRET"] = secret
        self.environ["FRAISIER_API_TOKEN"] = TOKEN

    @contextmanager
    def webhook(self) -> Iterator[str]:
        """Run the web app with its worker, and give its URL."""
        command = [str(BIN / "fraisier-webhook"), "--port", "0"]
        with (
            self.log.open("wb") as log,
            subprocess.Popen(command, cwd=self.folder, env=self.environ, stdout=log, stderr=log) as process,
        ):
            try:
                listening = re.compile(r"listening on (\S+)\n")
                found = wait_until(lambda: listening.search(self.log.read_text()), self.log.read_text)
                yield f"{found[1]}/webhook"
                process.send_signal(signal.SIGTERM)
                process.wait(SECONDS)
            finally:
                process.kill()

    def history(self) -> list[dict[str, Any]]:
        """Return the record of deployments, newest first."""
        done = run_fraisier("history", "my_api", "--json", folder=self.folder, environ=self.environ)
        done.check_returncode()
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found

    def wait_for(self, deployments: int) -> None:
        """Wait until so many deployments are recorded and all of them have ended."""

        def ended() -> bool:
            statuses = [each["status"] for each in self.history()]
            return len(statuses) == deployments and not {"pending", "running"}.intersection(statuses)

        wait_until(ended, lambda: f"{self.history()}\n{self.log.read_text()}")


class EndToEnd:
    """Base of a provider's test: subclass it, and say how the forge tells of a push.

    Args:
        provider: its name under `git:`.
        secret: a secret as the forge would make it.
        other_secret: another one.
    """

    provider: str
    secret: str = SECRET
    other_secret: str = "battery-staple-correct-horse"

    def hooks(self, pushed: Pushed, secret: str) -> Sequence[Hook]:
        """Return the deliveries of a push, signed, in the order in which the forge sends them."""
        raise NotImplementedError

    def test_what_is_pushed_is_deployed_once_recorded_and_serves(self, tmp_path: Path) -> None:
        repository = Repository(tmp_path / "forge")
        host = Host(tmp_path / "host", repository.forge.url, self.provider, self.secret)
        page = host.folder / "app" / "page.txt"
        first = repository.commit("first")
        with host.webhook() as url:
            branch = repository.push("HEAD:refs/heads/main", "refs/heads/main")
            forged = [hook.deliver(url) for hook in self.hooks(branch, self.other_secret)]
            assert {status for status, _ in forged} == {401}

            hooks = self.hooks(branch, self.secret)
            assert accepted(hook.deliver(url) for hook in hooks) == 1
            host.wait_for(1)
            assert page.read_text() == "first"
            assert (host.folder / "app" / "build.txt").read_text() == "built\n"
            assert (host.folder / "restarted").exists()
            assert accepted(hook.deliver(url) for hook in hooks) == 0

            second = repository.commit("second")
            repository.forge.git("tag", "--annotate", "--message=Version 1", "v1")
            tag = repository.push("v1", "refs/tags/v1")
            assert tag.after != tag.commit
            assert accepted(hook.deliver(url) for hook in self.hooks(tag, self.secret)) == 1
            host.wait_for(2)
            assert page.read_text() == "second"

            gone = repository.push(":refs/tags/v1", "refs/tags/v1")
            assert accepted(hook.deliver(url) for hook in self.hooks(gone, self.secret)) == 0
            again = repository.push("v1", "refs/tags/v1")
            assert again == tag
            assert accepted(hook.deliver(url) for hook in self.hooks(again, self.secret)) == 1
            host.wait_for(3)

        history = host.history()[::-1]
        assert [each["status"] for each in history] == ["success", "success", "success"]
        assert [each["commit_sha"] for each in history] == [first, second, second]
        written = [path.read_bytes() for path in host.folder.rglob("*") if path.is_file()]
        assert not any(self.secret.encode() in content for content in written)


def accepted(answers: Iterator[tuple[int, Any]]) -> int:
    """Return how many deliveries requested a deployment; none of them may be refused."""
    found = list(answers)
    assert {status for status, _ in found} <= {200, 202}, found
    return sum(status == 202 for status, _ in found)
