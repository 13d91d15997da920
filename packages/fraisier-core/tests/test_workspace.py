import threading
from pathlib import Path

import pytest
from fraisier_core.engine.shared import SharedFiles
from fraisier_core.engine.workspace import ClonedWorkspace, ReleasesWorkspace, Workspace, open_workspace
from fraisier_core.errors import StepFailedError
from fraisier_core.git.mirrors import Mirror
from fraisier_core.testing.forge import Forge

NOTHING_SHARED = SharedFiles(Path("/nowhere"), ())

pytest_plugins = ["fraisier_core.testing.forge"]


@pytest.fixture
def mirror(tmp_path: Path, forge: Forge) -> Mirror:
    return Mirror.in_folder(tmp_path / "mirrors", forge.url, threading.Event())


@pytest.fixture
def commits(forge: Forge, mirror: Mirror) -> list[str]:
    found = [forge.push_files({"page": name}) for name in ("one", "two")]
    mirror.fetch()
    return found


def opened(tmp_path: Path, mirror: Mirror) -> Workspace:
    return open_workspace(tmp_path / "releases", tmp_path / "app", mirror, NOTHING_SHARED)


def cloned(tmp_path: Path, forge: Forge, mirror: Mirror) -> Workspace:
    forge.git("clone", "--quiet", forge.url, str(tmp_path / "app"))
    return opened(tmp_path, mirror)


def test_an_absent_app_path_will_be_a_link_to_releases(
    tmp_path: Path, mirror: Mirror, commits: list[str]
) -> None:
    workspace = opened(tmp_path, mirror)
    assert isinstance(workspace, ReleasesWorkspace)
    assert not workspace.in_place
    one, two = (workspace.prepare(f"r{commit[:4]}", commit, mirror) for commit in commits)
    assert workspace.current() is None
    workspace.activate(two, "d1")
    assert (workspace.current(), (tmp_path / "app/page").read_text()) == (two.name, "two")
    workspace.activate(one, "d1")
    assert (tmp_path / "app/page").read_text() == "one"
    assert workspace.get(two.name) == two
    assert workspace.get("another") is None
    workspace.withdraw()
    assert workspace.current() is None
    assert not (tmp_path / "app").is_symlink()


def test_the_active_release_is_never_set_aside(tmp_path: Path, mirror: Mirror, commits: list[str]) -> None:
    workspace = opened(tmp_path, mirror)
    one, two = (workspace.prepare(f"r{commit[:4]}", commit, mirror) for commit in commits)
    workspace.activate(one, "d1")
    workspace.tidy(0, [], set())
    assert (workspace.get(one.name), workspace.get(two.name)) == (one, None)


def test_without_app_path_nothing_is_switched(tmp_path: Path, mirror: Mirror, commits: list[str]) -> None:
    workspace = open_workspace(tmp_path / "releases", None, mirror, NOTHING_SHARED)
    release = workspace.prepare("r1", commits[0], mirror)
    workspace.activate(release, "d1")
    workspace.withdraw()
    assert (workspace.current(), workspace.get("r1")) == (None, release)
    assert {entry.name for entry in (tmp_path / "releases").iterdir()} == {"r1", ".commit-r1"}


def test_preparing_sweeps_what_an_interrupted_deployment_left(
    tmp_path: Path, mirror: Mirror, commits: list[str]
) -> None:
    (tmp_path / "releases/.tmp-half").mkdir(parents=True)
    opened(tmp_path, mirror).prepare("r1", commits[0], mirror)
    assert not (tmp_path / "releases/.tmp-half").exists()


def test_a_clone_is_worked_on_in_place(
    tmp_path: Path, forge: Forge, mirror: Mirror, commits: list[str]
) -> None:
    workspace = cloned(tmp_path, forge, mirror)
    assert isinstance(workspace, ClonedWorkspace)
    assert workspace.in_place
    assert workspace.current() == commits[1]
    release = workspace.prepare("ignored", commits[0], mirror)
    assert (release.name, release.path) == (commits[0], tmp_path / "app")
    assert (tmp_path / "app/page").read_text() == "two"
    workspace.activate(release, "d1")
    assert (workspace.current(), (tmp_path / "app/page").read_text()) == (commits[0], "one")
    workspace.withdraw()
    workspace.tidy(1, [], set())
    assert workspace.current() == commits[0]


def test_a_clone_with_changes_of_somebodys_own_is_not_touched(
    tmp_path: Path, forge: Forge, mirror: Mirror, commits: list[str]
) -> None:
    workspace = cloned(tmp_path, forge, mirror)
    (tmp_path / "app/page").write_text("changed by hand")
    with pytest.raises(StepFailedError, match=r"deploying would lose \(page\): commit or discard"):
        workspace.prepare("ignored", commits[0], mirror)
    assert (tmp_path / "app/page").read_text() == "changed by hand"
