import os
import shutil
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from fraisier_core.engine.shared import SharedFiles
from fraisier_core.engine.workspace import ClonedWorkspace
from fraisier_core.errors import CommitGoneError, StepFailedError
from fraisier_core.git.clones import Clone
from fraisier_core.git.contents import Contents
from fraisier_core.git.mirrors import Mirror
from fraisier_core.git.submodules import directory_in

from tests.origins import Origin, mirror_of
from tests.users import as_root


class Family:
    """A repository, libraries beside it, and what lies outside of their folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "git"
        self.folder.mkdir()
        self.origin = self.repository("api")
        self.library = self.repository("library")
        self.first = self.library.commit(version="1")
        self.secret = Origin(folder / "secret")
        self.stolen = self.secret.commit(secret="s3cret")

    def repository(self, name: str) -> Origin:
        return Origin(self.folder / name)

    def mirror(self, contents: Contents | None = None) -> Mirror:
        return mirror_of(str(self.origin.path), self.folder, contents=contents or Contents())


@pytest.fixture
def family(tmp_path: Path) -> Family:
    return Family(tmp_path)


def exported(mirror: Mirror, commit: str, into: Path) -> dict[str, str]:
    """Return the texts of a release by their paths."""
    mirror.fetch()
    mirror.export(commit, into)
    files = (path for path in into.rglob("*") if path.is_file())
    return {str(path.relative_to(into)): path.read_text() for path in files}


def cloned(origin: Origin, into: Path) -> dict[str, str]:
    """Return the texts of a clone by their paths, but for what is git's own."""
    options = ["-c", "protocol.file.allow=always", "clone", "-q", "--recurse-submodules"]
    subprocess.run(["git", *options, str(origin.path), str(into)], check=True, capture_output=True)
    files = (path for path in into.rglob("*") if path.is_file() and ".git" not in path.parts)
    return {str(path.relative_to(into)): path.read_text() for path in files}


@pytest.mark.parametrize("address", ["{path}", "{path}/.git", "file://{path}", "../library", ".././library/"])
def test_a_release_holds_the_files_of_a_submodule(family: Family, tmp_path: Path, address: str) -> None:
    family.origin.add_submodule("lib", address.format(path=family.library.path), family.first)
    (family.origin.path / "a").write_text("1")
    family.origin.git("add", "a")
    commit = family.origin.commit_staged()
    found = exported(family.mirror(), commit, tmp_path / "out")
    assert found.pop(".gitmodules")
    assert found == {"a": "1", "lib/version": "1"}
    assert not list((tmp_path / "out").rglob(".git"))
    assert (tmp_path / "out/lib").stat().st_mode & 0o777 == 0o755


def test_submodules_are_followed_to_any_depth_as_by_a_clone(family: Family, tmp_path: Path) -> None:
    inner = family.repository("inner")
    inner.add_submodule("deep/lib", "../library", family.first)
    commits = {"inner": inner.commit_staged()}
    for name, nested in (("middle", "inner"), ("outer", "middle")):
        repository = family.repository(name)
        repository.add_submodule("vendor/next", f"../{nested}", commits[nested])
        repository.add_submodule("again", "../library", family.first)
        commits[name] = repository.commit_staged()
    family.origin.add_submodule("first", "../outer", commits["outer"])
    family.origin.add_submodule("second", "../middle", commits["middle"], name="2nd")
    commit = family.origin.commit_staged()
    found = exported(family.mirror(), commit, tmp_path / "out")
    assert found["first/vendor/next/vendor/next/deep/lib/version"] == found["second/again/version"] == "1"
    assert found == cloned(family.origin, tmp_path / "clone")


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "-x", "a b", 'a"b', "x.git/hooks"])
def test_the_name_of_a_submodule_chooses_no_place(family: Family, tmp_path: Path, name: str) -> None:
    family.origin.add_submodule("lib", "../library", family.first, name=name)
    mirror = family.mirror()
    assert exported(mirror, family.origin.commit_staged(), tmp_path / "out")["lib/version"] == "1"
    assert len(list(mirror.path.parent.glob("api.git.submodules/*.git"))) == 1


def test_a_submodule_may_come_from_another_place_in_each_commit(family: Family, tmp_path: Path) -> None:
    other = family.repository("other")
    moved = other.commit(version="2")
    mirror = family.mirror()
    for number, (url, library) in enumerate({"../library": family.first, "../other": moved}.items(), 1):
        family.origin.add_submodule("lib", url, library)
        found = exported(mirror, family.origin.commit_staged(), tmp_path / f"out{number}")
        assert found["lib/version"] == str(number)


