"""Pushes, deployments by hand, cancellations, kills and recoveries in any order: what must hold, holds.

The store, the routing, the engine and the recovery are the real ones; simulated are the repository, the
machine and what a deployment does to it. On several databases the same is done to each, and no view may show
a difference; `FRAISIER_MODEL_POSTGRES` names the versions of PostgreSQL, such as `15,16`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from fraisier_core.config import Config, parse_config
from fraisier_core.plugins import Plugins
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.databases import PostgresDatabase
from tests.model.installation import CONFIGURATION
from tests.model.stores import PostgresStores, SqliteStores, Stores
from tests.model.twins import twins
from tests.postgres import USUAL

BRANCHES = ["main", "v2"]
TAGS = ["v2", "v3"]
ENVIRONMENTS = ["production", "staging", "clone"]
FAULTS = [None, None, None, None, "build", "restart", "verify", "run"]
branches = st.sampled_from(BRANCHES)
EXAMPLES = 90
EXAMPLES_ON_BOTH = 20
VERSIONS = [int(each) for each in os.environ.get("FRAISIER_MODEL_POSTGRES", str(USUAL)).split(",")]
SETTINGS = settings(
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    report_multiple_bugs=False,
    print_blob=True,
)
few = st.integers(0, 3)
pauses = st.integers(0, 30)


class Alarm(logging.Handler):
    """Raises if the engine logs an error, such as what a plugin raises: the simulated one makes none."""

    def emit(self, record: logging.LogRecord) -> None:
        raise AssertionError(record.getMessage())


class Model(RuleBasedStateMachine):
    """The rules; each is something that a person, a forge, a worker or a fault does."""

    stores: Sequence[Stores]
    config: Config

    def __init__(self) -> None:
        super().__init__()
        self.site = twins(self.config, self.stores)

    def teardown(self) -> None:
        self.site.close()

    # What people do

    @rule(branch=branches, fault=st.sampled_from(FAULTS), held=st.booleans())
    def push(self, branch: str, fault: str | None, held: bool) -> None:
        self.site.push(branch, fault, held=held)

    @precondition(lambda self: self.site.history.refs)
    @rule(branch=branches, steps=st.integers(1, 3), rewrites=st.booleans())
    def force_push(self, branch: str, steps: int, rewrites: bool) -> None:
        self.site.force_push(branch, steps, rewrites=rewrites)

    @precondition(lambda self: self.site.history.refs)
    @rule(tag=st.sampled_from(TAGS), branch=branches, steps=few)
    def tag(self, tag: str, branch: str, steps: int) -> None:
        self.site.tag(tag, branch, steps)

    @precondition(lambda self: self.site.held)
    @rule(which=few)
    def deliver_late(self, which: int) -> None:
        self.site.deliver_late(which)

    @precondition(lambda self: self.site.delivered)
    @rule(which=few)
    def deliver_again(self, which: int) -> None:
        self.site.deliver_again(which)

    @precondition(lambda self: self.site.delivered)
    @rule(which=few)
    def replay(self, which: int) -> None:
        self.site.replay(which)

    @precondition(lambda self: self.site.history.refs)
    @rule(environment=st.sampled_from(ENVIRONMENTS), branch=branches, steps=few, overrides=st.booleans())
    def deploy(self, environment: str, branch: str, steps: int, overrides: bool) -> None:
        self.site.deploy(environment, branch, steps, overrides=overrides)

    @rule(environment=st.sampled_from([*ENVIRONMENTS, None]))
    def hold(self, environment: str | None) -> None:
        self.site.hold(environment)

    @rule(environment=st.sampled_from([*ENVIRONMENTS, None]))
    def resume(self, environment: str | None) -> None:
        self.site.resume(environment)

    @precondition(lambda self: self.site.record.healthy)
    @rule(environment=few, which=few)
    def roll_back(self, environment: int, which: int) -> None:
        self.site.roll_back(environment, which)

    @precondition(lambda self: self.site.record.healthy)
    @rule(environment=st.sampled_from(ENVIRONMENTS))
    def run_job(self, environment: str) -> None:
        self.site.run_job(environment)

    @precondition(lambda self: self.site.record.open)
    @rule(which=few)
    def cancel(self, which: int) -> None:
        self.site.cancel(which)

    # What the worker does, and what happens to its processes

    @precondition(lambda self: self.site.has_work)
    @rule(pauses=pauses)
    def work(self, pauses: int) -> None:
        self.site.work(pauses)

    @precondition(lambda self: self.site.processes)
    @rule(which=few, pauses=pauses)
    def run(self, which: int, pauses: int) -> None:
        self.site.run(which, pauses)

    @precondition(lambda self: self.site.processes)
    @rule(which=few)
    def kill(self, which: int) -> None:
        self.site.kill(which)

    @precondition(lambda self: self.site.processes)
    @rule(which=few)
    def interrupt(self, which: int) -> None:
        self.site.interrupt(which)

    @precondition(lambda self: self.site.processes)
    @rule(which=few, seconds=st.sampled_from([10, 40]))
    def stall(self, which: int, seconds: int) -> None:
        self.site.stall(which, seconds)

    @precondition(lambda self: self.site.processes)
    @rule()
    def reboot(self) -> None:
        self.site.reboot()

    @rule()
    def rest(self) -> None:
        self.site.rest()

    @invariant()
    def holds(self) -> None:
        self.site.check()


@pytest.fixture(autouse=True)
def alarm() -> Iterator[None]:
    logger, handler = logging.getLogger("fraisier_core"), Alarm(logging.ERROR)
    logger.addHandler(handler)
    yield
    logger.removeHandler(handler)


@pytest.fixture
def sqlite(tmp_path: Path) -> SqliteStores:
    return SqliteStores(tmp_path)


def check_model(stores: Sequence[Stores], examples: int) -> None:
    class ModelOfStores(Model):
        pass

    ModelOfStores.stores = stores
    ModelOfStores.config = parse_config(CONFIGURATION, Path("/nowhere/fraises.yaml"), Plugins.installed())
    run_state_machine_as_test(ModelOfStores, settings=settings(SETTINGS, max_examples=examples))


def test_what_must_hold_holds_in_any_order(sqlite: SqliteStores) -> None:
    check_model([sqlite], EXAMPLES)


def test_it_holds_on_postgresql_which_records_the_same(
    sqlite: SqliteStores, postgres_databases: Callable[[str], PostgresDatabase]
) -> None:
    names = [f"postgresql-{version}" for version in VERSIONS]
    check_model([sqlite, *(PostgresStores(postgres_databases(each)) for each in names)], EXAMPLES_ON_BOTH)
