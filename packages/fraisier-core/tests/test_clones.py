import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from fraisier_core.errors import StepFailedError
from fraisier_core.git.clones import Clone
from fraisier_core.git.mirrors import Mirror

GIT = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.com", "-C"]

ID = "0190a3c2-0000-7000-8000-00000000abcd"


def git(path: Path, *arguments: str) -> str:
    return subprocess.run([*GIT, path, *arguments], check=True, capture_output=True, text=True).stdout.strip()


def commit(origin: Path, text: str) -> str:
    (origin / "app.py").write_text(text)
    git(origin, "add", "-A")
    git(origin, "commit", "-q", "-m", text)
    return git(origin, "rev-parse", "HEAD")


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", "-b", "main", tmp_path / "origin"], check=True)
    commit(tmp_path / "origin", "one")
    return tmp_path / "origin"


@pytest.fixture
def mirror(origin: Path, tmp_path: Path) -> Mirror:
    return Mirror.in_folder(tmp_path / "mirrors", str(origin), threading.Event())


def cloned(origin: Path, tmp_path: Path) -> Clone:
    subprocess.run(["git", "clone", "-q", origin, tmp_path / "app"], check=True)
    return Clone(tmp_path / "app")


@pytest.fixture
def clone(origin: Path, tmp_path: Path) -> Clone:
    return cloned(origin, tmp_path)