def test_a_commit_that_no_branch_of_the_submodule_has_is_asked_for(family: Family, tmp_path: Path) -> None:
    family.library.git("checkout", "-q", "--detach")
    loose = family.library.commit(version="loose")
    family.library.git("checkout", "-q", "main")
    family.origin.add_submodule("lib", "../library", loose)
    found = exported(family.mirror(), family.origin.commit_staged(), tmp_path / "out")
    assert found["lib/version"] == "loose"


def test_a_commit_that_is_not_in_the_submodule_is_told(family: Family, tmp_path: Path) -> None:
    family.origin.add_submodule("lib", "../library", "1" * 40)
    with pytest.raises(
        CommitGoneError, match=r"the submodule lib cannot be had: ref_gone: commit 1111.*library"
    ):
        exported(family.mirror(), family.origin.commit_staged(), tmp_path / "out")


def test_what_is_here_is_not_fetched_again(family: Family, tmp_path: Path) -> None:
    family.origin.add_submodule("lib", "../library", family.first)
    commit, mirror = family.origin.commit_staged(), family.mirror()
    exported(mirror, commit, tmp_path / "out1")
    shutil.rmtree(family.library.path)
    assert exported(mirror, commit, tmp_path / "out2")["lib/version"] == "1"


def test_a_damaged_mirror_of_a_submodule_is_fetched_anew(family: Family, tmp_path: Path) -> None:
    family.origin.add_submodule("lib", "../library", family.first)
    commit, mirror = family.origin.commit_staged(), family.mirror()
    exported(mirror, commit, tmp_path / "out1")
    for pack in mirror.path.parent.glob("api.git.submodules/*.git/objects/**/*"):
        if pack.is_file():
            pack.chmod(0o644)
            pack.write_bytes(b"garbage")
    assert exported(mirror, commit, tmp_path / "out2")["lib/version"] == "1"


def test_settings_leave_submodules_out(family: Family, tmp_path: Path) -> None:
    family.origin.add_submodule("lib", "ext::sh -c false", family.first)
    found = exported(
        family.mirror(Contents(submodules=False)), family.origin.commit_staged(), tmp_path / "out"
    )
    assert list(found) == [".gitmodules"]
    assert (tmp_path / "out/lib").is_dir()


def test_a_submodule_that_is_never_updated_is_left_out_as_by_a_clone(family: Family, tmp_path: Path) -> None:
    family.origin.add_submodule("lib", "../library", family.first)
    family.origin.git("config", "--file", ".gitmodules", "submodule.lib.update", "none")
    family.origin.git("add", ".gitmodules")
    found = exported(family.mirror(), family.origin.commit_staged(), tmp_path / "out")
    assert list(found) == [".gitmodules"]


HOSTILE = {
    "ext::sh -c 'touch {folder}/ran'": "does not fetch from",
    "ext::touch% {folder}/ran": "does not fetch from",
    "--upload-pack=touch {folder}/ran": "does not fetch from",
    "-u./payload": "does not fetch from",
    "ssh://-oProxyCommand=touch+ran/x": "does not fetch from",
    "git://forge.example/x": "does not fetch from",
    "../library\n[core]": "does not fetch from",
    "https://forge.example/acme/x.git": "`protocols: \\[https\\]`",
    "git@forge.example:acme/x.git": "`protocols: \\[ssh\\]`",
    "{folder}/secret": "outside of the folder of `repository:`",
    "file://{folder}/secret": "outside of the folder",
    "file:///../../{folder}/secret/.git": "outside of the folder",
    "../../secret": "outside of the folder",
    "./../library/../../secret": "outside of the folder",
    "../../../../../../../../../../../../etc": "leads out of|outside of the folder",
    "../link": "outside of the folder",
    "": "has no address",
}


@pytest.mark.parametrize("url", HOSTILE)
def test_a_submodule_chooses_no_command_no_protocol_and_no_path(
    family: Family, tmp_path: Path, url: str
) -> None:
    (family.folder / "link").symlink_to(family.secret.path)
    address = url.format(folder=tmp_path) if "{" in url else url
    family.origin.add_submodule("lib", address, family.stolen)
    commit = family.origin.commit_staged()
    with pytest.raises(StepFailedError, match=HOSTILE[url]) as caught:
        exported(family.mirror(), commit, tmp_path / "out")
    assert "`submodules: false`" in str(caught.value)
    assert not (tmp_path / "ran").exists()
    assert not list((tmp_path / "out").rglob("secret"))


