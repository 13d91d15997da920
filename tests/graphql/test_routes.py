"""Every path of the web app is public on purpose, or lets nobody pass without a token."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from fraisier.admission import Admission
from fraisier.app import create_app
from fraisier.cli.session import ActingSession
from fraisier.mounts import MountRoute, open_mounts
from fraisier.receiver import Receiver
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route

from tests.databases import SqliteDatabase
from tests.graphql.serving import Host

PUBLIC = {"/healthz", "/readyz"}
"""They reveal nothing of the record; `/webhook` is answered before any route, to signed deliveries alone."""
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")


@pytest.fixture
def session(tmp_path: Path) -> ActingSession:
    database = SqliteDatabase(tmp_path / "host/state/fraisier.db")
    host = Host.create(tmp_path / "host", database, development=False)
    return ActingSession(host.folder / "fraises.yaml", parts={"git", "mounts"}, needs=[["git"]])


async def statuses(web: Starlette, path: str) -> set[int]:
    transport = httpx.ASGITransport(web)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        return {(await client.request(method, path)).status_code for method in METHODS}


def test_every_path_is_public_on_purpose_or_admits_by_token(session: ActingSession) -> None:
    async def look(web: Starlette) -> tuple[list[BaseRoute], dict[str, set[int]]]:
        async with web.router.lifespan_context(web):
            mounted = [route.path for route in web.routes if isinstance(route, MountRoute)]
            return web.routes, {path: await statuses(web, path) for path in mounted}

    with closing(session.open_store()) as store:
        receiver = Receiver(session.source, session.plugins, store)
        web = create_app(receiver, store, open_mounts(session, store, ["127.0.0.1"]))
        routes, answered = asyncio.run(look(web))
    assert {route.path for route in routes if isinstance(route, Route)} == PUBLIC
    mounts = [route for route in routes if isinstance(route, MountRoute)]
    assert len(mounts) + len(PUBLIC) == len(routes)
    assert all(isinstance(mount._app, Admission) for mount in mounts)
    assert "/graphql" in answered
    assert set(map(frozenset, answered.values())) == {frozenset({401})}
