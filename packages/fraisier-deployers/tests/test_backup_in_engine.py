import os
import signal
from pathlib import Path

import pytest
from fraisier_core import ProcessIdentity
from fraisier_core.testing.in_engine import left_by, wait_for
from fraisier_core.testing.installation import Installation
from fraisier_deployers.backup.local_place import LocalPlace

MARK = "begun"


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """An environment that backs up what a command prints, which takes long if the file `slow` is there."""
    script = f"echo kept; test ! -e {tmp_path}/slow || {{ touch {tmp_path}/{MARK}; exec sleep 600; }}"
    section = {
        "source": {
            "command": ["sh", "-c", script],
            "restore": ["sh", "-c", "cat > {target}; test $SECRET"],
            "drop": ["rm", "{target}"],
        },
        "path": tmp_path / "backups",
        "keep": {"last": 1},
        "restore_test": {"check": ["sh", "-c", 'grep kept "$FRAISIER_RESTORED"']},
    }
    return Installation(tmp_path, "fraisier_deployers.backup.fraise_type", section)


def names(installation: Installation) -> list[str]:
    listing = LocalPlace(installation.folder / "backups").manifests()
    assert listing.unreadable == {}
    return [each.name for each in listing.manifests]


def test_a_backup_is_recorded_and_tested(installation: Installation) -> None:
    done = installation.execute(kind="backup")
    assert done.status == "success", done.error_message
    assert installation.last_steps == ["dump", "store", "verify_local", "prune"]
    assert (names(installation), done.stored_size) == ([done.stored_name], 5)
    tested = installation.execute(kind="restore_test")
    assert tested.status == "success", tested.error_message
    steps = ["verify_copy", "compare_origin", "restore", "compare", "check", "remove"]
    assert list(installation.last_steps) == steps
    assert (tested.stored_name, tested.stored_at) == (done.stored_name, done.stored_at)


def test_a_restore_test_of_an_older_backup_than_is_on_record_fails(installation: Installation) -> None:
    older = installation.execute(kind="backup").stored_name
    folder = installation.folder / "backups"
    kept = {path: path.read_bytes() for path in folder.glob(f"{older}.*")}
    newer = installation.execute(kind="backup").stored_name
    for path in folder.glob(f"{newer}.*"):
        path.unlink()
    for path, content in kept.items():
        path.write_bytes(content)
    failed = installation.execute(kind="restore_test")
    told = f"{older} is the newest backup in {folder}, but a newer one is on record, {newer}: look"
    assert failed.error_message is not None
    assert failed.error_message.startswith(told)
    assert failed.stored_name is None


def test_killed_at_each_step_it_leaves_no_half_backup_and_the_next_succeeds(
    installation: Installation,
) -> None:
    first = installation.execute(kind="backup").stored_name
    for point in ("step_dump", "step_store", "step_verify_local"):
        killed = installation.execute(kind="backup", killed_at=point)
        assert (killed.status, killed.stored_name) == ("interrupted", None), killed.error_message
        assert first in names(installation)
    killed = installation.execute(kind="backup", killed_at="step_prune")
    assert (killed.status, killed.stored_name) == ("success", names(installation)[-1]), killed.error_message
    assert killed.stored_problem is not None
    assert killed.stored_problem.startswith("what follows the storing was not done: ")
    done = installation.execute(kind="backup")
    assert done.status == "success", done.error_message
    assert names(installation) == [done.stored_name]
    there = {path.name for path in (installation.folder / "backups").iterdir() if path.suffix != ".lock"}
    assert there == {f"{done.stored_name}.bin", f"{done.stored_name}.json"}


def test_a_worker_that_is_killed_while_it_dumps_leaves_no_process_and_no_backup(
    installation: Installation,
) -> None:
    first = installation.execute(kind="backup").stored_name
    (installation.folder / "slow").touch()

    def kill(_: str, process: ProcessIdentity) -> None:
        wait_for(installation.folder / MARK, process)
        os.kill(process.pid, signal.SIGKILL)

    killed = installation.execute(kind="backup", meanwhile=kill)
    assert (killed.status, left_by(killed)) == ("interrupted", [])
    assert names(installation) == [first]
    (installation.folder / "slow").unlink()
    assert installation.execute(kind="backup").status == "success"
    assert len(names(installation)) == 1
