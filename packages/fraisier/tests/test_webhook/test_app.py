"""The app that is put together, in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from ipaddress import ip_address

import httpx
import pytest
from fraisier.app import create_app
from fraisier.body import LARGE_BYTES
from fraisier.failures import BOUND, MAX_WAITING
from fraisier.receiver import Receiver
from fraisier_core.config.source import ConfigSource
from fraisier_core.plugins import Plugins
from fraisier_core.store.protocol import Store
from fraisier_core.system.host import Host
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from .hooks import github, github_push, new_commit
from .installation import Installation


async def greet(_request: Request) -> Response:
    return PlainTextResponse("hello")


async def refuse(_request: Request) -> Response:
    raise HTTPException(403, "not for you")


async def fail(_request: Request) -> Response:
    raise ZeroDivisionError


@pytest.fixture
def source(installation: Installation) -> ConfigSource:
    return ConfigSource(installation.config, Plugins.installed(), installation.environ, parts={"git"})


@pytest.fixture
def store(source: ConfigSource) -> Iterator[Store]:
    database = source.current().database
    store = Plugins.installed().store(database).open(database, Host())
    yield store
    store.close()


@pytest.fixture
def receiver(source: ConfigSource, store: Store) -> Receiver:
    return Receiver(source, Plugins.installed(), store)


@pytest.fixture
def app(receiver: Receiver, store: Store) -> Starlette:
    inside = [Route("/greet", greet), Route("/refuse", refuse), Route("/fail", fail)]
    return create_app(receiver, store, routes=[Mount("/extra", routes=inside)])


def ask(app: Starlette, method: str, path: str, **what: object) -> httpx.Response:
    async def exchange() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            return await client.request(method, path, **what)  # type: ignore[arg-type]

    return asyncio.run(exchange())


def test_a_route_that_is_passed_in_is_served_beside_the_webhooks(app: Starlette) -> None:
    assert ask(app, "GET", "/extra/greet").text == "hello"
    hook = github(github_push(new_commit()))
    assert ask(app, "POST", hook.path, content=hook.body, headers=hook.headers).status_code == 202
    assert ask(app, "GET", "/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/extra/refuse", 403, "not for you"),
        ("GET", "/extra/nothing", 404, "Not Found"),
        ("GET", "/nothing", 404, "Not Found"),
        ("POST", "/healthz", 405, "Method Not Allowed"),
        ("GET", "/extra/fail", 500, "Internal Server Error"),
    ],
)
def test_every_error_is_json(app: Starlette, method: str, path: str, status: int, error: str) -> None:
    response = ask(app, method, path)
    assert (response.status_code, json.loads(response.text)) == (status, {"error": error})


def test_of_a_sender_of_many_failures_only_large_deliveries_wait_for_a_turn(
    app: Starlette, receiver: Receiver
) -> None:
    sender = ip_address("127.0.0.1")

    async def crowded(payload: dict[str, object]) -> int:
        hook = github(payload)
        async with receiver.failures.turn(sender), AsyncExitStack() as stack:
            waiting = [
                asyncio.create_task(stack.enter_async_context(receiver.failures.turn(sender)))
                for _ in range(MAX_WAITING)
            ]
            await asyncio.sleep(0)
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client:
                answer = await client.post(hook.path, content=hook.body, headers=hook.headers)
            for each in waiting:
                each.cancel()
        return answer.status_code

    for _ in range(BOUND):
        receiver.failures.add(sender)
    push = github_push(new_commit())
    assert asyncio.run(crowded(push | {"filler": "x" * LARGE_BYTES})) == 503
    assert asyncio.run(crowded(push)) == 202
