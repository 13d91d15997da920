"""Executing a compiled document: its answer is pasted together from what the statements return."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fraisier_core import FraisierError, Grant
from graphql import (
    DocumentNode,
    GraphQLNonNull,
    OperationDefinitionNode,
    SelectionSetNode,
    execute_sync,
    get_named_type,
)

from fraisier_graphql.compiling import CompiledDocument, Compiler, Variables
from fraisier_graphql.mutating import Mutation
from fraisier_graphql.reading import Readers
from fraisier_graphql.request_errors import RefusedDocumentError, RequestError, of_fraisier, of_graphql
from fraisier_graphql.root_fields import RootField, Statement
from fraisier_graphql.selecting import ScopeShape

INTROSPECTION = frozenset({"__schema", "__type"})
BY_HTTP = frozenset({"query", "mutation"})


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks: a document, which operation of it, and the variables."""

    query: str
    operation: str | None = None
    variables: Variables | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """The JSON of an answer, and the status of an HTTP response that has it."""

    body: bytes
    status: int = 200


class Executor:
    """Answers queries and mutations.

    Args:
        compiler: of the documents.
        readers: run the statements.
        mutations: what each mutation calls.
        introspection: whether clients may ask for the schema.
    """

    def __init__(
        self,
        compiler: Compiler,
        readers: Readers,
        mutations: Mapping[str, Mutation],
        *,
        introspection: bool = False,
    ) -> None:
        self.compiler = compiler
        self.readers = readers
        self._mutations = mutations
        self._introspection = introspection

    async def execute(
        self, request: Request, grant: Grant, operations: Collection[str] = BY_HTTP
    ) -> Response:
        """Return the answer to a request; whatever keeps it from being answered is a part of it.

        Args:
            request: what is asked.
            grant: what the client may do.
            operations: the kinds of operations that may be asked for this way.
        """
        try:
            compiled = await self.prepare(request, grant)
            if compiled.operation not in operations:
                raise RequestError(
                    "REQUEST_ERROR", f"a {compiled.operation} is not answered here, but over /ws"
                )
            return await self._answer(compiled, request, grant)
        except RequestError as error:
            return refused([error])
        except RefusedDocumentError as errors:
            return refused(errors.errors)

    async def prepare(self, request: Request, grant: Grant) -> CompiledDocument:
        """Return what `compile` does; what takes longer is done beside the event loop."""
        if self.compiler.knows(request.query):
            return self.compile(request, grant)
        return await asyncio.to_thread(self.compile, request, grant)

    def compile(self, request: Request, grant: Grant) -> CompiledDocument:
        """Return the operation of a request for a client. Raises `RequestError`, `RefusedDocumentError`."""
        shape = ScopeShape(grant.scope.fraise is not None, grant.scope.environment is not None)
        compiled = self.compiler.compile(request.query, request.operation, request.variables, shape)
        if not self._introspection and INTROSPECTION.intersection(each.name for each in compiled.fields):
            raise RequestError("INTROSPECTION_DISABLED", "introspection is for development alone")
        return compiled

    async def answer_of(
        self, statement: Statement, compiled: CompiledDocument, grant: Grant, **more: Any
    ) -> str:
        """Return the JSON that a statement answers with. Raises `RequestError`.

        Args:
            statement: of a root field.
            compiled: the operation that the field is of.
            grant: what the client may do.
            more: the parameters that are no arguments.
        """
        parameters = parameters_of(statement, compiled, grant) | more
        return await self.readers.answer(statement.sql, parameters)

    async def _answer(self, compiled: CompiledDocument, request: Request, grant: Grant) -> Response:
        if compiled.operation == "mutation":
            found = [await self._mutated(each, compiled, grant) for each in compiled.fields]
        else:
            schema = self._schema_asked(compiled, request)
            asked = [self._queried(each, compiled, grant, schema) for each in compiled.fields]
            found = [await asked[0]] if len(asked) == 1 else await asyncio.gather(*asked)
        return answered(compiled.fields, found)

    async def _queried(
        self, field: RootField, compiled: CompiledDocument, grant: Grant, schema: Mapping[str, Any]
    ) -> str | RequestError:
        if field.statement is None:
            return json.dumps(schema[field.key] if field.key in schema else self._typename(compiled))
        try:
            return await self.answer_of(field.statement, compiled, grant)
        except RequestError as error:
            return at(error, field)

    async def _mutated(
        self, field: RootField, compiled: CompiledDocument, grant: Grant
    ) -> str | RequestError:
        if field.definition is None:
            return json.dumps(self._typename(compiled))
        try:
            deployment_id = await self._mutations[field.name](grant, field.arguments(compiled.variables))
            statement = field.row(self.view_of(field), "id")
            return await self.answer_of(statement, compiled, grant, id=deployment_id)
        except RequestError as error:
            return at(error, field)
        except FraisierError as error:
            return at(of_fraisier(error), field)

    def view_of(self, field: RootField) -> str:
        """Return the view whose rows are of the type of a root field."""
        if field.definition is not None:
            kind = get_named_type(field.definition.type).name
            if (view := self.compiler.schema.sources[kind].view) is not None:
                return view
        raise ValueError(f"no view has what {field.name} returns")

    def _typename(self, compiled: CompiledDocument) -> str:
        return compiled.operation.capitalize()

    def _schema_asked(self, compiled: CompiledDocument, request: Request) -> Mapping[str, Any]:
        """Return what a query asks for of the schema itself, by key."""
        asked = [node for each in compiled.fields if each.name in INTROSPECTION for node in each.nodes]
        if not asked:
            return {}
        node = compiled.node
        operation = OperationDefinitionNode(
            operation=node.operation,
            variable_definitions=node.variable_definitions,
            selection_set=SelectionSetNode(selections=tuple(asked)),
        )
        document = DocumentNode(definitions=(operation, *compiled.document.fragments.values()))
        done = execute_sync(
            self.compiler.schema.graphql, document, variable_values=dict(request.variables or {})
        )
        if done.errors:
            raise of_graphql("VALIDATION_ERROR", done.errors)
        return done.data or {}


