"""What is remembered of documents."""

from __future__ import annotations

import pytest
from fraisier_graphql.compiling import Compiler
from fraisier_graphql.dialects import dialect_of

from tests.graphql.asking import SCHEMA


@pytest.fixture
def compiler() -> Compiler:
    return Compiler(SCHEMA, dialect_of("sqlite"))


def document(number: int, length: int = 0) -> str:
    return f"query Q{number} {{ fraises {{ id }} }} # {'-' * length}"


def test_a_document_is_compiled_once(compiler: Compiler) -> None:
    first, again = (compiler.compile(document(1)) for _ in range(2))
    assert all(one is other for one, other in zip(first.fields, again.fields, strict=True))
    assert compiler.document(document(1)) is first.document


@pytest.mark.parametrize(("length", "count"), [(0, 450), (1000, 220), (9000, 45), (90_000, 5)])
def test_as_many_documents_are_remembered_as_are_not_too_much_together(
    compiler: Compiler, length: int, count: int
) -> None:
    for number in range(count):
        compiler.document(document(number, length))
    assert all(compiler.knows(document(number, length)) for number in range(count))
    for number in range(count, 2 * count):
        compiler.document(document(number, length))
    assert not compiler.knows(document(0, length))
    assert compiler.knows(document(count, length))
