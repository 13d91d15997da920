"""Which WebSockets reach what is mounted, and how they are admitted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from fraisier import admission
from fraisier.admission import Admission
from fraisier_core import ADMIT, Grant, Host, UnauthenticatedError
from fraisier_core.access.gate import Gate
from fraisier_core.access.issuing import issue
from fraisier_core.access.scope import Scope
from fraisier_core.store.sqlite.sqlite_reader import SqliteReader

from tests.stores import OpenStore, open_store

Admit = Callable[[str | None], Coroutine[Any, Any, Grant]]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[OpenStore]:
    with closing(open_store(tmp_path / "store.db")) as store:
        yield store


@pytest.fixture
def gate(store: OpenStore, tmp_path: Path) -> Gate:
    return Gate(lambda: opened(tmp_path), store)


@pytest.fixture
def development(store: OpenStore, tmp_path: Path) -> Gate:
    return Gate(lambda: opened(tmp_path), store, development=True)


def opened(folder: Path) -> SqliteReader:
    reader = SqliteReader.open(folder / "store.db", Host())
    assert reader is not None
    return reader


class Sockets:
    """Opens WebSockets to an app that stays until it is told to end."""

    def __init__(self, gate: Gate, origins: tuple[str, ...] = ()) -> None:
        self.guarded = Admission(self._app, gate, origins)
        self._opened: asyncio.Queue[Admit] = asyncio.Queue()
        self._end = asyncio.Event()

    async def _app(self, scope: Any, _receive: Any, _send: Any) -> None:
        await self._opened.put(scope[ADMIT])
        await self._end.wait()

    async def refusal(self, *headers: tuple[str, str]) -> int | None:
        """Return the code that a socket is closed with before it is open, None if it reaches the app."""
        sent: list[dict[str, Any]] = []
        async with self.open(*headers, sent=sent):
            return sent[0]["code"] if sent else None

    @asynccontextmanager
    async def open(
        self, *headers: tuple[str, str], sent: list[dict[str, Any]] | None = None
    ) -> AsyncIterator[Admit | None]:
        """Keep a socket open during the block, in which it can be admitted."""
        messages = [] if sent is None else sent

        async def send(message: Any) -> None:
            messages.append(message)

        async def receive() -> Any:
            await self._end.wait()

        raw = [(name.lower().encode(), value.encode()) for name, value in headers]
        scope = {"type": "websocket", "headers": raw, "path": "/ws"}
        task = asyncio.create_task(self.guarded(scope, receive, send))
        reached = asyncio.create_task(self._opened.get())
        await asyncio.wait({task, reached}, return_when=asyncio.FIRST_COMPLETED)
        try:
            yield reached.result() if reached.done() else None
        finally:
            for each in (task, reached):
                each.cancel()
            await asyncio.wait({task, reached})


HERE = ("Host", "deploy.example.com")


@pytest.mark.parametrize(
    "origin",
    [
        *(
            "https://example.com",
            "null",
            "",
            "https://deploy.example.com.evil.example",
            "file://",
            "https://",
        ),
        *("https://deploy.example.com:8443", "https://xdeploy.example.com", "https://deploy.example.com/"),
        *("ftp://deploy.example.com", "deploy.example.com", "https://panel.example.com:444"),
    ],
)
def test_a_page_of_another_site_opens_no_socket(gate: Gate, origin: str) -> None:
    async def refusal() -> int | None:
        sockets = Sockets(gate, ("https://panel.example.com",))
        return await sockets.refusal(HERE, ("Origin", origin))

    assert asyncio.run(refusal()) == admission.POLICY_VIOLATION


@pytest.mark.parametrize(
    "headers",
    [
        [HERE],
        [HERE, ("Origin", "https://deploy.example.com")],
        [HERE, ("Origin", "https://panel.example.com")],
        [HERE, ("Origin", "https://PANEL.example.com")],
        [("Host", "localhost:8080"), ("Origin", "http://localhost:8080")],
    ],
)
def test_a_page_of_this_site_or_a_named_one_and_no_page_do(
    gate: Gate, headers: list[tuple[str, str]]
) -> None:
    async def refusal() -> int | None:
        return await Sockets(gate, ("https://panel.example.com",)).refusal(*headers)

    assert asyncio.run(refusal()) is None


@pytest.mark.parametrize(
    "headers",
    [
        [HERE],
        [],
        [("Host", "localhost"), ("X-Forwarded-For", "192.0.2.1")],
        [("Host", "localhost"), ("Forwarded", "for=192.0.2.1")],
        [("Host", "localhost"), ("Origin", "https://example.com")],
        [("Host", "localhost"), ("Origin", "http://localhost:3000")],
    ],
)
def test_in_development_nothing_from_elsewhere_opens_one(
    development: Gate, headers: list[tuple[str, str]]
) -> None:
    async def refusal() -> int | None:
        return await Sockets(development).refusal(*headers)

    assert asyncio.run(refusal()) == admission.POLICY_VIOLATION


def test_a_socket_is_admitted_by_its_token_alone(store: OpenStore, gate: Gate) -> None:
    secret, token = issue("laptop", Scope("read"), "ada")
    store.create_token(token)

    async def admitted() -> None:
        async with Sockets(gate).open(HERE) as admit:
            assert admit is not None
            for wrong in (None, "", "frs_", secret[:-1]):
                with pytest.raises(UnauthenticatedError):
                    await admit(wrong)
            grant = await admit(secret)
            assert (grant.actor, grant.scope) == ("token laptop", Scope("read"))
            assert await gate.ended({grant}) == set()
            store.revoke_token(token, "ada")
            assert await gate.ended({grant}) == {grant}
            with pytest.raises(UnauthenticatedError, match="revoked"):
                await admit(secret)

    asyncio.run(admitted())


def test_in_development_a_socket_needs_no_token(development: Gate) -> None:
    async def admitted() -> None:
        async with Sockets(development).open(("Host", "localhost")) as admit:
            assert admit is not None
            grant = await admit(None)
            assert grant.scope == Scope("deploy")
            assert await development.ended({grant}) == set()
            with pytest.raises(UnauthenticatedError):
                await admit("frs_" + "A" * 51)

    asyncio.run(admitted())


def test_expiry_ends_a_grant(store: OpenStore, gate: Gate) -> None:
    secret, token = issue("laptop", Scope("read"), "ada", "9999-01-01T00:00:00.000000Z")
    store.create_token(token)

    async def ended() -> set[Grant]:
        grant = await gate.admit(secret)
        _, other = issue("other", Scope("read"), "ada", "2026-01-31T12:00:00.000000Z")
        store.create_token(other)
        return await gate.ended({grant, Grant("token other", Scope("read"), other.id)})

    assert [each.actor for each in asyncio.run(ended())] == ["token other"]


def test_how_many_sockets_are_open_and_wait_is_bounded(store: OpenStore, gate: Gate) -> None:
    secret, token = issue("laptop", Scope("read"), "ada")
    store.create_token(token)

    async def counted() -> None:
        sockets = Sockets(gate)
        guarded = sockets.guarded
        async with sockets.open(HERE) as first, sockets.open(HERE):
            assert first is not None
            assert (guarded.open_sockets, guarded.waiting_sockets) == (2, 2)
            for _ in range(2):
                await first(secret)
            assert (guarded.open_sockets, guarded.waiting_sockets) == (2, 1)
            guarded.waiting_sockets += admission.MAX_WAITING_SOCKETS
            assert await sockets.refusal(HERE) == admission.TRY_AGAIN_LATER
            guarded.waiting_sockets -= admission.MAX_WAITING_SOCKETS
            assert await sockets.refusal(HERE) is None
        assert (guarded.open_sockets, guarded.waiting_sockets) == (0, 0)

    asyncio.run(counted())
