"""Documents, compiled into one statement for each root field; each is compiled once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any, Generic, TypeVar, cast

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLObjectType,
    OperationDefinitionNode,
    OverlappingFieldsCanBeMergedRule,
    parse,
    specified_rules,
    validate,
)
from graphql.execution.values import VariableValues, get_variable_values

from fraisier_graphql.api_schema import ApiSchema
from fraisier_graphql.cost import Estimate
from fraisier_graphql.dialects import Dialect
from fraisier_graphql.limits import Limits, check_document
from fraisier_graphql.request_errors import RequestError, of_graphql
from fraisier_graphql.root_fields import RootField, root_field
from fraisier_graphql.selecting import ScopeShape, Selecting

T = TypeVar("T")
Variables = Mapping[str, Any]
_Key = tuple[Any, ...]
"""The text of a document, and what else decides."""

MAX_ERRORS = 10
PARSED: Mapping[str, Any] = {"allow_empty_selection_sets": False, "max_comments": 200}
CACHED_CHARACTERS, LEAST_CHARACTERS = 500_000, 1000
"""Of the documents that are remembered; a short one counts as a longer one."""
RULES = [rule for rule in specified_rules if rule is not OverlappingFieldsCanBeMergedRule]
"""What is validated; which fields conflict is found with the limits, in less time."""
NO_VARIABLES = VariableValues({}, {})


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
            raise RequestError("VALIDATION_ERROR", "operationName must say which operation is meant")
        if name not in self.operations:
            raise RequestError("VALIDATION_ERROR", f'the document has no operation "{name}"')
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
        _ = schema.graphql  # made before several threads ask for it
        self.limits = limits or Limits()
        self._dialect = dialect
        self._documents: _Recent[Document] = _Recent()
        self._compiled: _Recent[tuple[RootField, ...]] = _Recent()

    def document(self, text: str) -> Document:
        """Return a valid document within the limits. Raises `RequestError`, `RefusedDocumentError`."""
        return self._documents.get((text,), partial(self._validated, text))

    def knows(self, text: str) -> bool:
        """Whether a document was validated lately: it is then compiled in no time."""
        return (text,) in self._documents

    def compile(
        self,
        text: str,
        operation: str | None = None,
        variables: Variables | None = None,
        scope: ScopeShape | None = None,
    ) -> CompiledDocument:
        """Return an operation of a document, compiled. Raises `RequestError`, `RefusedDocumentError`.

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
        return CompiledDocument(
            node.operation.value, self._compiled.get(key, compiled), values, document, node
        )

    def _validated(self, text: str) -> Document:
        try:
            ast = parse(text, max_lexical_tokens=self.limits.tokens, **PARSED)
        except GraphQLError as error:
            raise of_graphql("PARSE_ERROR", [error]) from None
        check_document(ast, self.limits)
        errors = validate(
            self.schema.graphql, ast, RULES, max_errors=MAX_ERRORS, allow_empty_selection_sets=False
        )
        if errors:
            raise of_graphql("VALIDATION_ERROR", errors)
        operations = [node for node in ast.definitions if isinstance(node, OperationDefinitionNode)]
        fragments = [node for node in ast.definitions if isinstance(node, FragmentDefinitionNode)]
        by_name = {node.name.value: node for node in fragments}
        for node in operations:
            root = cast("GraphQLObjectType", self.schema.graphql.get_root_type(node.operation))
            Estimate(by_name).check(root, node.selection_set)
        return Document(
            ast,
            {node.name.value if node.name else None: node for node in operations},
            by_name,
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
        root = cast("GraphQLObjectType", self.schema.graphql.get_root_type(node.operation))
        selecting = Selecting(self.schema, self._dialect, document.fragments, values, scope)
        collected = selecting.collected([node.selection_set])
        return tuple(root_field(root, selecting, key, tuple(nodes)) for key, nodes in collected.items())


def _shape(node: OperationDefinitionNode, values: VariableValues) -> Hashable:
    """Return what of the variables decides the statements: which are given, and whether the true ones are."""
    found = []
    for definition in node.variable_definitions or ():
        value = values.coerced.get(definition.variable.name.value)
        found.append(value if isinstance(value, bool) else value is None and "missing")
    return tuple(found)


class _Recent(Generic[T]):
    """What was made last of documents, as long as they are not too much together: each takes a hundred times
    its text, and clients may send ever new ones.
    """

    def __init__(self) -> None:
        self._size = 0
        self._made: OrderedDict[_Key, T] = OrderedDict()
        self._lock = Lock()

    def __contains__(self, key: _Key) -> bool:
        return key in self._made

    def get(self, key: _Key, make: Callable[[], T]) -> T:
        """Return what was made for a key, or make it."""
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
                return self._made[key]
        made = make()
        with self._lock:
            if key not in self._made:
                self._size += _size(key)
            self._made[key] = made
            while self._size > CACHED_CHARACTERS:
                oldest, _ = self._made.popitem(last=False)
                self._size -= _size(oldest)
        return made


def _size(key: _Key) -> int:
    return len(key[0]) + LEAST_CHARACTERS
