"""The locks fit what the packages declare, and name no place that a package comes from."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.environments import APPLICATION_LOCK, LOCK, ROOT, package_names

LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
OURS = set(package_names())
# What hatchling adds to an editable build, what the pages install, and what tests download wheels with.
ADDED = {LOCK: ("editables", "pip"), APPLICATION_LOCK: ("editables", "pytest")}

every_lock = pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)


def pins(lock: Path) -> dict[str, str]:
    """Return the version of each package that a lock names."""
    found = re.findall(r"^([a-z0-9.-]+)==(\S+)", lock.read_text(), re.MULTILINE)
    return dict(found)


def read(path: str) -> Any:
    return tomllib.loads((ROOT / path).read_text())


def declared() -> Iterator[str]:
    """Yield what our packages need to be built and to run, with each extra."""
    for name in package_names():
        file = read(f"packages/{name}/pyproject.toml")
        yield from file["build-system"]["requires"]
        yield from file["project"]["dependencies"]
        for extra in file["project"].get("optional-dependencies", {}).values():
            yield from extra


def of_development() -> Iterator[str]:
    """Yield what the environments of hatch need beside our packages."""
    for environment in read("hatch.toml")["envs"].values():
        yield from environment["dependencies"]


def others(requirements: set[str]) -> list[Requirement]:
    """Return the requirements that are not of our packages."""
    parsed = map(Requirement, sorted(requirements))
    return [each for each in parsed if canonicalize_name(each.name) not in OURS]


def unfit(requirements: set[str], locked: dict[str, str]) -> list[str]:
    """Return the requirements of others that a lock does not meet."""
    return [
        str(each)
        for each in others(requirements)
        if (found := locked.get(canonicalize_name(each.name))) is None or not each.specifier.contains(found)
    ]


@pytest.mark.parametrize(
    ("lock", "needed"),
    [
        (LOCK, {*declared(), *of_development(), *ADDED[LOCK]}),
        (APPLICATION_LOCK, {*declared(), *ADDED[APPLICATION_LOCK]}),
        (ROOT / "requirements/tools.txt", {"hatch", "uv"}),
    ],
    ids=["development", "application", "tools"],
)
def test_a_lock_fits_what_is_declared(lock: Path, needed: set[str]) -> None:
    assert unfit(needed, pins(lock)) == [], "run script/lock"


def test_what_does_not_fit_is_found() -> None:
    needed = {"pluggy>=1.5", "fraisier-core==1.0.0", "Types_PyYAML"}
    assert unfit(needed, {"pluggy": "1.4"}) == ["Types_PyYAML", "pluggy>=1.5"]
    assert unfit(needed, {"pluggy": "1.5", "types-pyyaml": "6"}) == []


def test_the_lowest_versions_are_those_that_are_declared() -> None:
    locked = pins(ROOT / "requirements/lowest.txt")
    bounds: dict[str, list[Version]] = {}
    for each in others(set(declared())):
        (lowest,) = [Version(bound.version) for bound in each.specifier if bound.operator == ">="]
        bounds.setdefault(canonicalize_name(each.name), []).append(lowest)
    assert {name: Version(locked[name]) for name in bounds} == {n: max(each) for n, each in bounds.items()}


@every_lock
def test_every_version_is_pinned_with_a_hash(lock: Path) -> None:
    entries = re.split(r"(?<!\\)\n", lock.read_text().strip())
    entry = re.compile(r"[a-z0-9.-]+==[^\s;]+( ; [^\\]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+")
    assert [each for each in entries if not each.startswith("#") and not entry.fullmatch(each)] == []


@every_lock
def test_a_lock_names_no_place(lock: Path) -> None:
    assert "/" not in re.sub("script/lock", "", lock.read_text())


def test_the_application_is_locked_alike_wherever_it_is_installed() -> None:
    assert pins(APPLICATION_LOCK).items() <= pins(LOCK).items()