@pytest.mark.parametrize("form", ["{}", "file://{}", "../state/mirrors/{name}", "../link/{name}"])
def test_a_submodule_is_never_the_mirror_of_another_fraise(family: Family, tmp_path: Path, form: str) -> None:
    folder = family.folder / "state/mirrors"
    folder.mkdir(parents=True)
    other = Mirror.in_folder(folder, str(family.secret.path), threading.Event())
    other.fetch()
    (family.folder / "link").symlink_to(folder)
    family.origin.add_submodule("lib", form.format(other.path, name=other.path.name), family.stolen)
    commit = family.origin.commit_staged()
    mirror = Mirror.in_folder(folder, str(family.origin.path), threading.Event())
    with pytest.raises(StepFailedError, match="folder of mirrors"):
        exported(mirror, commit, tmp_path / "out")


@pytest.mark.parametrize("update", ["!touch ran", "rebase", "merge", "checkout"])
def test_a_submodule_chooses_no_way_of_updating(family: Family, tmp_path: Path, update: str) -> None:
    family.origin.add_submodule("lib", "../library", family.first)
    family.origin.git("config", "--file", ".gitmodules", "submodule.lib.update", update)
    family.origin.git("add", ".gitmodules")
    assert exported(family.mirror(), family.origin.commit_staged(), tmp_path / "out")["lib/version"] == "1"
    assert not list(tmp_path.rglob("ran"))


def test_the_address_of_a_submodule_of_a_submodule_chooses_no_more(family: Family, tmp_path: Path) -> None:
    family.library.add_submodule("inner", "../../secret", family.stolen)
    family.origin.add_submodule("lib", "../library", family.library.commit_staged())
    with pytest.raises(StepFailedError, match=r"the submodule inner is at .*outside of the folder"):
        exported(family.mirror(), family.origin.commit_staged(), tmp_path / "out")


def test_a_submodule_is_never_written_through_a_link(family: Family, tmp_path: Path) -> None:
    (tmp_path / "outside/lib").mkdir(parents=True)
    link = family.origin.write("blob", f"{tmp_path}/outside".encode())
    inner = family.origin.write_tree(("160000", "lib", family.first))
    said = family.origin.write("blob", b'[submodule "x"]\n\tpath = vendor/lib\n\turl = ../library\n')
    tree = family.origin.write_tree(
        ("100644", ".gitmodules", said), ("120000", "vendor", link), ("40000", "vendor", inner)
    )
    commit = family.origin.write_commit(tree, "main")
    with suppress(StepFailedError):
        exported(family.mirror(), commit, tmp_path / "out")
    assert not list((tmp_path / "outside/lib").iterdir())


@pytest.mark.parametrize("path", ["link", "link/lib", "in/link/lib", "../outside"])
def test_the_directory_of_a_submodule_lies_behind_no_link(tmp_path: Path, path: str) -> None:
    folder, outside = tmp_path / "release", tmp_path / "outside"
    (outside / "lib").mkdir(parents=True)
    (folder / "in").mkdir(parents=True)
    (folder / "link").symlink_to(outside)
    (folder / "in/link").symlink_to(outside)
    with pytest.raises(StepFailedError, match="leads out of the release"):
        directory_in(folder, path)
    assert directory_in(folder, "in/lib") == folder / "in/lib"


@pytest.mark.parametrize("umask", [0o077, 0o027, 0o002])
def test_a_release_has_the_modes_of_a_checkout_whatever_the_umask(
    family: Family, tmp_path: Path, umask: int
) -> None:
    family.origin.add_submodule("vendor/lib", "../library", family.first)
    commit = family.origin.commit_staged()
    before = os.umask(umask)
    try:
        exported(family.mirror(), commit, tmp_path / "out")
    finally:
        os.umask(before)
    modes = {
        str(path.relative_to(tmp_path / "out")): path.stat().st_mode & 0o777
        for path in (tmp_path / "out").rglob("*")
    }
    assert modes == {".gitmodules": 0o644, "vendor": 0o755, "vendor/lib": 0o755, "vendor/lib/version": 0o644}


