import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from fraisier_core.config.source import ConfigSource
from fraisier_core.plugins import Plugins
from fraisier_core.requests.requesting import configure_store
from fraisier_core.store.records import Deployment, Request
from fraisier_core.store.sqlite.wake_ups import FOLDER, wake
from fraisier_core.system.processes import ProcessIdentity, children, descendants

from tests.stores import open_store
from tests.waiting import wait_until

WORKER = """
import logging
import sys
from importlib.metadata import entry_points
from pathlib import Path
from fraisier_core.config.source import ConfigSource
from fraisier_core.plugins import Plugins
from fraisier_core.worker.daemon import Worker

logging.basicConfig(level=logging.INFO)
plugins = Plugins(entry_points(group="fraisier.stores"))
source = ConfigSource(Path(sys.argv[1]), plugins)
Worker(source, plugins, supervisor=int(sys.argv[2]) if sys.argv[2:] else None).run()
"""
CONFIGURATION = """\
fraises:
  {fraise}:
    type: not-installed
    repository: https://example.com/acme/api.git
    environments:
      production: {{branch: main}}
"""
REQUEST = Request("api", "production", "deploy", "manual", "ada", "main", "c" * 40)


class Installation:
    """A configuration, its store, and workers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.configure("api")
        self.config = ConfigSource(
            folder / "fraises.yaml", Plugins(entry_points(group="fraisier.stores"))
        ).current()
        self.database = open_store(self.config.database)
        self.store = open_store(self.config.database)
        configure_store(self.store, self.config)
        self.workers: list[subprocess.Popen[str]] = []

    def configure(self, fraise: str) -> None:
        text = CONFIGURATION.format(fraise=fraise)
        (self.folder / "new.yaml").write_text(text)
        (self.folder / "new.yaml").rename(self.folder / "fraises.yaml")

    def start(self, supervisor: int | None = None) -> subprocess.Popen[str]:
        """Start a worker, and wait until it is ready."""
        worker = self.launch(supervisor)
        wait_until(lambda: self.store.live_workers() == len(self.workers))
        wait_until(lambda: len(descendants(worker.pid)) == 3)  # the launcher, and a process for each slot
        return worker

    def launch(self, supervisor: int | None = None) -> subprocess.Popen[str]:
        argv = [sys.executable, "-c", WORKER, str(self.folder / "fraises.yaml")]
        argv += [] if supervisor is None else [str(supervisor)]
        handles = [] if supervisor is None else [supervisor]
        worker = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, pass_fds=handles)
        self.workers.append(worker)
        return worker

    def ended(self, deployment_id: str) -> Deployment:
        history = self.database
        wait_until(lambda: history.deployment(deployment_id).completed_at)
        return history.deployment(deployment_id)


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    found = Installation(tmp_path)
    yield found
    for worker in found.workers:
        worker.kill()
        worker.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_worker_ends_when_asked_and_leaves_nothing(
    installation: Installation, number: signal.Signals
) -> None:
    worker = installation.start()
    processes = descendants(worker.pid)
    worker.send_signal(number)
    assert worker.wait(10) == 0
    assert installation.store.live_workers() == 0
    assert list((installation.config.state_dir / FOLDER).iterdir()) == []
    wait_until(lambda: not any(process.is_alive() for process in processes))


def test_a_worker_ends_with_its_supervisor(installation: Installation) -> None:
    theirs, ours = os.pipe()
    worker = installation.start(theirs)
    os.close(theirs)
    os.close(ours)
    assert worker.wait(10) == 0


def test_the_processes_of_a_killed_worker_end_themselves(installation: Installation) -> None:
    worker = installation.start()
    processes = descendants(worker.pid)
    worker.kill()
    wait_until(lambda: not any(process.is_alive() for process in processes))


def test_a_killed_process_is_replaced(installation: Installation) -> None:
    worker = installation.start()
    (launcher,) = {each for each in descendants(worker.pid) if descendants(each.pid)}
    first = descendants(launcher.pid)
    for process in first:
        os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: len(descendants(launcher.pid) - first) == 2)
    assert worker.poll() is None


def test_a_launcher_that_is_killed_is_started_again_and_named(installation: Installation) -> None:
    worker = installation.start()
    (launcher,) = {each for each in descendants(worker.pid) if descendants(each.pid)}
    os.kill(launcher.pid, signal.SIGKILL)
    assert worker.stderr is not None
    assert "the launcher was killed by SIGKILL; it is started again in 1 s" in worker.stderr.readline()
    for process in descendants(worker.pid):
        os.kill(process.pid, signal.SIGKILL)
    deployment = installation.store.request(REQUEST)
    wake(installation.config.state_dir)
    assert installation.ended(deployment).status == "failed"
    assert worker.poll() is None


def test_no_process_below_a_worker_has_the_variables_of_the_configuration(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "token-of-production")
    path = installation.folder / "fraises.yaml"
    path.write_text(path.read_text().replace("branch: main", 'branch: main, env: {A: "${TOKEN}"}'))
    worker = installation.start()
    for process in descendants(worker.pid):
        assert b"token-of-production" not in Path(f"/proc/{process.pid}/environ").read_bytes()


def test_what_waits_is_claimed_on_a_wake_up(installation: Installation) -> None:
    installation.start()
    deployment = installation.store.request(REQUEST)
    wake(installation.config.state_dir)
    ended = installation.ended(deployment)
    assert ended.status == "failed"
    assert "not-installed" in (ended.error_message or "")
    assert (ended.error_message or "").endswith("nothing was done")


def test_what_waits_for_a_fraise_that_was_removed_fails_and_says_so(installation: Installation) -> None:
    deployment = installation.store.request(REQUEST)
    installation.configure("another")
    installation.start()
    ended = installation.ended(deployment)
    assert ended.status == "failed"
    assert ended.error_message == 'no fraise is called "api" (known: another); nothing was done'


def test_a_configuration_that_breaks_leaves_the_last_good_one(installation: Installation) -> None:
    installation.start()
    (installation.folder / "fraises.yaml").write_text("fraises: [")
    deployment = installation.store.request(REQUEST)
    wake(installation.config.state_dir)
    assert "not-installed" in (installation.ended(deployment).error_message or "")


def test_a_worker_outlives_a_store_that_cannot_be_written_for_a_while(installation: Installation) -> None:
    installation.database.execute("ALTER TABLE tb_workers RENAME TO tb_elsewhere")
    worker = installation.launch()
    assert worker.stderr is not None
    assert "tb_workers" in worker.stderr.readline()
    installation.database.execute("ALTER TABLE tb_elsewhere RENAME TO tb_workers")
    deployment = installation.store.request(REQUEST)
    wake(installation.config.state_dir)
    assert installation.ended(deployment).status == "failed"
    assert worker.poll() is None


def test_what_a_dead_process_left_without_a_step_runs_again(installation: Installation) -> None:
    with subprocess.Popen(["true"]) as gone:
        process = ProcessIdentity.of(gone.pid)
    _, lease = installation.store.request_and_claim(REQUEST, process)
    assert lease is not None
    assert process not in children()
    installation.start()
    ended = installation.ended(lease.deployment_id)
    assert (ended.status, ended.attempt) == ("failed", 2)


def test_the_log_has_a_line_on_the_start_and_one_on_the_end_of_each_deployment(
    installation: Installation,
) -> None:
    worker = installation.start()
    by = "ada\nINFO forged \x1b[31m"
    ids = [installation.store.request(REQUEST._replace(environment="production", requested_by=by))]
    wake(installation.config.state_dir)
    installation.ended(ids[0])
    worker.terminate()
    _, log = worker.communicate()
    installation.workers.remove(worker)
    started, ended = (line for line in log.splitlines() if "deployment" in line and "context" not in line)
    what = f"deployment {ids[0]} of api production"
    assert started.endswith(f"{what} started: deploy of cccccccccccc, requested by ada INFO forged")
    assert f"{what} ended: failed: " in ended
    assert ended.endswith("nothing was done")
