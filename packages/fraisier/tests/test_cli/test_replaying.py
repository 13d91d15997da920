from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.databases import both_databases
from tests.stores import open_store

from .installation import HEALTHY, Installation
from .receiving import WebApp, receiving, rename_section, settled

ONE, TWO = "1a" * 20, "2b" * 20
NEXT = "  next: {fraise: my_api, environment: staging}\n"


@pytest.fixture
def app(installation: Installation) -> Iterator[WebApp]:
    """A web app without a worker."""
    with receiving(installation) as app:
        yield app


def map_next(installation: Installation) -> None:
    installation.config.write_text(installation.config.read_text() + NEXT)


def test_by_default_a_replay_only_shows_what_would_be_requested_now(
    installation: Installation, app: WebApp
) -> None:
    found = app.push(ONE, "refs/heads/next")["event"]
    done = installation.run("webhooks", "replay", found)
    assert done.returncode == 0
    assert f"requests nothing now; `fraisier webhooks explain {found[-8:]}` says why" in done.stdout
    map_next(installation)
    done = installation.run("webhooks", "replay", found[-8:])
    assert done.returncode == 0
    for text in ("my_api staging\n", ONE, 'the branch "next" matches "next"'):
        assert text in done.stdout
    assert (
        f"nothing was requested; `fraisier webhooks replay {found[-8:]} --deploy` requests it" in done.stderr
    )
    assert installation.recorded() == []


@both_databases
def test_a_replay_that_deploys_requests_it_for_the_event_and_says_how_to_follow(
    installation: Installation, app: WebApp
) -> None:
    found = app.push(ONE, "refs/heads/next")["event"]
    map_next(installation)
    done = installation.run("webhooks", "replay", found, "--deploy")
    assert done.returncode == 0
    deployment = installation.last()
    assert done.stdout.strip() == deployment.id
    assert f"follow it with `fraisier logs {deployment.id[-8:]} --follow`" in done.stderr
    assert "no worker is running" in done.stderr
    assert (deployment.trigger, deployment.webhook_event_id) == ("replay", found)
    assert (deployment.environment, deployment.ref, deployment.commit_sha) == (
        "staging",
        "refs/heads/next",
        ONE,
    )
    assert deployment.requested_by


@both_databases
def test_a_replay_deploys_what_was_missed(installation: Installation) -> None:
    commit = installation.forge.push_files(HEALTHY, "next")
    with receiving(installation, "--worker") as app:
        found = app.push(commit, "refs/heads/next")["event"]
        map_next(installation)
        (deployment,) = installation.json("webhooks", "replay", found, "--deploy")["deployments"]
        settled(installation)
    assert (installation.last().id, installation.last().status) == (deployment, "success")


@both_databases
@pytest.mark.parametrize("option", [[], ["--deploy"]])
def test_a_delivery_with_a_newer_commit_of_its_ref_is_refused_without_older(
    installation: Installation, app: WebApp, option: list[str]
) -> None:
    first = app.push(ONE)["event"]
    newer = app.push(TWO, before=ONE)["event"]
    before = installation.recorded()
    done = installation.run("webhooks", "replay", first, *option)
    assert done.returncode == 7
    assert "my_api production: another commit of main came later" in done.stderr
    assert "--older replays it nevertheless" in done.stderr
    assert installation.recorded() == before
    assert installation.run("webhooks", "replay", newer).returncode == 0
    done = installation.run("webhooks", "replay", first, "--deploy", "--older")
    assert done.returncode == 0
    assert installation.last().commit_sha == ONE


def newer(installation: Installation, delivery: str) -> str | None:
    (found,) = json.loads(installation.run("webhooks", "replay", delivery, "--json").stdout)["requests"]
    newer: str | None = found["newer"]
    return newer


