"""Documents, compiled into one statement for each root field; each is compiled once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any, Generic, TypeVar
from uuid import UUID

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    OperationDefinitionNode,
    get_argument_values,
    get_named_type,
    is_list_type,
    parse,
    validate,
)
from graphql.execution.values import VariableValues, get_variable_values
from graphql.type import get_nullable_type

from fraisier_graphql.api_schema import ApiSchema, snake_case
from fraisier_graphql.dialects import Dialect
from fraisier_graphql.limits import Limits, check_document
from fraisier_graphql.request_errors import RequestError, RequestErrors, of_graphql
from fraisier_graphql.selecting import ArgumentUse, ScopeShape, Selecting, bound_columns, conjunction

T = TypeVar("T")
Variables = Mapping[str, Any]

ROWS = 50
"""How many rows a list has that can be paged, unless told otherwise."""
MAX_ERRORS = 10
CACHED = 500
NO_VARIABLES = VariableValues({}, {})


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that returns one row with one column, `answer`, the text of JSON; or no row for null.

    Args:
        sql: with a parameter `:NAME` for each value.
        uses: which argument each parameter is.
        rows: the most that a list may have.
    """

    sql: str
    uses: tuple[ArgumentUse, ...]
    rows: int

    def parameters(self, variables: VariableValues) -> dict[str, Any]:
        """Return the values of the parameters but for those of the scope. Raises `RequestError`."""
        found: dict[str, Any] = {}
        for use in self.uses:
            value = get_argument_values(use.definition, use.node, variables)[use.argument]
            found[use.parameter] = self._checked(use, value)
        return found

    def _checked(self, use: ArgumentUse, value: Any) -> Any:
        if use.argument in {"limit", "offset"} and value < 0:
            raise RequestError("BAD_USER_INPUT", f"{use.argument} must not be negative: {value}")
        if use.argument == "limit":
            return min(value, self.rows)
        if get_named_type(use.definition.args[use.argument].type).name == "ID":
            return _uuid(use.argument, value)
        return value


@dataclass(frozen=True, slots=True)
class RootField:
    """A root field of an operation.

    Args:
        key: its name in the answer.
        name: its name in the schema; one that begins with `__` is of introspection.
        node: of the document.
        definition: of the schema.
        statement: what answers it, of a query.
        row: of a mutation or a subscription, makes the statement for one row.
    """

    key: str
    name: str
    nodes: tuple[FieldNode, ...]
    definition: GraphQLField | None
    statement: Statement | None = None
    row: Callable[[str, str], Statement] | None = None

    def arguments(self, variables: VariableValues) -> dict[str, Any]:
        """Return the arguments by the names of columns; what is not given is missing, or None."""
        assert self.definition is not None
        found = get_argument_values(self.definition, self.nodes[0], variables)
        return {snake_case(name): value for name, value in found.items()}


@dataclass(frozen=True, slots=True)
class Document:
    """A valid document: its operations and fragments by name."""

    ast: DocumentNode
    operations: Mapping[str | None, OperationDefinitionNode]
    fragments: Mapping[str, FragmentDefinitionNode]

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """Return the operation of a name, or the only one. Raises `RequestError`."""
        if name is None and len(self.operations) == 1:
            return next(iter(self.operations.values()))
        if name is None:
            raise RequestError("REQUEST_ERROR", "operationName must say which operation of the document is meant")
        if name not in self.operations:
            raise RequestError("REQUEST_ERROR", f'the document has no operation "{name}"')
        return self.operations[name]


@dataclass(frozen=True, slots=True)
class CompiledDocument:
    """An operation of a document, ready to be executed with its variables.

    Args:
        operation: `query`, `mutation` or `subscription`.
        fields: the root fields in the order of the answer.
        variables: their coerced values.
        document: what it is of.
        node: the operation.
    """

    operation: str
    fields: tuple[RootField, ...]
    variables: VariableValues
    document: Document
    node: OperationDefinitionNode


