import logging
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from fraisier_core.engine.trash import empty_trash, set_aside, trash, undeletable

NOBODY = 65534
API = "api", "production"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "releases/api/production"
    folder.mkdir(parents=True)
    return folder


def release(root: Path, name: str) -> Path:
    path = root / name
    (path / "folder").mkdir(parents=True)
    (path / "folder/file").write_text("")
    (path / "link").symlink_to(root / "kept")
    return path


def deepened(path: Path, name: str, depth: int, *, mode: int = 0o755, link: Path | None = None) -> Path:
    """Give a directory folders in folders, the innermost with a file and a link."""
    here = os.open(path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, mode=0o755, dir_fd=here)
        inner = os.open(name, os.O_RDONLY, dir_fd=here)
        os.fchmod(here, mode)
        os.close(here)
        here = inner
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.symlink(link or path, "link", dir_fd=here)
    os.close(here)
    path.chmod(0o755)
    return path


@pytest.fixture
def another_user() -> Iterator[Path]:
    """A state folder of another user, whom this process is while the test runs."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to act as another user")
    with TemporaryDirectory() as folder:
        (Path(folder) / "releases/api/production").mkdir(parents=True)
        for path in (Path(folder), *Path(folder).rglob("*")):
            os.chown(path, NOBODY, -1)
        os.seteuid(NOBODY)
        yield Path(folder)
        os.seteuid(0)


def test_what_is_set_aside_is_deleted_and_nothing_else(root: Path, tmp_path: Path) -> None:
    kept = release(root, "kept")
    set_aside(release(root, "old"))
    assert [path.name[:11] for path in trash(tmp_path)] == [".trash-old-"]
    empty_trash(tmp_path)
    assert names(root) == {"kept"}
    assert (kept / "folder/file").exists()


def test_a_read_only_tree_is_deleted_too(root: Path, tmp_path: Path) -> None:
    path = release(root, "old")
    (path / "folder").chmod(0o500)
    set_aside(path)
    empty_trash(tmp_path)
    assert names(root) == set()


@pytest.mark.parametrize("name", ["d", "d" * 200, "a b"])
def test_a_tree_of_any_depth_is_deleted_and_so_is_what_comes_after_it(
    root: Path, tmp_path: Path, name: str
) -> None:
    for number in range(3):
        path = release(root, f"old{number}")
        set_aside(deepened(path, name, 1500) if number == 1 else path)
    empty_trash(tmp_path)
    assert names(root) == set()


def test_a_tree_with_deep_read_only_folders_is_deleted(root: Path, tmp_path: Path) -> None:
    path = deepened(release(root, "old"), "d", 1500, mode=0o500)
    set_aside(path)
    empty_trash(tmp_path)
    assert names(root) == set()


def test_a_folder_outside_that_a_deep_tree_links_to_stays(root: Path, tmp_path: Path) -> None:
    kept = release(root, "kept")
    set_aside(deepened(release(root, "old"), "d", 1100, link=kept))
    empty_trash(tmp_path)
    assert names(root) == {"kept"}
    assert (kept / "folder/file").exists()


def test_an_empty_trash_is_no_error(tmp_path: Path) -> None:
    empty_trash(tmp_path)
    assert undeletable(tmp_path, *API) == {}


def test_what_cannot_be_deleted_is_told_once_and_tried_again(
    another_user: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    root = another_user / "releases/api/production"
    set_aside(release(root, "old"))
    (left,) = trash(another_user)
    os.seteuid(0)
    os.chown(left / "folder", 0, 0)
    os.seteuid(NOBODY)
    assert undeletable(another_user, *API) == {}
    for _ in range(2):
        empty_trash(another_user)
    reason = f"Permission denied: {left}/folder/file"
    assert undeletable(another_user, *API) == {str(left): reason}
    assert undeletable(another_user, "api", "staging") == {}
    assert caplog.messages == [f"the old release {left} cannot be deleted: {reason}"]
    os.seteuid(0)
    os.chown(left / "folder", NOBODY, 0)
    os.seteuid(NOBODY)
    empty_trash(another_user)
    assert undeletable(another_user, *API) == {}
    assert names(root) == set()
