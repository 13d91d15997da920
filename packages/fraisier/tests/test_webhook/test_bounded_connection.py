"""Connections on which no request is ever completed."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress

import pytest
import uvicorn
from fraisier.bounded_connection import BoundedConnection
from fraisier.bounded_socket import BoundedSocket
from starlette.types import Receive, Scope, Send

from .installation import SECONDS, read_all, read_answer

Connect = Callable[..., socket.socket]

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
UPGRADE = (
    GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Take in the body and answer, on one path later; over a WebSocket the first message."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.connect":
            pass
        await send({"type": "websocket.send", "text": message["text"]})
        return
    while (await receive()).get("more_body"):
        pass
    if scope["path"] == "/slow":
        await asyncio.sleep(0.5)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


@contextmanager
def serving(
    kind: type[BoundedConnection], sockets: type[asyncio.Protocol] | str = "none"
) -> Iterator[Connect]:
    """Serve on such connections, and give a function that opens one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = uvicorn.Config(app, http=kind, ws=sockets, lifespan="off", log_config=None)
        server = uvicorn.Server(settings)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield lambda source="127.0.0.1": socket.create_connection(
                listener.getsockname(), SECONDS, (source, 0)
            )
        finally:
            server.should_exit = True
            thread.join()


class Hasty(BoundedConnection):
    head_seconds = 0.3


class Narrow(BoundedConnection):
    head_bytes = 2_000
    request_bytes = 10_000


class Lonely(BoundedConnection):
    max_connections = 2
    head_seconds = 3_600.0


class Three(Lonely):
    max_connections = 3


class Crowded(Lonely):
    max_connections = 50


@pytest.fixture(scope="module")
def hasty() -> Iterator[Connect]:
    with serving(Hasty) as connect:
        yield connect


@pytest.fixture(scope="module")
def narrow() -> Iterator[Connect]:
    with serving(Narrow) as connect:
        yield connect


def is_closed(connection: socket.socket) -> bool:
    try:
        return read_all(connection) == b""
    except ConnectionError:
        return True


def send_for_ever(connection: socket.socket, piece: bytes, pause: float = 0) -> None:
    """Send until the other side has closed, which raises `ConnectionError`."""
    while True:
        connection.sendall(piece)
        time.sleep(pause)


@pytest.mark.parametrize("beginning", [b"", b"G", GET, GET + b"X: "])
def test_a_connection_without_a_whole_head_is_closed(hasty: Connect, beginning: bytes) -> None:
    with hasty() as connection:
        connection.sendall(beginning)
        assert is_closed(connection)


def test_a_head_that_trickles_in_is_not_waited_for_either(hasty: Connect) -> None:
    with hasty() as connection, pytest.raises(ConnectionError):
        send_for_ever(connection, b"X", pause=0.02)


def test_the_second_request_of_a_connection_is_no_more_waited_for(
    hasty: Connect,
) -> None:
    with hasty() as connection:
        connection.sendall(GET + b"\r\n")
        assert read_answer(connection) == b"200 "
        connection.sendall(GET)
        assert is_closed(connection)


def test_a_request_in_pieces_is_answered(hasty: Connect) -> None:
    with hasty() as connection:
        for piece in (
            b"POST / HTTP/1.1\r\nHost: local",
            b"host\r\nContent-Length: 2\r\n",
            b"\r\n",
            b"{",
            b"}",
        ):
            connection.sendall(piece)
        assert read_answer(connection) == b"200 "


def test_a_websocket_may_be_silent_for_longer_than_a_head_takes() -> None:
    with serving(Hasty, BoundedSocket) as connect, connect() as silent, connect() as idle:
        silent.sendall(UPGRADE)
        assert silent.recv(4096).startswith(b"HTTP/1.1 101")
        assert is_closed(idle)
        silent.sendall(b"\x81\x82" + bytes(4) + b"hi")
        assert silent.recv(4096) == b"\x81\x02hi"


def test_websockets_take_no_place_of_a_request() -> None:
    with serving(Lonely, BoundedSocket) as connect, ExitStack() as opened:
        for _ in range(3):
            socket_ = opened.enter_context(connect())
            socket_.sendall(UPGRADE)
            assert socket_.recv(4096).startswith(b"HTTP/1.1 101")
        for _ in range(2):
            with connect() as connection:
                connection.sendall(GET + b"\r\n")
                assert read_answer(connection) == b"200 "


