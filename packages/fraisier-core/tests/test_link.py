import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fraisier_core.engine.link import Link
from fraisier_core.engine.releases import Releases
from fraisier_core.errors import AppPathRefusedError, StepFailedError
from fraisier_core.release import Release

from tests.users import as_root

COMMIT = "a" * 40


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path / "state/releases/api")


@pytest.fixture
def link(tmp_path: Path, releases: Releases) -> Link:
    return Link(tmp_path / "www/api", releases.root)


def create(releases: Releases, *names: str) -> list[Release]:
    return [releases.create(name, COMMIT, lambda directory: (directory / "app.py").touch()) for name in names]


def names(directory: Path) -> set[str]:
    return {entry.name for entry in directory.iterdir()}


def test_activating_switches_the_link_and_current_names_it(link: Link, releases: Releases) -> None:
    one, two = create(releases, "one", "two")
    assert link.current() is None
    link.activate(one)
    assert link.current() == "one"
    link.activate(two)
    assert link.current() == "two"
    assert (link.path / "app.py").samefile(two.path / "app.py")
    link.activate(one)
    assert link.current() == "one"
    assert names(link.path.parent) == {"api"}


def test_the_link_is_removed_alone(link: Link, releases: Releases) -> None:
    (one,) = create(releases, "one")
    link.remove()
    link.activate(one)
    link.remove()
    assert not os.path.lexists(link.path)
    assert one.path.is_dir()


def test_the_disk_decides_how_to_deploy(link: Link, releases: Releases) -> None:
    assert not link.is_clone()
    link.activate(*create(releases, "one"))
    assert not link.is_clone()
    (releases.root / "one").rename(releases.root / "gone")
    assert not link.is_clone()
    link.remove()
    subprocess.run(["git", "init", "-q", link.path], check=True)
    assert link.is_clone()


@pytest.mark.parametrize(
    ("kind", "message"), [("directory", "is a directory"), ("file", "is a file"), ("link", "is a link to /")]
)
def test_what_fraisier_did_not_make_is_never_replaced(
    link: Link, releases: Releases, kind: str, message: str
) -> None:
    link.path.parent.mkdir(parents=True)
    if kind == "directory":
        link.path.mkdir()
    elif kind == "file":
        link.path.write_text("precious")
    else:
        link.path.symlink_to("/")
    with pytest.raises(AppPathRefusedError, match=message):
        link.is_clone()
    (one,) = create(releases, "one")
    with pytest.raises(AppPathRefusedError, match=message):
        link.activate(one)
    link.remove()
    assert os.path.lexists(link.path)


def test_a_folder_that_everyone_may_write_to_is_no_place_for_the_link(link: Link, releases: Releases) -> None:
    link.path.parent.mkdir(parents=True)
    link.path.parent.chmod(0o777)
    with pytest.raises(AppPathRefusedError, match="chmod o-w"):
        link.is_clone()
    link.path.parent.chmod(0o1777)
    link.is_clone()


@as_root
def test_what_another_user_made_is_not_deployed_to(link: Link, releases: Releases) -> None:
    subprocess.run(["git", "init", "--quiet", link.path], check=True)
    assert link.is_clone()
    os.chown(link.path / ".git", 65534, 65534)
    with pytest.raises(AppPathRefusedError, match="belongs to user 65534"):
        link.is_clone()


def test_a_file_where_the_folder_of_the_link_should_be_is_refused(link: Link, releases: Releases) -> None:
    link.path.parent.write_text("")
    with pytest.raises(AppPathRefusedError, match="is not writable"):
        link.is_clone()
    with pytest.raises(StepFailedError, match="cannot be written"):
        link.activate(*create(releases, "one"))


def test_sweeping_removes_our_temporary_links_and_nothing_else(
    link: Link, releases: Releases, tmp_path: Path
) -> None:
    (one,) = create(releases, "one")
    link.sweep()
    link.activate(one)
    ours, theirs = (link.path.with_name(f".api.tmp-{suffix}") for suffix in ("12", "34"))
    ours.symlink_to(one.path)
    theirs.symlink_to(tmp_path)
    link.sweep()
    assert names(link.path.parent) == {"api", theirs.name}
    assert link.current() == "one"


SCRIPT = """
import sys
from pathlib import Path
from fraisier_core.engine.link import Link
from fraisier_core.engine.releases import Releases
releases = Releases(Path(sys.argv[1]))
release = releases.create("new", "b" * 40, lambda folder: (folder / "new.py").write_text(""))
Link(Path(sys.argv[2]), releases.root).activate(release)
"""


@pytest.mark.parametrize(
    ("point", "serving", "complete"),
    [("after_export", "old", False), ("before_swap", "old", True), ("after_swap", "new", True)],
)
def test_a_kill_at_any_point_leaves_a_complete_release_serving(
    link: Link, releases: Releases, point: str, serving: str, complete: bool
) -> None:
    link.activate(*create(releases, "old"))
    argv = [sys.executable, "-c", SCRIPT, str(releases.root), str(link.path)]
    done = subprocess.run(argv, env={**os.environ, "FRAISIER_FAILPOINT": f"{point}:kill"}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert link.current() == serving
    releases.sweep()
    link.sweep()
    assert link.path.resolve().is_dir()
    assert (releases.get("new") is not None) == complete
    assert names(link.path.parent) == {"api"}
    assert not [name for name in names(releases.root) if name.startswith(".tmp-")]
