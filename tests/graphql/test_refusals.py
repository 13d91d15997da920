"""What is refused, with which code, before anything is executed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.databases import Database
from tests.graphql.asking import Asker


@pytest.fixture
def asker(database: Database) -> Iterator[Asker]:
    database.open().close()
    with closing(Asker(database)) as asker:
        yield asker


def nested(levels: int) -> str:
    return "{ fraises " + "{ environments " * levels + "{ name }" + " }" * levels + " }"


LIMITED = "query ($n: Int) { deploymentHistory(limit: $n) { id } }"
ONE = "query ($i: ID!) { deployment(id: $i) { id } }"
ALIASES = " ".join(f"a{number}: id" for number in range(61))
REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "nothing": ("", {}, "PARSE_ERROR"),
    "unclosed": ("{ fraises { id }", {}, "PARSE_ERROR"),
    "a type": ("type A { b: Int }", {}, "VALIDATION_ERROR"),
    "unknown field": ("{ fraises { id colour } }", {}, "VALIDATION_ERROR"),
    "unknown query": ("{ servers { id } }", {}, "VALIDATION_ERROR"),
    "unknown argument": ("{ fraises(first: 1) { id } }", {}, "VALIDATION_ERROR"),
    "missing argument": ("{ deployment { id } }", {}, "VALIDATION_ERROR"),
    "wrong type": ('{ deploymentHistory(limit: "many") { id } }', {}, "VALIDATION_ERROR"),
    "wrong enum": ("{ deploymentHistory(status: success) { id } }", {}, "VALIDATION_ERROR"),
    "no selection": ("{ fraises }", {}, "VALIDATION_ERROR"),
    "selection of a scalar": ("{ fraises { id { id } } }", {}, "VALIDATION_ERROR"),
    "wrong variable": (LIMITED, {"n": "1"}, "VALIDATION_ERROR"),
    "missing variable": (ONE, {}, "VALIDATION_ERROR"),
    "null for what is required": (ONE, {"i": None}, "VALIDATION_ERROR"),
    "circle of fragments": (
        "{ fraises { ...A } } fragment A on Fraise { ...B } fragment B on Fraise { id ...A }",
        {},
        "VALIDATION_ERROR",
    ),
    "fragment of itself": ("{ fraises { ...A } } fragment A on Fraise { id ...A }", {}, "VALIDATION_ERROR"),
    "too deep": (nested(12), {}, "VALIDATION_ERROR"),
    "too deep by fragments": (
        "{ fraises { ...F0 } } "
        + " ".join(f"fragment F{n} on Fraise {{ environments {{ ...F{n + 1} }} }}" for n in range(12)),
        {},
        "VALIDATION_ERROR",
    ),
    "too many aliases": (f"{{ fraises {{ {ALIASES} }} }}", {}, "VALIDATION_ERROR"),
    "too many fields": ("{ fraises { " + "id " * 1001 + "} }", {}, "VALIDATION_ERROR"),
    "fragments that grow": (
        "{ fraises { ...F0 } } "
        + " ".join(f"fragment F{n} on Fraise {{ ...F{n + 1} ...F{n + 1} }}" for n in range(30))
        + " fragment F30 on Fraise { id }",
        {},
        "VALIDATION_ERROR",
    ),
    "too many tokens": ("{ " + "a " * 3000 + "}", {}, "PARSE_ERROR"),
    "comments": ("{ fraises { id } }" + "#\n" * 300, {}, "PARSE_ERROR"),
    "braces without end": ("{a" * 5000, {}, "PARSE_ERROR"),
    "no id": ('{ deployment(id: "the last one") { id } }', {}, "BAD_USER_INPUT"),
    "negative limit": ("{ deploymentHistory(limit: -1) { id } }", {}, "VALIDATION_ERROR"),
    "negative offset": (LIMITED.replace("limit", "offset"), {"n": -5}, "VALIDATION_ERROR"),
    "too many rows": (LIMITED, {"n": 1001}, "VALIDATION_ERROR"),
    "too much output": ("{ deploymentHistory(limit: 200) { output { text } } }", {}, "VALIDATION_ERROR"),
    "too much of a nested list": (
        "{ fraises { deploymentHistory(limit: 1000) { events(limit: 99) { at } } } }", {}, "VALIDATION_ERROR"
    ),
    "too much by fragments": (
        "{ a: fraises { ...F } b: fraises { ...F } } "
        "fragment F on Fraise { deploymentHistory(limit: 1000) { id ref kind } }", {}, "VALIDATION_ERROR"
    ),
    "no id as a cursor": ('{ deploymentHistory(cursor: "1") { id } }', {}, "BAD_USER_INPUT"),
    "schema": ("{ __schema { types { name } } }", {}, "INTROSPECTION_DISABLED"),
    "type by an alias": ('{ a: __type(name: "Fraise") { name } }', {}, "INTROSPECTION_DISABLED"),
    "schema by a fragment": (
        "{ ...S } fragment S on Query { __schema { types { name } } }", {}, "INTROSPECTION_DISABLED"
    ),
    "subscription": ('subscription { deploymentStatusChanged { id } }', {}, "REQUEST_ERROR"),
    "which operation": ("query A { fraises { id } } query B { fraises { id } }", {}, "VALIDATION_ERROR"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_answered_is_refused_with_its_code(asker: Asker, what: str) -> None:
    document, variables, code = REFUSED[what]
    assert set(asker.codes(document, variables)) == {code}


def test_an_unknown_operation_is_refused(asker: Asker) -> None:
    assert asker.codes("query A { fraises { id } }", operation="B") == ["VALIDATION_ERROR"]


def test_an_error_says_where(asker: Asker) -> None:
    (error,) = asker.answer("{\n  fraises { colour } }")["errors"]
    assert error["locations"] == [{"line": 2, "column": 13}]
    answer = asker.answer('{ deploymentHistory { id } one: deployment(id: "x") { id } }')
    (error,) = answer["errors"]
    assert (error["path"], error["locations"]) == (["one"], [{"line": 1, "column": 28}])
    assert answer["data"] == {"deploymentHistory": [], "one": None}


def test_a_long_document_has_few_errors(asker: Asker) -> None:
    found = asker.codes("{ fraises { " + " ".join(f"a{n}" for n in range(500)) + " } }")
    assert len(found) < 20


def test_in_development_the_schema_is_told(database: Database) -> None:
    database.open().close()
    with closing(Asker(database, introspection=True)) as asker:
        document = "query ($n: String!) { __type(name: $n) { ...T } fraises: __typename } "
        document += "fragment T on __Type { name }"
        assert asker.ask(document, {"n": "Fraise"}) == {"__type": {"name": "Fraise"}, "fraises": "Query"}
        from graphql import build_client_schema, get_introspection_query

        told: Any = asker.ask(get_introspection_query())
        assert build_client_schema(told).query_type is not None
