"""Documents that are written to keep a server busy: each is judged in a moment, or the test does not end."""

from __future__ import annotations

import pytest
from fraisier_graphql.api_schema import ApiSchema
from fraisier_graphql.compiling import Compiler
from fraisier_graphql.dialects import dialect_of
from fraisier_graphql.endpoint import request_of
from fraisier_graphql.limits import Limits
from fraisier_graphql.request_errors import RefusedDocumentError, RequestError

COMPILER = Compiler(ApiSchema.read(), dialect_of("sqlite"))


def doubling(times: int, leaf: str, spread: str = "{{ ...f{} ...f{} }}") -> str:
    """Return a document whose fragments each use the next one twice."""
    fragments = (f"fragment f{n} on Query {spread.format(n + 1, n + 1)}" for n in range(times))
    return f"{{ ...f0 }} {' '.join(fragments)} {leaf}"


REFUSED = {
    "an unknown fragment": doubling(180, ""),
    "introspection": doubling(180, "fragment f180 on Query { __schema { x } }"),
    "a field": doubling(180, "fragment f180 on Query { fraises { id } }"),
    "inline fragments": doubling(90, "", "{{ ... {{ ...f{} ...f{} }} }}"),
    "fragments of fields": "{ fraises { ...a } } fragment a on Fraise { x { ...a ...a } y { ...a ...a } }",
    "a circle": "{ fraises { ...a } } fragment a on Fraise { ...b } fragment b on Fraise { ...a ...a }",
    "inline nesting": "{ " + "... { " * 600 + "x" + " }" * 600 + " }",
    "lists": "{ deploymentHistory(fraiseId: " + "[" * 900 + "]" * 900 + ") { id } }",
    "types": "query q($a: " + "[" * 900 + "Int" + "]" * 900 + ") { fraises { id } }",
    "aliases": "{ " + " ".join(f"a{n}: fraises {{ id }}" for n in range(61)) + " }",
    "aliases of introspection": "{ " + " ".join(f"a{n}: __typename" for n in range(61)) + " }",
    "directives": "{ fraises { id " + "@skip(if: false) " * 400 + "} }",
    "one digit too many": "{ deploymentHistory(limit: " + "9" * 5000 + ") { id } }",
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_document_that_grows_as_it_is_read_is_refused(what: str) -> None:
    with pytest.raises((RequestError, RefusedDocumentError)):
        COMPILER.compile(REFUSED[what])


@pytest.mark.parametrize(
    "text",
    [
        "{ " + "fraises { id } " * 400 + "}",
        "{ fraises { " + "id " * 900 + "} }",
        "{ " + "fraises { id environments { name } } " * 150 + "}",
        "{ fraises { " + " ".join(f"...f{n}" for n in range(150)) + " } } "
        + " ".join(f"fragment f{n} on Fraise {{ id }}" for n in range(150)),
    ],
)  # fmt: skip
def test_a_field_may_be_repeated(text: str) -> None:
    (field,) = COMPILER.compile(text).fields
    assert field.key == "fraises"


@pytest.mark.parametrize(
    "text",
    [
        "{ fraises { id id: name } }",
        "{ fraises { a: id ...f } } fragment f on Fraise { a: name }",
        "{ fraises { a: id ... { a: name } } }",
        "{ deploymentHistory(limit: 1) { id } deploymentHistory(limit: 2) { id } }",
        "{ deploymentHistory(limit: 1) { id } deploymentHistory { id } }",
        '{ a: fraise(id: "a") { id } a: fraise(id: "b") { id } }',
        "query q($a: Int, $b: Int) { a: deploymentHistory(limit: $a) { id } "
        "a: deploymentHistory(limit: $b) { id } }",
        "{ fraises { environments { name } } fraises { environments { name: branch } } }",
        "{ fraises { ...a ...b } } fragment a on Fraise { deploymentHistory(limit: 1) { id } } "
        "fragment b on Fraise { deploymentHistory(limit: 2) { id } }",
    ],
)
def test_fields_of_one_name_that_are_not_the_same_conflict(text: str) -> None:
    with pytest.raises(RequestError, match="conflict") as error:
        COMPILER.compile(text)
    assert error.value.code == "VALIDATION_ERROR"


@pytest.mark.parametrize(
    "text",
    [
        "{ a: deploymentHistory(limit: 1, status: SUCCESS) { id } "
        "a: deploymentHistory(status: SUCCESS, limit: 1) { id } }",
        "query q($a: Int) { a: deploymentHistory(limit: $a) { id } "
        "a: deploymentHistory(limit: $a) { status } }",
        "{ fraises { a: id ...f } } fragment f on Fraise { a: id }",
        "{ fraises { environments { a: name } deploymentHistory { a: id } } }",
    ],
)
def test_the_same_field_twice_is_no_conflict(text: str) -> None:
    assert len(COMPILER.compile(text).fields) == 1


@pytest.mark.parametrize("value", ["\ud800", ["a", "\udfff"], {"a": {"\udc00": 1}}, "a\ud83d"])
def test_half_a_character_is_refused(value: object) -> None:
    with pytest.raises(RequestError, match="half of a character"):
        request_of({"query": "{ fraises { id } }", "variables": {"a": value}}, Limits())


@pytest.mark.parametrize("value", ["\U0001f680", "a\0b", "\ufffe", ["\u202e"], 1e308])
def test_whole_characters_are_text(value: object) -> None:
    asked = {"query": "{ fraises { id } }", "variables": {"a": value}}
    assert request_of(asked, Limits()).variables == {"a": value}
