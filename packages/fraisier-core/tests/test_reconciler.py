from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from fraisier_core.config.source import ConfigSource
from fraisier_core.plugins import Plugins
from fraisier_core.requests.requesting import configure_store
from fraisier_core.store.records import BranchHead, Deployment, Request
from fraisier_core.system.processes import descendants
from fraisier_core.testing.forge import Forge

from tests.packages import PackageFolder
from tests.stores import open_store
from tests.waiting import wait_until

pytest_plugins = ["fraisier_core.testing.forge"]

WORKER = """
import logging, sys
from pathlib import Path
from fraisier_core.config.source import ConfigSource
from fraisier_core.plugins import Plugins
from fraisier_core.worker.daemon import Worker
from fraisier_core.worker.reconciler import Pace

logging.basicConfig(level=logging.INFO)
plugins = Plugins.installed()
source = ConfigSource(Path(sys.argv[1]), plugins)
Worker(source, plugins, pace=Pace(lambda seconds: seconds / 600, float(sys.argv[2]))).run()
"""
DEPLOYER = """
from fraisier_core import Health, hookimpl

@hookimpl
def deploy(run):
    with run.step("build"):
        run.command(["test", "!", "-e", "broken"])
    run.activate()

@hookimpl
def health_check(run):
    return Health(True, "it is there")
"""
CONFIGURATION = """\
fraises:
  app:
    type: script
    repository: {url}
    environments:
      production: {{branch: main, stable_for: 0, reconcile: {{every: {every}, action: {action}}}}}
      staging: {{branch: main, stable_for: 0, reconcile: {{every: {every}}}}}
"""
BY_HAND = Request("app", "production", "deploy", "manual", "ada", "refs/heads/main")
GIT = """#!/bin/sh
case "$*" in *ls-remote*--heads*) echo asked >> {log}; {first} ;; esac
exec {git} "$@"
"""


class Installation:
    """A configuration without any webhook, a forge, and a worker that asks once a tenth of a second."""

    def __init__(self, folder: Path, site: PackageFolder, forge: Forge) -> None:
        self.folder, self.site, self.forge = folder, site, forge
        site.deployer("script", DEPLOYER)
        self.configure(forge.url)
        source = ConfigSource(self.config, Plugins.installed())
        self.store = open_store(source.current().database)
        configure_store(self.store, source.current(), executes=True)
        self.worker: subprocess.Popen[bytes] | None = None
        self.environ = {**os.environ, "PYTHONPATH": str(site.folder)}

    @property
    def config(self) -> Path:
        return self.folder / "fraises.yaml"

    def configure(self, url: str, action: str = "deploy", every: str = "60") -> None:
        new = self.folder / "new.yaml"
        new.write_text(CONFIGURATION.format(url=url, action=action, every=every))
        new.rename(self.config)

    def slow_git(self, seconds: float) -> Path:
        """Have git wait before it asks for branches, and return the file with a line a question."""
        return self.own_git(f"sleep {seconds}")

    def own_git(self, first: str) -> Path:
        """Have git do something before it asks for branches, and return the file with a line a question."""
        log, found = self.folder / "asked", self.folder / "bin" / "git"
        git = subprocess.run(["which", "git"], check=True, capture_output=True, text=True).stdout.strip()
        found.parent.mkdir()
        found.write_text(GIT.format(log=log, first=first, git=git))
        found.chmod(0o755)
        self.environ["PATH"] = f"{found.parent}:{os.environ['PATH']}"
        return log

    def start(self, patience: float = 45.0) -> None:
        with (self.folder / "log").open("ab") as log:
            argv = [sys.executable, "-c", WORKER, str(self.config), str(patience)]
            self.worker = subprocess.Popen(argv, stderr=log, env=self.environ)

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def deployments(self, environment: str = "production") -> list[Deployment]:
        return self.store.deployments("app", environment)

    def deployed(self, commit: str) -> Deployment:
        """Wait until the newest deployment is that of a commit, and has ended."""

        def is_over() -> bool:
            newest = self.deployments()[:1]
            return any(each.commit_sha == commit and each.completed_at is not None for each in newest)

        wait_until(is_over)
        return self.deployments()[0]

    def heads(self, environment: str = "production") -> list[BranchHead]:
        return self.store.branch_heads("app", environment)


