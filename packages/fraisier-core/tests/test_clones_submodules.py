"""Submodules of a clone that is deployed in place follow its check-outs."""

import shutil
import subprocess
from pathlib import Path

import pytest
from fraisier_core.errors import StepFailedError
from fraisier_core.git.clones import Clone
from fraisier_core.git.contents import Contents
from fraisier_core.git.mirrors import Mirror

from tests.origins import Origin, mirror_of

ID = "0190a3c2-0000-7000-8000-00000000abcd"


class Family:
    """A repository with a submodule that has one itself, and a clone of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "git"
        self.folder.mkdir()
        origins = (Origin(self.folder / name) for name in ("inner", "lib", "api"))
        self.inner, self.library, self.origin = origins
        self.first = self.version("1")
        self.clone = Clone(folder / "app")
        options = ["-c", "protocol.file.allow=always", "clone", "-q", "--recurse-submodules"]
        subprocess.run(["git", *options, self.origin.path, self.clone.path], check=True, capture_output=True)
        self.mirror = self.mirror_with(Contents())

    def version(self, text: str) -> str:
        """Commit a version of everything, and return the commit's id."""
        deepest = self.inner.commit(version=text)
        self.library.add_submodule("deep", "../inner", deepest)
        self.library.git("commit", "-q", "-m", text)
        library = self.library.git("rev-parse", "HEAD")
        (self.origin.path / "version").write_text(text)
        self.origin.git("add", "version")
        self.origin.add_submodule("vendor/lib", "../lib", library)
        return self.origin.commit_staged()

    def mirror_with(self, contents: Contents) -> Mirror:
        mirror = mirror_of(str(self.origin.path), self.folder, contents=contents)
        mirror.fetch()
        return mirror

    @property
    def versions(self) -> list[str]:
        paths = (self.clone.path / name / "version" for name in ("", "vendor/lib/deep"))
        return [path.read_text() for path in paths if path.exists()]

    def modified(self, commit: str) -> list[str]:
        """Return the changed files of the clone and what is followed in it."""
        followed = self.clone.followed(commit, self.mirror)
        return [f"{clone.path.name}/{name}" for clone, _, _ in followed for name in clone.modified_files()]


@pytest.fixture
def family(tmp_path: Path) -> Family:
    return Family(tmp_path)


def test_submodules_follow_forward_and_back(family: Family) -> None:
    second = family.version("2")
    family.mirror.fetch()
    assert family.versions == ["1", "1"]
    for commit, versions in ((second, ["2", "2"]), (family.first, ["1", "1"]), (second, ["2", "2"])):
        assert family.clone.bring(commit, family.mirror, ID) == []
        assert family.versions == versions
        assert family.modified(commit) == []


def test_a_submodule_that_is_new_or_was_never_checked_out_is_made(family: Family, tmp_path: Path) -> None:
    family.clone = Clone(tmp_path / "plain")
    subprocess.run(["git", "clone", "-q", family.origin.path, family.clone.path], check=True)
    assert family.versions == ["1"]
    family.clone.bring(family.first, family.mirror, ID)
    assert family.versions == ["1", "1"]
    second = family.version("2")
    family.mirror.fetch()
    family.clone.bring(second, family.mirror, ID)
    assert family.versions == ["2", "2"]
    made = Clone(family.clone.path / "vendor/lib")
    assert made.expect("remote", "get-url", "origin").strip() == str(family.library.path)


def test_a_submodule_that_goes_and_comes_back_is_there_again(family: Family) -> None:
    family.origin.git("rm", "-q", "-r", "--cached", "vendor/lib", ".gitmodules")
    without = family.origin.commit_staged()
    family.mirror.fetch()
    family.clone.bring(without, family.mirror, ID)
    assert family.clone.in_the_way(family.mirror.files(family.first)) == []
    family.clone.bring(family.first, family.mirror, ID)
    assert family.versions == ["1", "1"]


def test_what_a_checkout_replaces_in_a_submodule_is_kept_there(family: Family) -> None:
    second = family.version("2")
    family.mirror.fetch()
    deep = family.clone.path / "vendor/lib/deep"
    (deep / "version").write_text("built")
    assert family.modified(second) == ["deep/version"]
    family.clone.leave()
    assert family.modified(second) == []
    (kept,) = family.clone.bring(second, family.mirror, ID)
    assert (kept.path, kept.names, family.versions) == (deep, ["version"], ["2", "2"])
    (told,) = family.clone.kept(ID)
    subprocess.run(["sh", "-c", str(told).split("`")[1]], check=True)
    assert (deep / "version").read_text() == "built"


