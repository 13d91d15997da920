from pathlib import Path

import pytest
from fraisier_core.engine.releases import Releases
from fraisier_core.errors import AppPathRefusedError, StepFailedError
from fraisier_core.release import Release

COMMIT = "a" * 40


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path / "state/releases/api")


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


@pytest.mark.parametrize("name", ["../x", "", ".hidden", "a/b", "-x", "a\n"])
def test_a_name_that_leads_elsewhere_is_refused(releases: Releases, name: str) -> None:
    with pytest.raises(AppPathRefusedError, match="invalid release name"):
        create(releases, name)


def kept(releases: Releases) -> set[str]:
    return {name for name in names(releases.root) if not name.startswith(".trash-")}


def test_sweeping_removes_what_was_interrupted_and_nothing_else(releases: Releases) -> None:
    create(releases, "one")
    for leftover in (".tmp-two", ".trash-zero-12"):
        (releases.root / leftover).mkdir(mode=0o500)
    (releases.root / ".commit-two").write_text(COMMIT)
    releases.sweep()
    assert kept(releases) == {"one", ".commit-one"}


def test_sweeping_before_the_first_deployment_does_nothing(releases: Releases) -> None:
    releases.sweep()


def test_pruning_keeps_the_newest_and_the_protected(releases: Releases) -> None:
    create(releases, "a", "b", "c", "d", "e", "unlisted")
    assert sorted(releases.prune(1, {"a", "b"}, ["e", "d", "c", "b", "a"])) == ["c", "d", "unlisted"]
    assert releases.get("c") is None
    assert kept(releases) == {"a", "b", "e", ".commit-a", ".commit-b", ".commit-e"}