def test_what_counts_as_newer_is_another_commit_of_the_same_ref_in_the_same_place(
    installation: Installation, app: WebApp
) -> None:
    map_next(installation)
    first = app.push(ONE, delivery="first")["event"]
    app.push(ONE, delivery="first")
    app.push(ONE, delivery="second")
    app.push(TWO, "refs/heads/next")
    installation.run("deploy", "my_api", "staging", "--branch", "main", "--detach")
    assert newer(installation, first) is None
    installation.run("deploy", "my_api", "production", "--branch", "main", "--detach")
    assert newer(installation, first) == installation.last().id


@both_databases
def test_a_deletion_is_newer(installation: Installation, app: WebApp) -> None:
    first = app.push(ONE)["event"]
    assert newer(installation, first) is None
    deletion = app.push(None, before=ONE)["event"]
    assert newer(installation, first) == deletion


def test_a_late_duplicate_is_as_old_as_its_first(installation: Installation, app: WebApp) -> None:
    app.push(ONE, delivery="first")
    second = app.push(TWO, before=ONE)["event"]
    app.push(ONE, delivery="first")
    duplicate = installation.json("webhooks", "list")[0]
    assert duplicate["verdict"] == "duplicate"
    assert newer(installation, duplicate["id"]) is not None
    assert newer(installation, second) is None


def test_a_refused_delivery_cannot_be_replayed(installation: Installation, app: WebApp) -> None:
    app.push(ONE, secret="another secret")
    refused = installation.json("webhooks", "list")[0]["id"]
    done = installation.run("webhooks", "replay", refused, "--deploy")
    assert done.returncode == 2
    assert "it was never verified and its body is not kept, so it cannot be replayed" in done.stderr
    assert installation.recorded() == []


@pytest.mark.parametrize("option", [[], ["--deploy"], ["--deploy", "--older"], ["--json"]])
def test_a_delivery_whose_section_is_gone_is_refused_with_the_name_of_the_section(
    installation: Installation, app: WebApp, option: list[str]
) -> None:
    found = app.push(ONE, "refs/heads/next")["event"]
    map_next(installation)
    rename_section(installation)
    done = installation.run("webhooks", "replay", found, *option)
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no section git.github any more" in done.stderr
    assert installation.recorded() == []


def test_a_body_that_is_not_kept_any_more_is_said_and_does_not_matter(
    installation: Installation, app: WebApp
) -> None:
    found = app.push(ONE)["event"]
    silent = installation.run("webhooks", "replay", found)
    store = open_store(installation.database)
    store.execute("DELETE FROM tb_webhook_payloads")
    store.close()
    told = installation.run("webhooks", "replay", found)
    assert told.stdout == silent.stdout
    assert told.stderr.startswith("its body is not kept any more; a replay needs only what is recorded of it")
    assert "kept" not in silent.stderr


BOTH = """
branch_mapping:
  next: [{fraise: my_api, environment: production}, {fraise: my_api, environment: staging}]
"""


def test_of_several_deployments_none_is_requested_if_one_cannot_be_recorded(
    installation: Installation, app: WebApp
) -> None:
    found = app.push(ONE, "refs/heads/next")["event"]
    text = installation.config.read_text().replace("branch: main", "branch: next")
    installation.config.write_text(text[: text.index("branch_mapping")] + BOTH)
    store = open_store(installation.database)
    store.execute(
        "CREATE TRIGGER full BEFORE INSERT ON tb_deployment_events WHEN NEW.environment = 'staging'"
        " BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
    )
    done = installation.run("webhooks", "replay", found, "--deploy")
    assert done.returncode not in {0, 1}
    assert "the disk is full" in done.stderr
    assert installation.recorded() == []
    store.execute("DROP TRIGGER full")
    store.close()
    assert len(installation.json("webhooks", "replay", found, "--deploy")["deployments"]) == 2
    assert [each.environment for each in installation.recorded()] == ["staging", "production"]


def test_nothing_is_requested_that_cannot_be_deployed(installation: Installation, app: WebApp) -> None:
    found = app.push(ONE)["event"]
    before = installation.recorded()
    done = installation.run("webhooks", "replay", found, "--deploy", FRAISIER_DISABLED_PLUGINS="script")
    assert done.returncode == 5
    assert installation.recorded() == before
