"""A selection as SQL: from one view, each row as an object of JSON with the fields that are selected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLIncludeDirective,
    GraphQLObjectType,
    GraphQLSkipDirective,
    InlineFragmentNode,
    SelectionSetNode,
    get_argument_values,
    get_directive_values,
    get_named_type,
    is_list_type,
)
from graphql.execution.values import VariableValues
from graphql.type import get_nullable_type

from fraisier_graphql.api_schema import ApiSchema
from fraisier_graphql.dialects import Dialect, literal

Nodes = Sequence[FieldNode]
BOUND: Mapping[str, tuple[str | None, str | None]] = {
    "Fraise": ("id", None),
    "Environment": ("fraise_id", "environment"),
}
"""The columns that name a row's fraise and environment, if they are not named so or not both there."""


@dataclass(frozen=True, slots=True)
class ScopeShape:
    """What of a scope decides the statement: whether it is bound to a fraise, and to an environment."""

    fraise: bool = False
    environment: bool = False


@dataclass(slots=True)
class ArgumentUse:
    """An argument of a field, and the name of the parameter that takes its value."""

    node: FieldNode
    definition: GraphQLField
    argument: str
    parameter: str


@dataclass(slots=True)
class Selecting:
    """Makes the SQL of one root field.

    Args:
        schema: of the document.
        dialect: of the database.
        fragments: of the document, by name.
        variables: their values, for `@include` and `@skip`, and to know which arguments are given.
        scope: by what rows are limited.
    """

    schema: ApiSchema
    dialect: Dialect
    fragments: Mapping[str, FragmentDefinitionNode]
    variables: VariableValues
    scope: ScopeShape
    uses: list[ArgumentUse] = field(default_factory=list)

    def collected(self, selections: Sequence[SelectionSetNode | None]) -> dict[str, list[FieldNode]]:
        """Return the fields of some selections by the name they have in the answer."""
        found: dict[str, list[FieldNode]] = {}
        for selection in selections:
            for node in self._fields(selection):
                found.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
        return found

    def _fields(self, selection: SelectionSetNode | None) -> Iterator[FieldNode]:
        for node in selection.selections if selection else ():
            if not self._is_included(node):
                continue
            if isinstance(node, FieldNode):
                yield node
            elif isinstance(node, FragmentSpreadNode):
                yield from self._fields(self.fragments[node.name.value].selection_set)
            elif isinstance(node, InlineFragmentNode):
                yield from self._fields(node.selection_set)

    def _is_included(self, node: Any) -> bool:
        skip = get_directive_values(GraphQLSkipDirective, node, self.variables)
        include = get_directive_values(GraphQLIncludeDirective, node, self.variables)
        return not (skip and skip["if"]) and not (include and not include["if"])

    def row(self, kind: GraphQLObjectType, nodes: Nodes, source: str) -> str:
        """Return the object of one row.

        Args:
            kind: its type.
            nodes: the fields of that type.
            source: the alias of the view.
        """
        return self._object(kind, nodes, _Columns(self.dialect, source), depth=1)

    def _object(self, kind: GraphQLObjectType, nodes: Nodes, holder: _Holder, depth: int) -> str:
        fields = self.collected([node.selection_set for node in nodes])
        return self.dialect.object(
            [(key, self._field(kind, of, holder, depth)) for key, of in fields.items()]
        )

    def _field(self, kind: GraphQLObjectType, nodes: Nodes, holder: _Holder, depth: int) -> str:
        name = nodes[0].name.value
        if name == "__typename":
            return literal(kind.name)
        definition = kind.fields[name]
        column, of = self.schema.sources[kind.name].columns[name], get_named_type(definition.type)
        is_list = is_list_type(get_nullable_type(definition.type))
        if not isinstance(of, GraphQLObjectType):
            return holder.json(column) if is_list else holder.scalar(of, column)
        if is_list:
            return self.dialect.value(
                f"({self._nested_list(of, definition, nodes, holder.text(column), depth)})"
            )
        inner = self._object(of, nodes, _Members(self.dialect, holder.json(column)), depth + 1)
        return self.dialect.value(f"CASE WHEN {holder.text(column)} IS NOT NULL THEN {inner} END")

    def _nested_list(
        self, kind: GraphQLObjectType, definition: GraphQLField, nodes: Nodes, array: str, depth: int
    ) -> str:
        elements, order = self.dialect.elements(array, alias := f"e{depth}")
        members = _Members(self.dialect, f"{alias}.value")
        where = conjunction(self.scope_conditions(kind, members))
        limit = self.parameters(nodes[0], definition).get("limit", self.dialect.no_limit)
        inner = self._object(kind, nodes, members, depth + 1)
        return self.dialect.list_of(
            f"SELECT {inner} AS o FROM {elements}{where} ORDER BY {order} LIMIT {limit}"
        )

    def row_scope(self, kind: GraphQLObjectType, source: str) -> list[str]:
        """Return the conditions that keep rows of a view that are outside of the scope from being read."""
        return self.scope_conditions(kind, _Columns(self.dialect, source))

    def scope_conditions(self, kind: GraphQLObjectType, holder: _Holder) -> list[str]:
        """Return the conditions that keep what is outside of the scope from being read."""
        fraise, environment = bound_columns(self.schema, kind.name)
        found = []
        if self.scope.fraise and fraise:
            found.append(f"{holder.text(fraise)} = :scope_fraise")
        if self.scope.environment and environment:
            found.append(f"{holder.text(environment)} = :scope_environment")
        return found

    def parameters(self, node: FieldNode, definition: GraphQLField) -> dict[str, str]:
        """Return the parameters of the arguments that are given, as SQL writes them, by argument."""
        found = {}
        for name, value in get_argument_values(definition, node, self.variables).items():
            if value is not None:
                parameter = f"a{len(self.uses)}"
                self.uses.append(ArgumentUse(node, definition, name, parameter))
                found[name] = f":{parameter}"
        return found


def bound_columns(schema: ApiSchema, kind: str) -> tuple[str | None, str | None]:
    """Return the columns of a type that name the fraise and the environment of a row."""
    if kind in BOUND:
        return BOUND[kind]
    columns = set(schema.sources[kind].columns.values())
    return (
        "fraise_id" if "fraise_id" in columns else None,
        "environment" if "environment" in columns else None,
    )


def conjunction(conditions: Sequence[str]) -> str:
    """Return the WHERE clause of some conditions, with a space before it; nothing without any."""
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


@dataclass(frozen=True, slots=True)
class _Columns:
    """A row, as what has values."""

    dialect: Dialect
    source: str

    def scalar(self, kind: Any, column: str) -> str:
        return self.dialect.scalar(kind, f"{self.source}.{column}")

    def json(self, column: str) -> str:
        return self.dialect.value(f"{self.source}.{column}")

    def text(self, column: str) -> str:
        return f"{self.source}.{column}"


@dataclass(frozen=True, slots=True)
class _Members:
    """An object of JSON, as what has values."""

    dialect: Dialect
    holder: str

    def scalar(self, kind: Any, column: str) -> str:
        return self.dialect.scalar_member(kind, self.holder, column)

    def json(self, column: str) -> str:
        return self.dialect.member(self.holder, column)

    def text(self, column: str) -> str:
        return self.dialect.member_text(self.holder, column)


_Holder = _Columns | _Members
