"""Ten fraises, two web processes and three workers on one PostgreSQL, of which some are killed."""

from __future__ import annotations

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from fraisier_core.store.vocabulary import ENDED

from tests.faults.driver import GATED, Driver, Process, Response, post, push_body
from tests.faults.invariants import check_invariants
from tests.postgres_server import Server
from tests.waiting import wait_until

FRAISES = [f"site_{number}" for number in range(10)]
FRAISE = """\
  {fraise}:
    type: api
    repository: {repository}
    environments:
      production:
        app_path: {folder}/{fraise}
        health_check: {{command: ["true"], retries: 1}}
        stable_for: 0
        env: {{API_TOKEN: "${{API_TOKEN}}", LEDGER: {folder}/ledger}}
"""
CONFIGURATION = """\
git: {{provider: github, github: {{webhook_secret: "${{FRAISIER_WEBHOOK_SECRET}}"}}}}
database: {{url: '{url}'}}
fraises:
{fraises}
branch_mapping:
{rules}
"""


class Web(NamedTuple):
    """A web process, and the port that it listens on."""

    process: Process
    port: int


@dataclass(frozen=True, slots=True)
class Push:
    """A push that a forge delivers until it is acknowledged.

    Args:
        fraise: where to; the branch has its name.
        commit: what was pushed.
    """

    fraise: str
    commit: str

    @property
    def delivery(self) -> str:
        return f"delivery-{self.commit}"

    def deliver(self, driver: Driver, port: int) -> Response:
        """Deliver it, again and again unless it is acknowledged."""
        body = push_body(driver.forge.url, self.commit, ref=f"refs/heads/{self.fraise}")
        return wait_until(lambda: self._try(port, body), driver.logs)

    def _try(self, port: int, body: bytes) -> Response | None:
        try:
            answer = post(port, body, self.delivery)
        except (OSError, http.client.HTTPException, json.JSONDecodeError):
            return None
        assert answer.status in {200, 202, 503}, answer
        return answer if answer.status != 503 else None


def configure(driver: Driver, database: str) -> None:
    places = {"repository": driver.forge.url, "folder": driver.folder}
    fraises = "".join(FRAISE.format(fraise=fraise, **places) for fraise in FRAISES)
    rules = "".join(f"  {each}: {{fraise: {each}, environment: production}}\n" for each in FRAISES)
    text = CONFIGURATION.format(url=database, fraises=fraises, rules=rules)
    (driver.folder / "fraises.yaml").write_text(text)


def commit(driver: Driver, fraise: str) -> Push:
    """Push a commit whose build waits for the gate to the branch of a fraise."""
    return Push(fraise, driver.commit({"build.sh": GATED}, fraise))


def web(driver: Driver) -> Web:
    """Start a web process."""
    process = driver.start_web()
    return Web(process, driver.port)


def check_outcomes(driver: Driver, fraise: str, newest: str) -> None:
    """Check that each push to a fraise requested one deployment, which has ended once, and that the newest
    commit serves: what was interrupted is deployed anew.
    """
    found = "SELECT id, status FROM tb_deployments WHERE fraise_id = :fraise AND recovers IS NULL"
    deployments = driver.rows(found, fraise=fraise)
    assert len(deployments) == 2
    for each in deployments:
        assert [event for event in driver.events(each["id"]) if event in ENDED] == [each["status"]]
    serving = driver.rows("SELECT commit_sha FROM tb_serving WHERE fraise_id = :fraise", fraise=fraise)
    assert serving == [{"commit_sha": newest}]


def test_every_push_ends_in_one_recorded_outcome_whatever_is_killed_meanwhile(
    driver_on_server: Driver, postgres_server: Server
) -> None:
    driver = driver_on_server
    configure(driver, postgres_server.url())
    first, second = ([commit(driver, fraise) for fraise in FRAISES] for _ in range(2))
    webs = [web(driver), web(driver)]
    victim, *_ = [driver.start_worker(slots=2) for _ in range(3)]
    with ThreadPoolExecutor(len(FRAISES)) as forge:
        answers = [forge.submit(each.deliver, driver, webs[0].port) for each in first]
        driver.wait_for(lambda: driver.rows("SELECT 1 FROM tb_steps WHERE name = 'build'"))
        driver.answers.extend(answer.result() for answer in answers)
        answers = [forge.submit(each.deliver, driver, webs[1].port) for each in second]
        driver.kill(victim)
        postgres_server.kill()
        postgres_server.start()
        driver.answers.extend(answer.result() for answer in answers)
    driver.gate.touch()
    driver.settled()
    driver.kill(webs[0].process)
    check_invariants(driver)
    accepted = driver.rows("SELECT delivery_id FROM tb_webhook_events WHERE verdict = 'accepted'")
    assert sorted(row["delivery_id"] for row in accepted) == sorted(push.delivery for push in first + second)
    for newest in second:
        check_outcomes(driver, newest.fraise, newest.commit)