@pytest.fixture
def installation(tmp_path: Path, site: PackageFolder, forge: Forge) -> Iterator[Installation]:
    found = Installation(tmp_path, site, forge)
    yield found
    if found.worker is not None:
        below = descendants(found.worker.pid)
        found.worker.kill()
        found.worker.wait()
        for process in below:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)


def seen_again(installation: Installation, environment: str = "production") -> None:
    """Wait until a repository was asked once more, and what it said is recorded."""
    before = installation.heads(environment)[0].seen_at
    wait_until(lambda: installation.heads(environment)[0].seen_at > before)


def test_a_push_before_the_worker_ran_is_deployed_without_any_webhook(installation: Installation) -> None:
    first = installation.forge.push_files({"file": "1"})
    installation.start()
    deployment = installation.deployed(first)
    assert (deployment.status, deployment.trigger, deployment.requested_by) == (
        "success",
        "reconcile",
        "reconcile",
    )
    assert deployment.ref == "refs/heads/main"
    assert deployment.reason == "it is the `branch:` of app production"
    second = installation.forge.push_files({"file": "2"})
    assert installation.deployed(second).status == "success"
    assert installation.deployments("staging") == []
    assert [each.head for each in installation.heads("staging")] == [second]


def test_a_head_that_failed_is_left_alone(installation: Installation) -> None:
    commit = installation.forge.push_files({"broken": ""})
    installation.start()
    assert installation.deployed(commit).status == "failed"
    seen_again(installation)
    seen_again(installation)
    assert len(installation.deployments()) == 1


def test_the_environments_of_a_repository_share_a_question(installation: Installation) -> None:
    asked = installation.slow_git(0)
    installation.configure(installation.forge.url, action="show")
    installation.forge.push_files({"file": "1"})
    installation.start()
    wait_until(lambda: installation.heads() and installation.heads("staging"))
    assert installation.heads()[0].seen_at == installation.heads("staging")[0].seen_at
    seen_again(installation)
    answered = 1 + len({each.seen_at for each in installation.heads()})
    assert len(asked.read_text().splitlines()) - answered <= 1


def test_a_remote_that_hangs_keeps_nothing_from_being_deployed(installation: Installation) -> None:
    asked = installation.slow_git(60)
    commit = installation.forge.push_files({"file": "1"})
    installation.start()
    wait_until(asked.exists)
    installation.store.request(BY_HAND._replace(commit_sha=commit))
    assert installation.deployed(commit).trigger == "manual"
    assert len(asked.read_text().splitlines()) == 1
    assert installation.worker is not None
    installation.worker.terminate()
    assert installation.worker.wait(20) == 0


def test_a_failure_is_logged_once_and_recorded_until_the_repository_answers(
    installation: Installation,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/app.git"
    installation.configure(url)
    installation.start()
    wait_until(installation.heads)
    seen_again(installation)
    ((unnamed), *named) = installation.heads()
    assert (unnamed.ref, named) == ("", [])
    assert "git_unreachable" in (unnamed.problem or "")
    commit = installation.forge.push_files({"file": "1"})
    installation.configure(installation.forge.url)
    assert installation.deployed(commit).status == "success"
    assert [each.head for each in installation.heads()] == [commit]
    assert installation.log().count("app production, app staging cannot be reconciled: git_unreachable") == 1


def test_a_failure_that_says_how_long_it_took_is_logged_once(installation: Installation) -> None:
    failed = "Failed to connect to forge.example port 443 after $$ ms: Couldn't connect to server"
    asked = installation.own_git(f'echo "fatal: unable to access: {failed}" >&2; exit 128')
    installation.start()
    wait_until(lambda: asked.exists() and len(asked.read_text().splitlines()) > 2)
    seen_again(installation)
    assert installation.log().count("cannot be reconciled: git_unreachable") == 1


REFUSED = "CREATE TRIGGER refused BEFORE INSERT ON {} WHEN {} BEGIN SELECT RAISE(ABORT, 'it is full'); END"


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        (REFUSED.format("tb_branch_heads", "true"), "DROP TRIGGER refused"),
        (REFUSED.format("tb_deployment_events", "NEW.requested_by = 'reconcile'"), "DROP TRIGGER refused"),
        ("ALTER TABLE tb_branch_heads RENAME TO gone", "ALTER TABLE gone RENAME TO tb_branch_heads"),
    ],
)
def test_what_cannot_be_stored_is_tried_again_long_before_the_next_interval(
    installation: Installation, broken: str, mended: str
) -> None:
    installation.configure(installation.forge.url, every="10d")
    commit = installation.forge.push_files({"file": "1"})
    database = sqlite3.connect(installation.folder / ".fraisier" / "fraisier.db", isolation_level=None)
    with closing(database):
        database.execute(broken)
        installation.start()
        wait_until(lambda: "it is full" in installation.log() or "no such table" in installation.log())
        database.execute(mended)
    assert installation.deployed(commit).status == "success"
    assert [each.head for each in installation.heads("staging")] == [commit]


