"""The examples say in a sentence what is wrong."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.environments import ROOT

HOOK = ROOT / "examples/post_receive.py"
SERVICE = ROOT / "examples/hello/service.py"

DEPLOYMENTS = [
    {"fraise": "my_api", "environment": name, "follow": f"fraisier logs {number} --follow"}
    for number, name in enumerate(("production", "staging"), 1)
]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A bare repository that knows a secret."""
    bare = tmp_path / "my_api.git"
    subprocess.run(["git", "init", "--quiet", "--bare", bare], check=True)
    (tmp_path / "secret").write_text("a secret")
    configure(bare, "fraisier.secretFile", str(tmp_path / "secret"))
    return bare


def configure(repository: Path, name: str, value: str) -> None:
    subprocess.run(["git", "-C", repository, "config", name, value], check=True)


def said(repository: Path) -> str:
    """Return what the hook says of one push."""
    done = subprocess.run(
        [sys.executable, HOOK],
        cwd=repository,
        input=f"{'0' * 40} {'1' * 40} refs/heads/main\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@contextmanager
def answering(status: int, body: str, *, busy: int = 0) -> Iterator[str]:
    """Answer one request, after so many that are to come again at once, and give the URL for it."""
    left = busy

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            nonlocal left
            self.rfile.read(int(self.headers["Content-Length"]))
            left -= 1
            self.send_response(503 if left >= 0 else status)
            if left >= 0:
                self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.timeout = 20.0

        def serve() -> None:
            for _ in range(busy + 1):
                server.handle_request()

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/webhook"
        thread.join()


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (202, json.dumps({"status": "accepted"}), "202 accepted"),
        (
            202,
            json.dumps({"status": "accepted", "deployments": DEPLOYMENTS}),
            "202 accepted: my_api production, follow it with: fraisier logs 1 --follow; "
            "my_api staging, follow it with: fraisier logs 2 --follow",
        ),
        (
            200,
            json.dumps({"status": "ignored", "reasons": ["no rule", "no tag"]}),
            "200 ignored: no rule; no tag",
        ),
        (401, json.dumps({"error": "the delivery does not verify"}), "401 the delivery does not verify"),
        (502, "Bad gateway\n", "502 Bad gateway"),
    ],
)
def test_the_hook_says_what_was_answered(repository: Path, status: int, body: str, sentence: str) -> None:
    with answering(status, body) as url:
        configure(repository, "fraisier.url", url)
        assert said(repository) == f"fraisier: {sentence}\n"


@pytest.mark.parametrize(("busy", "sentence"), [(1, "202 accepted"), (2, "202 accepted"), (3, "503 not now")])
def test_the_hook_delivers_again_what_is_to_come_again(repository: Path, busy: int, sentence: str) -> None:
    body = json.dumps({"status": "accepted", "error": "not now"})
    with answering(202, body, busy=busy) as url:
        configure(repository, "fraisier.url", url)
        assert said(repository) == f"fraisier: {sentence}\n"
        if busy == 3:
            said(repository)  # is answered at last


def test_the_hook_says_if_nothing_listens(repository: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/webhook"
    configure(repository, "fraisier.url", url)
    assert (
        said(repository)
        == f"fraisier: not reached: {url}: {OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))}; "
        "Fraisier does not know of this push: `fraisier deploy` deploys it\n"
    )


def test_the_hook_says_which_secret_is_missing(repository: Path) -> None:
    configure(repository, "fraisier.secretFile", "/nowhere/secret")
    reason = os.strerror(errno.ENOENT)
    assert (
        said(repository) == f"fraisier: not delivered: fraisier.secretFile is '/nowhere/secret': {reason}\n"
    )


def test_the_hook_says_that_no_secret_is_configured(repository: Path) -> None:
    subprocess.run(["git", "-C", repository, "config", "--unset", "fraisier.secretFile"], check=True)
    assert said(repository) == "fraisier: not delivered: fraisier.secretFile is not set\n"


def test_a_restart_fails_if_the_port_is_taken(tmp_path: Path) -> None:
    (tmp_path / "app").symlink_to(SERVICE.parent)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        done = subprocess.run(
            [sys.executable, SERVICE],
            env=os.environ | {"APP": str(tmp_path / "app"), "PORT": port},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == f"app.py exited at once with status 1: see {tmp_path / 'app.log'}\n"
    assert os.strerror(errno.EADDRINUSE) in (tmp_path / "app.log").read_text()
