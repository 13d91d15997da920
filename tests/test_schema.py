"""The GraphQL schema: exported as it is written, complete, and in the words of the store."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, get_args

import pytest
from fraisier_core.store import vocabulary

from tests.databases import Database, both_databases
from tests.environments import ROOT
from tests.played import Player

FOLDER = ROOT / "schema"
SCHEMA: dict[str, Any] = json.loads((FOLDER / "schema.json").read_text())
TYPES = {each["name"]: each for each in SCHEMA["types"]}
ENUMS = {each["name"]: each for each in SCHEMA["enums"]}
SCALARS = {"Boolean", "DateTime", "Float", "ID", "Int", "String"}
OPERATIONS = [*SCHEMA["queries"], *SCHEMA["mutations"], *SCHEMA["subscriptions"]]
WORDS = {
    "DeploymentStatus": get_args(vocabulary.Status),
    "StepStatus": get_args(vocabulary.StepStatus),
    "Trigger": get_args(vocabulary.Trigger),
    "Verdict": tuple({*get_args(vocabulary.RecordedVerdict)} - {"refused"}),
    "EventName": get_args(vocabulary.EventName),
}


def exported(folder: Path) -> str:
    """Return what the schema of a folder like ours is exported as."""
    command = [sys.executable, str(folder / "py/resolvers.py")]
    subprocess.run(command, check=True, capture_output=True)
    return (folder / "schema.json").read_text()


def described() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of everything that has a description, with it."""
    for each in (*SCHEMA["types"], *SCHEMA["enums"], *OPERATIONS):
        yield each["name"], each
    for each in SCHEMA["types"]:
        yield from ((f"{each['name']}.{field['name']}", field) for field in each["fields"])


def test_the_schema_is_exported_as_it_is_written(tmp_path: Path) -> None:
    copy = shutil.copytree(FOLDER, tmp_path / "schema")
    assert exported(copy) == (FOLDER / "schema.json").read_text(), "run hatch run schema"


def test_a_changed_model_changes_what_is_exported(tmp_path: Path) -> None:
    copy = shutil.copytree(FOLDER, tmp_path / "schema")
    models = copy / "py/models.py"
    models.write_text(models.read_text().replace("requested_by:", "asked_by:"))
    assert '"askedBy"' in exported(copy)


def test_everything_has_a_description() -> None:
    assert not [name for name, each in described() if not (each.get("description") or "").strip()]


def test_every_type_that_is_named_is_there() -> None:
    named = {each["type"] for _, each in described() if "type" in each}
    named |= {argument["type"] for each in OPERATIONS for argument in each["arguments"]}
    named |= {each["return_type"] for each in OPERATIONS}
    assert {re.sub(r"[\[\]!]", "", each) for each in named} <= {*TYPES, *ENUMS} | SCALARS


@pytest.mark.parametrize("enum", WORDS)
def test_an_enum_stores_the_words_of_the_record_and_shows_them_in_capitals(enum: str) -> None:
    members = {each["name"]: each["value"] for each in ENUMS[enum]["values"]}
    assert set(members.values()) == {*WORDS[enum]}
    assert all(name == value.upper() for name, value in members.items())


def test_every_enum_is_compared() -> None:
    assert set(ENUMS) == set(WORDS)


def columns(type_name: str) -> set[str]:
    """Return the columns that the fields of a type are read from."""
    fields = TYPES[type_name]["fields"]
    return {re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", field["name"]).lower() for field in fields}


def objects(type_name: str, value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects within an object of a type, with the name of the type of each."""
    yield type_name, value
    for field in TYPES[type_name]["fields"]:
        inner = re.sub(r"[\[\]!]", "", field["type"])
        found = value.get(re.sub(r"([A-Z])", r"_\1", field["name"]).lower())
        for each in found if isinstance(found, list) else [found]:
            if inner in TYPES and each is not None:
                yield from objects(inner, each)


@both_databases
def test_the_views_have_a_column_for_each_field_and_all_of_them_in_data(database: Database) -> None:
    with closing(database.open()) as store:
        Player(store).play(60)
        seen = set()
        for name, each in TYPES.items():
            if "sql_source" not in each:
                continue
            rows = store.all(f"SELECT * FROM {each['sql_source']}")
            assert {*rows[0]} == columns(name) | {"data"}
            for row in rows:
                for inner, value in objects(name, json.loads(row["data"])):
                    assert {key.replace("p_95", "p95") for key in value} == columns(inner), inner
                    seen.add(inner)
        assert seen == {*TYPES}
