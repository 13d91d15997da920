"""Asking without a server: one document, on a terminal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from fraisier_core import Grant, InvalidRequestError, Scope

from fraisier_graphql.compiling import CompiledDocument
from fraisier_graphql.executing import Executor, Request
from fraisier_graphql.request_errors import RefusedDocumentError, RequestError
from fraisier_graphql.serving import put_together

if TYPE_CHECKING:
    from fraisier_core import MountContext


def answer(context: MountContext, document: str, variables: Mapping[str, Any], actor: str) -> str:
    """Return the JSON of the answer, errors included."""
    executor, readers = put_together(context, introspection=True)
    try:
        request = Request(document, None, variables)
        return asyncio.run(executor.execute(request, Grant(actor, Scope("deploy")))).body.decode()
    finally:
        readers.close()


def explanation(context: MountContext, document: str, variables: Mapping[str, Any]) -> str:
    """Return the SQL that would answer. Raises `InvalidRequestError` if the document is refused."""
    executor, readers = put_together(context, introspection=True)
    try:
        grant = Grant("explanation", Scope("read"))
        return "\n\n".join(_statements(executor.compile(Request(document, None, variables), grant), executor))
    except (RequestError, RefusedDocumentError) as error:
        raise InvalidRequestError(str(error)) from None
    finally:
        readers.close()


def _statements(compiled: CompiledDocument, executor: Executor) -> Iterator[str]:
    for field in compiled.fields:
        statement = field.statement
        if field.selecting is not None:
            statement = field.row(executor.view_of(field), "id")
        if statement is None:
            yield f"-- {field.key}: answered from the schema"
            continue
        parameters = "".join(
            f"\n-- :{name} = {json.dumps(value)}"
            for name, value in statement.parameters(compiled.variables).items()
        )
        yield f"-- {field.key}{parameters}\n{statement.sql};"
