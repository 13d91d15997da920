"""The rooms of the core: imports point up its README's table, and never in a circle, in any package."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.environments import ROOT

SOURCES = sorted((ROOT / "packages").glob("*/src/**/*.py"))
CORE = ROOT / "packages/fraisier-core/src/fraisier_core"
README = ROOT / "packages/fraisier-core/README.md"
ROWS = [
    re.findall(r"`(\w+)/?`", row) for row in re.findall(r"^\| (`.*?) \|", README.read_text(), re.MULTILINE)
]
RANKS = {room: rank for rank, row in enumerate(ROWS) for room in row}
"""The rooms in the order of the table; modules that share a row share a rank."""


def name_of(path: Path) -> str:
    parts = path.with_suffix("").parts
    inside = parts[parts.index("src") + 1 :]
    return ".".join(inside[:-1] if inside[-1] == "__init__" else inside)


MODULES = {name_of(path): path for path in SOURCES}


def imports(path: Path) -> Iterator[str]:
    """Yield the modules of ours that a file imports, for type checkers and inside functions as well."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (module_of(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (module_of(f"{node.module}.{alias.name}") for alias in node.names)


def module_of(name: str) -> str:
    """Return the module that a name belongs to, or nothing if it is not ours."""
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name


@cache
def graph() -> dict[str, set[str]]:
    found = {module: set(imports(path)) - {module, ""} for module, path in MODULES.items()}
    return found | {"fraisier_core": set()}  # it only says where each public name is


def circle(edges: Mapping[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def room(module: str) -> str:
    return module.split(".")[1]


def test_the_table_names_every_room_of_the_core_once() -> None:
    rooms = {path.stem for path in CORE.iterdir() if path.name[0] != "_" and path.suffix in {"", ".py"}}
    named = [room for row in ROWS for room in row]
    assert sorted(named) == sorted(rooms)


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith("fraisier_core.")])
def test_a_module_imports_only_from_its_own_row_and_the_rows_above(module: str) -> None:
    needed = {found for found in graph()[module] if found.startswith("fraisier_core.")}
    assert not {found for found in needed if RANKS[room(found)] > RANKS[room(module)]}


def test_no_modules_import_each_other() -> None:
    assert not circle(graph())


def test_no_rooms_of_a_package_import_each_other() -> None:
    rooms: dict[str, set[str]] = {}
    for module, needed in graph().items():
        here = ".".join(module.split(".")[:2])
        rooms.setdefault(here, set()).update({".".join(name.split(".")[:2]) for name in needed} - {here})
    assert not circle(rooms)


def test_the_root_of_the_core_holds_what_plugins_import() -> None:
    public = {room(name) for name in imports(MODULES["fraisier_core"]) if name.count(".") == 1}
    assert {path.stem for path in CORE.glob("*.py")} <= public | {"__init__"}


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})
    assert not circle({"a": {"b", "c"}, "b": {"c"}})


def test_no_two_modules_have_one_name() -> None:
    """A command's module has the command's name, whatever else has it."""
    names = [path.name for path in SOURCES if not path.name.startswith("__") and path.parent.name != "cli"]
    assert not {name for name in names if names.count(name) > 1}
