import shutil
import socketserver
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from fraisier_core.engine.shared import SharedFiles
from fraisier_core.engine.workspace import ClonedWorkspace
from fraisier_core.errors import GitUnreachableError, StepFailedError
from fraisier_core.git.clones import Clone
from fraisier_core.git.contents import Contents
from fraisier_core.git.filters import Lfs
from fraisier_core.git.local import LocalRepository
from fraisier_core.git.remotes import Remote
from fraisier_core.git.trees import Tree
from fraisier_core.testing.serving_threads import serving_in_thread

from tests.origins import Origin, mirror_of

needs_lfs = pytest.mark.skipif(shutil.which("git-lfs") is None, reason="git-lfs is not installed")
LARGE = {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "large.bin": "large\n" * 500}


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    (tmp_path / "git").mkdir()
    return Origin(tmp_path / "git/api")


def use_lfs(origin: Origin) -> None:
    """Have a repository keep large files in Git LFS, as `git lfs install` does."""
    for key, value in (
        ("clean", "git-lfs clean -- %f"),
        ("smudge", "git-lfs smudge -- %f"),
        ("required", "true"),
    ):
        origin.git("config", f"filter.lfs.{key}", value)


def exported(origin: Origin, commit: str, tmp_path: Path, contents: Contents | None = None) -> Path:
    mirror = mirror_of(str(origin.path), tmp_path, contents=contents or Contents())
    mirror.fetch()
    into = tmp_path / "out"
    shutil.rmtree(into, ignore_errors=True)
    mirror.export(commit, into)
    return into


@needs_lfs
def test_a_release_holds_the_files_that_are_in_lfs(origin: Origin, tmp_path: Path) -> None:
    use_lfs(origin)
    commit = origin.commit(**LARGE)
    assert origin.git("show", f"{commit}:large.bin").startswith("version https://git-lfs")
    out = exported(origin, commit, tmp_path)
    assert (out / "large.bin").read_text() == LARGE["large.bin"]
    assert sorted(entry.name for entry in out.iterdir()) == [".gitattributes", "large.bin"]
    assert not list(tmp_path.glob("*.index"))


@needs_lfs
def test_a_submodule_has_files_in_lfs_of_its_own(origin: Origin, tmp_path: Path) -> None:
    library = Origin(tmp_path / "git/library")
    use_lfs(library)
    origin.add_submodule("lib", "../library", library.commit(**LARGE))
    out = exported(origin, origin.commit_staged(), tmp_path)
    assert (out / "lib/large.bin").read_text() == LARGE["large.bin"]


@needs_lfs
def test_in_place_files_in_lfs_follow(origin: Origin, tmp_path: Path) -> None:
    use_lfs(origin)
    first = origin.commit(**LARGE)
    subprocess.run(["git", "clone", "-q", str(origin.path), tmp_path / "app"], check=True)
    second = origin.commit(**{"large.bin": "another\n"})
    mirror = mirror_of(str(origin.path), tmp_path)
    workspace = ClonedWorkspace(Clone(tmp_path / "app", mirror), mirror, SharedFiles(tmp_path, ()))
    for commit, text in ((second, "another\n"), (first, LARGE["large.bin"]), (second, "another\n")):
        mirror.fetch()
        assert not workspace.activate(workspace.prepare("", commit, mirror), "d1")
        assert (tmp_path / "app/large.bin").read_text() == text


class Elsewhere(socketserver.BaseRequestHandler):
    """Notes that it was asked."""

    asked: ClassVar[list[bytes]] = []

    def handle(self) -> None:
        self.asked.append(self.request.recv(4096))


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """Return an address for Git LFS that nothing may ask."""
    Elsewhere.asked.clear()
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Elsewhere)
    with serving_in_thread(server):
        yield f"http://127.0.0.1:{server.server_address[1]}/evil"


def with_lfs_elsewhere(origin: Origin, tmp_path: Path, url: str, key: str = "lfs.url") -> str:
    """Clone a repository, and return a newer commit of it, whose files in Git LFS are elsewhere."""
    origin.commit(version="1")
    subprocess.run(["git", "clone", "-q", str(origin.path), tmp_path / "app"], check=True)
    use_lfs(origin)
    origin.git("config", "--file", ".lfsconfig", key, url)
    return origin.commit(**LARGE)


@needs_lfs
@pytest.mark.parametrize("key", ["lfs.url", "remote.origin.lfsurl"])
@pytest.mark.parametrize("contents", [Contents(lfs=False), Contents(ignore_filters=frozenset({"lfs"}))])
def test_in_place_nothing_is_downloaded_if_files_in_lfs_are_not_wanted(
    origin: Origin, tmp_path: Path, elsewhere: str, contents: Contents, key: str
) -> None:
    commit = with_lfs_elsewhere(origin, tmp_path, elsewhere, key)
    mirror = mirror_of(str(origin.path), tmp_path, contents=contents)
    mirror.fetch()
    clone = Clone(tmp_path / "app", mirror)
    workspace = ClonedWorkspace(clone, mirror, SharedFiles(tmp_path, ()))
    workspace.activate(workspace.prepare("", commit, mirror), "d1")
    workspace.leave("d1")
    assert (tmp_path / "app/large.bin").read_text().startswith("version https://git-lfs")
    assert not clone.modified_files()
    assert not Elsewhere.asked


@needs_lfs
def test_in_place_a_file_in_lfs_that_the_mirror_lacks_is_had_from_nowhere_else(
    origin: Origin, tmp_path: Path, elsewhere: str
) -> None:
    commit = with_lfs_elsewhere(origin, tmp_path, elsewhere)
    mirror = mirror_of(str(origin.path), tmp_path)
    mirror.fetch()
    with pytest.raises(StepFailedError, match=r"cannot be brought to .*large\.bin"):
        Clone(tmp_path / "app", mirror).checkout(commit, mirror, "d1")
    assert not Elsewhere.asked


