"""The reference of the API is what the schema says, and its examples work."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from fraisier_graphql.api_schema import ApiSchema
from graphql import parse, validate

from tests.databases import SqliteDatabase
from tests.environments import ROOT
from tests.graphql.serving import Api, Host

sys.path.append(str(ROOT / "script"))
import schema_page

TEXT = schema_page.PAGE.read_text()
SCHEMA: dict[str, Any] = json.loads(schema_page.SCHEMA.read_text())
EXAMPLES = re.findall(r"```graphql\n(.*?)```", TEXT, re.DOTALL)
ASKED = [each for each in EXAMPLES if not each.startswith("subscription")]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The API of a host on which something was deployed, and something failed."""
    folder = tmp_path_factory.mktemp("examples")
    host = Host.create(folder / "host", SqliteDatabase(folder / "fraisier.db"))
    host.add_job("production")
    for build in ("echo building", "exit 3"):
        host.forge.push_files({"page.txt": "one", "build.sh": f"#!/bin/sh\n{build}\n"})
        host.run("fraisier", "deploy", "my_api", "production")
    with host.serving() as api:
        yield api


def test_the_page_is_generated_from_the_schema() -> None:
    assert schema_page.reference(TEXT, SCHEMA) == TEXT, "run hatch run schema"


def test_a_changed_schema_changes_the_page() -> None:
    changed = json.loads(json.dumps(SCHEMA).replace('"errorMessage"', '"problem"'))
    page = schema_page.reference(TEXT, changed)
    assert "`problem: String`" in page
    assert page.partition("## Queries")[0] == TEXT.partition("## Queries")[0]


def test_the_page_names_everything_that_the_schema_has() -> None:
    for kind in ("types", "enums", *schema_page.TITLES):
        for each in SCHEMA[kind]:
            assert re.search(rf"`{each['name']}\b", TEXT), each["name"]
            for field in each.get("fields", ()):
                assert f"| `{field['name']}: " in TEXT


def test_there_is_an_example_of_every_kind_of_operation() -> None:
    begun = {re.match(r"query|mutation|subscription|\{", each)[0] for each in EXAMPLES}  # type: ignore[index]
    assert begun == {"query", "mutation", "subscription", "{"}


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_valid(example: str) -> None:
    assert validate(ApiSchema.read().graphql, parse(example)) == []


@pytest.mark.parametrize("example", ASKED)
def test_an_example_is_answered(api: Api, example: str) -> None:
    data = api.ask(example)
    rows = [row for found in data.values() for row in (found if isinstance(found, list) else [found])]
    assert rows or "webhookEvents" in data
    assert None not in rows
