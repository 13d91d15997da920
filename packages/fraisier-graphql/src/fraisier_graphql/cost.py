"""How much a document asks of the store and of the memory: estimated before it is executed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLObjectType,
    InlineFragmentNode,
    IntValueNode,
    SelectionSetNode,
    get_named_type,
    is_list_type,
)
from graphql.type import get_nullable_type

from fraisier_graphql.request_errors import RequestError

MAX_COST = 100_000
PAGED_ROWS, MOST_ROWS, NESTED_ROWS = 50, 1000, 20
ROWS: Mapping[str, int] = {"output": 1000}
"""How many rows a nested list may have, if it is long."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Estimates the values that a selection has: fields, times the rows of the lists that they are in.

    Args:
        fragments: of the document, by name.
    """

    fragments: Mapping[str, FragmentDefinitionNode]

    def check(self, root: GraphQLObjectType, selection: SelectionSetNode) -> None:
        """Raise `RequestError` if an operation asks for too much."""
        if (cost := self._cost(root, selection)) > MAX_COST:
            much = f"about {cost:,} values, more than {MAX_COST:,}"
            raise RequestError("VALIDATION_ERROR", f"the document is too complex: it asks for {much}")

    def _cost(self, kind: GraphQLObjectType, selection: SelectionSetNode | None) -> int:
        total = 0
        for node in selection.selections if selection else ():
            if isinstance(node, FragmentSpreadNode):
                total += self._cost(kind, self.fragments[node.name.value].selection_set)
            elif isinstance(node, InlineFragmentNode):
                total += self._cost(kind, node.selection_set)
            elif isinstance(node, FieldNode):
                total += self._cost_of_field(kind, node)
        return total

    def _cost_of_field(self, kind: GraphQLObjectType, node: FieldNode) -> int:
        definition = kind.fields.get(node.name.value)
        of = get_named_type(definition.type) if definition else None
        if definition is None or not isinstance(of, GraphQLObjectType):
            return 1
        return 1 + _rows(definition, node) * self._cost(of, node.selection_set)


def _rows(definition: GraphQLField, node: FieldNode) -> int:
    """Return how many rows a field may have; a limit that is a variable may be any."""
    if not is_list_type(get_nullable_type(definition.type)):
        return 1
    for argument in node.arguments or ():
        if argument.name.value == "limit":
            literal = argument.value
            return int(literal.value) if isinstance(literal, IntValueNode) else MOST_ROWS
    return ROWS.get(node.name.value, PAGED_ROWS if "offset" in definition.args else NESTED_ROWS)
