"""The GraphQL API as the real fraiseql-server serves it, over a store that real deployments fill."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import quote

import pytest
from fraisier_core.store.records import Request
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.databases import new_postgres
from tests.environments import ROOT
from tests.graphql.fraiseql_server import over_tcp, require_binaries, served, working
from tests.graphql.serving import Api, Host
from tests.postgres import PASSWORD, Servers

FRAISE = '{ fraise(id: "my_api") { id name deploymentHistory(limit: 10) { id status startedAt } } }'
HISTORY = "{ deploymentHistory { id status } }"
DEPLOY = 'mutation { deploy(fraiseId: "my_api", environment: "production") { id status } }'
ALL = "{ deploymentHistory(limit: 1000) { id } }"
OTHER = Request("loader", "production", "deploy", "manual", "ada")
PROTOCOL = Subprotocol("graphql-transport-ws")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
CHANGES = 'subscription { deploymentStatusChanged(fraiseId: "my_api") { status completedAt } }'


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, postgres_servers: Servers) -> Host:
    """What has deployed to two environments, and was asked 60 times in vain to deploy to a third."""
    require_binaries()
    database = new_postgres(postgres_servers(18))
    host = Host.create(tmp_path_factory.mktemp("host") / "host", database)
    for branch in ("main", "next"):
        host.forge.push_files({"page.txt": branch}, branch)
    for environment in ("production", "staging"):
        done = host.run("fraisier", "deploy", "my_api", environment)
        assert done.returncode == 0, done.stderr
    with closing(host.open()) as store:
        for _ in range(60):
            store.request_cancel(store.request(OTHER), "ada")
    return host


@pytest.fixture(scope="module")
def server(host: Host, postgres_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Serves that store."""
    url = over_tcp(postgres_servers(18), host.database.url)
    folder = tmp_path_factory.mktemp("server")
    with served(url, folder) as server:
        yield server
    assert quote(PASSWORD, safe="") not in (folder / "server.log").read_text()


def test_the_page_shows_the_documents_that_are_tested() -> None:
    page = (ROOT / "docs/how-to/fraiseql-server.md").read_text()
    assert not [each for each in (FRAISE, HISTORY, DEPLOY, CHANGES) if f"\n{each}\n" not in page]


def heard(socket: ClientConnection, document: str) -> Iterator[Any]:
    """Subscribe, and yield what is heard, the first time that the server is ready."""
    socket.send(json.dumps({"type": "connection_init"}))
    assert json.loads(socket.recv(10))["type"] == "connection_ack"
    socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": document}}))
    socket.send(json.dumps({"type": "ping"}))
    while json.loads(socket.recv(10))["type"] != "pong":
        continue
    yield None
    while True:
        message = json.loads(socket.recv(30))
        if message["type"] == "next":
            yield message["payload"]["data"]


def test_a_fraise_is_shown_with_its_newest_deployments(server: Api) -> None:
    fraise = server.ask(FRAISE)["fraise"]
    assert (fraise["id"], fraise["name"]) == ("my_api", "my_api")
    assert [each["status"] for each in fraise["deploymentHistory"]] == ["SUCCESS", "SUCCESS"]
    assert all(TIME.fullmatch(each["startedAt"]) for each in fraise["deploymentHistory"])


def test_the_newest_fifty_are_shown_and_a_page_goes_beyond(server: Api, host: Host) -> None:
    newest = [each["id"] for each in server.ask(ALL)["deploymentHistory"]]
    shown = [each["id"] for each in server.ask(HISTORY)["deploymentHistory"]]
    assert len(newest) > 60
    assert shown == newest[:50]
    page = server.ask("{ deploymentHistory(limit: 5, offset: 48) { id } }")["deploymentHistory"]
    assert [each["id"] for each in page] == newest[48:53]
    query = "query ($c: ID) { deploymentHistory(limit: 3, cursor: $c) { id } }"
    after = server.ask(query, {"c": newest[54]})
    assert [each["id"] for each in after["deploymentHistory"]] == newest[55:58]


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ('fraiseId: "my_api"', 2),
        ('fraiseId: "my_api", environment: "staging"', 1),
        ("status: SUCCESS", 2),
        ("status: CANCELLED", 50),
        ("status: FAILED", 0),
        ('kind: "deploy", status: SUCCESS', 2),
        ('kind: "rollback"', 0),
        ('fraiseId: "nowhere"', 0),
    ],
)
def test_filters_come_before_the_limit(server: Api, filters: str, count: int) -> None:
    """The two that succeeded are older than the fifty newest."""
    found = server.ask(f"{{ deploymentHistory({filters}) {{ id }} }}")
    assert len(found["deploymentHistory"]) == count