@needs_lfs
def test_a_file_that_lfs_does_not_have_is_told(origin: Origin, tmp_path: Path) -> None:
    use_lfs(origin)
    commit = origin.commit(**LARGE)
    shutil.rmtree(origin.path / ".git/lfs")
    with pytest.raises(GitUnreachableError, match=r"the repository: its Git LFS lacks a file"):
        exported(origin, commit, tmp_path)


@needs_lfs
def test_the_repository_may_leave_files_in_lfs_out(origin: Origin, tmp_path: Path) -> None:
    use_lfs(origin)
    said = {".lfsconfig": "[lfs]\n\tfetchexclude = large.bin\n", "small.bin": "small\n"}
    out = exported(origin, origin.commit(**LARGE, **said), tmp_path)
    assert (out / "large.bin").read_text().startswith("version https://git-lfs")
    assert (out / "small.bin").read_text() == "small\n"


def test_without_git_lfs_the_deployment_says_what_to_install(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = origin.commit(**LARGE)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").symlink_to(shutil.which("git") or "git")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(
        StepFailedError, match=r"large\.bin is in Git LFS.*install the package git-lfs.*`lfs: false`"
    ):
        exported(origin, commit, tmp_path)
    out = exported(origin, commit, tmp_path, Contents(lfs=False))
    assert (out / "large.bin").read_text() == LARGE["large.bin"]  # as it was committed


@pytest.mark.parametrize(
    ("attributes", "files"),
    [
        ("*.secret filter=git-crypt diff=git-crypt\n", {"a.secret": "x"}),
        ("[attr]hidden filter=vault\n*.key hidden\n", {"deep/b.key": "x"}),
        ("* filter=evil\n.gitattributes !filter\n", {"c": "x"}),
    ],
)
def test_another_filter_is_refused_with_the_setting_that_ignores_it(
    origin: Origin, tmp_path: Path, attributes: str, files: dict[str, str]
) -> None:
    name = attributes.partition("filter=")[2].split()[0]
    origin.git("config", f"filter.{name}.smudge", f"touch {tmp_path}/ran")
    commit = origin.commit(**{".gitattributes": attributes}, **files)
    (path,) = files
    with pytest.raises(StepFailedError, match=rf"sets filter={name} for {path}: .*`ignore_filters:`"):
        exported(origin, commit, tmp_path)
    out = exported(origin, commit, tmp_path, Contents(ignore_filters=frozenset({name})))
    assert (out / path).read_text() == "x"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "attributes", ["*.bin filter=lfs\n", "*.txt -filter\n", "*.txt filter=x\n*.txt !filter\n"]
)
def test_a_filter_for_no_file_is_none(origin: Origin, tmp_path: Path, attributes: str) -> None:
    commit = origin.commit(**{".gitattributes": attributes, "a.txt": "1"})
    assert (exported(origin, commit, tmp_path) / "a.txt").read_text() == "1"


def test_attributes_of_a_folder_count_and_those_of_this_machine_do_not(
    origin: Origin, tmp_path: Path
) -> None:
    commit = origin.commit(a="1")
    (origin.path / ".git/info/attributes").write_text("* filter=x\n")
    exported(origin, commit, tmp_path)
    commit = origin.commit(deep__a="1", **{"deep/.gitattributes": "a filter=x\n"})
    with pytest.raises(StepFailedError, match="filter=x for deep/a"):
        exported(origin, commit, tmp_path)


HOSTILE = {
    "https://lfs.example/x": r"may not choose https; allow it by `protocols: \[https\]`, or set `lfs: false`",
    "ssh://lfs.example/x": "may not choose ssh",
    "file:///etc": "outside of the folder of `repository:`",
    "{folder}/secret": "outside of the folder",
    "../../secret": "`.lfsconfig` names",
    "ext::touch ran": "`.lfsconfig` names",
    "-oProxyCommand=x": "`.lfsconfig` names",
}


@pytest.mark.parametrize("key", ["lfs.url", "remote.origin.lfsurl"])
@pytest.mark.parametrize("url", HOSTILE)
def test_lfsconfig_chooses_no_protocol_and_no_path(
    origin: Origin, tmp_path: Path, url: str, key: str
) -> None:
    origin.git("config", "--file", ".lfsconfig", key, url.format(folder=tmp_path))
    tree = Tree.of(LocalRepository(origin.path), origin.commit(**LARGE))
    remote = Remote.of(str(origin.path))
    with pytest.raises(StepFailedError, match=HOSTILE[url]):
        Lfs.of(tree, remote, remote, Contents())


@needs_lfs
def test_lfsconfig_chooses_no_command(origin: Origin, tmp_path: Path) -> None:
    use_lfs(origin)
    settings = {
        "lfs.standalonetransferagent": "evil",
        "lfs.customtransfer.evil.path": f"touch {tmp_path}/ran",
        "lfs.extension.evil.smudge": f"touch {tmp_path}/ran",
        "lfs.extension.evil.clean": f"touch {tmp_path}/ran",
        "lfs.storage": str(tmp_path / "storage"),
        "core.sshCommand": f"touch {tmp_path}/ran",
        "credential.helper": f"!touch {tmp_path}/ran",
    }
    origin.commit(**LARGE)
    for key, value in settings.items():
        origin.git("config", "--file", ".lfsconfig", key, value)
    origin.git("add", ".lfsconfig")
    out = exported(origin, origin.commit_staged(), tmp_path)
    assert (out / "large.bin").read_text() == LARGE["large.bin"]
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "storage").exists()
