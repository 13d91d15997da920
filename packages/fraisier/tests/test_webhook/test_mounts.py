"""Apps of other packages that the web app serves."""

from __future__ import annotations

from pathlib import Path

import pytest
from fraisier_core.plugins import MOUNTS

from tests.packages import PackageFolder

from .installation import CONFIG, Installation

FEED = """
import asyncio
import json
from contextlib import asynccontextmanager
from fraisier_core import GRANT, ConfigurationError, MountSettings, hookimpl

class Settings(MountSettings):
    port: int = 0

@hookimpl
def settings():
    return Settings

@hookimpl
def open_mount(context):
    if context.settings.port:
        raise ConfigurationError([f"feed: port {context.settings.port} is no port"])
    return serving(context)

@asynccontextmanager
async def serving(context):
    async def feed(scope, receive, send):
        if scope["method"] == "DELETE":
            raise ZeroDivisionError
        body = json.dumps(await asyncio.to_thread(answer, scope["method"], scope[GRANT])).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    def answer(method, grant):
        if method == "POST":
            return context.actions.deploy("my_api", "production", grant.actor, commit="abcd" * 10)
        reader = context.open_reader()
        return [each.requested_by for each in reader.deployments()]

    yield {"/feed": feed}
"""


@pytest.fixture
def site(installation: Installation) -> Installation:
    folder = installation.folder / "site"
    folder.mkdir()
    PackageFolder(folder).install(MOUNTS.group, "feed", FEED)
    installation.environ["PYTHONPATH"] = str(folder)
    return installation


def section(site: Installation, text: str) -> None:
    site.config.write_text(CONFIG + text)


def test_a_mount_reads_the_record_and_requests_deployments(site: Installation) -> None:
    section(site, "feed: {development: true}\n")
    with site.serving() as server:
        assert server.get("/feed").json() == []
        requested = server.client.post("/feed").json()
        assert server.get("/feed/").json() == ["development"]
        (row,) = server.rows("SELECT * FROM v_deployment_history")
        assert (row["id"], row["environment"], row["status"]) == (requested, "production", "pending")


def test_a_mount_is_not_served_without_its_section(site: Installation) -> None:
    with site.serving() as server:
        assert server.get("/feed").status_code == 404


def test_a_path_of_a_mount_is_no_other(site: Installation) -> None:
    section(site, "feed: {development: true}\n")
    with site.serving() as server:
        paths = ("/feeds", "/feed/more", "/more/feed", "//feed")
        assert [server.get(path).status_code for path in paths] == [404] * 4
        assert server.get("/healthz").status_code == 200


def test_what_a_mount_raises_is_an_error_of_the_server_and_no_more(site: Installation) -> None:
    section(site, "feed: {development: true}\n")
    with site.serving() as server:
        answer = server.client.delete("/feed", headers={"connection": "close"})
        assert (answer.status_code, answer.json()) == (500, {"error": "Internal Server Error"})
        assert server.get("/feed").json() == []


def test_a_mount_that_refuses_its_section_keeps_the_web_app_from_starting(site: Installation) -> None:
    section(site, "feed: {port: 70000, development: true}\n")
    done = site.run("--no-worker")
    assert done.returncode == 3
    assert "feed: port 70000 is no port" in done.stderr


def test_a_mount_that_cannot_be_imported_keeps_the_web_app_from_starting(site: Installation) -> None:
    section(site, "feed: {development: true}\n")
    (Path(site.environ["PYTHONPATH"]) / "acme_feed.py").write_text("import acme_nowhere\n")
    done = site.run("--no-worker")
    assert done.returncode != 0
    assert 'the mount "feed" (acme-feed 2.1) is set aside' in done.stderr
