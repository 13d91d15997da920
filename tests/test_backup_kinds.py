"""Backups and restore tests are requested, executed and recorded as runs are, without a release."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from fraisier_core.testing.installation import Installation

from tests.databases import Database, both_databases

pytestmark = both_databases
TEXT = "worth keeping"


@pytest.fixture
def installation(tmp_path: Path, database: Database) -> Installation:
    """An environment of the toy type, of which nothing was ever deployed."""
    (tmp_path / "source").write_text(TEXT)
    (tmp_path / "target").mkdir()
    section = {"source": tmp_path / "source", "target": tmp_path / "target"}
    return Installation(tmp_path, "tests.toy_backup", section, database=database.url)


def test_what_a_backup_stored_is_on_record(installation: Installation) -> None:
    done = installation.execute(kind="backup")
    assert (done.status, done.release, done.commit_sha, done.lane) == ("success", None, None, "backup")
    assert installation.last_steps == ["copy", "compare"]
    (copy,) = (installation.folder / "target").iterdir()
    digest = hashlib.sha256(TEXT.encode()).hexdigest()
    expected = (copy.name, len(TEXT), digest, str(copy.parent))
    assert (done.stored_name, done.stored_size, done.stored_sha256, done.stored_at) == expected
    with installation.store() as store:
        store.rebuild()
        assert store.deployment(done.id) == done
        assert [each.event for each in store.events(deployment_id=done.id)].count("stored") == 1
        assert [each.id for each in store.newest_runs()] == [done.id]


def test_a_restore_test_works_in_a_folder_that_is_empty_each_time(installation: Installation) -> None:
    failed = installation.execute(kind="restore_test")
    assert (failed.status, failed.error_message) == ("failed", "there is no backup to restore")
    installation.execute(kind="backup")
    for _ in range(2):
        done = installation.execute(kind="restore_test")
        assert (done.status, done.stored_name) == ("success", None), done.error_message
    (folder,) = (installation.config().state_dir / "work").glob("*/*")
    assert [path.name for path in folder.iterdir()] == ["restored"]


def test_a_backup_that_is_killed_is_interrupted_and_the_next_succeeds(installation: Installation) -> None:
    killed = installation.execute(kind="backup", killed_at="step_compare")
    assert (killed.status, killed.stored_name) == ("interrupted", None), killed.error_message
    assert installation.execute(kind="backup").status == "success"


@pytest.mark.parametrize("killed_at", ["step_tidy", None])
def test_what_fails_or_is_killed_after_the_storing_is_a_problem_of_a_success(
    installation: Installation, killed_at: str | None
) -> None:
    installation.section = {**installation.section, "afterwards": ["false"], "retries": {"count": 2}}
    done = installation.execute(kind="backup", killed_at=killed_at)
    assert (done.status, done.stored_size) == ("success", len(TEXT)), done.error_message
    assert done.stored_problem is not None
    why = "the deployment process ended" if killed_at else "false exited with status 1"
    assert done.stored_problem == f"what follows the storing was not done: {why}"
    with installation.store() as store:
        store.rebuild()
        assert store.deployment(done.id) == done


def test_two_backups_of_an_environment_wait_for_each_other(installation: Installation) -> None:
    from fraisier_core.requests.requesting import configure_store
    from fraisier_core.store.records import Request
    from fraisier_core.system.processes import ProcessIdentity

    installation.section = {**installation.section, "overlap": "allow", "deploy_during_run": True}
    me = ProcessIdentity.of(1)
    with installation.store() as store:
        configure_store(store, installation.config(), executes=True)
        backup = Request("conforming", "production", "backup", "manual", "ada")
        first, second, tested = store.request_all([backup, backup, backup._replace(kind="restore_test")])
        assert store.claim(me, second) is None
        assert store.claim(me, first) is not None
        assert (store.claim(me, second), store.claim(me, tested)) == (None, None)
        assert store.awaited(store.deployment(second)) == first


def test_a_backup_that_says_nothing_of_what_it_stored_fails(tmp_path: Path, database: Database) -> None:
    (tmp_path / "source").write_text(TEXT)
    section = {"source": tmp_path / "source", "target": tmp_path}
    made = Installation(tmp_path, "tests.silent_backup", section, database=database.url)
    done = made.execute(kind="backup")
    assert done.status == "failed"
    assert "back_up returned without run.record_stored()" in (done.error_message or "")
