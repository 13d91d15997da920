"""The core knows no forge, no plugin and no fraise type, and imports point one way: to the core."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.environments import ROOT, package_names

CORE = ROOT / "packages/fraisier-core/src/fraisier_core"
FILES = sorted(path for path in CORE.rglob("*") if path.suffix in {".py", ".sql"})
FORGES = re.compile(r"github|gitlab|gitea|forgejo|gogs|bitbucket", re.IGNORECASE)
TYPES = {"api", "etl", "scheduled"}  # "backup" is a kind as well
# Which packages each may import beside the core.
ALLOWED = {"fraisier": {"fraisier"}}

# What a store imports beside what every plugin does.
OF_A_STORE = {
    *(
        f"fraisier_core.store.{name}"
        for name in ("holds", "protocol", "received", "records", "tables", "vocabulary")
    ),
    *(f"fraisier_core.store.relational.{path.stem}" for path in (CORE / "store/relational").glob("*.py")),
    *(f"fraisier_core.system.{name}" for name in ("failpoints", "timing")),
}


def modules() -> list[tuple[str, Path]]:
    return [
        (package, path)
        for package in package_names()
        for path in sorted((ROOT / "packages" / package / "src").rglob("*.py"))
    ]


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def ours(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names if name.startswith("fraisier")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CORE)))
def test_the_core_names_no_forge(path: Path) -> None:
    assert not FORGES.findall(path.read_text())


@pytest.mark.parametrize("path", sorted(CORE.rglob("*.py")), ids=lambda path: str(path.relative_to(CORE)))
def test_the_core_names_no_fraise_type(path: Path) -> None:
    constants = {
        node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)
    }
    assert not constants & TYPES


@pytest.mark.parametrize("package", package_names())
def test_imports_point_to_the_core_alone(package: str) -> None:
    allowed = {"fraisier_core", package.replace("-", "_")} | ALLOWED.get(package, set())
    for owner, path in modules():
        if owner == package:
            assert ours(imported(path)) <= allowed, path


@pytest.mark.parametrize(
    "package", [name for name in package_names() if name not in {"fraisier", "fraisier-core"}]
)
def test_plugins_import_only_what_the_core_makes_public(package: str) -> None:
    public = {"fraisier_core", "fraisier_core.testing"} | (
        OF_A_STORE if package == "fraisier-postgres" else set()
    )
    for owner, path in modules():
        if owner == package:
            core = {name for name in imported(path) if name.startswith("fraisier_core")}
            assert core <= public, path


def test_relative_imports_are_not_used() -> None:
    for _, path in modules():
        tree = ast.parse(path.read_text())
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level], path