def test_a_link_in_place_of_gitmodules_is_not_followed(family: Family, tmp_path: Path) -> None:
    (tmp_path / "said").write_text('[submodule "x"]\n\tpath = lib\n\turl = ../library\n')
    link = family.origin.write("blob", f"{tmp_path}/said".encode())
    tree = family.origin.write_tree(("120000", ".gitmodules", link), ("160000", "lib", family.first))
    with pytest.raises(StepFailedError, match="invalid path"):
        exported(family.mirror(), family.origin.write_commit(tree, "main"), tmp_path / "out")


def test_included_configuration_counts_for_nothing(family: Family, tmp_path: Path) -> None:
    (tmp_path / "said").write_text('[submodule "x"]\n\tpath = lib\n\turl = ../library\n')
    family.origin.git("update-index", "--add", "--cacheinfo", f"160000,{family.first},lib")
    (family.origin.path / ".gitmodules").write_text(f"[include]\n\tpath = {tmp_path}/said\n")
    family.origin.git("add", ".gitmodules")
    with pytest.raises(StepFailedError, match=r"has no address in `.gitmodules`"):
        exported(family.mirror(), family.origin.commit_staged(), tmp_path / "out")


@as_root
def test_a_submodule_of_another_user_is_fetched(family: Family, tmp_path: Path) -> None:
    family.origin.add_submodule("lib", "../library", family.first)
    commit = family.origin.commit_staged()
    subprocess.run(["chown", "-R", "12345", family.library.path], check=True)
    assert exported(family.mirror(), commit, tmp_path / "out")["lib/version"] == "1"


def test_a_path_that_begins_with_a_dash_is_a_path(family: Family, tmp_path: Path) -> None:
    family.origin.add_submodule("--output=x", "../library", family.first)
    found = exported(family.mirror(), family.origin.commit_staged(), tmp_path / "out")
    assert found["--output=x/version"] == "1"


class InPlace:
    """A clone that is deployed in place."""

    def __init__(self, family: Family, folder: Path) -> None:
        family.origin.add_submodule("lib", "../library", family.first)
        self.first = family.origin.commit_staged()
        self.mirror = family.mirror()
        self.path = folder / "app"
        self.options = ["git", "-c", "protocol.file.allow=always", "clone", "-q"]
        self.origin = family.origin.path

    def clone(self, *options: str) -> ClonedWorkspace:
        subprocess.run([*self.options, *options, str(self.origin), str(self.path)], check=True)
        return ClonedWorkspace(Clone(self.path, self.mirror), self.mirror, SharedFiles(self.path, ()))

    def deploy(self, workspace: ClonedWorkspace, commit: str) -> None:
        self.mirror.fetch()
        workspace.activate(workspace.prepare("", commit, self.mirror), "d1")

    def version(self) -> str:
        return (self.path / "lib/version").read_text()


@pytest.mark.parametrize("options", [["--recurse-submodules"], []])
def test_in_place_submodules_follow(family: Family, tmp_path: Path, options: list[str]) -> None:
    place = InPlace(family, tmp_path)
    workspace = place.clone(*options)
    family.origin.add_submodule("lib", "../library", family.library.commit(version="2"))
    second = family.origin.commit_staged()
    for commit, version in ((second, "2"), (place.first, "1"), (second, "2")):
        place.deploy(workspace, commit)
        assert place.version() == version
    assert not workspace._clone.modified_files()
    status = ["git", "-C", str(place.path), "status", "--porcelain"]
    assert not subprocess.run(status, check=True, capture_output=True).stdout


def test_in_place_a_submodule_that_cannot_be_had_is_told_before_anything_changes(
    family: Family, tmp_path: Path
) -> None:
    place = InPlace(family, tmp_path)
    workspace = place.clone("--recurse-submodules")
    family.origin.add_submodule("other", "../nowhere", family.first)
    commit = family.origin.commit_staged()
    with pytest.raises(StepFailedError, match="the submodule other cannot be had"):
        place.deploy(workspace, commit)
    assert workspace.current() == place.first


def test_in_place_a_submodule_in_a_submodule_follows(family: Family, tmp_path: Path) -> None:
    place = InPlace(family, tmp_path)
    workspace = place.clone("--recurse-submodules")
    inner = family.repository("inner")
    family.library.add_submodule("deep/inner", "../inner", inner.commit(a="1"))
    family.origin.add_submodule("lib", "../library", family.library.commit_staged())
    place.deploy(workspace, family.origin.commit_staged())
    assert (place.path / "lib/deep/inner/a").read_text() == "1"
