"""What another user could make git run is not deployed to in place."""

import os
import subprocess
from pathlib import Path

import pytest
from fraisier_core.engine.shared import SharedFiles
from fraisier_core.engine.workspace import ClonedWorkspace
from fraisier_core.errors import AppPathRefusedError
from fraisier_core.git.clones import Clone
from fraisier_core.git.ownership import require_own_clone

from tests.origins import Origin, mirror_of
from tests.users import as_root

NOBODY = 65534


def git(path: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", path, *arguments], check=True, capture_output=True)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", tmp_path / "app"], check=True)
    return tmp_path / "app"


@as_root
@pytest.mark.parametrize(
    "name", ["", ".git", ".git/config", ".git/info", ".git/info/attributes", ".git/config.worktree"]
)
def test_what_another_user_may_change_is_refused(clone: Path, name: str) -> None:
    place = clone / name
    if not place.exists():
        place.write_text("")
    require_own_clone(clone)
    os.chown(place, NOBODY, NOBODY)
    with pytest.raises(AppPathRefusedError, match=rf"^{place} belongs to user 65534.*chown -hR 0 {place}$"):
        require_own_clone(clone)


@pytest.mark.parametrize("name", ["", ".git", ".git/config", ".git/info"])
def test_what_everyone_may_write_to_is_refused(clone: Path, name: str) -> None:
    place = clone / name
    place.chmod(place.stat().st_mode | 0o002)
    with pytest.raises(AppPathRefusedError, match=rf"^{place} is writable for others.*o-w {place}$"):
        require_own_clone(clone)


@as_root
def test_what_another_group_may_write_to_is_refused(clone: Path) -> None:
    (clone / ".git/config").chmod(0o660)
    require_own_clone(clone)
    os.chown(clone / ".git/config", 0, NOBODY)
    with pytest.raises(AppPathRefusedError, match=r"run: chmod go-w"):
        require_own_clone(clone)


@as_root
@pytest.mark.parametrize("kind", ["file", "relative file", "link", "working tree"])
def test_a_git_folder_elsewhere_is_looked_at_too(clone: Path, kind: str, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (clone / ".git").rename(elsewhere)
    if kind == "link":
        (clone / ".git").symlink_to(elsewhere)
    elif kind == "working tree":
        (own := tmp_path / "own").mkdir()
        (own / "commondir").write_text("../elsewhere\n")
        (clone / ".git").write_text(f"gitdir: {own}\n")
    else:
        (clone / ".git").write_text(f"gitdir: {elsewhere if kind == 'file' else '../elsewhere'}\n")
    require_own_clone(clone)
    os.chown(elsewhere, NOBODY, NOBODY)
    with pytest.raises(AppPathRefusedError, match=r"^\S+ belongs to user 65534"):
        require_own_clone(clone)
    os.chown(elsewhere, 0, 0)
    os.chown(elsewhere / "config", NOBODY, NOBODY)
    with pytest.raises(AppPathRefusedError, match="/config belongs to user 65534"):
        require_own_clone(clone)


@as_root
def test_the_configuration_of_a_submodule_that_another_user_made_runs_nothing(tmp_path: Path) -> None:
    library, origin = Origin(tmp_path / "library"), Origin(tmp_path / "api")
    origin.commit(version="1")
    subprocess.run(["git", "clone", "-q", origin.path, tmp_path / "app"], check=True)
    library.commit(data="old")
    made = tmp_path / "app/uploads/sub"
    subprocess.run(["git", "clone", "-q", library.path, made], check=True, capture_output=True)
    library.commit(data="text")
    git(made, "config", "filter.evil.smudge", f"touch {tmp_path}/ran; cat")
    (made / ".git/info/attributes").write_text("data filter=evil\n")
    subprocess.run(["chown", "-R", str(NOBODY), made.parent], check=True)
    origin.add_submodule("uploads/sub", "../library", library.git("rev-parse", "HEAD"))
    commit = origin.commit_staged()
    mirror = mirror_of(str(origin.path), tmp_path)
    mirror.fetch()
    clone = Clone(tmp_path / "app", mirror)
    workspace = ClonedWorkspace(clone, mirror, SharedFiles(tmp_path, ()))
    with pytest.raises(AppPathRefusedError, match="uploads/sub belongs to user 65534"):
        workspace.activate(workspace.prepare("", commit, mirror), "d1")
    with pytest.raises(AppPathRefusedError, match="uploads/sub belongs to user 65534"):
        clone.bring(commit, mirror, "d1")
    assert not (tmp_path / "ran").exists()
