"""Random kills of all that deploys, under real pushes: the newest commits serve, or wait for a decision."""

from __future__ import annotations

import http.client
import json
import os
import random
import shlex
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.faults.driver import BUILD, Driver, Process
from tests.faults.invariants import app_path_points_to_a_complete_release, check_invariants
from tests.postgres_server import Server
from tests.waiting import TICK_SECONDS

KILL_SECONDS = float(os.environ.get("FRAISIER_KILL_SECONDS", "40"))
PATIENCE_SECONDS = 10.0
POSTGRES_KILL_SECONDS = float(os.environ.get("FRAISIER_KILL_SECONDS", "20"))
SEED = int(os.environ["FRAISIER_SEED"])
MORE_SECONDS = 60.0
# A worker that was killed again and again is started again after half a minute, and so is its launcher.
SETTLING_SECONDS = 120.0
ROLES = {"web", "worker", "launcher", "deployment", "build"}
BRANCHES = {"production": "main", "staging": "next"}
SLOW = {"build.sh": f"{BUILD}sleep 0.4\n"}
STAGING = """\
      staging:
        branch: next
        app_path: {folder}/staging
        env: {{LEDGER: {folder}/ledger}}
branch_mapping:
  next: {{fraise: my_api, environment: staging}}"""


@dataclass(slots=True)
class Loop:
    """A seeded series of pushes and kills."""

    driver: Driver
    chance: random.Random
    server: Server | None = None
    longest_pause: float = 1.0
    newest: dict[str, str] = field(default_factory=dict)
    killed: Counter[str] = field(default_factory=Counter)

    def run(self, seconds: float) -> None:
        """Push and kill for this long, and up to a minute more until each role was killed."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.restart()
            if self.chance.random() < 0.5:
                self.push(self.chance.choice(sorted(BRANCHES)))
            time.sleep(self.chance.uniform(0.2, self.longest_pause))
            self.kill_one(self.alive())
        while self.missing() and time.monotonic() < end + MORE_SECONDS:
            self.restart()
            self.push(self.chance.choice(sorted(BRANCHES)))
            self.kill_one_that_is_missing()
        self.restart()  # as a service manager does

    def kill_one_that_is_missing(self) -> None:
        """Leave all in peace until there is one of a role that was never killed, and kill that: a busy
        machine needs long for it.
        """
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            if missing := {role: kills for role, kills in self.alive().items() if role in self.missing()}:
                self.kill_one(missing)
                return
            time.sleep(TICK_SECONDS)

    def missing(self) -> set[str]:
        wanted = ROLES if self.server is None else ROLES | {"database", "connection"}
        return wanted - set(self.killed)

    def restart(self) -> None:
        if self.driver.web is None or not self.driver.web.identity.is_alive():
            self.driver.start_web(with_worker=True)

    def push(self, environment: str) -> str:
        """Push a commit, deliver it until it is acknowledged, as a forge does, and return its deployment."""
        branch, delivery = BRANCHES[environment], str(uuid.uuid4())
        self.newest[environment] = commit = self.driver.commit(SLOW, branch)
        while True:
            self.restart()
            try:
                answer = self.driver.deliver(commit, delivery=delivery, ref=f"refs/heads/{branch}")
            except (OSError, http.client.HTTPException):
                continue
            if answer.status == 503:  # the database is away, or just back
                continue
            assert answer.status in {200, 202}, answer
            return answer.deployment

    # Kills

    def alive(self) -> dict[str, list[Callable[[], None]]]:
        """Return what can be killed now, by its role."""
        by_role: dict[str, list[Callable[[], None]]] = {}
        for identity in self.driver.warm.offspring():
            kill = partial(self.driver.kill, Process(identity))
            by_role.setdefault(self.role(identity.pid), []).append(kill)
        if self.server is not None:
            by_role |= {"database": [self.kill_database], "connection": [self.end_connection]}
        return by_role

    def kill_one(self, by_role: dict[str, list[Callable[[], None]]]) -> None:
        """Kill something; the more often its role was hit, the less likely."""
        roles = sorted(by_role)
        if roles:
            (role,) = self.chance.choices(roles, [1 / (1 + self.killed[role]) ** 2 for role in roles])
            self.chance.choice(by_role[role])()
            self.killed[role] += 1

    def kill_database(self) -> None:
        """Kill all of the database, as the end of its machine would, which starts again after a while."""
        assert self.server is not None
        self.server.kill()
        time.sleep(self.chance.uniform(0.0, 1.5))
        self.server.start()

    def end_connection(self) -> None:
        """End one of the connections of ours to the database."""
        assert self.server is not None
        ours = (
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'fraisier' ORDER BY random() LIMIT 1"
        )
        self.server.execute(f"SELECT pg_terminate_backend(pid) FROM ({ours}) AS one")

    def role(self, pid: int) -> str:
        if self.driver.web is not None and pid == self.driver.web.pid:
            return "web"
        if self.driver.rows("SELECT 1 FROM tb_leases WHERE pid = :pid", pid=pid):
            return "deployment"
        command, parent = _command_line(pid), _command_line(_parent(pid))
        if "build.sh" in command:
            return "build"
        if "fraisier_core.worker" in command:
            return "launcher" if _is_worker(parent) else "waiting process"
        return "worker" if _is_worker(command) else "command"

    def kill_during(self, environment: str, step: str) -> str:
        """Push, kill the deployment's process during a step, and return the deployment."""
        deployment = self.push(environment)
        self.driver.wait_for_step(deployment, step)
        self.driver.kill_deployment(deployment)
        return deployment

    # Outcomes

    def outcome(self, environment: str) -> str:
        """Return `serves` or the command that `status` names; fails if the newest commit is forgotten."""
        newest = self.newest[environment]
        if self.driver.serving(environment) == newest:
            return "serves"
        (status,) = json.loads(self.said("status", "my_api", environment, "--json"))
        assert status["awaits_decision"], (environment, self.newest)
        found: str = next(each for each in status["commands"] if f"--commit {newest}" in each)
        return found

    def decide(self, command: str) -> None:
        """Take a decision by the command that `status` names."""
        self.said(*shlex.split(command)[1:])

    def said(self, *arguments: str) -> str:
        log = self.driver.folder / "command.log"
        log.unlink(missing_ok=True)
        assert self.driver.wait(self.driver.command(*arguments)) == 0, self.driver.logs()
        return log.read_text()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Name the seed, and what the processes logged, with whatever fails."""
        try:
            yield
        except BaseException as error:
            error.add_note(f"FRAISIER_SEED={SEED} {dict(self.killed)}\n{self.driver.logs()[-5000:]}")
            raise


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:  # it ended meanwhile
        return ""


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _is_worker(command: str) -> bool:
    return " worker " in command and "fraisier_core.worker" not in command


def test_after_random_kills_the_newest_commits_serve_or_wait_for_a_decision(driver: Driver) -> None:
    check_kills(Loop(driver, random.Random(SEED)), KILL_SECONDS)


def test_they_do_so_on_postgresql_which_is_killed_as_well(
    driver_on_server: Driver, postgres_server: Server
) -> None:
    loop = Loop(driver_on_server, random.Random(SEED), postgres_server, longest_pause=3.0)
    check_kills(loop, POSTGRES_KILL_SECONDS)


def check_kills(loop: Loop, seconds: float) -> None:
    driver = loop.driver
    migrate = f'echo migrate >> {driver.folder}/ledger"'
    driver.configure({"branch_mapping:": STAGING, migrate: f"sleep 0.4; {migrate}"})
    with loop.explained():
        loop.run(seconds)
        assert not loop.missing()
        driver.settled(SETTLING_SECONDS)
        outcomes = {environment: loop.outcome(environment) for environment in loop.newest}
        print(f"FRAISIER_SEED={SEED}", dict(loop.killed), outcomes)
        driver.kill(driver.web)  # so that nothing waits for its next start any longer
        what_was_interrupted_early_is_deployed_anew(loop)
        what_is_not_repeated_waits_for_a_decision(loop)
        nothing_is_left(loop)


def what_was_interrupted_early_is_deployed_anew(loop: Loop) -> None:
    anew = loop.driver.anew(loop.kill_during("staging", "build"))
    assert loop.driver.ended(anew)["status"] == "success"
    assert loop.outcome("staging") == "serves"


def what_is_not_repeated_waits_for_a_decision(loop: Loop) -> None:
    loop.driver.ended(loop.kill_during("production", "migrate"))
    command = loop.outcome("production")
    assert command != "serves"
    loop.decide(command)
    assert loop.outcome("production") == "serves"


def nothing_is_left(loop: Loop) -> None:
    driver = loop.driver
    check_invariants(driver)
    app_path_points_to_a_complete_release(driver, "staging", "staging")
    assert not driver.leftovers()
    assert not driver.rows("SELECT 1 FROM tb_leases")
    driver.wait_for(lambda: not driver.set_aside())
    driver.kill(driver.web)
    driver.wait_for(lambda: not driver.warm.offspring())
