"""Connections on which no request is ever completed."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from fraisier.bounded_connection import BoundedConnection
from starlette.types import Receive, Scope, Send

from tests.waiting import wait_until

from .installation import SECONDS, read_all, read_answer

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Take in the body and answer."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


@contextmanager
def serving(kind: type[BoundedConnection]) -> Iterator[Callable[[], socket.socket]]:
    """Serve on such connections, and give a function that opens one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = uvicorn.Config(app, http=kind, ws="none", lifespan="off", log_config=None)
        server = uvicorn.Server(settings)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield lambda: socket.create_connection(listener.getsockname(), SECONDS)
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


@pytest.fixture(scope="module")
def hasty() -> Iterator[Callable[[], socket.socket]]:
    with serving(Hasty) as connect:
        yield connect


@pytest.fixture(scope="module")
def narrow() -> Iterator[Callable[[], socket.socket]]:
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
def test_a_connection_without_a_whole_head_is_closed(
    hasty: Callable[[], socket.socket], beginning: bytes
) -> None:
    with hasty() as connection:
        connection.sendall(beginning)
        assert is_closed(connection)


def test_a_head_that_trickles_in_is_not_waited_for_either(hasty: Callable[[], socket.socket]) -> None:
    with hasty() as connection, pytest.raises(ConnectionError):
        send_for_ever(connection, b"X", pause=0.02)


def test_the_second_request_of_a_connection_is_no_more_waited_for(hasty: Callable[[], socket.socket]) -> None:
    with hasty() as connection:
        connection.sendall(GET + b"\r\n")
        assert read_answer(connection) == b"200 "
        connection.sendall(GET)
        assert is_closed(connection)


def test_a_request_in_pieces_is_answered(hasty: Callable[[], socket.socket]) -> None:
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


def test_a_body_may_take_longer_than_a_head(hasty: Callable[[], socket.socket]) -> None:
    with hasty() as connection, hasty() as idle:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n")
        assert is_closed(idle)
        connection.sendall(b"x")
        assert read_answer(connection) == b"200 "


@pytest.mark.parametrize(
    "head", [b"GET /" + b"x" * 300_000, GET + b"X: " + b"x" * 300_000, GET + b"X: x\r\n" * 50_000]
)
def test_an_endless_head_is_cut_off(narrow: Callable[[], socket.socket], head: bytes) -> None:
    with narrow() as connection, pytest.raises(ConnectionError):
        send_for_ever(connection, head)


@pytest.mark.parametrize(
    "rest", [b"1\r\nx\r\n", b"0\r\nX: " + b"x" * 2_000, b"1;" + b"x" * 2_000 + b"\r\nx\r\n"]
)
def test_endless_chunks_and_trailers_are_cut_off(narrow: Callable[[], socket.socket], rest: bytes) -> None:
    with narrow() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        with pytest.raises(ConnectionError):
            send_for_ever(connection, rest)


def test_many_requests_of_one_connection_are_no_large_one(narrow: Callable[[], socket.socket]) -> None:
    with narrow() as connection:
        for _ in range(10):
            connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1500\r\n\r\n")
            connection.sendall(b"x" * 1_500)
            assert read_answer(connection) == b"200 "


def test_beyond_so_many_connections_further_ones_are_closed_until_one_is_free() -> None:
    with serving(Lonely) as connect:
        with connect() as first, connect() as second:
            for connection in (first, second):
                connection.sendall(GET + b"\r\n")
                assert read_answer(connection) == b"200 "
            with connect() as third:
                assert is_closed(third)

        def is_answered() -> bool:
            with connect() as connection:
                try:
                    connection.sendall(GET + b"\r\n")
                    return read_answer(connection) == b"200 "
                except ConnectionError:
                    return False

        wait_until(is_answered)
