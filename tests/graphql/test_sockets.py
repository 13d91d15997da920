"""The protocol graphql-transport-ws, message by message."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.graphql.serving import Api, Host
from tests.graphql.subscriber import CHANGES, Subscriber, subscriber

FRAISES = "{ fraises { id } }"
ASK = {"id": "1", "type": "subscribe", "payload": {"query": FRAISES}}
INIT = {"type": "connection_init"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    from tests.databases import SqliteDatabase

    folder = tmp_path_factory.mktemp("api")
    host = Host.create(folder / "host", SqliteDatabase(folder / "state" / "store.db"))
    with host.serving() as api:
        yield api


@pytest.fixture
def client(api: Api) -> Iterator[Subscriber]:
    with subscriber(api.url) as client:
        yield client


def test_a_query_is_answered_and_complete(client: Subscriber) -> None:
    client.begin().send(ASK)
    assert client.receive() == {
        "id": "1",
        "type": "next",
        "payload": {"data": {"fraises": [{"id": "my_api"}, {"id": "loader"}]}},
    }
    assert client.receive() == {"id": "1", "type": "complete"}
    client.send(ASK)  # its id may be used again
    assert client.receive()["type"] == "next"


def test_a_ping_has_a_pong_before_and_after_the_client_is_admitted(client: Subscriber) -> None:
    client.send({"type": "ping", "payload": {"any": "thing"}})
    assert client.receive() == {"type": "pong"}
    client.begin().send({"type": "pong"})
    client.send({"type": "ping"})
    assert client.receive() == {"type": "pong"}


@pytest.mark.parametrize(
    "message",
    [
        "",
        "{",
        "[]",
        "null",
        "[" * 100_000,
        b"{}",
        {"type": 1},
        {"type": "start"},
        {"type": "next", "id": "1"},
        {"type": "subscribe", "payload": {"query": FRAISES}},
        {"type": "subscribe", "id": "", "payload": {"query": FRAISES}},
        {"type": "subscribe", "id": 1, "payload": {"query": FRAISES}},
        {"type": "subscribe", "id": "1"},
        {"type": "subscribe", "id": "1", "payload": {"query": None}},
        {"type": "complete"},
    ],
)
def test_what_is_no_message_closes_the_socket(client: Subscriber, message: object) -> None:
    client.begin().send(message)
    code, reason = client.closed()
    assert code == 4400
    assert reason.startswith("Invalid message")


def test_who_is_not_admitted_may_not_ask(client: Subscriber) -> None:
    client.send(ASK)
    assert client.closed() == (4401, "Unauthorized")


def test_to_begin_twice_closes_the_socket(client: Subscriber) -> None:
    client.begin().send(INIT)
    assert client.closed() == (4429, "Too many initialisation requests")


def test_an_id_is_taken_until_it_is_complete(client: Subscriber) -> None:
    client.begin().subscribe(CHANGES)
    client.send(ASK)
    assert client.closed() == (4409, "Subscriber for 1 already exists")


@pytest.mark.parametrize("name", ["é" * 200, "€" * 41 + "x", "half a character: \ud800", '"\n'], ids=ascii)
def test_an_id_is_taken_whatever_it_is_called(client: Subscriber, name: str) -> None:
    client.begin().subscribe(CHANGES, name)
    client.send({**ASK, "id": name})
    code, reason = client.closed()
    assert (code, reason[:14]) == (4409, "Subscriber for")


def test_a_client_that_goes_away_amid_what_it_is_told_leaves_nothing_in_the_log(host: Host) -> None:
    fields = "id fraiseId environment kind status requestedAt ref reason trigger requestedBy position"
    everything = f"subscription {{ deploymentStatusChanged(since: 0) {{ {fields} }} }}"
    deploy = 'deploy(fraiseId: "my_api", environment: "production") { id }'
    with host.serving() as api, ExitStack() as opened:
        api.ask("mutation { " + " ".join(f"a{number}: {deploy}" for number in range(50)) + " }")
        address = httpx.URL(api.url)
        for _ in range(5):
            small = opened.enter_context(socket.socket())
            small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            small.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            small.connect((address.host, address.port))
            client = opened.enter_context(subscriber(api.url, sock=small)).begin()
            for number in range(20):
                client.send({"id": f"s{number}", "type": "subscribe", "payload": {"query": everything}})
            assert client.told(1)
            small.shutdown(socket.SHUT_RDWR)
        for number in range(20):  # so much that garbage is collected, which tells of lost errors
            api.ask(f"{{ fraises {{ a{number}: id {'name ' * 400} }} }}")
    assert "Traceback" not in (host.folder / "webhook.log").read_text()


def test_an_id_that_the_client_completed_is_free_again(client: Subscriber) -> None:
    client.begin().subscribe(CHANGES)
    client.send({"id": "1", "type": "complete"})
    client.send({"id": "of nothing", "type": "complete"})
    client.send(ASK)
    assert client.receive()["type"] == "next"


@pytest.mark.parametrize("protocols", [["graphql-ws"], ["mqtt", "graphql-ws"]])
def test_another_protocol_is_refused(api: Api, protocols: list[str]) -> None:
    with subscriber(api.url, *protocols) as client:
        assert client.closed()[0] == 4406


def test_a_page_of_another_site_gets_no_socket(api: Api) -> None:
    for origin in ("https://elsewhere.example", "null"):
        with pytest.raises(InvalidStatus), subscriber(api.url, origin=origin):
            pass
    with subscriber(api.url, origin=api.url) as client:
        client.begin()


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "PARSE_ERROR"),
        ("{ no }", "VALIDATION_ERROR"),
        ("subscription { deploymentStatusChanged { no } }", "VALIDATION_ERROR"),
        ("subscription { deploymentOutput { text } }", "VALIDATION_ERROR"),
        ('subscription { deploymentOutput(deploymentId: "x") { text } }', "BAD_USER_INPUT"),
        (
            'subscription { deploymentEvents(deploymentId: "00000000-0000-7000-8000-000000000000") { at } }',
            "BAD_USER_INPUT",
        ),
        (f"subscription {{ deploymentStatusChanged {{ {'id ' * 2100} }} }}", "PARSE_ERROR"),
    ],
)
def test_what_cannot_be_answered_is_an_error_of_its_id_alone(
    client: Subscriber, query: str, code: str
) -> None:
    client.begin().send({"id": "wrong", "type": "subscribe", "payload": {"query": query}})
    message = client.receive()
    assert (message["id"], message["type"]) == ("wrong", "error")
    assert {error["code"] for error in message["payload"]} == {code}
    client.send({**ASK, "id": "wrong"})
    assert client.receive()["type"] == "next"


def test_a_socket_has_so_many_operations_at_once(client: Subscriber) -> None:
    client.begin()
    for number in range(100):
        client.subscribe(CHANGES, f"s{number}")
    client.send(ASK)
    assert client.receive()["type"] == "error"
    client.send({"id": "s7", "type": "complete"})
    client.send(ASK)
    assert client.receive()["type"] == "next"


def test_a_message_that_is_too_large_closes_the_socket(client: Subscriber) -> None:
    client.begin()
    client.send({"type": "ping", "payload": "x" * 200_000})
    assert client.closed()[0] == 1009


def test_a_client_that_says_nothing_is_closed(api: Api) -> None:
    with subscriber(api.url) as client:
        assert client.closed() == (4408, "Connection initialisation timeout")


def test_a_request_without_a_socket_is_told_to_open_one(api: Api) -> None:
    response = httpx.get(f"{api.url}/ws", trust_env=False)
    assert (response.status_code, response.headers["upgrade"]) == (426, "websocket")


def test_a_thousand_sockets_leave_room_for_requests(api: Api) -> None:
    with ExitStack() as opened:
        address = api.url.removeprefix("http://").split(":")
        for _ in range(600):
            each = opened.enter_context(socket.create_connection((address[0], int(address[1]))))
            each.sendall(
                b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
            )
            assert each.recv(4096).startswith(b"HTTP/1.1 101")
        with httpx.Client(base_url=api.url, trust_env=False) as http:
            assert http.get("/healthz").status_code == 200
            assert http.get("/healthz").status_code == 200


def test_the_server_says_that_it_ends(host: Host) -> None:
    with ExitStack() as opened:
        with host.serving() as api:
            client = opened.enter_context(subscriber(api.url)).begin()
            client.subscribe(CHANGES)
        assert client.closed()[0] == 1012
