"""What the two databases call the same things, in a statement that answers in JSON."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from fraisier_core import ConfigurationError
from graphql import GraphQLEnumType, GraphQLNamedType

AT_ONCE = 40
"""How many fields one call makes an object of: a function takes at most 100 arguments."""
Fields = Sequence[tuple[str, str]]
"""The name of each field of an object, and the expression of its value."""


class Dialect(ABC):
    """How a database makes JSON of the columns of a view, and of the JSON that some of them hold."""

    make_object: ClassVar[str]
    join: ClassVar[str]
    no_limit: ClassVar[str]

    @abstractmethod
    def scalar(self, kind: GraphQLNamedType, column: str) -> str:
        """Return a column as a value of JSON."""

    @abstractmethod
    def value(self, text: str) -> str:
        """Return a text of JSON, also that of a column, as a value of JSON."""

    @abstractmethod
    def member(self, holder: str, key: str) -> str:
        """Return what an object of JSON has under a key, as a value of JSON."""

    @abstractmethod
    def member_text(self, holder: str, key: str) -> str:
        """Return what an object of JSON has under a key, as text."""

    @abstractmethod
    def elements(self, array: str, alias: str) -> tuple[str, str]:
        """Return what follows FROM for the elements of an array, each as `ALIAS.value`, and their order."""

    def scalar_member(self, kind: GraphQLNamedType, holder: str, key: str) -> str:
        """Return a scalar that an object of JSON has under a key, as a value of JSON."""
        if isinstance(kind, GraphQLEnumType):
            return _member_name(kind, self.member_text(holder, key))
        return self.member(holder, key)

    def object(self, fields: Fields) -> str:
        """Return an object."""
        parts = [fields[start : start + AT_ONCE] for start in range(0, len(fields), AT_ONCE)]
        objects = [f"{self.make_object}({', '.join(map(_pair, part))})" for part in parts]
        return objects[0] if len(objects) == 1 else self.value(_spliced([*map(_text, objects)]))

    def list_of(self, objects: str) -> str:
        """Return the select of the text of a list of what another select calls `o`."""
        texts = f"coalesce({self.join}({_text('s.o')}, ','), '')"
        return f"SELECT '[' || {texts} || ']' AS answer FROM ({objects}) AS s"


class Sqlite(Dialect):
    """SQLite, 3.38 and newer: a time is text, a boolean a number, a list text of JSON."""

    make_object = "json_object"
    join = "group_concat"
    no_limit = "-1"

    def scalar(self, kind: GraphQLNamedType, column: str) -> str:
        if isinstance(kind, GraphQLEnumType):
            return _member_name(kind, column)
        if kind.name == "Float":  # as text of its own it would have 15 digits
            return f"json(CASE WHEN {column} IS NOT NULL THEN printf('%!.17g', {column}) END)"
        return _truth(column) if kind.name == "Boolean" else column

    def value(self, text: str) -> str:
        return f"json({text})"

    def member(self, holder: str, key: str) -> str:
        return f"{holder} -> {literal('$.' + key)}"

    def member_text(self, holder: str, key: str) -> str:
        return f"({holder} ->> {literal('$.' + key)})"

    def scalar_member(self, kind: GraphQLNamedType, holder: str, key: str) -> str:
        if kind.name == "Boolean":
            return _truth(self.member_text(holder, key))
        return super().scalar_member(kind, holder, key)

    def elements(self, array: str, alias: str) -> tuple[str, str]:
        return f"json_each({array}) AS {alias}", f"{alias}.key"


class Postgresql(Dialect):
    """PostgreSQL: times, ids and JSON have types of their own."""

    make_object = "json_build_object"
    join = "string_agg"
    no_limit = "ALL"

    def scalar(self, kind: GraphQLNamedType, column: str) -> str:
        if isinstance(kind, GraphQLEnumType):
            return _member_name(kind, _text(column))
        if kind.name == "DateTime":
            return f"to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
        return column

    def value(self, text: str) -> str:
        return f"CAST({text} AS json)"

    def member(self, holder: str, key: str) -> str:
        return f"CAST({holder} AS json) -> {literal(key)}"

    def member_text(self, holder: str, key: str) -> str:
        return f"(CAST({holder} AS json) ->> {literal(key)})"

    def elements(self, array: str, alias: str) -> tuple[str, str]:
        found = f"json_array_elements(CAST({array} AS json)) WITH ORDINALITY AS {alias} (value, number)"
        return found, f"{alias}.number"


DIALECTS: Mapping[str, Dialect] = {"sqlite": Sqlite(), "postgresql": Postgresql()}


def dialect_of(store: str) -> Dialect:
    """Return the dialect of a kind of store, named as its plugin is. Raises `ConfigurationError`."""
    if store not in DIALECTS:
        known = " and ".join(DIALECTS)
        problem = f"graphql: it reads stores on {known}, not on {store}"
        raise ConfigurationError([f"{problem}; move the store, or remove the section"])
    return DIALECTS[store]


def literal(text: str) -> str:
    """Return a text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def _member_name(kind: GraphQLEnumType, stored: str) -> str:
    """Return the name of a member of an enum, by what the store has for it."""
    members = {str(value.value): name for name, value in kind.values.items()}
    if all(name == value.upper() for value, name in members.items()):
        return f"upper({stored})"
    cases = " ".join(f"WHEN {literal(value)} THEN {literal(name)}" for value, name in members.items())
    return f"CASE {stored} {cases} END"


def _truth(number: str) -> str:
    return f"json(CASE WHEN {number} THEN 'true' WHEN NOT {number} THEN 'false' END)"


def _pair(field: tuple[str, str]) -> str:
    name, value = field
    return f"{literal(name)}, {value}"


def _text(value: str) -> str:
    return f"CAST({value} AS text)"


def _spliced(objects: Sequence[str]) -> str:
    """Return the text of one object with the fields of two and more, none of which is empty."""
    first, *middle, last = objects
    texts = [f"substr({first}, 1, length({first}) - 1)"]
    texts += [f"substr({each}, 2, length({each}) - 2)" for each in middle]
    return " || ',' || ".join([*texts, f"substr({last}, 2)"])