def parameters_of(statement: Statement, compiled: CompiledDocument, grant: Grant) -> dict[str, Any]:
    """Return the values of a statement's arguments, and what its scope is. Raises `RequestError`."""
    scope = {"scope_fraise": grant.scope.fraise, "scope_environment": grant.scope.environment}
    return statement.parameters(compiled.variables) | scope


def at(error: RequestError, field: RootField) -> RequestError:
    """Return the error of a root field, with where that is."""
    location = field.nodes[0].loc
    start = location and location.start_token
    error.path = [field.key]
    error.locations = [(start.line, start.column)] if start else ()
    return error


def answered(fields: Sequence[RootField], found: Sequence[str | RequestError]) -> Response:
    """Return the answer of some root fields, each the text of its JSON or what is wrong with it."""
    errors = [each for each in found if isinstance(each, RequestError)]
    if not errors:
        parts = (f'"{field.key}":{text}' for field, text in zip(fields, found, strict=True))
        return Response(f'{{"data":{{{",".join(parts)}}}}}'.encode())
    entries = json.dumps([error.formatted() for error in errors])
    if any(
        isinstance(each, RequestError) and _is_required(field)
        for field, each in zip(fields, found, strict=True)
    ):
        return Response(f'{{"data":null,"errors":{entries}}}'.encode(), errors[0].status)
    texts = ("null" if isinstance(each, RequestError) else each for each in found)
    parts = (f'"{field.key}":{text}' for field, text in zip(fields, texts, strict=True))
    return Response(f'{{"data":{{{",".join(parts)}}},"errors":{entries}}}'.encode())


def refused(errors: Sequence[RequestError]) -> Response:
    """Return the answer to a request that is not executed."""
    body = json.dumps({"errors": [error.formatted() for error in errors]}).encode()
    return Response(body, errors[0].status)


def _is_required(field: RootField) -> bool:
    return field.definition is not None and isinstance(field.definition.type, GraphQLNonNull)
