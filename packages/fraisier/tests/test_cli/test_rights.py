from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from .installation import HEALTHY, Installation

BUILD = {"build.sh": "mkdir -p dist/deep && echo built > dist/deep/app.js && touch runs && chmod +x runs\n"}


@pytest.fixture(params=[0o077, 0o027, 0o007, 0o022, 0o000], ids=lambda mask: f"{mask:03o}")
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """The umask of whoever runs the command, one after another."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def closed_to_others(root: Path) -> list[Path]:
    """Return what the user of a service could not read of a release, or could write."""
    return [
        path
        for path in (root, *root.rglob("*"))
        if not path.is_symlink() and (not mode(path) & stat.S_IROTH or mode(path) & stat.S_IWOTH)
    ]


def at(installation: Installation, app_path: Path) -> None:
    where = f"branch: main\n        app_path: {app_path}"
    installation.config.write_text(installation.config.read_text().replace("branch: main", where))
    installation.folder.chmod(0o755)
    installation.config.chmod(0o644)


@pytest.mark.usefixtures("umask")
def test_a_release_can_be_read_whoever_made_it_and_the_store_cannot(installation: Installation) -> None:
    app = installation.folder / "srv/api/app"
    at(installation, app)
    installation.deploy(BUILD)
    release, state = app.resolve(), installation.folder / ".fraisier"
    above = [path for path in (*release.parents, app.parent, app.parent.parent) if path > installation.folder]
    assert [path for path in above if not mode(path) & stat.S_IXOTH] == []
    assert closed_to_others(release) == []
    assert mode(release / "runs") & 0o111 == 0o111
    assert mode(state / "mirrors") == 0o700
    assert [path for path in state.glob("*.db*") if mode(path) != 0o600] == []


@pytest.mark.usefixtures("umask")
def test_what_is_checked_out_and_built_in_place_can_be_read(installation: Installation) -> None:
    installation.forge.push_files(HEALTHY)
    app = installation.folder / "app"
    before = os.umask(0o022)
    installation.forge.git("clone", "--quiet", installation.forge.url, str(app))
    os.umask(before)
    at(installation, app)
    installation.deploy(BUILD | {"new/file": "1"})
    assert [path for name in ("new", "dist") for path in closed_to_others(app / name)] == []


def test_a_folder_that_is_there_keeps_its_mode(installation: Installation) -> None:
    state = installation.folder / ".fraisier"
    state.mkdir(mode=0o2750)
    state.chmod(0o2750)
    installation.deploy()
    assert mode(state) == 0o2750
    assert mode(state / "releases") & 0o777 == 0o755
