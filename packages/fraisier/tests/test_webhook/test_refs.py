"""A forge that tells of several refs in one delivery."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fraisier.receiver import MAX_REFS

from tests.databases import both_databases
from tests.packages import PackageFolder

from .hooks import BEFORE, GITHUB_URL, Hook, new_commit
from .installation import Installation, Server

PROVIDER = """
import json

from fraisier_core import DeliveryId, Push, Verified, hookimpl

@hookimpl
def verify(headers, body, secrets, now):
    return Verified(0) if headers.get("x-token") in secrets else None

@hookimpl
def delivery_id(headers):
    return DeliveryId(headers["x-id"], signed=False)

@hookimpl
def normalize(headers, body):
    return [Push("push", "acme/my-api", [URL], *change, "ada") for change in json.loads(body)]
"""
SECRET = "a-token-of-many-refs"


@pytest.fixture
def server(installation: Installation, tmp_path: Path) -> Iterator[Server]:
    packages = PackageFolder(tmp_path / "packages")
    packages.folder.mkdir()
    packages.provider("many", PROVIDER + f"URL = '{GITHUB_URL}'\n")
    installation.environ["PYTHONPATH"] = str(packages.folder)
    section = f"git:\n  many: {{webhook_secret: {SECRET}}}\n"
    rules = (
        '  "live/*": {fraise: my_api, environment: staging}\n  "v*": {fraise: my_api, environment: staging, '
    )
    text = installation.config.read_text().replace("git:\n", section) + rules + "tags: true}\n"
    installation.config.write_text(text)
    with installation.serving() as server:
        yield server


def changes(*refs: str, deleted: str = "") -> list[tuple[str, str, str | None]]:
    return [(ref, BEFORE, None if ref == deleted else new_commit()) for ref in refs]


def send(server: Server, pushed: list[tuple[str, str, str | None]], identity: str) -> dict[str, Any]:
    headers = {"content-type": "application/json", "x-token": SECRET, "x-id": identity}
    answer = server.send(Hook("/webhook/many", json.dumps(pushed).encode(), headers))
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


@both_databases
def test_each_ref_is_routed_and_answered_by_itself(server: Server) -> None:
    refs = ("refs/heads/main", "refs/heads/other", "refs/heads/live/1", "refs/tags/v1")
    pushed = changes(*refs)
    found = send(server, pushed, "d1")
    assert found["status"] == "accepted"
    statuses = [(each["environment"], each["status"]) for each in found["deployments"]]
    assert statuses == [("production", "pending"), ("staging", "superseded"), ("staging", "pending")]
    ids = [each["id"] for each in found["deployments"]]
    assert [(each["ref"], each["deployments"]) for each in found["refs"]] == [
        ("refs/heads/main", ids[:1]),
        ("refs/heads/other", []),
        ("refs/heads/live/1", ids[1:2]),
        ("refs/tags/v1", ids[2:]),
    ]
    assert 'my_api production: "other" does not match "main"' in found["refs"][1]["reasons"]
    store = server.open()
    assert [(each.ref, each.commit_sha) for each in store.deployments()] == [
        (ref, commit) for ref, _, commit in pushed[:1:-1] + pushed[:1]
    ]


@both_databases
def test_a_delivery_of_several_refs_is_known_again(server: Server) -> None:
    pushed = changes("refs/heads/other", "refs/heads/main")
    first, again = send(server, pushed, "d1"), send(server, pushed, "d1")
    assert (first["status"], again["status"]) == ("accepted", "duplicate")
    assert again["deployments"] == first["deployments"]
    assert again["deploy_again"] == [f"fraisier deploy my_api production --commit {pushed[1][2]}"]


@both_databases
def test_several_refs_of_which_none_is_mapped_are_ignored_with_the_reasons_of_each(server: Server) -> None:
    main = "refs/heads/main"
    found = send(server, changes("refs/heads/other", main, deleted=main), "d1")
    assert (found["status"], [each["ref"] for each in found["refs"]]) == (
        "ignored",
        ["refs/heads/other", main],
    )
    assert found["reasons"] == [reason for each in found["refs"] for reason in each["reasons"]]
    assert 'my_api production: "main" was deleted, and a deletion never deploys' in found["reasons"]
    assert "of 'acme/my-api' 'refs/heads/other' and 1 more: ignored (" in server.log.read_text()


@both_databases
def test_more_refs_than_could_be_stored_while_others_wait_are_refused(server: Server) -> None:
    pushed = [("refs/heads/other", BEFORE, None)] * (MAX_REFS + 1)
    headers = {"content-type": "application/json", "x-token": SECRET, "x-id": "d1"}
    answer = server.send(Hook("/webhook/many", json.dumps(pushed).encode(), headers))
    assert (answer.status_code, answer.json()) == (
        400,
        {"error": f"it names {MAX_REFS + 1:,} refs, and {MAX_REFS:,} are the most"},
    )
    (refused,) = server.rows("SELECT reason FROM tb_refused_deliveries")
    assert refused["reason"].startswith("malformed: it names")
    assert server.rows("SELECT id FROM tb_webhook_events") == []
