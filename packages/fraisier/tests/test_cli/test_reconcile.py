from __future__ import annotations

import json
from typing import Any

import pytest

from tests.databases import both_databases
from tests.waiting import wait_until

from .installation import HEALTHY, Installation, timeless
from .test_live import on_a_terminal

MAPPING = """
branch_mapping:
  main: {fraise: my_api, environment: production, paths: ["*.sh", file]}
  next: {fraise: my_api, environment: staging}
"""


@pytest.fixture
def mapped(installation: Installation) -> Installation:
    """An installation to which webhooks would be routed."""
    installation.config.write_text(installation.config.read_text() + MAPPING)
    installation.forge.push_files(HEALTHY)
    return installation


def reconciled(installation: Installation, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
    """Return what the command prints as JSON; it exits with a code."""
    done = installation.run("reconcile", *arguments, "--json")
    assert done.returncode == code, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@both_databases
def test_a_push_that_was_missed_is_shown_and_requested_once_with_all_that_routing_decides(
    mapped: Installation,
) -> None:
    head = mapped.forge.push_files({"file": "2"})
    shown = mapped.run("reconcile", "my_api", "prod")
    assert shown.returncode == 15
    assert f"main    {head[:12]}" in shown.stdout
    assert "missed  the branch was never deployed here" in shown.stdout
    assert mapped.json("history") == []
    (requested,) = reconciled(mapped, "my_api", "prod", "--deploy")
    deployment = mapped.last()
    assert deployment.id == requested["deployment_id"]
    assert deployment.trigger == "reconcile"
    assert (deployment.ref, deployment.commit_sha) == ("refs/heads/main", head)
    assert deployment.pathspecs == (("*.sh", "file"),)
    assert deployment.reason == 'the branch "main" matches "main" and the repository is my_api\'s'
    (again,) = reconciled(mapped, "my_api", "prod", "--deploy")
    assert (again["action"], again["deployment_id"]) == ("none", None)
    assert len(mapped.recorded()) == 1


@both_databases
def test_what_was_requested_is_executed_by_a_worker(mapped: Installation) -> None:
    head = mapped.forge.push_files({"file": "2"})
    done = mapped.run("reconcile", "my_api", "prod", "--deploy")
    assert "requested  deployment " in done.stdout
    assert "no worker is running" in done.stderr
    with mapped.started("worker"):
        wait_until(lambda: mapped.last().status == "success")
    assert mapped.json("status")[0]["serving_commit_sha"] == head
    assert "no drift: 1 branch as requested" in mapped.run("reconcile", "my_api", "prod").stdout


def test_a_head_that_was_rolled_back_is_left_alone(mapped: Installation) -> None:
    mapped.deploy()
    mapped.forge.push_files({"check.sh": "exit 1\n"})
    mapped.run("deploy", "my_api", "production")
    (found,) = reconciled(mapped, "my_api", "prod", "--deploy", code=15)
    assert (found["action"], found["decided"]["status"]) == ("leave", "rolled_back")
    assert len(mapped.recorded()) == 2


@both_databases
def test_a_head_that_a_user_rolled_back_from_is_left_alone(mapped: Installation) -> None:
    mapped.deploy()
    mapped.deploy()
    assert mapped.run("rollback", "my_api", "production").returncode == 0
    (found,) = reconciled(mapped, "my_api", "prod", "--deploy", code=15)
    assert found["action"] == "leave"
    assert "rolled back from" in found["reason"]


def test_a_branch_that_no_rule_deploys_is_left_to_a_user(installation: Installation) -> None:
    installation.forge.push_files(HEALTHY)
    (found,) = reconciled(installation, "--deploy", code=15)
    assert (found["environment"], found["action"]) == ("production", "leave")
    assert installation.run("reconcile", "my_api", "staging").stdout.startswith(
        "nothing here follows a branch"
    )


@both_databases
def test_status_tells_of_what_was_missed_without_the_network(mapped: Installation) -> None:
    mapped.deploy()
    head = mapped.forge.push_files({"file": "2"})
    reconciled(mapped, code=15)
    mapped.forge.bare.rename(mapped.folder / "gone.git")
    (missed,) = mapped.json("status")[0]["missed"]
    assert (missed["ref"], missed["head"]) == ("refs/heads/main", head)
    assert "main was missed: `fraisier reconcile my_api production --deploy`" in mapped.run("status").stdout
    said = mapped.run("status", "my_api", "prod").stdout
    assert f"missed   main is at {head[:12]}, never requested (seen WHEN)" in timeless(said)


def test_what_was_missed_is_no_longer_once_it_is_requested(mapped: Installation) -> None:
    mapped.deploy()
    mapped.forge.push_files({"file": "2"})
    reconciled(mapped, code=15)
    mapped.run("deploy", "my_api", "production")
    assert mapped.json("status")[0]["missed"] == []


def test_nothing_is_missed_if_nothing_is_followed_any_more(mapped: Installation) -> None:
    mapped.forge.push_files({"file": "2"}, branch="next")
    reconciled(mapped, "my_api", "staging", code=15)
    assert [each["ref"] for each in mapped.json("status", "my_api", "staging")[0]["missed"]] == [
        "refs/heads/next"
    ]
    without = mapped.config.read_text().replace("  next: {fraise: my_api, environment: staging}\n", "")
    mapped.config.write_text(without)
    assert mapped.json("status", "my_api", "staging")[0]["missed"] == []


def test_what_reconciling_requested_is_ahead_like_a_push(mapped: Installation) -> None:
    mapped.deploy()
    mapped.forge.push_files({"file": "2"})
    reconciled(mapped, "my_api", "prod", "--deploy")
    (status,) = mapped.json("status", "my_api", "prod")
    assert (status["ahead"]["id"], status["missed"]) == (mapped.last().id, [])


def test_a_branch_that_only_a_glob_matches_is_no_drift_until_it_was_deployed(
    installation: Installation,
) -> None:
    rule = 'branch_mapping: {"release/*": {fraise: my_api, environment: staging}}'
    installation.config.write_text(f"{installation.config.read_text()}\n{rule}\n")
    installation.forge.push_files(HEALTHY, branch="release/1")
    assert installation.run("reconcile", "my_api", "staging").stdout == "no drift: 0 branches as requested\n"
    installation.run("deploy", "my_api", "staging", "--branch", "release/1")
    installation.forge.push_files({"file": "2"}, branch="release/1")
    (found,) = reconciled(installation, "my_api", "staging", code=15)
    assert (found["ref"], found["action"]) == ("refs/heads/release/1", "deploy")


def test_a_repository_that_cannot_be_asked_fails_and_status_says_so(mapped: Installation) -> None:
    mapped.forge.bare.rename(mapped.folder / "gone.git")
    done = mapped.run("reconcile", "my_api", "prod")
    assert done.returncode == 10
    assert "my_api production: git_unreachable: " in done.stderr
    (status,) = mapped.json("status", "my_api", "prod")
    assert status["unasked"].startswith("git_unreachable: ")
    assert "unasked  WHEN: git_unreachable: " in timeless(mapped.run("status", "my_api", "prod").stdout)
    assert "my_api production: WHEN: git_unreachable: " in timeless(mapped.run("status").stdout)


def test_a_branch_that_is_not_there_is_named(mapped: Installation) -> None:
    (found,) = reconciled(mapped, "my_api", "staging", code=15)
    assert (found["ref"], found["head"], found["reason"]) == (
        "refs/heads/next",
        None,
        "the repository has no such branch",
    )


@pytest.mark.parametrize("columns", [60, 80])
def test_the_table_fits_a_terminal(mapped: Installation, columns: int) -> None:
    mapped.deploy()
    mapped.forge.push_files({"file": "2"})
    written = on_a_terminal(mapped, "reconcile", NO_COLOR="1", COLUMNS=str(columns))
    lines = written.splitlines()
    assert max(map(len, lines)) <= columns
    assert "it was never requested here" in " ".join(written.split())
    assert "the repository has no such branch" in " ".join(written.split())
