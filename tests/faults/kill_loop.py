"""Random kills of everything that deploys, under real pushes; not among the tests that run by themselves."""

from __future__ import annotations

import http.client
import os
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.driver import BUILD, Driver, Process
from tests.faults.invariants import check_invariants

KILL_SECONDS = float(os.environ.get("FRAISIER_KILL_SECONDS", "60"))
BRANCHES = {"production": "main", "staging": "next"}
SLOW = {"build.sh": f"{BUILD}sleep 0.3\n"}
STAGING = """\
      staging:
        branch: next
        app_path: {folder}/staging
        env: {{LEDGER: {folder}/ledger}}
branch_mapping:
  next: {{fraise: my_api, environment: staging}}"""


@dataclass(slots=True)
class Loop:
    """A seeded series of pushes and kills, and what it counted."""

    driver: Driver
    chance: random.Random
    newest: dict[str, str] = field(default_factory=dict)
    deployments: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def run(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.restart()
            if self.chance.random() < 0.5:
                self.push(self.chance.choice(sorted(BRANCHES)))
            time.sleep(self.chance.uniform(0.2, 1.0))
            self.kill_one()

    def restart(self) -> None:
        if self.driver.web is None or not self.driver.web.identity.is_alive():
            self.driver.start_web(with_worker=True)

    def push(self, environment: str) -> bool:
        branch = BRANCHES[environment]
        commit = self.driver.commit(SLOW, branch)
        try:
            answer = self.driver.deliver(commit, ref=f"refs/heads/{branch}")
        except (OSError, http.client.HTTPException):
            return False
        if answer.status != 202:
            return False
        self.newest[environment], self.deployments[environment] = commit, answer.deployment
        self.counts["pushes"] += 1
        return True

    def kill_one(self) -> None:
        by_role: dict[str, list[Process]] = {}
        for identity in self.driver.warm.offspring():
            by_role.setdefault(self.role(identity.pid), []).append(Process(identity))
        if by_role:
            role = self.chance.choice(sorted(by_role))
            self.driver.kill(self.chance.choice(by_role[role]))
            self.counts[f"killed {role}"] += 1

    def role(self, pid: int) -> str:
        if self.driver.web is not None and pid == self.driver.web.pid:
            return "web"
        if self.driver.rows("SELECT 1 FROM tb_leases WHERE pid = ?", pid):
            return "deployment"
        return _named(pid)

    def kill_during(self, environment: str, step: str) -> str:
        """Push, kill the deployment process during a step, and return the deployment."""
        self.restart()
        assert self.push(environment)
        deployment = self.deployments[environment]
        self.driver.wait_for_step(deployment, step)
        (lease,) = self.driver.rows("SELECT pid FROM tb_leases WHERE deployment_id = ?", deployment)
        self.driver.kill(self.driver.process(lease["pid"]))
        return deployment

    def waits(self, environment: str) -> str | None:
        sql = "SELECT awaits_decision FROM v_fraise_status WHERE environment = ?"
        return next((row["awaits_decision"] for row in self.driver.rows(sql, environment)), None)

    def outcome(self, environment: str) -> str:
        if self.driver.serving(environment) == self.newest[environment]:
            return "serves"
        assert self.waits(environment), (environment, self.newest)
        assert f"--commit {self.newest[environment]}" in self.said("status", "my_api", environment)
        return "waits"

    def said(self, *arguments: str) -> str:
        log = self.driver.folder / "command.log"
        log.unlink(missing_ok=True)
        assert self.driver.wait(self.driver.command(*arguments)) == 0, self.driver.logs()
        return log.read_text()


def _named(pid: int) -> str:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return "command"
    if "fraisier_core.worker" in command:
        return "launcher"
    return "worker" if "fraisier" in command and "worker" in command else "command"


def test_after_random_kills_the_newest_commits_serve_or_wait_for_a_decision(driver: Driver) -> None:
    seed = os.environ.get("FRAISIER_SEED") or str(random.randrange(10**9))
    print(f"FRAISIER_SEED={seed}")
    driver.configure(
        {
            "branch_mapping:": STAGING,
            f'echo migrate >> {driver.folder}/ledger"': 'sleep 0.3; echo migrate >> {folder}/ledger"',
        }
    )
    loop = Loop(driver, random.Random(seed))
    try:
        everything_holds(loop)
    except BaseException as error:
        error.add_note(f"FRAISIER_SEED={seed}\n{driver.logs()[-5000:]}")
        raise
    finally:
        print(dict(loop.counts))


def everything_holds(loop: Loop) -> None:
    driver = loop.driver
    loop.restart()
    loop.run(KILL_SECONDS)
    loop.restart()
    driver.settled()
    for environment in loop.newest:
        loop.counts[loop.outcome(environment)] += 1
    anew = driver.anew(loop.kill_during("staging", "build"))
    assert driver.ended(anew)["status"] == "success"
    assert loop.outcome("staging") == "serves"
    driver.ended(loop.kill_during("production", "migrate"))
    assert loop.outcome("production") == "waits"
    loop.said("deploy", "my_api", "production", "--commit", loop.newest["production"])
    assert loop.outcome("production") == "serves"
    driver.settled()
    check_invariants(driver)
    assert not driver.rows("SELECT 1 FROM tb_leases")
    driver.kill_all()
    assert not driver.warm.offspring()
