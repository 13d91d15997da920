import os
import subprocess
import threading
from pathlib import Path

import pytest
from fraisier_core.errors import StepFailedError
from fraisier_core.git.clones import Clone
from fraisier_core.git.mirrors import Mirror

GIT = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.com", "-C"]


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


@pytest.fixture
def clone(origin: Path, tmp_path: Path) -> Clone:
    subprocess.run(["git", "clone", "-q", origin, tmp_path / "app"], check=True)
    return Clone(tmp_path / "app")


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
    clone.checkout(second, mirror)
    assert clone.head() == second
    assert (clone.path / "app.py").read_text() == "two"
    clone.checkout(first, mirror)
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


def test_a_checkout_that_git_refuses_changes_nothing(clone: Clone, origin: Path, mirror: Mirror) -> None:
    (origin / "uploads").write_text("theirs")
    second = commit(origin, "two")
    mirror.fetch()
    (clone.path / "uploads").write_text("ours")
    with pytest.raises(StepFailedError, match="uploads"):
        clone.checkout(second, mirror)
    assert (clone.path / "uploads").read_text() == "ours"
    assert (clone.path / "app.py").read_text() == "one"
    assert clone.modified_files() == []
    (clone.path / "app.py").write_text("changed")
    assert clone.modified_files() == ["app.py"]


def test_an_interrupted_checkout_is_finished_by_the_next_one(
    clone: Clone, origin: Path, mirror: Mirror
) -> None:
    second = commit(origin, "two")
    mirror.fetch()
    (clone.path / ".git/fraisier-checkout").write_text(second)
    (clone.path / ".git/index.lock").write_text("")
    (clone.path / "app.py").write_text("half of tw")
    assert clone.modified_files() == []
    clone.checkout(second, mirror)
    assert clone.head() == second
    assert (clone.path / "app.py").read_text() == "two"
    assert not (clone.path / ".git/fraisier-checkout").exists()


def test_no_hook_of_the_clone_runs(clone: Clone, origin: Path, mirror: Mirror, tmp_path: Path) -> None:
    hook = clone.path / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    mirror.fetch()
    clone.checkout(clone.head(), mirror)
    assert not (tmp_path / "ran").exists()
