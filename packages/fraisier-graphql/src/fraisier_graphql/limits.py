"""How large, deep and costly a document may be, decided before it is validated; and which fields conflict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    print_ast,
)

from fraisier_graphql.request_errors import RequestError


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may ask.

    Args:
        bytes: of a whole request.
        tokens: of a document.
        depth: of fields within fields.
        aliases: of its operations, with those of fragments each time that these are used.
        fields: the same of fields, and of uses of fragments.
        batch: how many operations one request may ask for.
        rows: of one list.
        variables: how deep a variable's value may be.
    """

    bytes: int = 100_000
    tokens: int = 2000
    depth: int = 10
    aliases: int = 60
    fields: int = 1000
    batch: int = 10
    rows: int = 1000
    variables: int = 10


@dataclass(slots=True)
class _Measure:
    fragments: Mapping[str, FragmentDefinitionNode]
    limits: Limits
    parts: int = 0
    aliases: int = 0
    opened: set[str] = field(default_factory=set)

    def check(self, selections: Sequence[SelectionSetNode | None], depth: int) -> None:
        """Go through what selections ask for together, and no further than the limits."""
        found: dict[str, list[FieldNode]] = {}
        for selection in selections:
            self._collect(selection, found)
        self._refuse_if(
            bool(found) and depth > self.limits.depth, "deep: it has more than {} levels", self.limits.depth
        )
        for key, nodes in found.items():
            _refuse_conflict(key, nodes)
            if nodes[0].name.value not in {"__schema", "__type"}:  # answered from memory, if at all
                self.check([node.selection_set for node in nodes], depth + 1)

    def _collect(self, selection: SelectionSetNode | None, found: dict[str, list[FieldNode]]) -> None:
        """Add the fields of a selection by the name that they have in the answer."""
        for node in selection.selections if selection else ():
            self._count(node)
            if isinstance(node, FieldNode):
                found.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
            elif isinstance(node, FragmentSpreadNode):
                self._collect_fragment(node.name.value, found)
            else:
                self._collect(getattr(node, "selection_set", None), found)

    def _collect_fragment(self, name: str, found: dict[str, list[FieldNode]]) -> None:
        if name in self.fragments and name not in self.opened:  # validation refuses a circle
            self.opened.add(name)
            self._collect(self.fragments[name].selection_set, found)
            self.opened.discard(name)

    def _count(self, node: SelectionNode) -> None:
        """Count a field, or the use of a fragment: those that use each other double with each."""
        self.parts += 1
        self.aliases += isinstance(node, FieldNode) and node.alias is not None
        for count, limit, what in (
            (self.parts, self.limits.fields, "fields"),
            (self.aliases, self.limits.aliases, "aliases"),
        ):
            self._refuse_if(count > limit, f"complex: it has more than {{}} {what}", limit)

    @staticmethod
    def _refuse_if(is_too_much: bool, what: str, limit: int) -> None:
        if is_too_much:
            raise RequestError("VALIDATION_ERROR", f"the document is too {what.format(limit)}")


def _refuse_conflict(key: str, nodes: Sequence[FieldNode]) -> None:
    """Raise `RequestError` if fields that have one name in the answer are not the same. As no type stands for
    others, that is all the rule of the specification says (5.3.2), in time that grows with the fields and
    not with their pairs.
    """
    first = nodes[0]
    for node in nodes[1:]:
        if node.name.value != first.name.value:
            why = f"{first.name.value} and {node.name.value} are different fields"
        elif _arguments(node) != _arguments(first):
            why = "they have different arguments"
        else:
            continue
        problem = f'fields "{key}" conflict because {why}; give one of them an alias'
        raise RequestError("VALIDATION_ERROR", problem)


def _arguments(node: FieldNode) -> dict[str, str]:
    return {argument.name.value: print_ast(argument.value) for argument in node.arguments or ()}


def check_document(document: DocumentNode, limits: Limits) -> None:
    """Raise `RequestError` if an operation of a document asks too much."""
    fragments = {
        node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
    }
    measure = _Measure(fragments, limits)  # of all operations together: each may use every fragment
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):  # a fragment that none uses is refused later
            measure.check([node.selection_set], 1)
