"""The app that is put together, in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import httpx
import pytest
from fraisier.app import create_app
from fraisier.receiver import Receiver
from fraisier_core.config.source import ConfigSource
from fraisier_core.plugins import Plugins
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
def app(installation: Installation) -> Iterator[Starlette]:
    plugins = Plugins.installed()
    source = ConfigSource(installation.config, plugins, installation.environ, parts={"git"})
    database = source.current().database
    store = plugins.store(database).open(database, Host())
    inside = [Route("/greet", greet), Route("/refuse", refuse), Route("/fail", fail)]
    yield create_app(Receiver(source, plugins, store), store, routes=[Mount("/extra", routes=inside)])
    store.close()


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
