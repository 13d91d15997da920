from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fraisier_core.store.records import Request

from tests.stores import open_store

from .installation import HEALTHY, Installation

STEPS = """
@hookimpl
def steps(settings, files):
    return [*(["build"] if "build.sh" in files else []), "activate"]
"""
REPEATED = Request("my_api", "production", "deploy", "webhook", "ada", repeats="an event")


def everything(folder: Path) -> dict[str, bytes | None]:
    """Return every file below a folder with its content, mirrors aside: they are fetched."""
    paths = [path for path in folder.rglob("*") if "mirrors" not in path.parts]
    return {str(path): path.read_bytes() if path.is_file() else None for path in paths}


def plan(installation: Installation, *arguments: str) -> Any:
    return installation.json("deploy", "my_api", "production", "--dry-run", *arguments)


def test_a_plan_says_what_a_deployment_would_do_and_nothing_changes(installation: Installation) -> None:
    serving = installation.deploy()
    commit = installation.forge.push_files({"file": "newer"})
    before = everything(installation.folder)
    made = plan(installation)
    assert everything(installation.folder) == before
    assert (made["commit_sha"], made["ref"], made["mode"]) == (commit, "refs/heads/main", "releases")
    assert (made["serving_commit_sha"], made["serving_release"]) == (serving, installation.last().release)
    assert (made["steps"], made["refused"], made["waits_for"], made["supersedes"]) == (None, None, None, [])
    said = installation.run("deploy", "my_api", "production", "--dry-run").stdout
    assert said.startswith(f"plan {made['hash']} of my_api production\n  commit   {commit}\n")
    assert "steps    as its type decides\n" in said


def test_before_the_first_deployment_only_the_mirror_is_made(installation: Installation) -> None:
    installation.forge.push_files(HEALTHY)
    assert plan(installation)["serving_release"] is None
    assert [path.name for path in installation.database.parent.iterdir()] == ["mirrors"]


@pytest.mark.parametrize("in_place", [False, True])
def test_the_steps_are_those_that_are_taken(installation: Installation, in_place: bool) -> None:
    module = installation.packages.folder / "acme_script.py"
    module.write_text(module.read_text() + STEPS)
    commit = installation.forge.push_files(HEALTHY)
    if in_place:
        clone = installation.folder / "app"
        installation.forge.git("clone", "--quiet", installation.forge.url, str(clone))
        section = f"branch: main\n        app_path: {clone}"
        installation.config.write_text(installation.config.read_text().replace("branch: main", section))
    made = plan(installation, "--commit", commit[:12])
    assert made["commit_sha"] == commit
    done = installation.json("deploy", "my_api", "production")
    assert made["steps"] == [each["name"] for each in installation.json("show", done["id"])["steps"]]


def test_a_plan_is_executed_as_long_as_nothing_moved(installation: Installation) -> None:
    commit = installation.forge.push_files(HEALTHY)
    made = plan(installation)["hash"]
    assert plan(installation)["hash"] == made
    assert installation.json("deploy", "my_api", "production", "--plan", made)["commit_sha"] == commit
    again = installation.run("deploy", "my_api", "production", "--plan", made)  # another release is serving
    assert again.returncode == 7
    assert f"plan {made} of my_api production is outdated: the plan is " in again.stderr
    assert len(installation.recorded()) == 1


@pytest.mark.parametrize("moved", ["the branch", "the settings", "the queue"])
def test_a_plan_is_outdated_once_something_moved(installation: Installation, moved: str) -> None:
    installation.deploy()
    made = plan(installation)["hash"]
    if moved == "the branch":
        installation.forge.push_files({"file": "newer"})
    elif moved == "the settings":
        installation.config.write_text(installation.config.read_text().replace("retries: 1", "retries: 2"))
    else:
        installation.run("deploy", "my_api", "production", "--detach")
    assert plan(installation)["hash"] != made
    assert installation.run("deploy", "my_api", "production", "--plan", made).returncode == 7


def test_a_plan_says_which_deployments_are_in_its_way(installation: Installation) -> None:
    gate = installation.push_gated()
    with installation.started("deploy", "my_api", "production") as command:
        gate.wait()
        waiting = installation.run("deploy", "my_api", "production", "--detach").stdout.strip()
        store = open_store(installation.database)
        store.request(REPEATED)
        store.hold("my_api", "production", "an incident", "ops")
        held = store.request(REPEATED._replace(repeats=None))
        made = plan(installation, "--override-hold")
        assert (made["waits_for"], made["supersedes"]) == (installation.recorded()[3].id, [held, waiting])
        printed = installation.run("deploy", "my_api", "production", "--dry-run", "--override-hold").stdout
        assert f"supersedes  {held[-8:]}, {waiting[-8:]}\n" in printed
        gate.open()
        command.end()


def test_a_plan_says_what_would_be_refused(installation: Installation) -> None:
    commit = installation.forge.push_files(HEALTHY)
    obstacle = installation.folder / "app"
    obstacle.mkdir()
    text = installation.config.read_text()
    installation.config.write_text(
        text.replace("branch: main", f"branch: main\n        app_path: {obstacle}")
    )
    done = installation.run("deploy", "my_api", "production", "--dry-run")
    assert done.returncode == 7
    assert f"refused  {obstacle} is a directory" in done.stdout
    hash_of_it = done.stdout.split()[1]
    refused = installation.run("deploy", "my_api", "production", "--plan", hash_of_it)
    assert (refused.returncode, installation.database.exists()) == (7, False)
    obstacle.rmdir()
    installation.forge.git("clone", "--quiet", installation.forge.url, str(obstacle))
    (obstacle / "build.sh").write_text("changed")
    done = installation.run("deploy", "my_api", "production", "--dry-run")
    assert "mode     in place\n" in done.stdout
    assert f"commit   {commit}\n" in done.stdout
    assert "has changes that deploying would lose (build.sh)" in done.stdout


def test_a_commit_that_is_gone_is_refused(installation: Installation) -> None:
    installation.forge.push_files(HEALTHY)
    done = installation.run("deploy", "my_api", "production", "--dry-run", "--branch", "nosuch")
    assert done.returncode == 7
    assert "refused" in done.stdout
