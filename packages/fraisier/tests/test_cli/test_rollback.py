from __future__ import annotations

import os
import shutil
import subprocess

from fraisier_core.store import Database, Deployments
from fraisier_core.system.processes import ProcessIdentity

from .place import HEALTHY, Place


def test_a_rollback_goes_to_the_healthy_release_before(place: Place) -> None:
    first, second = place.deploy(), place.deploy()
    done = place.json("rollback", "my_api", "prod")
    assert (done["kind"], done["commit_sha"]) == ("rollback", first)
    assert place.json("status", "my_api", "prod")[0]["serving_commit_sha"] == first
    again = place.run("rollback", "my_api", "prod")
    assert again.returncode == 4
    assert second[:12] in again.stderr


def test_a_release_that_failed_is_no_candidate(place: Place) -> None:
    first = place.deploy()
    place.forge.push_files({"check.sh": "exit 1\n"})
    assert place.run("deploy", "my_api", "production").returncode == 11
    place.deploy()
    assert place.json("rollback", "my_api", "production")["commit_sha"] == first


def test_a_release_that_somebody_rolled_back_from_is_taken_only_by_name(place: Place) -> None:
    first, second = place.deploy(), place.deploy()
    place.json("rollback", "my_api", "production")
    place.deploy()
    assert place.json("rollback", "my_api", "production")["commit_sha"] == first
    assert place.json("rollback", "my_api", "production", "--to", second)["commit_sha"] == second


def test_while_something_is_deployed_a_rollback_has_to_say_where_to(place: Place) -> None:
    first, _ = place.deploy(), place.deploy()
    place.run("deploy", "my_api", "production", "--detach")
    database = Database.open(place.folder / ".fraisier" / "fraisier.db")
    assert Deployments(database).claim_next(ProcessIdentity.of(os.getpid())) is not None
    database.close()
    refused = place.run("rollback", "my_api", "production", "--detach")
    assert (refused.returncode, "name the release" in refused.stderr) == (7, True)
    named = place.run("rollback", "my_api", "production", "--to", first, "--detach")
    assert named.returncode == 0


def test_a_release_can_be_named_by_its_name_or_commit(place: Place) -> None:
    first, _, third = place.deploy(), place.deploy(), place.deploy()
    assert place.json("rollback", "my_api", "production", "--to", first[:8])["commit_sha"] == first
    newest = place.recorded()[1].release or ""
    assert place.json("rollback", "my_api", "production", "--to", newest)["commit_sha"] == third


def test_an_ambiguous_or_unknown_release_lists_those_there_are(place: Place) -> None:
    commits = [place.deploy(), place.deploy()]
    for name in ("2", "nosuch"):
        done = place.run("rollback", "my_api", "production", "--to", name)
        assert done.returncode == 4
        assert all(commit[:12] in done.stderr for commit in commits)


def test_a_release_that_is_gone_from_the_disk_is_passed_over(place: Place) -> None:
    first, second, _ = place.deploy(), place.deploy(), place.deploy()
    gone = place.recorded()[1].release or ""
    releases = place.folder / ".fraisier" / "releases" / "my_api" / "production"
    shutil.rmtree(releases / gone)
    assert place.json("rollback", "my_api", "production")["commit_sha"] == first
    done = place.run("rollback", "my_api", "production", "--to", second)
    assert done.returncode == 4


def test_there_is_nothing_to_go_back_to_at_first(place: Place) -> None:
    done = place.run("rollback", "my_api", "production")
    assert done.returncode == 4
    assert "there is none to go back to" in done.stderr


def test_a_rollback_can_be_left_to_a_worker(place: Place) -> None:
    first, _ = place.deploy(), place.deploy()
    waiting = place.run("rollback", "my_api", "production", "--detach").stdout.strip()
    last = place.last()
    assert (last.id, last.status, last.commit_sha) == (waiting, "pending", first)


def test_in_place_the_release_before_is_another_commit(place: Place) -> None:
    app = place.folder / "app"
    first = place.forge.push_files(HEALTHY)
    subprocess.run(["git", "clone", "--quiet", place.forge.url, app], check=True)
    place.config.write_text(
        place.config.read_text().replace("branch: main", f"branch: main\n        app_path: {app}")
    )
    assert place.json("deploy", "my_api", "production")["commit_sha"] == first
    second = place.forge.push_files({"file": ""})
    for _ in range(2):
        assert place.json("deploy", "my_api", "production")["commit_sha"] == second
    assert place.json("rollback", "my_api", "production")["commit_sha"] == first
    assert not (app / "file").exists()
