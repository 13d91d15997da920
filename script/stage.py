"""The stage of the demo: a folder with a forge, a clone, a configuration, and a running Fraisier."""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from fraisier_core.store.vocabulary import ENDED

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
BIN = Path(sys.executable).parent
PATIENCE_SECONDS = 30.0
WIDTH = 130
READY = 200, '{"status":"ok","problems":[]}'

CONFIG = """\
git:
  provider: github
  github:
    webhook_secret: ${{FRAISIER_WEBHOOK_SECRET}}
fraises:
  hello:
    type: api
    description: A small HTTP service
    repository: {folder}/hello.git
    environments:
      production:
        name: 127.0.0.1:{port}
        branch: main
        app_path: {folder}/app
        restart: [python3, service.py]
        env: {{APP: {folder}/app, PORT: "{port}"}}
        health_check: {{url: "http://127.0.0.1:{port}/health", retries: 15, interval: 0.1}}
        stable_for: 0.5
branch_mapping:
  main: {{fraise: hello, environment: production}}
"""

T = TypeVar("T")


class DemoFailedError(Exception):
    """Something was not as it should be."""


def require(holds: bool, what: str) -> None:
    """Raise `DemoFailedError` with `what` unless it `holds`."""
    if not holds:
        raise DemoFailedError(what)


def waited_for(what: str, ask: Callable[[], T | None]) -> T:
    """Return the first result that is not None. Raises `DemoFailedError` if there is none in time."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        if (answer := ask()) is not None:
            return answer
        time.sleep(0.05)
    raise DemoFailedError(f"waited {PATIENCE_SECONDS:g} s for {what}")


def fetched(url: str) -> tuple[int, str] | None:
    """Return the status and the text at `url`, None if nothing listens, or ends meanwhile."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode().strip()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode().strip()
    except (OSError, http.client.IncompleteRead):
        return None


