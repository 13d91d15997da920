from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import entry_points
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from fraisier_core.config import Config, ResolvedEnvironment, load_config
from fraisier_core.plugins import Plugins
from fraisier_core.requests.requesting import configure_store
from fraisier_core.store.events import Event
from fraisier_core.store.records import Deployment, Lease, Request
from fraisier_core.system.host import Host
from fraisier_core.system.processes import ProcessIdentity
from fraisier_core.worker.assignment import Assignment, receive, send
from fraisier_core.worker.jobs import execute_early, warmth_of
from fraisier_core.worker.launcher import fork

from tests.stores import open_store

CONFIGURATION = """\
fraises:
  api:
    type: not-installed
    repository: https://example.com/acme/api.git
    environments:
      production: {branch: main}
"""
REQUEST = Request("api", "production", "deploy", "manual", "ada", "main", "c" * 40)


class Installation:
    """A store, and one process that waits for an assignment."""

    def __init__(self, config: Config, channel: Connection) -> None:
        self.config = config
        self.store = open_store(config.database)
        configure_store(self.store, config, executes=True)
        self._channel = channel
        process = receive(channel)
        assert process is not None
        self.process: ProcessIdentity = process

    def claim(self) -> Lease:
        _, lease = self.store.request_leased(REQUEST, self.process)
        assert lease is not None
        return lease

    def recover(self, lease: Lease) -> None:
        """Have a deployment recovered whose environment is known, though its type is not."""
        deployment, state = self.store.deployment(lease.deployment_id), self.config.state_dir
        url = "https://example.com/acme/api.git"
        known = ResolvedEnvironment("api", "production", "not-installed", url, state, {}, frozenset())
        send(self._channel, Assignment(lease, deployment, recover=True, environment=known))
        assert receive(self._channel) is None  # the process has ended

    def execute(self, lease: Lease, *, recover: bool = False) -> Deployment:
        deployment = self.store.deployment(lease.deployment_id)
        send(self._channel, Assignment.under(self.config, deployment, lease, recover=recover))
        assert receive(self._channel) is None  # the process has ended
        return self.store.deployment(lease.deployment_id)


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    (tmp_path / "fraises.yaml").write_text(CONFIGURATION)
    plugins = Plugins(entry_points(group="fraisier.stores"))
    config = load_config(tmp_path / "fraises.yaml", plugins)
    with closing(fork("process of this test", execute_early)) as channel:
        send(channel, (warmth_of(config, Host()), config.state_dir))
        yield Installation(config, channel)


def test_what_cannot_be_looked_up_fails_before_anything_is_done(installation: Installation) -> None:
    done = installation.execute(installation.claim())
    assert done.status == "failed"
    assert (done.error_message or "").endswith("nothing was done")
    assert installation.store.leases() == []


def test_a_run_that_started_nothing_is_requeued_by_recovery(installation: Installation) -> None:
    assert installation.execute(installation.claim(), recover=True).status == "pending"


@pytest.mark.parametrize(
    "place", ["api-1.git.secrets", "gone.git.secrets", "api-1.git.submodules/b.git.secrets"]
)
def test_recovery_removes_the_key_of_a_fetch_that_was_killed(installation: Installation, place: str) -> None:
    left = installation.config.state_dir / "mirrors" / place
    left.mkdir(parents=True)
    (left / "key").write_text("a key")
    installation.recover(installation.claim())
    assert not left.exists()


def test_recovery_that_cannot_look_anything_up_says_that_the_serving_release_is_unknown(
    installation: Installation,
) -> None:
    lease = installation.claim()
    started = Event("step_started", step="restart", step_number=1)
    installation.store.append(lease, started, Event("activation_started", release="r1"))
    done = installation.execute(lease, recover=True)
    assert done.status == "failed"
    assert (done.error_message or "").endswith("the serving release is unknown")
    assert installation.store.serving("api", "production") is None


def test_whoever_lost_the_lease_writes_nothing(installation: Installation) -> None:
    lease = installation.claim()
    (held,) = installation.store.leases()
    installation.store.take_over(held, installation.process)
    assert installation.execute(lease).status == "running"
