import shutil
import subprocess
from pathlib import Path

import pytest
from fraisier_core.errors import StepFailedError
from fraisier_core.system.systemd import RunsFrom, UnitState, release_of_process, unit_state


@pytest.mark.parametrize(
    ("directory", "expected"),
    [
        ("releases/new", RunsFrom.SAME),
        ("releases/new/deep/inside", RunsFrom.SAME),
        ("releases/old", RunsFrom.OTHER),
        ("releases/new-er", RunsFrom.OTHER),
        ("elsewhere", RunsFrom.UNKNOWN),
        ("/", RunsFrom.UNKNOWN),
    ],
)
def test_the_working_directory_tells_the_release(tmp_path: Path, directory: str, expected: RunsFrom) -> None:
    cwd = tmp_path / directory
    cwd.mkdir(parents=True, exist_ok=True)
    (tmp_path / "releases/new").mkdir(parents=True, exist_ok=True)
    link = tmp_path / "app"
    link.symlink_to(tmp_path / "releases/new")
    with subprocess.Popen(["sleep", "60"], cwd=cwd) as process:
        assert release_of_process(process.pid, tmp_path / "releases/new") is expected
        assert release_of_process(process.pid, link) is expected
        process.kill()


def test_a_release_that_was_deleted_under_the_process_is_another_one(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    with subprocess.Popen(["sleep", "60"], cwd=tmp_path / "old") as process:
        (tmp_path / "old").rmdir()
        assert release_of_process(process.pid, tmp_path / "new") is RunsFrom.OTHER
        process.kill()


def test_a_process_that_is_gone_says_nothing(tmp_path: Path) -> None:
    assert release_of_process(2**22 + 1, tmp_path) is RunsFrom.UNKNOWN


@pytest.mark.parametrize("program", [None, "false"])
def test_without_systemd_the_state_cannot_be_told(
    program: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if program:
        (tmp_path / "systemctl").symlink_to(shutil.which(program) or program)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StepFailedError, match="cannot read the state of api"):
        unit_state("api.service")


def test_a_state_reads_as_a_sentence() -> None:
    failed = UnitState("api.service", "loaded", "failed", "failed", "exit-code", 0, "", 0)
    running = UnitState("api.service", "loaded", "active", "running", "success", 7, "ab", 0)
    assert str(failed) == "api.service is failed (failed, result: exit-code)"
    assert str(running) == "api.service is active (running)"
