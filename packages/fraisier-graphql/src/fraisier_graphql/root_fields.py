"""The root fields of an operation, each with the statement that answers it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast
from uuid import UUID

from graphql import (
    FieldNode,
    GraphQLField,
    GraphQLObjectType,
    get_argument_values,
    get_named_type,
    is_list_type,
)
from graphql.execution.values import VariableValues
from graphql.type import get_nullable_type

from fraisier_graphql.api_schema import snake_case
from fraisier_graphql.cost import MOST_ROWS, PAGED_ROWS
from fraisier_graphql.request_errors import RequestError
from fraisier_graphql.selecting import ArgumentUse, Selecting, bound_columns, conjunction


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that returns one row with one column, `answer`, the text of JSON; or no row for null.

    Args:
        sql: with a parameter `:NAME` for each value.
        uses: which argument each parameter is.
    """

    sql: str
    uses: tuple[ArgumentUse, ...]

    def parameters(self, variables: VariableValues) -> dict[str, Any]:
        """Return the values of the parameters but for those of the scope. Raises `RequestError`."""
        found: dict[str, Any] = {}
        for use in self.uses:
            value = get_argument_values(use.definition, use.node, variables)[use.argument]
            found[use.parameter] = _checked(use.definition, use.argument, value)
        return found


@dataclass(frozen=True, slots=True)
class RootField:
    """A root field of an operation.

    Args:
        key: its name in the answer.
        nodes: of the document: several if it is selected more than once.
        definition: of the schema; None of `__typename` and of introspection.
        statement: what answers it, of a query.
        selecting: makes the statement of one row, of a mutation or a subscription.
    """

    key: str
    nodes: tuple[FieldNode, ...]
    definition: GraphQLField | None = None
    statement: Statement | None = None
    selecting: Selecting | None = None

    @property
    def name(self) -> str:
        """Its name in the schema."""
        return self.nodes[0].name.value

    def arguments(self, variables: VariableValues) -> dict[str, Any]:
        """Return the arguments by the names of columns; what is not given is missing, or None. Raises
        `RequestError`.
        """
        if self.definition is None:
            return {}
        found = get_argument_values(self.definition, self.nodes[0], variables)
        return {
            snake_case(name): None if value is None else _checked(self.definition, name, value)
            for name, value in found.items()
        }

    def row(self, view: str, key: str) -> Statement:
        """Return the statement that selects from one row of a view, without regard to the arguments and to
        whether the scope has it.

        Args:
            view: with the columns of the type of this field.
            key: the column that names the row; the parameter is called so, too.
        """
        if self.selecting is None or self.definition is None:
            raise ValueError(f"{self.name} selects no row")
        selecting = replace(self.selecting, uses=[])
        selected = selecting.row(_type_of(self.definition), self.nodes, "t")
        sql = f"SELECT CAST({selected} AS text) AS answer FROM {view} AS t WHERE t.{key} = :{key}"
        return Statement(sql, tuple(selecting.uses))


def root_field(
    root: GraphQLObjectType, selecting: Selecting, key: str, nodes: tuple[FieldNode, ...]
) -> RootField:
    """Return a root field. Raises `RequestError` if it has nothing for the scope.

    Args:
        root: the type of the operation.
        selecting: makes SQL of selections.
        key: its name in the answer.
        nodes: of the document.
    """
    definition = root.fields.get(nodes[0].name.value)
    if definition is None:
        return RootField(key, nodes)
    if root is not selecting.schema.graphql.query_type:
        return RootField(key, nodes, definition, selecting=selecting)
    return RootField(key, nodes, definition, _query(selecting, key, definition, nodes))


def _query(
    selecting: Selecting, key: str, definition: GraphQLField, nodes: tuple[FieldNode, ...]
) -> Statement:
    selecting = replace(selecting, uses=[])
    kind = _type_of(definition)
    source = selecting.schema.sources[kind.name]
    if selecting.scope.fraise and bound_columns(selecting.schema, kind.name)[0] is None:
        raise RequestError("FORBIDDEN", f"{key} is for tokens that may read every fraise", path=[key])
    given = selecting.parameters(nodes[0], definition)
    page = _page(given, definition, selecting.dialect.no_limit)
    conditions = selecting.row_scope(kind, "t")
    conditions += [_condition(source.view, name, parameter) for name, parameter in given.items()]
    order = f" ORDER BY t.{source.order} DESC" if source.order else ""
    rows = f" FROM {source.view} AS t{conjunction(conditions)}{order}"
    selected = selecting.row(kind, nodes, "t")
    if is_list_type(get_nullable_type(definition.type)):
        sql = selecting.dialect.list_of(f"SELECT {selected} AS o{rows}{page}")
    else:
        sql = f"SELECT CAST({selected} AS text) AS answer{rows} LIMIT 1"
    return Statement(sql, tuple(selecting.uses))


def _type_of(definition: GraphQLField) -> GraphQLObjectType:
    return cast("GraphQLObjectType", get_named_type(definition.type))


def _page(given: dict[str, str], definition: GraphQLField, no_limit: str) -> str:
    """Take the arguments that choose a page from those that are given, and return its clauses."""
    default = str(PAGED_ROWS) if "limit" in definition.args else no_limit
    limit, offset = given.pop("limit", default), given.pop("offset", None)
    return f" LIMIT {limit} OFFSET {offset}" if offset else f" LIMIT {limit}"


def _condition(view: str | None, argument: str, parameter: str) -> str:
    if argument == "idPart":
        return f"replace(CAST(t.id AS text), lower({parameter}), '') <> CAST(t.id AS text)"
    if argument == "cursor":
        return f"t.sequence < (SELECT c.sequence FROM {view} AS c WHERE c.id = {parameter})"
    return f"t.{snake_case(argument)} = {parameter}"


def _checked(definition: GraphQLField, argument: str, value: Any) -> Any:
    """Return the value of an argument. Raises `RequestError` if the database would not take it."""
    if argument in {"limit", "offset"} and value < 0:
        raise RequestError("VALIDATION_ERROR", f"{argument} must not be negative: {value}")
    if argument == "limit" and value > MOST_ROWS:
        raise RequestError("VALIDATION_ERROR", f"limit must not be more than {MOST_ROWS}: {value}")
    if get_named_type(definition.args[argument].type).name == "ID":
        return _uuid(argument, value)
    return value


def _uuid(argument: str, value: str) -> str:
    try:
        return str(UUID(value))
    except ValueError:
        raise RequestError("BAD_USER_INPUT", f"{argument} must be a UUID: {value[:60]!r}") from None
