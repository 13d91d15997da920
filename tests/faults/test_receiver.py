"""Faults of the web app: what it acknowledged is there, and nothing is there twice."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from fraisier_core.config import load_config
from fraisier_core.plugins import Plugins
from fraisier_core.requests.requesting import replay_of, request_deployments

from tests.faults.driver import SECRET, TOKEN, Driver, Response, post, push_body, send, signature
from tests.faults.invariants import (
    acknowledged_is_recorded,
    check_invariants,
    no_secret_is_seen,
    one_deployment_a_delivery,
)

KILLS = int(os.environ.get("FRAISIER_KILLS", "50"))
SHUTDOWN_SECONDS = 15.0
BROKEN = (OSError, http.client.HTTPException)


def test_f01_a_kill_before_the_commit_leaves_nothing_and_a_redelivery_creates_one(driver: Driver) -> None:
    commit = driver.commit()
    driver.start_web("before_commit:kill")
    with pytest.raises(BROKEN):
        driver.deliver(commit, delivery="d1")
    driver.start_web("before_commit:kill")
    assert driver.rows("SELECT * FROM tb_webhook_events") == []
    assert driver.rows("SELECT * FROM tb_deployment_events") == []
    assert driver.deliver(commit, delivery="d1").status == 202
    assert len(driver.rows("SELECT * FROM tb_deployments")) == 1
    driver.start_worker()
    check_invariants(driver)


def test_f02_a_kill_after_the_commit_is_answered_on_redelivery_with_the_same_deployment(
    driver: Driver,
) -> None:
    commit = driver.commit()
    driver.start_web("after_commit:kill")
    with pytest.raises(BROKEN):
        driver.deliver(commit, delivery="d1")
    (deployment,) = driver.rows("SELECT id FROM tb_deployments")
    driver.start_web("after_commit:kill")
    answer = driver.deliver(commit, delivery="d1")
    assert (answer.status, answer.body["status"]) == (200, "duplicate")
    assert answer.deployment == deployment["id"]
    driver.start_worker()
    assert driver.ended(deployment["id"])["status"] == "success"
    check_invariants(driver)


def test_f03_kills_under_load_lose_nothing_and_repeat_nothing(driver: Driver) -> None:
    """The number of kills is `FRAISIER_KILLS`: a hundred take twice as long."""

    def deliver(number: int) -> None:
        with contextlib.suppress(*BROKEN):
            driver.deliver(f"{number + 1:040x}", delivery=f"d{number}")

    with ThreadPoolExecutor(4) as clients:
        for kill in range(KILLS):
            web = driver.start_web()
            numbers = range(kill * 8, kill * 8 + 12)  # some again, and some lost with the process
            enough = len(driver.answers) + kill % 6
            deliveries = [clients.submit(deliver, number) for number in numbers]
            driver.wait_for(lambda enough=enough: len(driver.answers) > enough)  # type: ignore[misc]
            driver.kill(web)
            for delivery in deliveries:
                delivery.result()
    acknowledged_is_recorded(driver)
    one_deployment_a_delivery(driver)
    assert not driver.rows("PRAGMA integrity_check")[1:]
    assert len(driver.rows("SELECT * FROM tb_webhook_events WHERE verdict = 'accepted'")) >= KILLS
    driver.start()
    assert driver.deploy(driver.commit())["status"] == "success"
    check_invariants(driver)


def test_f13_a_slow_client_does_not_hold_up_the_end(driver: Driver) -> None:
    web = driver.start_web()
    head = b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with contextlib.ExitStack() as clients:
        for sent in (b"", head, head + b"Content-Length: 100\r\n\r\n{"):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", driver.port)))
            client.sendall(sent)
        post(driver.port, push_body(driver.forge.url, "1" * 40), "d1")
        started = time.monotonic()
        web.signal(signal.SIGTERM)
        driver.wait(web)
    assert time.monotonic() - started < SHUTDOWN_SECONDS


def test_f29_the_same_signed_body_under_another_id_deploys_only_what_its_ref_is_at(driver: Driver) -> None:
    driver.start_web()
    commit = driver.commit()
    first, second = driver.deliver(commit), driver.deliver(commit)
    assert (first.status, second.status, second.body["repeats"]) == (202, 202, first.body["event"])
    driver.start_worker()
    assert driver.ended(first.deployment)["status"] == "success"
    assert driver.ended(second.deployment)["status"] == "success"
    newer = driver.commit()
    assert driver.ended(driver.deliver(newer, commit).deployment)["status"] == "success"
    assert driver.ended(driver.deliver(commit).deployment)["status"] == "skipped"
    assert driver.serving() == newer
    check_invariants(driver)


def test_f30_the_same_id_with_another_body_is_a_conflict_and_the_first_is_kept(driver: Driver) -> None:
    driver.start_web()
    first = driver.deliver(driver.commit(), delivery="d1")
    other = driver.deliver(driver.commit(), delivery="d1")
    assert (first.status, other.status, other.body["status"]) == (202, 409, "conflict")
    assert other.body["event"] == first.body["event"]
    assert len(driver.rows("SELECT * FROM tb_deployments")) == 1


def of_several_refs(driver: Driver, *refs: str) -> Response:
    """Deliver that several refs were created at the newest commit, as Bitbucket Data Center does."""
    commit = driver.forge.git("rev-parse", "HEAD")
    changes = [{"ref": {"id": ref}, "fromHash": "0" * 40, "toHash": commit} for ref in refs]
    links = {"clone": [{"href": driver.forge.url}]}
    repository = {"slug": "my-api", "project": {"key": "ACME"}, "links": links}
    payload = {"actor": {"name": "ada"}, "repository": repository, "changes": changes}
    body = json.dumps(payload).encode()
    headers = {"X-Event-Key": "repo:refs_changed", "X-Request-Id": str(uuid.uuid4())}
    answer = send(driver.port, body, headers | {"X-Hub-Signature": signature(body)})
    driver.answers.append(answer)
    return answer


def test_a_delivery_of_two_refs_and_its_replays_deploy_each_ref(driver: Driver) -> None:
    refs = "refs/heads/main", "refs/tags/v1"
    rules = '  "v*": {{fraise: my_api, environment: production, tags: true}}\n  main: {{'
    driver.configure({"github": "bitbucket", "  main: {": rules})
    driver.start_web()
    commit = driver.commit()
    driver.forge.git("push", "--quiet", "origin", "HEAD:refs/tags/v1")
    answer = of_several_refs(driver, *refs)
    assert (answer.status, len(answer.body["deployments"])) == (202, 2)
    variables = {"FRAISIER_WEBHOOK_SECRET": SECRET, "API_TOKEN": TOKEN}
    config = load_config(driver.folder / "fraises.yaml", Plugins.installed(), variables)
    recorded = driver.database.delivery(answer.body["event"])
    driver.start_worker()
    for _ in range(2):
        replayed = request_deployments(driver.database, replay_of(recorded, config, "ada"))
        assert [driver.deployment(each)["ref"] for each in replayed] == [*refs]
        assert driver.ended(replayed[-1])["status"] in {"success", "skipped"}
    assert driver.serving() == commit
    check_invariants(driver)


def test_a_forged_delivery_is_not_recorded_as_an_event(driver: Driver) -> None:
    driver.start_web()
    body = push_body(driver.forge.url, driver.commit())
    answer = post(driver.port, body, str(uuid.uuid4()), secret="another-secret")
    assert answer == Response(401, answer.body)
    assert driver.rows("SELECT * FROM tb_webhook_events") == []
    assert len(driver.rows("SELECT * FROM tb_refused_deliveries")) == 1
    no_secret_is_seen(driver)