def test_a_deployment_is_shown_with_all_that_belongs_to_it(server: Api) -> None:
    (newest, *_) = server.ask('{ deploymentHistory(fraiseId: "my_api") { id } }')["deploymentHistory"]
    fields = "steps { name status } output { text } events { event stepStatus } trigger duration pathspecs"
    query = f"query ($id: ID!) {{ deployment(id: $id) {{ {fields} }} }}"
    found = server.ask(query, {"id": newest["id"]})
    assert {each["status"] for each in found["deployment"]["steps"]} == {"SUCCESS"}
    assert [each["event"] for each in found["deployment"]["events"]][:2] == ["REQUESTED", "CLAIMED"]
    assert found["deployment"]["trigger"] == "MANUAL"
    assert found["deployment"]["pathspecs"] is None


def test_what_is_not_there_is_null(server: Api) -> None:
    assert server.ask('{ fraise(id: "nowhere") { id } }') == {"fraise": None}
    unknown = "01a00000-0000-7000-8000-000000000000"
    assert server.ask(f'{{ deployment(id: "{unknown}") {{ id }} }}') == {"deployment": None}


def test_status_and_statistics_are_shown(server: Api) -> None:
    fields = "environment status serving { name since } servingUnknown awaitsDecision"
    found = server.ask(f'{{ fraiseStatus(fraiseId: "my_api") {{ {fields} }} }}')["fraiseStatus"]
    assert [each["environment"] for each in found] == ["production", "staging"]
    assert all(TIME.fullmatch(each["serving"]["since"]) for each in found)
    stats = server.ask("{ deploymentStats { fraiseId total successRate p95Duration } }")["deploymentStats"]
    assert [each["total"] for each in stats] == [1, 1]
    assert stats[0]["p95Duration"] > 0


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ('mutation { deploy(fraiseId: "nowhere", environment: "production") { id } }', "BAD_USER_INPUT"),
        ('mutation { deploy(fraiseId: "my_api", environment: "nowhere") { id } }', "BAD_USER_INPUT"),
        ('mutation { rollback(fraiseId: "loader", environment: "production") { id } }', "BAD_USER_INPUT"),
        ('mutation { cancel(id: "01a00000-0000-7000-8000-000000000000") { id } }', "BAD_USER_INPUT"),
    ],
)
def test_what_cannot_be_requested_is_refused_and_changes_nothing(
    server: Api, document: str, code: str
) -> None:
    before = server.ask(HISTORY)
    assert server.errors(document) == [code]
    assert server.ask(HISTORY) == before


def test_a_mutation_deploys_while_a_subscriber_hears_of_it(server: Api, host: Host) -> None:
    host.forge.push_files({"page.txt": "new"})
    with connect(f"{server.url.replace('http', 'ws')}/ws", subprotocols=[PROTOCOL]) as socket:
        news = heard(socket, CHANGES)
        next(news)
        asked = server.ask(DEPLOY)["deploy"]
        assert asked["status"] == "PENDING"
        with working(host):
            changes = [next(news)["deploymentStatusChanged"] for _ in range(3)]
    assert [each["status"] for each in changes] == ["PENDING", "RUNNING", "SUCCESS"]
    assert [each["completedAt"] is None for each in changes] == [True, True, False]
    assert server.ask(f'{{ deployment(id: "{asked["id"]}") {{ status }} }}') == {
        "deployment": {"status": "SUCCESS"}
    }