def test_a_body_may_take_longer_than_a_head(hasty: Connect) -> None:
    with hasty() as connection, hasty() as idle:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n")
        assert is_closed(idle)
        connection.sendall(b"x")
        assert read_answer(connection) == b"200 "


@pytest.mark.parametrize(
    "head", [b"GET /" + b"x" * 300_000, GET + b"X: " + b"x" * 300_000, GET + b"X: x\r\n" * 50_000]
)
def test_an_endless_head_is_cut_off(narrow: Connect, head: bytes) -> None:
    with narrow() as connection, pytest.raises(ConnectionError):
        send_for_ever(connection, head)


@pytest.mark.parametrize(
    "rest", [b"1\r\nx\r\n", b"0\r\nX: " + b"x" * 2_000, b"1;" + b"x" * 2_000 + b"\r\nx\r\n"]
)
def test_endless_chunks_and_trailers_are_cut_off(narrow: Connect, rest: bytes) -> None:
    with narrow() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        with pytest.raises(ConnectionError):
            send_for_ever(connection, rest)


def test_many_requests_of_one_connection_are_no_large_one(narrow: Connect) -> None:
    with narrow() as connection:
        for _ in range(10):
            connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1500\r\n\r\n")
            connection.sendall(b"x" * 1_500)
            assert read_answer(connection) == b"200 "


@pytest.mark.parametrize("bad", [b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", GET + b"X y\r\n\r\n"])
def test_what_is_not_http_is_answered_in_json(narrow: Connect, bad: bytes) -> None:
    with narrow() as connection:
        connection.sendall(bad)
        answer = read_all(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n")
    assert f"content-length: {len(body)}".encode() in head
    assert json.loads(body) == {"error": "Invalid HTTP request received."}


def ends(connection: socket.socket, seconds: float = SECONDS) -> bool:
    """Whether the other side closes the connection, whatever it sends before."""
    connection.settimeout(seconds)
    try:
        read_all(connection)
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


def is_answered(connect: Connect) -> bool:
    with connect() as connection:
        try:
            connection.sendall(GET + b"\r\n")
            return read_answer(connection) == b"200 "
        except ConnectionError:
            return False


BEGINNINGS = {
    "nothing": b"",
    "a head": GET,
    "a body": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
    "a request before": GET + b"\r\n",
}


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_whoever_keeps_the_server_waiting_gives_way(beginning: str) -> None:
    with serving(Lonely) as connect, connect() as first:
        first.sendall(BEGINNINGS[beginning])
        time.sleep(0.1)
        with connect() as second:
            second.sendall(BEGINNINGS[beginning])
            time.sleep(0.1)
            assert is_answered(connect)
            assert ends(first)
            assert not ends(second, 0.2)


def test_a_request_that_is_being_answered_gives_way_to_nobody() -> None:
    with serving(Lonely) as connect, connect() as first, connect() as second:
        for connection in (first, second):
            connection.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.1)
        assert not is_answered(connect)
        assert [read_answer(first), read_answer(second)] == [b"200 ", b"200 "]


def test_of_several_addresses_the_one_with_most_connections_gives_way() -> None:
    with serving(Three) as connect, connect("127.0.0.2") as only:
        only.sendall(GET)
        time.sleep(0.1)
        with connect() as one, connect() as other:
            time.sleep(0.3)
            assert is_answered(connect)
            assert ends(one, 0.5) or ends(other, 0.5)
        only.sendall(b"\r\n")
        assert read_answer(only) == b"200 "


def crowd(connect: Connect, beginning: bytes, stop: threading.Event) -> None:
    """Hold as many connections as there may be, and renew ten of them again and again."""
    held: list[socket.socket] = []
    while not stop.is_set():
        held += [connect() for _ in range(Crowded.max_connections - len(held))]
        for connection in held:
            with suppress(OSError):
                connection.sendall(beginning)
        for _ in range(10):
            held.pop(0).close()
        time.sleep(0.01)
    for connection in held:
        connection.close()


def test_clients_that_hold_and_renew_more_connections_than_there_may_be_keep_nobody_out() -> None:
    stop = threading.Event()
    beginnings = (b"", GET, b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
    with serving(Crowded) as connect, ThreadPoolExecutor() as pool:
        crowds = [pool.submit(crowd, connect, beginning, stop) for beginning in beginnings]
        try:
            time.sleep(0.5)
            for _ in range(20):
                assert any(is_answered(connect) for _ in range(10))
        finally:
            stop.set()
        for each in crowds:
            each.result()
