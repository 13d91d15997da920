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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.driver import BUILD, Driver, Process
from tests.faults.invariants import app_path_points_to_a_complete_release, check_invariants

KILL_SECONDS = float(os.environ.get("FRAISIER_KILL_SECONDS", "60"))
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
    newest: dict[str, str] = field(default_factory=dict)
    killed: Counter[str] = field(default_factory=Counter)

    def run(self, seconds: float) -> None:
        """Push and kill for this long, and up to a minute more until each role was killed."""
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end or (now < end + MORE_SECONDS and self.missing()):
            self.restart()
            if self.chance.random() < 0.5:
                self.push(self.chance.choice(sorted(BRANCHES)))
            time.sleep(self.chance.uniform(0.2, 1.0))
            self.kill_one()
        self.restart()  # as a service manager does

    def missing(self) -> set[str]:
        return ROLES - set(self.killed)

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
            assert answer.status in {200, 202}, answer
            return answer.deployment

    # Kills

    def kill_one(self) -> None:
        """Kill something; the more often its role was hit, the less likely."""
        by_role: dict[str, list[Process]] = {}
        for identity in self.driver.warm.offspring():
            by_role.setdefault(self.role(identity.pid), []).append(Process(identity))
        roles = sorted(by_role)
        if roles:
            (role,) = self.chance.choices(roles, [1 / (1 + self.killed[role]) for role in roles])
            self.driver.kill(self.chance.choice(by_role[role]))
            self.killed[role] += 1

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
    loop = Loop(driver, random.Random(SEED))
    migrate = f'echo migrate >> {driver.folder}/ledger"'
    driver.configure({"branch_mapping:": STAGING, migrate: f"sleep 0.4; {migrate}"})
    with loop.explained():
        loop.run(KILL_SECONDS)
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
