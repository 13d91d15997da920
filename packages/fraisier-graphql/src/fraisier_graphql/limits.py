"""How large, deep and costly a document may be: decided before it is validated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from fraisier_graphql.request_errors import RequestError


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may ask.

    Args:
        bytes: of a whole request.
        tokens: of a document.
        depth: of fields within fields.
        aliases: of one operation, with those of its fragments each time that these are used.
        fields: the same of fields.
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
    fields: int = 0
    aliases: int = 0
    opened: set[str] = field(default_factory=set)

    def check(self, selection: SelectionSetNode | None, depth: int) -> None:
        """Go through what a selection asks for, and no further than the limits."""
        for node in self._fields(selection):
            if node.name.value in {"__schema", "__type"}:
                continue  # answered from memory, if at all
            self.fields += 1
            self.aliases += node.alias is not None
            self._refuse_if(depth > self.limits.depth, "deep: it has more than {} levels", self.limits.depth)
            self._refuse_if(
                self.fields > self.limits.fields, "complex: it has more than {} fields", self.limits.fields
            )
            self._refuse_if(
                self.aliases > self.limits.aliases,
                "complex: it has more than {} aliases",
                self.limits.aliases,
            )
            self.check(node.selection_set, depth + 1)

    def _fields(self, selection: SelectionSetNode | None) -> Iterator[FieldNode]:
        for node in selection.selections if selection else ():
            if isinstance(node, FieldNode):
                yield node
            elif isinstance(node, FragmentSpreadNode):
                yield from self._fields_of_fragment(node.name.value)
            else:
                yield from self._fields(getattr(node, "selection_set", None))

    def _fields_of_fragment(self, name: str) -> Iterator[FieldNode]:
        if name in self.fragments and name not in self.opened:  # validation refuses a circle
            self.opened.add(name)
            yield from self._fields(self.fragments[name].selection_set)
            self.opened.discard(name)

    @staticmethod
    def _refuse_if(is_too_much: bool, what: str, limit: int) -> None:
        if is_too_much:
            raise RequestError("VALIDATION_ERROR", f"the document is too {what.format(limit)}")


def check_document(document: DocumentNode, limits: Limits) -> None:
    """Raise `RequestError` if an operation of a document asks too much."""
    fragments = {
        node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
    }
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):  # a fragment that none uses is refused later
            _Measure(fragments, limits).check(node.selection_set, 1)
