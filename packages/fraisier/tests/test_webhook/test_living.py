"""The life of the web app and of the worker beside it: signals, kills, reloads, readiness."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

from tests.waiting import wait_until

from .hooks import GITHUB_SECRET, SECRETS, github, github_push, new_commit
from .installation import Installation, Server, is_running, read_answer
from .test_bounds import CHUNKED, HEAD

NEW_FRAISE = """
  other:
    type: api
    repository: https://github.com/acme/my-api.git
    environments:
      production: {branch: other}
branch_mapping:
  other: {fraise: other, environment: production}
"""


def is_ready(server: Server) -> bool:
    return server.get("/readyz").status_code == 200


def test_it_ends_soon_after_sigterm_whatever_slow_clients_do(installation: Installation) -> None:
    with (
        installation.serving() as server,
        server.connect() as idle,
        server.connect() as head,
        server.connect() as body,
    ):
        head.sendall(HEAD)
        body.sendall(CHUNKED)
        assert server.get("/healthz").status_code == 200
        assert server.terminate() == -signal.SIGTERM
        assert idle.recv(1) == head.recv(1) == b""
        assert read_answer(body).startswith(b"503 ")
        assert "Traceback" not in server.log.read_text()


def test_the_worker_ends_with_the_web_app_and_knows_none_of_its_secrets(installation: Installation) -> None:
    with installation.serving("--worker") as server:
        wait_until(lambda: is_ready(server))
        worker = server.worker()
        environ = Path(f"/proc/{worker}/environ").read_bytes()
        assert b"HOME=" in environ
        assert not any(secret.encode() in environ for secret in SECRETS)
        assert b"SECRET" not in environ
        command = Path(f"/proc/{worker}/cmdline").read_bytes()
        assert GITHUB_SECRET.encode() not in command
        server.terminate()
        assert not is_running(worker)


def test_other_processes_of_the_same_user_cannot_read_their_environment(installation: Installation) -> None:
    # To root everything is readable, unless it gave up its capabilities.
    unprivileged = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()

    def can_be_read(pid: int) -> bool:
        command = [*unprivileged, "cat", f"/proc/{pid}/environ"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    with subprocess.Popen([*unprivileged, "sleep", "60"]) as other:
        wait_until(lambda: Path(f"/proc/{other.pid}/comm").read_text() == "sleep\n")
        assert can_be_read(other.pid)
        other.kill()
    with replace(installation, prefix=unprivileged).serving("--worker") as server:
        wait_until(lambda: is_ready(server))
        assert not can_be_read(server.process.pid)
        assert not can_be_read(server.worker())
        server.terminate()


def test_a_killed_worker_is_started_again_and_a_killed_web_app_takes_it_along(
    installation: Installation,
) -> None:
    with installation.serving("--worker") as server:
        wait_until(lambda: is_ready(server))
        first = server.worker()
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: server.worker() not in {0, first})
        assert "the worker ended with status -9; it is started again in 1 s" in server.log.read_text()
        second = server.worker()
        pid = f"SELECT 1 FROM tb_workers WHERE pid = {second}"
        wait_until(lambda: server.rows(pid))
        server.process.kill()
        wait_until(lambda: not is_running(second))


def test_it_is_not_ready_without_a_worker(server: Server) -> None:
    answer = server.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"status": "not ready", "problems": ["no worker is alive"]}


def test_a_new_fraise_is_routed_to_without_a_restart(installation: Installation) -> None:
    with installation.serving() as server:
        push = github_push(new_commit(), branch="other")
        assert server.send(github(push)).json()["status"] == "ignored"
        before, _, _ = installation.config.read_text().partition("branch_mapping:")
        installation.config.write_text(before + NEW_FRAISE.lstrip("\n"))
        answer = server.send(github(push))
        assert answer.status_code == 202
        assert answer.json()["deployments"][0]["fraise"] == "other"


def test_a_broken_file_changes_nothing_and_is_reported_once(installation: Installation) -> None:
    with installation.serving() as server:
        working = installation.config.read_text()
        for broken in (working.replace("branch: main", "brnach: main"), "git: ["):
            installation.config.write_text(broken)
            for _ in range(3):
                assert server.send(github(github_push(new_commit()))).status_code == 202
        installation.config.write_text(working.replace("type: api\n", "type: apy\n"))
        assert server.send(github(github_push(new_commit()))).status_code == 202
        log = server.log.read_text()
        assert 'no fraise type "apy" is installed' in log
        assert log.count("the new configuration is invalid; the last valid one stays in force") == 3
        assert log.count('unknown key; did you mean "branch"?') == 2  # once for each of the two environments
        installation.config.unlink()
        assert server.send(github(github_push(new_commit()))).status_code == 202


def test_another_database_counts_after_a_restart_and_that_is_said(installation: Installation) -> None:
    with installation.serving() as server:
        installation.config.write_text(
            "database: {url: 'sqlite:elsewhere/fraisier.db'}\n" + installation.config.read_text()
        )
        commit = new_commit()
        assert server.send(github(github_push(commit))).status_code == 202
        assert server.rows(f"SELECT 1 FROM tb_deployments WHERE commit_sha = '{commit}'")
        assert not (installation.folder / "elsewhere").exists()
        assert "database.url changed; restart fraisier-webhook and the worker to use it" in (
            server.log.read_text()
        )


def test_a_provider_that_left_the_configuration_is_not_found(installation: Installation) -> None:
    with installation.serving() as server:
        hook = github(github_push(new_commit()), path="/webhook/github")
        working = installation.config.read_text()
        installation.config.write_text(
            working.replace("  provider: github\n", "").replace("  github:", "  gitea:")
        )
        assert server.send(hook).status_code == 404
        installation.config.write_text(working)
        assert server.send(hook).status_code == 202


def test_a_provider_that_leaves_while_a_delivery_comes_in_still_answers_that_one(
    installation: Installation,
) -> None:
    hook = github(github_push(new_commit()), path="/webhook/github")
    lines = [f"{name}: {value}" for name, value in hook.headers.items()]
    head = "\r\n".join(
        ["POST /webhook/github HTTP/1.1", "host: x", f"content-length: {len(hook.body)}", *lines]
    )
    with installation.serving() as server, server.connect() as connection:
        connection.sendall(head.encode() + b"\r\n\r\n" + hook.body[:10])
        assert server.get("/healthz").status_code == 200
        installation.config.write_text("fraises: {}")
        assert server.send(hook).status_code == 404
        connection.sendall(hook.body[10:])
        assert connection.recv(100).startswith(b"HTTP/1.1 202 ")