UNRECONCILED = "{branch: main, stable_for: 0}"


@pytest.mark.parametrize("left", [f"staging: {UNRECONCILED}", "qa: {branch: main, stable_for: 0}"])
def test_what_was_seen_for_environments_that_are_no_longer_reconciled_is_forgotten(
    installation: Installation, left: str
) -> None:
    commit = installation.forge.push_files({"file": "1"})
    installation.start()
    assert installation.deployed(commit).status == "success"
    wait_until(lambda: installation.heads("staging"))
    text = installation.config.read_text()
    staging = next(line for line in text.splitlines() if "staging:" in line)
    new = installation.config.with_name("new.yaml")
    new.write_text(text.replace(staging, f"      {left}"))
    new.rename(installation.config)
    wait_until(lambda: not installation.heads("staging"))
    seen_again(installation)


def test_what_was_seen_is_forgotten_if_the_worker_did_not_run_meanwhile(installation: Installation) -> None:
    for names in (("app", "gone"), ("left", "production")):
        installation.store.record_heads(
            *names, [BranchHead(*names, "refs/heads/main", "a" * 40, "2026", None)]
        )
        installation.store.record_no_heads(*names, "no route to host")
    installation.forge.push_files({"file": "1"})
    installation.start()
    wait_until(installation.heads)
    assert not installation.heads("gone")
    assert not installation.store.branch_heads("left", "production")


def test_a_shorter_interval_is_in_force_at_once(installation: Installation) -> None:
    installation.configure(installation.forge.url, every="1d")
    installation.forge.push_files({"file": "1"})
    installation.start()
    wait_until(installation.heads)
    installation.configure(installation.forge.url, every="60")
    seen_again(installation)


def asking(installation: Installation) -> int:
    """Return the id of the process that asks, once its git does."""
    assert installation.worker is not None
    found: list[int] = []

    def is_there() -> bool:
        assert installation.worker is not None
        for process in descendants(installation.worker.pid):
            with suppress(OSError):
                if "--heads" in Path(f"/proc/{process.pid}/cmdline").read_text():
                    stat = Path(f"/proc/{process.pid}/stat").read_text()
                    found.append(int(stat.rpartition(")")[2].split()[1]))
        return bool(found)

    wait_until(is_there)
    return found[0]


def test_a_process_that_is_killed_while_it_asks_is_noted_and_another_asks_again(
    installation: Installation,
) -> None:
    installation.slow_git(4)
    commit = installation.forge.push_files({"file": "1"})
    installation.start()
    os.kill(asking(installation), signal.SIGKILL)
    wait_until(lambda: "hung, or is gone" in installation.log())
    assert installation.deployed(commit).status == "success"
    assert "the repository of app production, app staging answers again" in installation.log()


def test_a_process_that_hangs_is_given_up_and_another_asks_again(installation: Installation) -> None:
    installation.slow_git(0.5)
    commit = installation.forge.push_files({"file": "1"})
    installation.start(patience=2)
    process = asking(installation)
    os.kill(process, signal.SIGSTOP)
    wait_until(lambda: "hung, or is gone" in installation.log())
    os.kill(process, signal.SIGCONT)
    assert installation.deployed(commit).status == "success"
