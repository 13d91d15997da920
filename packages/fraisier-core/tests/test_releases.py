import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fraisier_core.engine.releases import DeploymentMode, Releases
from fraisier_core.errors import AppPathRefusedError, StepFailedError
from fraisier_core.release import Release

COMMIT = "a" * 40


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path / "state/releases/api", tmp_path / "www/api")


def fill(directory: Path) -> None:
    (directory / "app.py").write_text("print('hello')\n")


def create(releases: Releases, *names: str) -> list[Release]:
    return [releases.create(name, COMMIT, fill) for name in names]


def names(directory: Path) -> set[str]:
    return {entry.name for entry in directory.iterdir()}


def test_a_release_is_complete_readable_and_known_by_its_name(releases: Releases) -> None:
    (release,) = create(releases, "one")
    assert (release.path / "app.py").read_text() == "print('hello')\n"
    assert release.path.stat().st_mode & 0o777 == 0o755
    assert releases.get("one") == release == Release("one", releases.root / "one", COMMIT)
    assert releases.get("two") is None


def test_while_it_is_filled_no_other_user_can_look_inside(releases: Releases) -> None:
    modes = []
    releases.create("one", COMMIT, lambda directory: modes.append(directory.stat().st_mode & 0o777))
    assert modes == [0o700]


def test_a_release_that_cannot_be_filled_leaves_nothing(releases: Releases) -> None:
    def fail(directory: Path) -> None:
        fill(directory)
        raise PermissionError(13, "Permission denied", "app.py")

    with pytest.raises(StepFailedError, match=r"release one cannot be written: .*Permission denied"):
        releases.create("one", COMMIT, fail)
    assert names(releases.root) == set()


