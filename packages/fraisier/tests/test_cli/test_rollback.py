from __future__ import annotations

import os
import shutil
import subprocess

from fraisier_core.system.processes import ProcessIdentity

from tests.databases import both_databases

from .installation import HEALTHY, Installation


@both_databases
def test_a_rollback_goes_to_the_healthy_release_before(installation: Installation) -> None:
    first, second = installation.deploy(), installation.deploy()
    done = installation.json("rollback", "my_api", "prod")
    assert (done["kind"], done["commit_sha"]) == ("rollback", first)
    assert installation.json("status", "my_api", "prod")[0]["serving_commit_sha"] == first
    again = installation.run("rollback", "my_api", "prod")
    assert again.returncode == 4
    assert second[:12] in again.stderr


def test_a_release_that_failed_is_no_candidate(installation: Installation) -> None:
    first = installation.deploy()
    installation.forge.push_files({"check.sh": "exit 1\n"})
    assert installation.run("deploy", "my_api", "production").returncode == 11
    installation.deploy()
    assert installation.json("rollback", "my_api", "production")["commit_sha"] == first


@both_databases
def test_a_release_that_was_rolled_back_from_is_taken_only_by_name(installation: Installation) -> None:
    first, second = installation.deploy(), installation.deploy()
    installation.json("rollback", "my_api", "production")
    installation.deploy()
    assert installation.json("rollback", "my_api", "production")["commit_sha"] == first
    assert installation.json("rollback", "my_api", "production", "--to", second)["commit_sha"] == second


def test_a_release_that_was_left_for_a_newer_one_was_not_rolled_back_from(installation: Installation) -> None:
    first, second = installation.deploy(), installation.deploy()
    installation.json("rollback", "my_api", "production")
    installation.json("rollback", "my_api", "production", "--to", second)
    assert installation.json("rollback", "my_api", "production")["commit_sha"] == first


@both_databases
def test_while_something_is_deployed_a_rollback_has_to_say_where_to(installation: Installation) -> None:
    first, _ = installation.deploy(), installation.deploy()
    installation.run("deploy", "my_api", "production", "--detach")
    database = installation.open()
    assert database.leased(ProcessIdentity.of(os.getpid())) is not None
    database.close()
    refused = installation.run("rollback", "my_api", "production", "--detach")
    assert (refused.returncode, "name the release" in refused.stderr) == (7, True)
    named = installation.run("rollback", "my_api", "production", "--to", first, "--detach")
    assert named.returncode == 0


def test_a_release_can_be_named_by_its_name_or_commit(installation: Installation) -> None:
    first, _, third = installation.deploy(), installation.deploy(), installation.deploy()
    assert installation.json("rollback", "my_api", "production", "--to", first[:8])["commit_sha"] == first
    newest = installation.recorded()[1].release or ""
    assert installation.json("rollback", "my_api", "production", "--to", newest)["commit_sha"] == third


def test_an_ambiguous_or_unknown_release_lists_those_there_are(installation: Installation) -> None:
    commits = [installation.deploy(), installation.deploy()]
    for name in ("2", "nosuch"):
        done = installation.run("rollback", "my_api", "production", "--to", name)
        assert done.returncode == 4
        assert all(commit[:12] in done.stderr for commit in commits)


def test_a_release_that_is_gone_from_the_disk_is_passed_over(installation: Installation) -> None:
    first, second, _ = installation.deploy(), installation.deploy(), installation.deploy()
    gone = installation.recorded()[1].release or ""
    releases = installation.folder / ".fraisier" / "releases" / "my_api" / "production"
    shutil.rmtree(releases / gone)
    assert installation.json("rollback", "my_api", "production")["commit_sha"] == first
    done = installation.run("rollback", "my_api", "production", "--to", second)
    assert done.returncode == 4


def test_there_is_nothing_to_roll_back_to_at_first(installation: Installation) -> None:
    done = installation.run("rollback", "my_api", "production")
    assert done.returncode == 4
    assert "there is none to roll back to" in done.stderr


def test_a_rollback_can_be_left_to_a_worker(installation: Installation) -> None:
    first, _ = installation.deploy(), installation.deploy()
    waiting = installation.run("rollback", "my_api", "production", "--detach").stdout.strip()
    last = installation.last()
    assert (last.id, last.status, last.commit_sha) == (waiting, "pending", first)


def test_in_place_the_previous_release_is_another_commit(installation: Installation) -> None:
    app = installation.folder / "app"
    first = installation.forge.push_files(HEALTHY)
    subprocess.run(["git", "clone", "--quiet", installation.forge.url, app], check=True)
    installation.config.write_text(
        installation.config.read_text().replace("branch: main", f"branch: main\n        app_path: {app}")
    )
    assert installation.json("deploy", "my_api", "production")["commit_sha"] == first
    second = installation.forge.push_files({"file": ""})
    for _ in range(2):
        assert installation.json("deploy", "my_api", "production")["commit_sha"] == second
    assert installation.json("rollback", "my_api", "production")["commit_sha"] == first
    assert not (app / "file").exists()