class Compiler:
    """Compiles documents, and remembers those that were used last.

    Args:
        schema: that they are of.
        dialect: of the database.
        limits: of a document.
    """

    def __init__(self, schema: ApiSchema, dialect: Dialect, limits: Limits | None = None) -> None:
        self.schema = schema
        self.limits = limits or Limits()
        self._dialect = dialect
        self._documents: _Recent[Document] = _Recent(CACHED)
        self._compiled: _Recent[tuple[RootField, ...]] = _Recent(CACHED)

    def document(self, text: str) -> Document:
        """Return a document that is valid and within the limits. Raises `RequestError`, `RequestErrors`."""
        return self._documents.get(text, partial(self._validated, text))

    def compile(
        self, text: str, operation: str | None = None, variables: Variables | None = None, scope: ScopeShape | None = None
    ) -> CompiledDocument:
        """Return an operation of a document, compiled. Raises `RequestError`, `RequestErrors`.

        Args:
            text: the document.
            operation: the name of the operation; None means the only one.
            variables: their values, as JSON has them.
            scope: by what rows are limited; by default by nothing.
        """
        scope = scope or ScopeShape()
        document = self.document(text)
        node = document.operation(operation)
        values = self._coerced(node, variables or {})
        key = (text, operation, scope, _shape(node, values))
        compiled = partial(self._fields, document, node, values, scope)
        return CompiledDocument(node.operation.value, self._compiled.get(key, compiled), values, document, node)

    def _validated(self, text: str) -> Document:
        try:
            ast = parse(text, max_lexical_tokens=self.limits.tokens, allow_empty_selection_sets=False)
        except GraphQLError as error:
            raise of_graphql("PARSE_ERROR", [error]) from None
        check_document(ast, self.limits)
        errors = validate(self.schema.graphql, ast, max_errors=MAX_ERRORS, allow_empty_selection_sets=False)
        if errors:
            raise of_graphql("VALIDATION_ERROR", errors)
        operations = [node for node in ast.definitions if isinstance(node, OperationDefinitionNode)]
        fragments = [node for node in ast.definitions if isinstance(node, FragmentDefinitionNode)]
        return Document(
            ast,
            {node.name.value if node.name else None: node for node in operations},
            {node.name.value: node for node in fragments},
        )

    def _coerced(self, node: OperationDefinitionNode, variables: Variables) -> VariableValues:
        if not node.variable_definitions:
            return NO_VARIABLES
        found = get_variable_values(
            self.schema.graphql, node.variable_definitions, dict(variables), max_errors=MAX_ERRORS
        )
        if isinstance(found, VariableValues):
            return found
        raise of_graphql("VALIDATION_ERROR", found)

    def _fields(
        self, document: Document, node: OperationDefinitionNode, values: VariableValues, scope: ScopeShape
    ) -> tuple[RootField, ...]:
        kind = self.schema.graphql.get_root_type(node.operation)
        assert kind is not None
        selecting = Selecting(self.schema, self._dialect, document.fragments, values, scope)
        collected = selecting.collected([node.selection_set])
        compiled = partial(self._root_field, kind, document, values, scope)
        return tuple(compiled(key, tuple(nodes)) for key, nodes in collected.items())

    def _root_field(
        self,
        root: GraphQLObjectType,
        document: Document,
        values: VariableValues,
        scope: ScopeShape,
        key: str,
        nodes: tuple[FieldNode, ...],
    ) -> RootField:
        name = nodes[0].name.value
        definition = root.fields.get(name)
        if definition is None:
            return RootField(key, name, nodes, None)
        selecting = Selecting(self.schema, self._dialect, document.fragments, values, scope)
        if root is self.schema.graphql.query_type:
            return RootField(key, name, nodes, definition, self._query(selecting, definition, nodes))
        return RootField(key, name, nodes, definition, row=partial(self._row, selecting, definition, nodes))

    def _query(
        self, selecting: Selecting, definition: GraphQLField, nodes: tuple[FieldNode, ...]
    ) -> Statement:
        kind = get_named_type(definition.type)
        assert isinstance(kind, GraphQLObjectType)
        source = self.schema.sources[kind.name]
        given = selecting.parameters(nodes[0], definition)
        page = _page(given, definition, self._dialect.no_limit)
        conditions = selecting.row_scope(kind, "t") + [
            _condition(source.view, argument, parameter) for argument, parameter in given.items()
        ]
        order = f" ORDER BY t.{source.order} DESC" if source.order else ""
        rows = f" FROM {source.view} AS t{conjunction(conditions)}{order}"
        selected = selecting.row(kind, nodes, "t")
        if is_list_type(get_nullable_type(definition.type)):
            sql = self._dialect.list_of(f"SELECT {selected} AS o{rows}{page}")
        else:
            sql = f"SELECT CAST({selected} AS text) AS answer{rows} LIMIT 1"
        return Statement(sql, tuple(selecting.uses), self.limits.rows)

    def _row(
        self,
        selecting: Selecting,
        definition: GraphQLField,
        nodes: tuple[FieldNode, ...],
        source: str,
        key: str,
    ) -> Statement:
        """Return the statement for the row of a view whose column `key` is the parameter `:key`."""
        kind = get_named_type(definition.type)
        assert isinstance(kind, GraphQLObjectType)
        selecting.uses.clear()
        selected = selecting.row(kind, nodes, "t")
        sql = f"SELECT CAST({selected} AS text) AS answer FROM {source} AS t WHERE t.{key} = :{key}"
        return Statement(sql, tuple(selecting.uses), self.limits.rows)


def _page(given: dict[str, str], definition: GraphQLField, no_limit: str) -> str:
    """Take the arguments that choose a page from those that are given, and return its clauses."""
    default = str(ROWS) if "limit" in definition.args else no_limit
    limit, offset = given.pop("limit", default), given.pop("offset", None)
    return f" LIMIT {limit} OFFSET {offset}" if offset else f" LIMIT {limit}"


def _condition(view: str | None, argument: str, parameter: str) -> str:
    if argument == "cursor":
        return f"t.sequence < (SELECT c.sequence FROM {view} AS c WHERE c.id = {parameter})"
    return f"t.{snake_case(argument)} = {parameter}"


def _shape(node: OperationDefinitionNode, values: VariableValues) -> Hashable:
    """Return what of the variables decides the statements: which are given, and whether the true ones are."""
    found = []
    for definition in node.variable_definitions or ():
        value = values.coerced.get(definition.variable.name.value)
        found.append(value if isinstance(value, bool) else value is None and "missing")
    return tuple(found)


def _uuid(argument: str, value: str) -> str:
    try:
        return str(UUID(value))
    except ValueError:
        raise RequestError("BAD_USER_INPUT", f"{argument} must be a UUID: {value!r}") from None


class _Recent(Generic[T]):
    """What was made last, by a key."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._made: OrderedDict[Hashable, T] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what was made for a key, or make it."""
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
                return self._made[key]
        made = make()
        with self._lock:
            self._made[key] = made
            if len(self._made) > self._size:
                self._made.popitem(last=False)
        return made
