"""`fraisier notify test`, and what `status` says of observers that have problems."""

from __future__ import annotations

import json
from contextlib import closing

import pytest
from fraisier_core.store.events import Observed
from fraisier_core.system.host import utc_now
from fraisier_core.testing import ApiRequest, ApiResponse, ApiServer

from .installation import Installation
from .test_completion import complete

SECRET = "hunter2-of-the-url"
NOBODY_TOLD = "no worker is running: nobody is notified, and nothing pinged, until one is\n"


def answer(request: ApiRequest) -> ApiResponse:
    return ApiResponse(403 if request.path == "/bad" else 200)


def configure(installation: Installation, server: ApiServer) -> None:
    url = f"json://ada:{SECRET}@{server.host}"
    text = f"notify:\n  ops: {{url: '{url}/good'}}\n  ada: {{url: '{url}/bad', on: failed}}\n"
    installation.config.write_text(installation.config.read_text() + text)


def test_a_test_message_says_which_arrived_and_nothing_of_the_urls(installation: Installation) -> None:
    with ApiServer(answer) as server:
        configure(installation, server)
        done = installation.run("notify", "test")
        assert (done.returncode, done.stderr) == (10, NOBODY_TOLD)
        first, second = done.stdout.splitlines()
        assert first == "ops: sent"
        assert second.startswith("ada: ")
        assert "403" in second
        assert SECRET not in done.stdout
        assert server.requests[0].json()["title"] == "Fraisier: a test"
        done = installation.run("notify", "test", "ops", "--json")
        assert (done.returncode, json.loads(done.stdout)) == (0, [{"name": "ops", "problem": None}])
        done = installation.run("notify", "test", "opps")
        assert (done.returncode, done.stdout) == (4, "")
        assert done.stderr == "opps is not in notify: (known there: ops, ada)\n"
        assert complete(installation, "fraisier notify test ") == ["ops", "ada"]
        assert len(server.requests) == 3


def test_status_tells_of_the_problems_of_observers(installation: Installation) -> None:
    installation.deploy()
    assert NOBODY_TOLD not in installation.run("status").stderr
    with installation.config.open("a") as config:
        config.write("notify: {ops: {url: 'json://localhost'}}\n")
    assert NOBODY_TOLD in installation.run("status").stderr
    deployment = installation.last()
    problem = f"success (event 9) of deployment {deployment.id}: no such token"
    with closing(installation.open()) as store:
        store.observe("statuses", Observed(9, 0, problem, utc_now()))
        store.observe("old", Observed(9, 0, "long ago", "2020-01-01T00:00:00.000000Z"))
    told = f"observer statuses, just now: {problem}"
    status = installation.run("status")
    assert told in status.stderr
    assert "long ago" not in status.stderr


def test_without_the_section_there_is_nobody_to_notify(installation: Installation) -> None:
    done = installation.run("notify", "test")
    assert done.returncode == 3
    assert done.stderr.endswith("fraises.yaml: notify: names nobody to notify\n")


@pytest.mark.parametrize(
    ("name", "notify", "problem"),
    [
        ("environment", "opps", 'no section of notify is called "opps"; did you mean "ops"?'),
        ("fraise", "opps", 'no section of notify is called "opps"; did you mean "ops"?'),
        ("fraise", "mailtos://ada:s3cret@example.com", "should be names of sections below notify:, not URLs"),
    ],
)
def test_an_unknown_name_is_refused(installation: Installation, name: str, notify: str, problem: str) -> None:
    text = installation.config.read_text()
    place = "    environments:\n" if name == "fraise" else "        branch: main\n"
    indent = "    " if name == "fraise" else "        "
    text = text.replace(place, f"{indent}notify: '{notify}'\n{place}", 1)
    installation.config.write_text(f"{text}notify: {{ops: {{url: 'json://localhost'}}}}\n")
    done = installation.run("config", "check")
    assert done.returncode == 3
    assert f"notify: {problem}" in done.stderr
    assert "s3cret" not in done.stderr
