"""Senders of many deliveries that do not verify."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import IPv4Address, ip_address
from pathlib import Path

import pytest
from fraisier.failures import BOUND, FORGET_SECONDS, MAX_CLIENTS, MAX_WAITING, Failures
from starlette.exceptions import HTTPException

from .hooks import Hook, github, github_push, new_commit
from .installation import Installation, Server, read_answer

SENDER = ip_address("198.51.100.7")


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def failures(clock: Clock) -> Failures:
    return Failures(clock)


def fill(failures: Failures) -> None:
    assert [failures.add(SENDER) for _ in range(BOUND)] == [0] * BOUND


def test_beyond_the_bound_a_sender_is_told_to_wait(failures: Failures) -> None:
    fill(failures)
    assert failures.is_over(SENDER)
    assert [failures.add(SENDER) for _ in range(5)] == [FORGET_SECONDS] * 5
    assert not failures.is_over(ip_address("198.51.100.8"))


def test_failures_are_forgotten_one_by_one_however_many_there_were(failures: Failures, clock: Clock) -> None:
    fill(failures)
    for _ in range(1_000):
        failures.add(SENDER)
    clock.now += FORGET_SECONDS
    assert not failures.is_over(SENDER)
    assert failures.add(SENDER) == 0
    assert failures.is_over(SENDER)
    clock.now += BOUND * FORGET_SECONDS
    fill(failures)


def test_only_the_newest_senders_are_remembered(failures: Failures) -> None:
    fill(failures)
    for number in range(MAX_CLIENTS - 1):
        failures.add(IPv4Address(number))
    assert failures.is_over(SENDER)
    failures.add(IPv4Address(MAX_CLIENTS))
    assert not failures.is_over(SENDER)


def test_one_has_its_turn_some_wait_and_further_ones_are_refused(failures: Failures) -> None:
    entered: list[int] = []

    async def enter(number: int, done: asyncio.Event) -> None:
        async with failures.turn(SENDER):
            entered.append(number)
            await done.wait()

    async def crowd() -> None:
        done = asyncio.Event()
        tasks = [asyncio.create_task(enter(number, done)) for number in range(1 + MAX_WAITING)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert entered == [0]
        with pytest.raises(HTTPException) as refusal:
            await enter(99, done)
        assert refusal.value.status_code == 503
        async with failures.turn(ip_address("198.51.100.8")):
            done.set()
            await asyncio.gather(*tasks)
        assert entered == list(range(1 + MAX_WAITING))
        async with failures.turn(SENDER):
            pass

    fill(failures)
    asyncio.run(crowd())


def test_below_the_bound_nobody_waits(failures: Failures) -> None:
    async def crowd() -> None:
        async with failures.turn(SENDER), failures.turn(SENDER):
            pass

    asyncio.run(asyncio.wait_for(crowd(), 5))


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A web app behind a proxy that it trusts."""
    installation = Installation.create(tmp_path_factory.mktemp("proxied") / "installation")
    config = installation.config.read_text()
    trust = "  github:\n    trusted_proxies: [127.0.0.1]\n"
    installation.config.write_text(config.replace("  github:\n", trust))
    with installation.serving() as server:
        yield server


def hook_from(address: str, secret: str = "") -> Hook:
    push = github_push(new_commit())
    hook = github(push, secret=secret) if secret else github(push)
    return hook.with_headers(x_forwarded_for=address)


def exhaust(server: Server, address: str) -> None:
    statuses = [server.send(hook_from(address, secret="guessed")).status_code for _ in range(BOUND)]
    assert statuses == [401] * BOUND


def test_a_sender_over_the_bound_gets_429_and_a_verified_delivery_never_does(proxied: Server) -> None:
    exhaust(proxied, "198.51.100.7")
    for _ in range(5):
        answer = proxied.send(hook_from("198.51.100.7", secret="guessed"))
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["retry-after"]) <= FORGET_SECONDS
        assert answer.json()["error"].startswith("the delivery does not verify")
        assert proxied.send(hook_from("198.51.100.7")).status_code == 202
        assert proxied.send(hook_from("198.51.100.8", secret="guessed")).status_code in {401, 429}
    assert proxied.send(hook_from("198.51.100.9", secret="guessed")).status_code == 401


def test_a_site_with_ipv6_is_one_sender(proxied: Server) -> None:
    for number in range(BOUND):
        hook = hook_from(f"2001:db9::{number:x}:1", secret="guessed")
        assert proxied.send(hook).status_code == 401
    assert proxied.send(hook_from("2001:db9::ffff", secret="guessed")).status_code == 429
    assert proxied.send(hook_from("2001:db9:0:1::1", secret="guessed")).status_code == 401


def unfinished(hook: Hook) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in hook.headers.items())
    length = f"host: localhost\r\ncontent-length: {len(hook.body)}\r\n"
    return f"POST {hook.path} HTTP/1.1\r\n{length}{lines}\r\n".encode() + hook.body[:-1]


def test_what_a_sender_over_the_bound_does_not_finish_keeps_none_of_its_deliveries_waiting(
    proxied: Server,
) -> None:
    address = "203.0.113.7"
    exhaust(proxied, address)
    hooks = [hook_from(address) for _ in range(2 + MAX_WAITING)]
    with ExitStack() as stack:
        connections = [stack.enter_context(proxied.connect()) for _ in hooks]
        for connection, hook in zip(connections, hooks, strict=True):
            connection.sendall(unfinished(hook))
        assert proxied.send(hook_from(address)).status_code == 202
        for connection, hook in zip(connections, hooks, strict=True):
            connection.sendall(hook.body[-1:])
        assert [status(connection) for connection in connections] == [b"202"] * len(hooks)


def status(connection: socket.socket) -> bytes:
    return read_answer(connection).partition(b" ")[0]


def test_without_trusted_proxies_senders_on_private_addresses_are_not_bounded(
    installation: Installation,
) -> None:
    with installation.serving() as server:
        for _ in range(2):
            exhaust(server, "198.51.100.7")


def test_the_reference_states_the_bound() -> None:
    reference = (Path(__file__).parents[4] / "docs" / "reference" / "http.md").read_text()
    for limit in (
        f"| Failed deliveries of a sender | {BOUND}; each {FORGET_SECONDS:g} s, one is forgotten |",
        f"| Large deliveries of such a sender that wait | {MAX_WAITING} | 503 |",
        f"{MAX_CLIENTS:,} senders",
    ):
        assert limit in reference, limit