def test_untracked_files_in_the_way_of_a_submodule_are_found(family: Family) -> None:
    (family.clone.path / "vendor/lib/new").write_text("mine")
    family.library.commit(new="theirs")
    second = family.version("2")
    family.mirror.fetch()
    followed = list(family.clone.followed(second, family.mirror))
    found = [clone.in_the_way(mirror.files(commit)) for clone, commit, mirror in followed]
    assert found == [[], ["new"], []]


def test_a_rollback_needs_no_mirror(family: Family) -> None:
    second = family.version("2")
    family.mirror.fetch()
    family.clone.bring(second, family.mirror, ID)
    for path in family.mirror.path.parent.iterdir():
        shutil.rmtree(path, ignore_errors=True)
    for origin in (family.origin, family.library, family.inner):
        origin.path.rename(origin.path.with_name(f"{origin.path.name}-gone"))
    family.clone.bring(family.first, family.mirror, ID)
    assert family.versions == ["1", "1"]


def test_submodules_are_left_alone_if_they_are_not_wanted(family: Family) -> None:
    second = family.version("2")
    mirror = family.mirror_with(Contents(submodules=False))
    (family.clone.path / "vendor/lib/deep/version").write_text("mine")
    family.clone.bring(second, mirror, ID)
    assert family.versions == ["2", "mine"]


@pytest.mark.parametrize("address", ["{outside}", "file://{outside}", "../../secret", "ext::sh -c id", "-x"])
def test_what_gitmodules_must_not_name_is_refused(family: Family, tmp_path: Path, address: str) -> None:
    secret = Origin(tmp_path / "secret")
    stolen = secret.commit(secret="s3cret")
    family.origin.add_submodule("stolen", address.format(outside=secret.path), stolen)
    commit = family.origin.commit_staged()
    family.mirror.fetch()
    with pytest.raises(StepFailedError, match="stolen"):
        list(family.clone.followed(commit, family.mirror))
    with pytest.raises(StepFailedError):
        family.clone.bring(commit, family.mirror, ID)
    assert not list(family.clone.path.rglob("secret"))


def test_a_link_in_the_place_of_a_submodule_is_replaced_and_never_followed(
    family: Family, tmp_path: Path
) -> None:
    other = Origin(tmp_path / "other")
    head = other.commit(version="other")
    shutil.rmtree(family.clone.path / "vendor")
    (family.clone.path / "vendor").symlink_to(tmp_path)
    (tmp_path / "lib").symlink_to(other.path)
    second = family.version("2")
    family.mirror.fetch()
    family.clone.bring(second, family.mirror, ID)
    assert family.versions == ["2", "2"]
    assert other.git("rev-parse", "HEAD") == head


@pytest.mark.parametrize("without", ["", "update = none", "submodules: false"])
def test_a_way_back_to_what_the_mirror_never_had_needs_the_clone_alone(family: Family, without: str) -> None:
    if without == "update = none":
        family.origin.git("config", "--file", ".gitmodules", "submodule.vendor/lib.update", "none")
        family.origin.git("add", ".gitmodules")
        family.first = family.origin.commit_staged()
        argv = ["git", "-c", "fetch.recurseSubmodules=false", "-C", str(family.clone.path), "pull", "-q"]
        subprocess.run(argv, check=True)
    family.origin.git("checkout", "-q", "--orphan", "new")
    family.origin.git("branch", "-q", "-D", "main")
    second = family.version("2")
    family.origin.git("branch", "-q", "-m", "main")
    shutil.rmtree(family.mirror.path)
    family.mirror = family.mirror_with(Contents(submodules=without != "submodules: false"))
    assert family.mirror.ask("cat-file", "-e", family.first).status != 0
    family.clone.bring(second, family.mirror, ID)
    if without:
        shutil.rmtree(family.clone.path / "vendor/lib")
    family.clone.bring(family.first, family.mirror, ID)
    assert family.versions == (["1"] if without else ["1", "1"])
