"""The exported schema: as graphql-core has it, and where each field of it comes from in the store."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLEnumValue,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    get_named_type,
    is_list_type,
    is_object_type,
)
from graphql.type import GraphQLList, GraphQLNonNull, get_nullable_type

EXPORTED = Path(__file__).with_name("schema.json")
OPERATIONS = ("queries", "mutations", "subscriptions")
_BUILT_IN = (GraphQLBoolean, GraphQLFloat, GraphQLID, GraphQLInt, GraphQLString)
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def snake_case(name: str) -> str:
    """Return the name of the column that a field or an argument is called after."""
    return _CAPITAL.sub("_", name).lower()


@dataclass(frozen=True, slots=True)
class Source:
    """Where a type of rows comes from.

    Args:
        view: whose rows it is; None if rows of other views hold it, in JSON.
        columns: the column of each field, or its key in JSON.
    """

    view: str | None
    columns: Mapping[str, str]

    @property
    def order(self) -> str | None:
        """The column by which the newest row comes first; None leaves the order to the view."""
        return "sequence" if "sequence" in self.columns.values() else None


class ApiSchema:
    """The schema that `hatch run schema` exported.

    Args:
        exported: the parsed file.
    """

    def __init__(self, exported: Mapping[str, Any]) -> None:
        self._exported = exported
        self._types: dict[str, GraphQLNamedType] = {each.name: each for each in _BUILT_IN}
        for each in exported["enums"]:
            self._types[each["name"]] = _enum(each)
        for each in exported["types"]:
            self._types[each["name"]] = self._object(each)
        self.sources = {
            each["name"]: Source(
                each.get("sql_source"), {field["name"]: snake_case(field["name"]) for field in each["fields"]}
            )
            for each in exported["types"]
        }
        self.mutations = {each["name"]: each["sql_source"] for each in exported["mutations"]}

    @classmethod
    def read(cls, file: Path = EXPORTED) -> ApiSchema:
        """Return the schema in a file, by default the one of this package."""
        return cls(json.loads(file.read_bytes()))

    @cached_property
    def graphql(self) -> GraphQLSchema:
        """The schema as graphql-core validates by it."""
        query, mutation, subscription = (self._root(kind) for kind in OPERATIONS)
        return GraphQLSchema(query, mutation, subscription, types=list(self._types.values()))

    def _root(self, kind: str) -> GraphQLObjectType | None:
        operations = self._exported[kind]
        name = {"queries": "Query", "mutations": "Mutation", "subscriptions": "Subscription"}[kind]
        fields = {each["name"]: self._operation(each) for each in operations}
        return GraphQLObjectType(name, fields) if fields else None

    def _operation(self, operation: Mapping[str, Any]) -> GraphQLField:
        kind = f"[{operation['return_type']}!]" if operation.get("returns_list") else operation["return_type"]
        arguments = {each["name"]: self._argument(each) for each in operation["arguments"]}
        pages = operation.get("auto_params", {})
        arguments |= {name: GraphQLArgument(GraphQLInt) for name in ("limit", "offset") if pages.get(name)}
        return GraphQLField(
            self._type(kind, nullable=operation.get("nullable", False)),
            arguments,
            description=operation.get("description"),
        )

    def _argument(self, argument: Mapping[str, Any]) -> GraphQLArgument:
        return GraphQLArgument(
            self._type(argument["type"], nullable=argument["nullable"]),
            description=argument.get("description"),
        )

    def _object(self, exported: Mapping[str, Any]) -> GraphQLObjectType:
        return GraphQLObjectType(
            exported["name"],
            lambda: dict(self._fields(exported["fields"])),
            description=exported.get("description"),
        )

    def _fields(self, fields: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, GraphQLField]]:
        """Yield the fields; a list of objects can be cut short."""
        for each in fields:
            kind = self._type(each["type"], nullable=each["nullable"])
            is_nested_list = is_list_type(get_nullable_type(kind)) and is_object_type(get_named_type(kind))
            arguments = {"limit": GraphQLArgument(GraphQLInt)} if is_nested_list else {}
            deprecated = (each.get("deprecated") or {}).get("reason")
            yield (
                each["name"],
                GraphQLField(
                    kind,
                    arguments,
                    description=each.get("description"),
                    deprecation_reason=deprecated,
                ),
            )

    def _type(self, written: str, *, nullable: bool) -> Any:
        """Return a type as the file writes it, such as `[Step!]`; it may name a scalar of its own."""
        if not nullable:
            return GraphQLNonNull(self._type(written, nullable=True))
        if written.endswith("!"):
            return self._type(written[:-1], nullable=False)
        if written.startswith("["):
            return GraphQLList(self._type(written[1:-1], nullable=True))
        if written not in self._types:
            self._types[written] = GraphQLScalarType(written)
        return self._types[written]


def _enum(exported: Mapping[str, Any]) -> GraphQLEnumType:
    values = {
        each["name"]: GraphQLEnumValue(each.get("value", each["name"]), description=each.get("description"))
        for each in exported["values"]
    }
    return GraphQLEnumType(exported["name"], values, description=exported.get("description"))