@pytest.mark.parametrize("taken", ["one", ".tmp-one"])
def test_a_name_that_is_taken_is_refused(releases: Releases, tmp_path: Path, taken: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    releases.root.mkdir(parents=True)
    for place in ("link", "directory"):
        path = releases.root / taken
        path.symlink_to(elsewhere) if place == "link" else path.mkdir()
        with pytest.raises(AppPathRefusedError, match="in the way"):
            create(releases, "one")
        path.unlink() if place == "link" else path.rmdir()
    assert names(elsewhere) == set()


@pytest.mark.parametrize("name", ["../x", "", ".hidden", "a/b", "-x", "current", "a\n"])
def test_a_name_that_leads_elsewhere_is_refused(releases: Releases, name: str) -> None:
    with pytest.raises(AppPathRefusedError, match="invalid release name"):
        create(releases, name)


def test_activating_switches_the_link_and_current_names_it(releases: Releases) -> None:
    one, two = create(releases, "one", "two")
    assert releases.current() is None
    releases.activate(one)
    assert releases.current() == "one"
    releases.activate(two)
    assert releases.current() == "two"
    assert (releases.link / "app.py").samefile(two.path / "app.py")
    releases.activate(one)
    assert releases.current() == "one"
    assert names(releases.link.parent) == {"api"}


def test_deactivating_removes_the_link_alone(releases: Releases) -> None:
    (one,) = create(releases, "one")
    releases.deactivate()
    releases.activate(one)
    releases.deactivate()
    assert not os.path.lexists(releases.link)
    assert one.path.is_dir()


def test_without_an_app_path_the_link_lies_beside_the_releases(tmp_path: Path) -> None:
    releases = Releases(tmp_path / "releases", None)
    assert releases.deployment_mode() is DeploymentMode.RELEASES
    (one,) = create(releases, "one")
    releases.activate(one)
    assert (tmp_path / "releases/current").resolve() == one.path
    assert releases.prune(0, set(), ["one"]) == []


def test_the_disk_decides_how_to_deploy(releases: Releases) -> None:
    assert releases.deployment_mode() is DeploymentMode.RELEASES
    releases.activate(*create(releases, "one"))
    assert releases.deployment_mode() is DeploymentMode.RELEASES
    (releases.root / "one").rename(releases.root / "gone")
    assert releases.deployment_mode() is DeploymentMode.RELEASES
    releases.deactivate()
    subprocess.run(["git", "init", "-q", releases.link], check=True)
    assert releases.deployment_mode() is DeploymentMode.IN_PLACE


@pytest.mark.parametrize(
    ("kind", "message"), [("directory", "is a directory"), ("file", "is a file"), ("link", "is a link to /")]
)
def test_what_fraisier_did_not_make_is_never_replaced(releases: Releases, kind: str, message: str) -> None:
    releases.link.parent.mkdir(parents=True)
    if kind == "directory":
        releases.link.mkdir()
    elif kind == "file":
        releases.link.write_text("precious")
    else:
        releases.link.symlink_to("/")
    with pytest.raises(AppPathRefusedError, match=message):
        releases.deployment_mode()
    (one,) = create(releases, "one")
    with pytest.raises(AppPathRefusedError, match=message):
        releases.activate(one)
    releases.deactivate()
    assert os.path.lexists(releases.link)


def test_a_folder_that_everyone_may_write_to_is_no_place_for_the_link(releases: Releases) -> None:
    releases.link.parent.mkdir(parents=True)
    releases.link.parent.chmod(0o777)
    with pytest.raises(AppPathRefusedError, match="chmod o-w"):
        releases.deployment_mode()
    releases.link.parent.chmod(0o1777)
    releases.deployment_mode()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make what belongs to another user")
def test_what_another_user_made_is_not_deployed_to(releases: Releases) -> None:
    subprocess.run(["git", "init", "--quiet", releases.link], check=True)
    assert releases.deployment_mode() is DeploymentMode.IN_PLACE
    os.chown(releases.link / ".git", 65534, 65534)
    with pytest.raises(AppPathRefusedError, match="belongs to user 65534"):
        releases.deployment_mode()


def test_a_file_where_the_folder_of_the_link_should_be_is_refused(releases: Releases) -> None:
    releases.link.parent.write_text("")
    with pytest.raises(AppPathRefusedError, match="is not writable"):
        releases.deployment_mode()
    with pytest.raises(StepFailedError, match="cannot be written"):
        releases.activate(*create(releases, "one"))


def test_sweeping_removes_what_was_interrupted_and_nothing_else(releases: Releases, tmp_path: Path) -> None:
    (one,) = create(releases, "one")
    releases.activate(one)
    for leftover in (".tmp-two", ".trash-zero-12"):
        (releases.root / leftover).mkdir(mode=0o500)
    (releases.root / ".commit-two").write_text(COMMIT)
    ours, theirs = (releases.link.with_name(f".api.tmp-{suffix}") for suffix in ("12", "34"))
    ours.symlink_to(one.path)
    theirs.symlink_to(tmp_path)
    releases.sweep()
    assert names(releases.root) == {"one", ".commit-one"}
    assert names(releases.link.parent) == {"api", theirs.name}
    assert releases.current() == "one"


def test_sweeping_before_the_first_deployment_does_nothing(releases: Releases) -> None:
    releases.sweep()


def test_pruning_keeps_the_newest_the_protected_and_the_current(releases: Releases) -> None:
    made = create(releases, "a", "b", "c", "d", "e", "unlisted")
    releases.activate(made[0])
    assert sorted(releases.prune(1, {"b"}, ["e", "d", "c", "b", "a"])) == ["c", "d", "unlisted"]
    assert releases.get("c") is None
    releases.empty_trash()
    assert names(releases.root) == {"a", "b", "e", ".commit-a", ".commit-b", ".commit-e"}


def test_a_read_only_tree_is_pruned_too(releases: Releases) -> None:
    def fill_cache(directory: Path) -> None:
        (directory / "cache").mkdir()
        (directory / "cache/module").write_text("")
        (directory / "cache").chmod(0o500)

    releases.create("old", COMMIT, fill_cache)
    releases.prune(0, set(), ["old"])
    releases.empty_trash()
    assert names(releases.root) == set()


SCRIPT = """
import sys
from pathlib import Path
from fraisier_core.engine.releases import Releases
releases = Releases(Path(sys.argv[1]), Path(sys.argv[2]))
releases.activate(releases.create("new", "b" * 40, lambda folder: (folder / "new.py").write_text("")))
"""


@pytest.mark.parametrize(
    ("point", "serving", "complete"),
    [("after_checkout", "old", False), ("before_swap", "old", True), ("after_swap", "new", True)],
)
def test_a_kill_at_any_point_leaves_a_complete_release_serving(
    releases: Releases, point: str, serving: str, complete: bool
) -> None:
    releases.activate(*create(releases, "old"))
    argv = [sys.executable, "-c", SCRIPT, str(releases.root), str(releases.link)]
    done = subprocess.run(argv, env={**os.environ, "FRAISIER_FAILPOINT": f"{point}:kill"}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert releases.current() == serving
    releases.sweep()
    assert releases.link.resolve().is_dir()
    assert (releases.get("new") is not None) == complete
    assert names(releases.link.parent) == {"api"}
    assert not [name for name in names(releases.root) if name.startswith((".tmp-", ".trash-"))]