def test_a_clone_is_told_from_other_directories(clone: Clone, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(clone.path)
    assert Clone.is_clone(clone.path)
    assert not Clone.is_clone(tmp_path)
    assert not Clone.is_clone(tmp_path / "link")
    assert not Clone.is_clone(tmp_path / "nowhere")


def test_a_clone_knows_what_it_holds(clone: Clone, origin: Path) -> None:
    assert clone.head() == git(origin, "rev-parse", "HEAD")


def test_checking_out_brings_a_commit_of_the_mirror_and_leaves_other_files(
    clone: Clone, origin: Path, mirror: Mirror
) -> None:
    first, second = clone.head(), commit(origin, "two")
    (clone.path / "uploads").write_text("kept")
    mirror.fetch()
    clone.checkout(second, mirror, ID)
    assert clone.head() == second
    assert (clone.path / "app.py").read_text() == "two"
    clone.checkout(first, mirror, ID)
    assert (clone.path / "app.py").read_text() == "one"
    assert (clone.path / "uploads").read_text() == "kept"


def test_modified_files_are_listed_and_touched_or_untracked_ones_are_not(clone: Clone) -> None:
    os.utime(clone.path / "app.py", (0, 0))
    (clone.path / "new").write_text("")
    assert clone.modified_files() == []
    (clone.path / "app.py").write_text("changed")
    assert clone.modified_files() == ["app.py"]
    git(clone.path, "add", "-A")
    assert clone.modified_files() == ["app.py", "new"]


def test_a_fresh_clone_with_line_ends_of_its_own_is_not_modified(origin: Path, tmp_path: Path) -> None:
    (origin / "run.bat").write_bytes(b"echo 1\r\n")
    (origin / "mixed.sql").write_bytes(b"one\r\ntwo\n")
    commit(origin, "two")
    (origin / ".gitattributes").write_text("*.bat text\n*.sql text eol=crlf\n*.py ident\n")
    git(origin, "add", ".gitattributes")
    git(origin, "commit", "-q", "-m", "attributes")
    clone = cloned(origin, tmp_path)
    assert "run.bat" in git(clone.path, "status", "--short")
    assert clone.modified_files() == []
    (clone.path / "run.bat").write_bytes(b"echo 2\r\n")
    assert clone.modified_files() == ["run.bat"]


@pytest.mark.parametrize("mode", [0o755, 0o700, 0o664])
def test_the_mode_of_a_file_is_its_owners(clone: Clone, origin: Path, mirror: Mirror, mode: int) -> None:
    (origin / "other.py").write_text("1")
    second = commit(origin, "one")
    mirror.fetch()
    (clone.path / "app.py").chmod(mode)
    os.utime(clone.path / "app.py", (0, 0))
    assert clone.modified_files() == []
    clone.checkout(second, mirror, ID)
    assert (clone.path / "app.py").stat().st_mode & 0o777 == mode
    assert list(clone.kept(ID)) == []


def test_a_file_that_becomes_executable_in_a_commit_becomes_so(
    clone: Clone, origin: Path, mirror: Mirror
) -> None:
    (origin / "app.py").chmod(0o755)
    second = commit(origin, "one")
    mirror.fetch()
    clone.checkout(second, mirror, ID)
    assert os.access(clone.path / "app.py", os.X_OK)


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_a_file_that_git_was_told_not_to_look_at_stays_unless_a_commit_changes_it(
    clone: Clone, origin: Path, mirror: Mirror, flag: str
) -> None:
    (origin / "other.py").write_text("1")
    second, third = commit(origin, "one"), commit(origin, "three")
    mirror.fetch()
    git(clone.path, "update-index", flag, "app.py")
    (clone.path / "app.py").write_text("local settings")
    assert clone.modified_files() == []
    assert clone.checkout(second, mirror, ID) == []
    assert (clone.path / "app.py").read_text() == "local settings"
    kept = clone.checkout(third, mirror, ID)
    assert ([each.names for each in kept], (clone.path / "app.py").read_text()) == ([["app.py"]], "three")


def restored(clone: Clone) -> None:
    """Run the command that brings back what a check-out has replaced."""
    (command,) = (str(kept).split("`")[1] for kept in clone.kept(ID))
    subprocess.run(["sh", "-c", command], check=True)


def written(path: Path) -> None:
    path.write_text("changed")


def deleted(path: Path) -> None:
    path.unlink()


def linked(path: Path) -> None:
    path.unlink()
    path.symlink_to("/nowhere")


@pytest.mark.parametrize(
    "name", ["plain.txt", "a file.txt", "-odd*[name].txt", "tab\tand\nline", os.fsdecode(b"\xe9")]
)
@pytest.mark.parametrize("change", [written, deleted, linked])
def test_what_a_checkout_replaces_is_kept(
    clone: Clone, origin: Path, mirror: Mirror, name: str, change: Callable[[Path], None]
) -> None:
    (origin / name).write_text("one")
    first = commit(origin, "one")
    (origin / name).write_text("two")
    second = commit(origin, "two")
    mirror.fetch()
    clone.checkout(first, mirror, ID)
    change(clone.path / name)
    assert clone.modified_files() == [name]
    clone.checkout(second, mirror, ID)
    assert (clone.path / name).read_text() == "two"
    assert not (clone.path / name).is_symlink()
    clone.checkout(first, mirror, "another")
    assert list(clone.kept("another")) == []
    restored(clone)
    assert git(clone.path, "diff", "--name-only", f"refs/fraisier/kept/{ID}") == ""


def test_many_files_are_brought_back_by_one_command(clone: Clone, origin: Path, mirror: Mirror) -> None:
    for number in range(20):
        (origin / f"{number}.txt").write_text("one")
    second = commit(origin, "two")
    mirror.fetch()
    clone.checkout(second, mirror, "first")
    for number in range(20):
        (clone.path / f"{number}.txt").write_text("changed")
    (clone.path / "7.txt").unlink()
    clone.checkout(second, mirror, ID)
    assert "20 files had changed" in str(next(clone.kept(ID)))
    restored(clone)
    assert (clone.path / "19.txt").read_text() == "changed"
    assert not (clone.path / "7.txt").exists()


def test_what_one_deployment_replaces_twice_is_kept_twice(clone: Clone, mirror: Mirror) -> None:
    mirror.fetch()
    for text in ("first", "second"):
        (clone.path / "app.py").write_text(text)
        clone.checkout(clone.head(), mirror, ID)
    refs = [kept.ref for kept in clone.kept(ID)]
    assert [git(clone.path, "show", f"{ref}:app.py") for ref in refs] == ["second", "first"]


def test_a_commit_that_was_made_in_the_clone_alone_is_kept(clone: Clone, mirror: Mirror) -> None:
    mirror.fetch()
    first = clone.head()
    clone.checkout(first, mirror, "first")
    (clone.path / "app.py").write_text("mine")
    git(clone.path, "commit", "-q", "-a", "-m", "by hand")
    clone.checkout(first, mirror, ID)
    (kept,) = clone.kept(ID)
    assert (kept.names, str(kept).startswith("a commit that was made in ")) == ([], True)
    git(clone.path, *str(kept).split("`")[1].split()[3:])
    assert (clone.path / "app.py").read_text() == "mine"


def test_keeping_touches_no_index_and_needs_no_identity(clone: Clone, mirror: Mirror) -> None:
    mirror.fetch()
    (clone.path / "staged").write_text("mine")
    git(clone.path, "add", "staged")
    index = (clone.path / ".git/index").read_bytes()
    clone.leave()
    assert (clone.path / ".git/index").read_bytes() == index
    assert (
        git(clone.path, "show", "--no-patch", "--format=%an %cn", "refs/worktree/fraisier/left")
        == "Fraisier Fraisier"
    )


def test_what_a_deployment_has_changed_is_told_from_other_changes(clone: Clone, mirror: Mirror) -> None:
    mirror.fetch()
    (clone.path / "app.py").write_text("built")
    assert clone.modified_files() == ["app.py"]
    clone.leave()
    assert clone.modified_files() == []
    (clone.path / "app.py").write_text("edited")
    assert clone.modified_files() == ["app.py"]
    git(clone.path, "checkout", "--", "app.py")
    assert clone.modified_files() == []
    clone.leave()
    (clone.path / "app.py").write_text("built")
    assert clone.modified_files() == ["app.py"]


def test_another_working_tree_of_the_same_repository_has_changes_of_its_own(
    clone: Clone, tmp_path: Path
) -> None:
    git(clone.path, "worktree", "add", "-q", "--detach", str(tmp_path / "staging"))
    staging = Clone(tmp_path / "staging")
    for each, text in ((clone, "production"), (staging, "staging")):
        (each.path / "app.py").write_text(text)
        each.leave()
    assert (clone.modified_files(), staging.modified_files()) == ([], [])


def in_a_file(clone: Clone) -> None:
    (clone.path / "uploads").write_text("ours")


def in_a_folder(clone: Clone) -> None:
    (clone.path / "uploads/images").mkdir(parents=True)
    (clone.path / "uploads/images/1").write_text("ours")


def ignored(clone: Clone) -> None:
    (clone.path / ".git/info/exclude").write_text("uploads\n")
    (clone.path / "uploads").write_text("ours")


def behind_a_link(clone: Clone) -> None:
    (clone.path / "uploads").symlink_to("/nowhere")


@pytest.mark.parametrize("place", [in_a_file, in_a_folder, ignored, behind_a_link])
@pytest.mark.parametrize("name", ["uploads", "uploads/images/1"])
def test_untracked_files_in_the_way_are_found_and_kept(
    clone: Clone, origin: Path, mirror: Mirror, place: Callable[[Clone], None], name: str
) -> None:
    (origin / name).parent.mkdir(parents=True, exist_ok=True)
    (origin / name).write_text("theirs")
    second = commit(origin, "two")
    mirror.fetch()
    place(clone)
    found = clone.in_the_way(mirror.files(second))
    assert len(found) == 1
    clone.checkout(second, mirror, ID)
    assert (clone.path / name).read_text() == "theirs"
    ((kept,),) = [each.names for each in clone.kept(ID)]
    assert [kept] == found


def test_a_repository_in_the_way_is_never_deleted(clone: Clone, origin: Path, mirror: Mirror) -> None:
    (origin / "vendor").write_text("theirs")
    second = commit(origin, "two")
    mirror.fetch()
    subprocess.run(["git", "init", "-q", clone.path / "vendor/lib"], check=True)
    assert clone.in_the_way(mirror.files(second)) == ["vendor/lib"]
    with pytest.raises(StepFailedError, match="vendor/lib is a repository in the way: move it away"):
        clone.checkout(second, mirror, ID)
    assert (clone.path / "vendor/lib/.git").exists()


def test_an_interrupted_checkout_is_finished_by_the_next_one(
    clone: Clone, origin: Path, mirror: Mirror
) -> None:
    second = commit(origin, "two")
    mirror.fetch()
    (clone.path / ".git/fraisier-checkout").write_text(second)
    (clone.path / ".git/index.lock").write_text("")
    (clone.path / "app.py").write_text("half of tw")
    assert clone.modified_files() == []
    clone.checkout(second, mirror, ID)
    assert clone.head() == second
    assert (clone.path / "app.py").read_text() == "two"
    assert not (clone.path / ".git/fraisier-checkout").exists()


def test_a_file_that_an_interrupted_checkout_wrote_is_in_nothings_way(
    clone: Clone, origin: Path, mirror: Mirror
) -> None:
    first = clone.head()
    (origin / "new.py").write_text("new")
    second = commit(origin, "two")
    mirror.fetch()
    git(clone.path, "fetch", "-q")
    (clone.path / ".git/fraisier-checkout").write_text(second)
    (clone.path / "new.py").write_text("new")
    clone.checkout(first, mirror, ID)
    assert not (clone.path / "new.py").exists()
    assert clone.in_the_way(mirror.files(second)) == []


def test_no_hook_of_the_clone_runs(clone: Clone, origin: Path, mirror: Mirror, tmp_path: Path) -> None:
    hook = clone.path / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    mirror.fetch()
    clone.checkout(clone.head(), mirror, ID)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("names", [["a"], ["a", "folder/b"], ["app.py", "folder/deep/c"]])
def test_a_checkout_that_fails_leaves_no_file_behind_that_stops_the_next(
    clone: Clone, origin: Path, mirror: Mirror, names: list[str]
) -> None:
    first = clone.head()
    (clone.path / "mine").write_text("mine")
    git(clone.path, "config", "filter.own.smudge", "false")
    git(clone.path, "config", "filter.own.required", "true")
    (clone.path / ".git/info/attributes").write_text("zzz filter=own\n")
    for name in (*names, "zzz"):
        (origin / name).parent.mkdir(parents=True, exist_ok=True)
        (origin / name).write_text("new")
    second = commit(origin, "two")
    mirror.fetch()
    with pytest.raises(StepFailedError, match="cannot be brought to"):
        clone.checkout(second, mirror, ID)
    clone.checkout(first, mirror, ID)
    assert clone.in_the_way(mirror.files(second)) == []
    assert (clone.path / "mine").read_text() == "mine"
    git(clone.path, "config", "filter.own.smudge", "cat")
    assert clone.checkout(second, mirror, ID) == []
    assert all((clone.path / name).exists() for name in (*names, "zzz"))