def free_port() -> int:
    """Return a free port of the loopback interface."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


class Screen:
    """Says what happens; in colour on a terminal."""

    def __init__(self) -> None:
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def title(self, text: str) -> None:
        """Say what comes next."""
        print(f"\n{self.styled(text, '1')}")

    def command(self, *argv: str) -> None:
        """Show a command as one would type it."""
        print(self.styled(f"  $ {shlex.join(argv)}", "36"))

    def line(self, text: str) -> None:
        """Say one thing that was seen."""
        print(f"  {text}", flush=True)

    def proved(self, text: str) -> None:
        """Say what has been checked."""
        print(self.styled(f"  => {text}", "32"), flush=True)

    def styled(self, text: str, style: str) -> str:
        """Return text in a style of ECMA-48, unchanged without a terminal."""
        return f"\x1b[{style}m{text}\x1b[0m" if self._colour else text


class Stage:
    """A folder with a forge, a clone, a configuration, and a running Fraisier.

    Args:
        folder: empty, and removed by whoever made it.
        screen: told what happens.
    """

    def __init__(self, folder: Path, screen: Screen) -> None:
        self._screen = screen
        self.folder = folder
        self.clone = folder / "hello"
        self.config = folder / "fraises.yaml"
        self.url = f"http://127.0.0.1:{free_port()}"
        self.webhook = ""
        self.environment: Mapping[str, str] = {}
        self._seen: set[str] = set()

    def build(self) -> None:
        """Make the repository, its clone and the configuration."""
        secret = secrets.token_hex(32)
        (self.folder / "secret").write_text(secret)
        self.environment = os.environ | {
            "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "FRAISIER_CONFIG": str(self.config),
            "FRAISIER_WEBHOOK_SECRET": secret,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        self.config.write_text(CONFIG.format(folder=self.folder, port=self.url.rpartition(":")[2]))
        bare = self.folder / "hello.git"
        self.run("git", "init", "--quiet", "--bare", "--initial-branch=main", str(bare))
        self.run("git", "clone", "--quiet", str(bare), str(self.clone))
        self.git("config", "user.name", "You")
        self.git("config", "user.email", "you@example.com")
        self.git("checkout", "--quiet", "-B", "main")
        shutil.copytree(EXAMPLES / "hello", self.clone, dirs_exist_ok=True)
        shutil.copy(EXAMPLES / "post_receive.py", bare / "hooks/post-receive")

    def start_webhook(self) -> None:
        """Start `fraisier-webhook` with its worker, and tell the repository's hook where it listens."""
        with (self.folder / "webhook.log").open("wb") as log:
            process = subprocess.Popen(
                [BIN / "fraisier-webhook", "--port", "0"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C in the terminal is ours to handle
            )
        self.webhook = waited_for("fraisier-webhook to listen", lambda: self._listening(process))
        waited_for("its worker", lambda: fetched(f"{self.webhook}/readyz") == READY or None)
        bare = self.folder / "hello.git"
        self.run("git", "-C", str(bare), "config", "fraisier.url", f"{self.webhook}/webhook")
        self.run("git", "-C", str(bare), "config", "fraisier.secretFile", str(self.folder / "secret"))

    def _listening(self, process: subprocess.Popen[bytes]) -> str | None:
        said = (self.folder / "webhook.log").read_text()
        require(process.poll() is None, f"fraisier-webhook ended: {said}")
        found = re.search(r"listening on (\S+)", said)
        return found[1] if found else None

    def run(self, *argv: str, cwd: Path | None = None) -> str:
        """Return what a command prints. Raises `DemoFailedError` if it fails."""
        done = subprocess.run(
            argv,
            cwd=cwd or self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        require(done.returncode == 0, f"{shlex.join(argv)} exited with {done.returncode}:\n{done.stdout}")
        return done.stdout

    def git(self, *arguments: str) -> str:
        """Run git in the clone."""
        return self.run("git", *arguments, cwd=self.clone).strip()

    def json(self, *arguments: str) -> Any:
        """Return what `fraisier` says as JSON."""
        return json.loads(self.run("fraisier", *arguments, "--json"))

    def push(self, version: int, health: int) -> str:
        """Commit another version of the service and push it; return the commit."""
        app = self.clone / "app.py"
        text = re.sub(r"^VERSION = .*$", f'VERSION = "{version}"', app.read_text(), flags=re.MULTILINE)
        app.write_text(re.sub(r"^HEALTH = .*$", f"HEALTH = {health}", text, flags=re.MULTILINE))
        self.git("add", "--all")
        self.git("commit", "--quiet", f"--message=Version {version}", "--allow-empty")
        self._screen.command("git", "push", "origin", "main")
        answer = self.git("push", "origin", "main")
        said = [line for line in answer.splitlines() if "fraisier:" in line]
        self._screen.line(said[0].strip() if said else answer)
        require(any("202 accepted" in line for line in said), f"the webhook was not accepted: {answer}")
        return self.git("rev-parse", "HEAD")

    def followed(self, commit: str) -> dict[str, Any]:
        """Show the steps of the deployment that a push of `commit` requested, and return how it ended."""
        deployment = waited_for("the deployment", lambda: self._requested(commit))
        self._seen.add(deployment)
        shown = 0
        while True:
            record = self.json("show", deployment)
            steps = [step for step in record["steps"] if step["status"] != "running"]
            for number, step in enumerate(steps[shown:], shown):
                if number and steps[number - 1]["status"] == "failed":
                    self._screen.line("  rolling back:")
                self._show_step(step)
            shown = len(steps)
            if record["status"] in ENDED:
                return dict(record)
            time.sleep(0.05)

    def _show_step(self, step: dict[str, Any]) -> None:
        good = step["status"] == "success"
        mark = self._screen.styled("ok" if good else step["status"], "32" if good else "31")
        self._screen.line(f"  {step['name']:<9} {mark}, {step['duration']:.2f} s")

    def _requested(self, commit: str) -> str | None:
        new = [each for each in self.json("history") if each["id"] not in self._seen]
        return next((each["id"] for each in new if each["commit_sha"] == commit), None)

    def require_serving(self, version: int, commit: str) -> None:
        """Check that the service answers with a version, and that the record says the same."""
        answer = waited_for("the service", lambda: fetched(self.url))
        self._screen.line(f"{self.url} answers: {answer[1]}")
        require(answer == (200, f"hello, this is version {version}"), f"version {version} should serve")
        require(fetched(f"{self.url}/health") is not None, "the service should answer at /health")
        (status,) = self.json("status", "hello", "production")
        require(status["serving_commit_sha"] == commit, f"status should say that {commit} serves: {status}")

    def show(self, *arguments: str) -> None:
        """Show what `fraisier` says to people."""
        self._screen.command("fraisier", *arguments)
        if sys.stdout.isatty():
            subprocess.run([BIN / "fraisier", *arguments], env=self.environment, check=True)
            return
        for line in self.run("fraisier", *arguments).splitlines():
            self._screen.line(line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…")
