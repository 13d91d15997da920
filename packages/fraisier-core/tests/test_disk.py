import subprocess
from pathlib import Path

import pytest
from fraisier_core.engine.releases import Releases
from fraisier_core.errors import StepFailedError
from fraisier_core.system.disk import cause, replace_file, sync_directory, sync_filesystem

from tests.users import as_root


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("tar: a: No space left on device", "no_space: tar: a: No space left on device"),
        ("tar: a: Disk quota exceeded", "no_quota: tar: a: Disk quota exceeded"),
        ("a: Read-only file system", "read_only: a: Read-only file system"),
        ("a: Permission denied", "a: Permission denied"),
    ],
)
def test_a_disk_that_takes_no_more_is_named(message: str, named: str) -> None:
    assert cause(message) == named


def test_a_directory_that_is_not_there_cannot_be_synced(tmp_path: Path) -> None:
    sync_directory(tmp_path)
    sync_filesystem(tmp_path)
    for sync in (sync_directory, sync_filesystem):
        with pytest.raises(FileNotFoundError):
            sync(tmp_path / "nowhere")


def test_a_file_is_replaced_as_a_whole_or_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for text, mode in (("one\r\n", 0o600), ("zwölf", 0o644)):
        replace_file(file, text, mode)
        assert file.read_bytes() == text.encode()
        assert file.stat().st_mode & 0o777 == mode
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        replace_file(tmp_path / "folder", "text")
    assert {each.name for each in tmp_path.iterdir()} == {"file", "folder"}


@as_root
def test_a_full_disk_leaves_no_part_of_a_release(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], check=True)
    try:
        releases = Releases(disk / "releases")
        with pytest.raises(StepFailedError, match="no_space: release one cannot be written"):
            releases.create("one", "a" * 40, lambda folder: _fill(folder / "big"))
        assert list(releases.root.iterdir()) == []
        releases.create("two", "b" * 40, lambda folder: None)
    finally:
        subprocess.run(["umount", disk], check=True)


def _fill(file: Path) -> None:
    file.write_bytes(b"x" * 200_000)
