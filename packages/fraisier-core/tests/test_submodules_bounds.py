from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from fraisier_core.errors import StepFailedError
from fraisier_core.git.mirrors import Mirror
from fraisier_core.git.submodules import Submodule

from tests.origins import FACTS, Origin, mirror_of


class Nest:
    """A repository whose commits have the one before as a submodule, at several paths."""

    def __init__(self, path: Path) -> None:
        self.origin = Origin(path)
        self.innermost = self.origin.commit(version="1")

    def nested(self, levels: int, paths: list[str]) -> str:
        """Return the commit at the top of some levels, in each of which the one below is at these paths."""
        commit = self.innermost
        for level in range(levels):
            commit = self._commit(dict.fromkeys(paths, commit), f"level{level}")
        return commit

    def _commit(self, submodules: dict[str, str], branch: str) -> str:
        said = "".join(f'[submodule "{path}"]\n\tpath = {path}\n\turl = ./\n' for path in submodules)
        file = ("100644", ".gitmodules", self.origin.write("blob", said.encode()))
        links = (("160000", path, commit) for path, commit in sorted(submodules.items()))
        return self.origin.write_commit(self.origin.write_tree(file, *links), branch, FACTS)


@pytest.fixture
def nest(tmp_path: Path) -> Nest:
    return Nest(tmp_path / "git")


def fetched(nest: Nest, folder: Path, wall: float = 60) -> Mirror:
    mirror = mirror_of(str(nest.origin.path), folder, wall=wall)
    mirror.fetch()
    return mirror


@pytest.mark.parametrize(("levels", "paths"), [(30, ["a", "b"]), (21, ["only"]), (40, ["x", "y", "z"])])
def test_submodules_go_twenty_levels_deep_and_no_deeper(
    nest: Nest, tmp_path: Path, levels: int, paths: list[str]
) -> None:
    commit = nest.nested(levels, paths)
    with pytest.raises(StepFailedError, match=r"may have 20 levels of submodules.*`submodules: false`"):
        fetched(nest, tmp_path).export(commit, tmp_path / "out")


def test_submodules_at_the_greatest_depth_are_part_of_a_release(nest: Nest, tmp_path: Path) -> None:
    commit = nest.nested(20, ["d"])
    fetched(nest, tmp_path).export(commit, tmp_path / "out")
    assert (tmp_path / "out" / "/".join(["d"] * 20) / "version").read_text() == "1"


def follow(commit: str, mirror: Mirror) -> Iterator[Submodule]:
    """Yield the submodules of a commit at any depth."""
    for submodule, its_mirror in mirror.submodules(commit):
        yield submodule
        yield from follow(submodule.commit, its_mirror)


@pytest.mark.parametrize(("levels", "paths"), [(1, 1001), (2, 33), (10, 2)])
def test_a_release_has_a_thousand_submodules_and_no_more(
    nest: Nest, tmp_path: Path, levels: int, paths: int
) -> None:
    commit = nest.nested(levels, [f"s{each}" for each in range(paths)])
    mirror = fetched(nest, tmp_path)
    with pytest.raises(StepFailedError, match=r"may have 1,000 submodules.*`submodules: false`"):
        deque(islice(follow(commit, mirror), 1002), maxlen=0)
    assert next(follow(commit, mirror))


@pytest.mark.parametrize("work", ["export", "obtain_contents"])
@pytest.mark.parametrize(("levels", "paths"), [(1, 900), (8, 2), (2, 25)])
def test_all_of_a_release_is_fetched_within_one_timeout(
    nest: Nest, tmp_path: Path, levels: int, paths: int, work: str
) -> None:
    commit = nest.nested(levels, [f"s{each}" for each in range(paths)])
    fetched(nest, tmp_path)
    mirror = mirror_of(str(nest.origin.path), tmp_path, wall=0.4)
    with pytest.raises(StepFailedError, match=r"\(timeout\)"):
        mirror.export(commit, tmp_path / "out") if work == "export" else mirror.obtain_contents(commit)
