"""What a worker leaves waiting while its environment is held or frozen, and what frees it."""

from __future__ import annotations

from fraisier_core.requests.holding import resume, until
from fraisier_core.system.timing import POLL

from tests.databases import both_databases
from tests.waiting import wait_until
from tests.worker.installation import REQUEST, Installation

PUSH = REQUEST._replace(trigger="webhook", ref="refs/heads/main")
FROZEN = "branch: main, freeze: {cron: '* * * * *', duration: 1d, reason: the end of the year}"


def freeze(installation: Installation, *, frozen: bool) -> None:
    """Write what production has, and the configuration anew."""
    installation.configure("api")
    path = installation.folder / "fraises.yaml"
    if frozen:
        text = path.read_text().replace("production: {branch: main}", f"production: {{{FROZEN}}}")
        (installation.folder / "new.yaml").write_text(text)
        (installation.folder / "new.yaml").rename(path)


@both_databases
def test_a_window_that_began_while_no_worker_ran_holds_until_its_rule_is_gone(
    installation: Installation,
) -> None:
    held = installation.store.request(PUSH)
    other = installation.store.request(PUSH._replace(environment="staging"))
    freeze(installation, frozen=True)
    installation.start()
    assert installation.ended(other).status == "failed"
    assert installation.store.deployment(held).status == "pending"
    (hold,) = installation.store.holds()
    assert (hold.environment, hold.reason) == ("production", "the end of the year")
    freeze(installation, frozen=False)
    assert installation.ended(held).status == "failed"


@both_databases
def test_what_is_held_begins_once_its_hold_ends_or_is_resumed(installation: Installation) -> None:
    store = installation.store
    store.hold("api", "production", "an incident", "ops")
    store.hold("api", "staging", "a moment", "ops", None)
    held, other = store.request(PUSH), store.request(PUSH._replace(environment="staging"))
    worker = installation.start()
    resume(store, "api", "staging", "ops")
    assert installation.ended(other).status == "failed"
    assert store.deployment(held).status == "pending"
    resume(store, "api", "production", "ops")
    assert installation.ended(held).status == "failed"
    assert worker.poll() is None


@both_databases
def test_a_hold_that_expires_frees_what_waits_without_another_event(installation: Installation) -> None:
    store = installation.store
    installation.start()
    store.hold("api", None, "a moment", "ops", until(f"{3 * POLL:g}s"))
    held = store.request(PUSH)
    assert store.deployment(held).status == "pending"
    wait_until(lambda: not store.holds())
    assert installation.ended(held).status == "failed"
