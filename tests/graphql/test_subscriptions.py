"""Subscribers hear of everything that any process commits, once and in order."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from fraisier_core.store.events import Event
from fraisier_core.store.records import Lease, Request
from fraisier_core.system.processes import ProcessIdentity
from websockets.exceptions import ConnectionClosed

from tests.databases import both_databases
from tests.graphql.serving import Api, Host
from tests.graphql.subscriber import CHANGES, subscriber
from tests.stores import OpenStore
from tests.waiting import wait_until

ME = ProcessIdentity.of(os.getpid())
MINE = 'subscription { deploymentStatusChanged(fraiseId: "my_api") { fraiseId environment status } }'
OUTPUT = """subscription ($id: ID!, $after: Int) {
  deploymentOutput(deploymentId: $id, after: $after) { sequence stepNumber text }
}"""
EVENTS = """subscription ($id: ID!, $after: Int) {
  deploymentEvents(deploymentId: $id, after: $after) { sequence event step }
}"""


@pytest.fixture
def store(host: Host, api: Api) -> Iterator[OpenStore]:
    """The store of a web app, written to by this process."""
    assert api
    with closing(host.open()) as store:
        yield store


def claimed(store: OpenStore, fraise: str = "my_api", environment: str = "production") -> Lease:
    store.request(Request(fraise, environment, "deploy", "manual", "ada", "refs/heads/main"))
    claimed = store.claim(ME)
    assert claimed is not None
    return claimed.lease


def deploy(store: OpenStore, fraise: str = "my_api", environment: str = "production") -> str:
    lease = claimed(store, fraise, environment)
    store.append(lease, Event("step_started", step="build", step_number=1), Event("success", duration=0.5))
    return lease.deployment_id


def recorded(store: OpenStore, after: int = 0) -> list[dict[str, Any]]:
    """Return what every subscriber has to hear, as the store has it."""
    sql = "SELECT id, status, position FROM v_deployment_changes WHERE position > :after ORDER BY position"
    found = [{**row, "id": str(row["id"])} for row in store.all(sql, {"after": after})]
    return [{**row, "status": row["status"].upper()} for row in found]


@both_databases
def test_each_change_is_heard_once_as_it_was_however_many_hear_it(api: Api, store: OpenStore) -> None:
    with subscriber(api.url) as one, subscriber(api.url) as other:
        one.begin().subscribe(CHANGES)
        for number in range(3):
            other.begin() if number == 0 else None
            other.subscribe(CHANGES, str(number))
        for _ in range(4):
            deploy(store)
        expected = recorded(store)
        assert [each["status"] for each in expected] == ["PENDING", "RUNNING", "SUCCESS"] * 4
        assert one.told(12) == expected
        heard: dict[str, list[Any]] = {}
        for _ in range(36):
            message = other.receive()
            heard.setdefault(message["id"], []).append(message["payload"]["data"]["deploymentStatusChanged"])
        assert heard == dict.fromkeys("012", expected)


@both_databases
def test_who_comes_again_hears_what_was_missed_and_nothing_twice(api: Api, store: OpenStore) -> None:
    def write() -> None:
        for _ in range(20):
            deploy(store)

    heard: list[Any] = []
    writer = threading.Thread(target=write)
    with subscriber(api.url) as client:
        client.begin().subscribe(CHANGES)
        writer.start()
        heard += client.told(5)
    while len(heard) < 60:
        with subscriber(api.url) as client:
            client.begin().subscribe(CHANGES, since=heard[-1]["position"])
            heard += client.told(min(14, 60 - len(heard)))
    writer.join()
    assert heard == recorded(store)


def test_the_past_is_told_from_any_position_by_pages(api: Api, store: OpenStore) -> None:
    for _ in range(80):
        deploy(store)
    expected = recorded(store)
    with subscriber(api.url) as client:
        client.begin()
        for id_, position in (("1", 0), ("2", expected[7]["position"])):
            client.subscribe(CHANGES, id_, since=position)
            assert client.told(len(expected) - (position and 8)) == recorded(store, position)
            client.send({"id": id_, "type": "complete"})
        client.subscribe(CHANGES, "3", since=expected[-1]["position"] + 1000)
        deploy(store)
        client.send({"type": "ping"})
        assert client.receive() == {"type": "pong"}


@both_databases
def test_a_subscriber_hears_of_what_it_named_alone(api: Api, store: OpenStore) -> None:
    with subscriber(api.url) as client:
        client.begin().subscribe(MINE)
        client.subscribe(
            MINE.replace('fraiseId: "my_api"', 'fraiseId: "my_api", environment: "staging"'), "2"
        )
        client.subscribe('subscription { deploymentStatusChanged(fraiseId: "no") { id } }', "3")
        deploy(store, "loader")
        deploy(store, "my_api", "staging")
        deploy(store, "my_api", "production")
        heard = [client.receive() for _ in range(9)]
    by_id = {
        id_: [
            message["payload"]["data"]["deploymentStatusChanged"]["environment"]
            for message in heard
            if message["id"] == id_
        ]
        for id_ in "123"
    }
    assert by_id == {"1": ["staging"] * 3 + ["production"] * 3, "2": ["staging"] * 3, "3": []}


@both_databases
def test_output_and_events_are_heard_as_they_are_stored_until_the_deployment_has_ended(
    api: Api, store: OpenStore
) -> None:
    lease = claimed(store)
    store.append(lease, Event("step_started", step="build", step_number=1))
    store.write_log(lease, 1, "before\n", 0, 10_000)
    with subscriber(api.url) as client:
        client.begin()
        client.subscribe(OUTPUT, "new", id=lease.deployment_id)
        client.subscribe(OUTPUT, "all", id=lease.deployment_id, after=0)
        client.subscribe(EVENTS, "events", id=lease.deployment_id, after=0)
        for text in ("one\n", "zwei ä\n"):
            store.write_log(lease, 1, text, 0, 10_000)
        store.append(lease, Event("failed", message="broken"))
        messages: dict[str, list[Any]] = {"new": [], "all": [], "events": []}
        while [each[-1:] for each in messages.values()] != [["complete"]] * 3:
            message = client.receive()
            told = message["payload"]["data"] if message["type"] == "next" else None
            messages[message["id"]] += told.values() if told else [message["type"]]
    texts = [each["text"] for each in messages["all"][:-1]]
    assert texts == ["before\n", "one\n", "zwei ä\n"]
    assert messages["new"] == messages["all"][1:]
    events = [each["event"] for each in messages["events"][:-1]]
    assert events == ["REQUESTED", "CLAIMED", "STEP_STARTED", "FAILED"]


def test_subscriptions_to_a_deployment_that_has_ended_are_complete_at_once(
    api: Api, store: OpenStore
) -> None:
    deployment = deploy(store)
    with subscriber(api.url) as client:
        client.begin().subscribe(OUTPUT, "1", id=deployment)
        assert client.receive() == {"id": "1", "type": "complete"}
        client.subscribe(EVENTS, "2", id=deployment, after=2)
        assert [each["event"] for each in client.told(2)] == ["STEP_STARTED", "SUCCESS"]
        assert client.receive() == {"id": "2", "type": "complete"}


DEPLOY = 'mutation { deploy(fraiseId: "my_api", environment: "production") { id } }'


class TestWithTokens:
    @pytest.fixture
    def host(self, host: Host) -> Host:
        host.configure(development=False)
        return host

    @staticmethod
    def token(host: Host, *options: str) -> str:
        done = host.run("fraisier", "token", "create", "laptop", *options)
        assert done.returncode == 0, done.stderr
        found = re.search(r"frs_\S+", done.stdout)
        assert found is not None
        return found[0]

    @pytest.mark.parametrize("payload", [None, {}, {"Authorization": "Bearer frs_wrong"}, {"token": "x"}])
    def test_nobody_is_admitted_without_a_token(self, api: Api, payload: object) -> None:
        with subscriber(api.url) as client:
            client.send({"type": "connection_init", "payload": payload})
            assert client.closed() == (4403, "Forbidden")

    def test_a_token_hears_of_its_own_environment_alone(self, host: Host, api: Api, store: OpenStore) -> None:
        token = self.token(host, "--scope", "read:my_api/staging")
        other = claimed(store, "my_api", "production")
        with subscriber(api.url) as client:
            client.begin(token).subscribe(MINE)
            client.subscribe(CHANGES.replace("id status position", "fraiseId environment"), "2", since=0)
            client.send(
                {
                    "id": "3",
                    "type": "subscribe",
                    "payload": {"query": EVENTS, "variables": {"id": other.deployment_id}},
                }
            )
            refused = client.receive()
            assert (refused["id"], refused["type"]) == ("3", "error")
            assert other.deployment_id in json.dumps(refused)
            store.append(other, Event("success"))
            deploy(store, "loader")
            deploy(store, "my_api", "staging")
            heard = client.told(6)
        assert {(each["fraiseId"], each["environment"]) for each in heard} == {("my_api", "staging")}

    @pytest.mark.parametrize("query", [DEPLOY, "{ fraises { id } }", CHANGES])
    def test_a_revoked_token_begins_nothing_more(
        self, host: Host, api: Api, store: OpenStore, query: str
    ) -> None:
        token = self.token(host, "--scope", "deploy")
        with subscriber(api.url) as client:
            client.begin(token)
            store.revoke_token(store.tokens()[0], "ada")
            client.send({"id": "1", "type": "subscribe", "payload": {"query": query}})
            with pytest.raises(ConnectionClosed):
                client.receive()
            assert client.closed() == (4403, "the token was revoked or has expired")
        assert store.deployments() == []

    @pytest.mark.parametrize("ending", ["revoked", "expired"])
    def test_the_socket_is_closed_when_the_token_ends(self, host: Host, api: Api, ending: str) -> None:
        token = self.token(host, "--scope", "read", *(["--expires", "3s"] if ending == "expired" else []))
        with subscriber(api.url) as client, subscriber(api.url) as again:
            client.begin(token).subscribe(CHANGES)
            if ending == "revoked":
                host.run("fraisier", "token", "revoke", "laptop")
            assert client.closed() == (4403, "the token was revoked or has expired")
            again.send({"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}})
            assert again.closed() == (4403, "Forbidden")


def test_who_reads_nothing_is_closed_and_holds_up_nobody(api: Api, store: OpenStore) -> None:
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    host, port = api.url.removeprefix("http://").split(":")
    deaf.connect((host, int(port)))
    with subscriber(api.url, sock=deaf) as slow, subscriber(api.url) as quick:
        slow.begin()
        quick.begin().subscribe(CHANGES)
        events = "subscription { deploymentStatusChanged { events { at event message } } }"
        for number in range(100):
            slow.subscribe(events, str(number))
        for _ in range(100):
            lease = claimed(store)
            store.append(lease, Event("failed", message="x" * 5000))
        assert len(quick.told(300)) == 300
        assert slow.closed()[0] == 1013


@pytest.mark.parametrize("database_name", ["postgresql-18"])
def test_subscribers_hear_again_once_connections_that_were_lost_are_replaced(
    api: Api, store: OpenStore
) -> None:
    with subscriber(api.url) as client:
        client.begin().subscribe(CHANGES)
        deploy(store)
        client.told(3)
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        store.all(f"SELECT pg_terminate_backend(pid) {others}")
        deploy(store)
        assert client.told(3) == recorded(store)[3:]
        wait_until(lambda: store.all(f"SELECT pid {others} AND query LIKE 'LISTEN%'"))
