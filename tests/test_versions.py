"""The packages are released together: their versions agree, and each takes its siblings in that version."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from tests.environments import ROOT, package_names

PACKAGES = package_names()


def project(package: str) -> Any:
    return tomllib.loads((ROOT / "packages" / package / "pyproject.toml").read_text())["project"]


def test_all_versions_are_the_same() -> None:
    assert len({project(package)["version"] for package in PACKAGES}) == 1


def test_the_changelog_begins_with_that_version() -> None:
    """What is not released yet stands before it."""
    changes = (ROOT / "CHANGELOG.md").read_text().replace("## Unreleased\n", "")
    heading = re.search(r"^## (\S+)", changes, re.MULTILINE)
    assert heading is not None
    assert heading[1] == project("fraisier")["version"]


@pytest.mark.parametrize("package", PACKAGES)
def test_siblings_are_pinned_to_the_same_version(package: str) -> None:
    found = project(package)
    extras = [each for extra in found.get("optional-dependencies", {}).values() for each in extra]
    ours = [each for each in (*found["dependencies"], *extras) if each.startswith("fraisier-")]
    assert all(each.endswith(f"=={found['version']}") for each in ours)
    assert package == "fraisier-core" or ours


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_carries_the_licence(package: str) -> None:
    assert (ROOT / "packages" / package / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert project(package)["license-files"] == ["LICENSE"]


def providers() -> set[str]:
    return {
        package.removeprefix("fraisier-")
        for package in PACKAGES
        if "fraisier.providers" in project(package).get("entry-points", {})
    }


def test_the_extras_offer_every_provider_under_each_of_its_names() -> None:
    extras = project("fraisier")["optional-dependencies"]
    for package in PACKAGES:
        for name in project(package).get("entry-points", {}).get("fraisier.providers", ()):
            assert extras[name] == [f"{package}=={project(package)['version']}"]
    assert extras["all"] == [f"fraisier[{','.join(sorted(set(extras) - {'all'}))}]"]


def test_every_plugin_is_tested_with_the_core_alone_and_every_provider_with_the_application() -> None:
    environments = tomllib.loads((ROOT / "hatch.toml").read_text())["envs"]
    plugins = {package.removeprefix("fraisier-") for package in PACKAGES} - {"fraisier", "core"}
    assert set(environments["solo"]["matrix"][0]["plugin"]) == plugins
    assert set(environments["served"]["matrix"][0]["plugin"]) == providers()
    for name in providers():
        assert (ROOT / f"packages/fraisier-{name}/tests/test_{name}_end_to_end.py").exists()
