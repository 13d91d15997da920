"""Writes the reference of the GraphQL API, from `## Queries` on, as the exported schema has it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/reference/graphql.md"
SCHEMA = ROOT / "schema/schema.json"
GENERATED = "## Queries\n"
TITLES = {"queries": "Queries", "mutations": "Mutations", "subscriptions": "Subscriptions"}


def reference(page: str, schema: Mapping[str, Any]) -> str:
    """Return a page with its generated part as a schema has it.

    Args:
        page: its text; what comes before the generated part stays.
        schema: what `hatch run schema` exports.
    """
    kept = page.partition(GENERATED)[0]
    return kept + "\n".join([*_operations(schema), *_types(schema["types"]), *_enums(schema["enums"])])


def _operations(schema: Mapping[str, Any]) -> Iterator[str]:
    for kind, title in TITLES.items():
        rows = [(_signature(each), each["description"]) for each in schema[kind]]
        yield from (f"## {title}\n", *_table((title[:-1] if title != "Queries" else "Query", ""), rows))


def _signature(operation: Mapping[str, Any]) -> str:
    arguments = [_typed(each) for each in operation["arguments"]]
    pages = operation.get("auto_params", {})
    arguments += [f"{name}: Int" for name in ("limit", "offset") if pages.get(name)]
    kind = f"[{operation['return_type']}!]" if operation.get("returns_list") else operation["return_type"]
    returned = kind if operation.get("nullable") else f"{kind}!"
    return f"`{operation['name']}({', '.join(arguments)}): {returned}`".replace("()", "")


def _types(types: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    yield "## Types\n"
    for each in types:
        rows = [(f"`{_typed(field)}`", field["description"]) for field in each["fields"]]
        yield from (f"### `{each['name']}`\n", f"{each['description']}\n", *_table(("Field", ""), rows))


def _enums(enums: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    yield "## Enums\n"
    rows = [(f"`{each['name']}`", f"{each['description']} {_members(each)}") for each in enums]
    yield from _table(("Enum", "Members"), rows)


def _members(enum: Mapping[str, Any]) -> str:
    return ", ".join(f"`{value['name']}`" for value in enum["values"])


def _typed(field: Mapping[str, Any]) -> str:
    return f"{field['name']}: {field['type']}{'' if field['nullable'] else '!'}"


def _table(titles: tuple[str, str], rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield f"| {titles[0]} | {titles[1]} |"
    yield "|---|---|"
    for name, text in rows:
        yield f"| {name} | {' '.join(text.split())} |"
    yield ""


if __name__ == "__main__":
    PAGE.write_text(reference(PAGE.read_text(), json.loads(SCHEMA.read_text())))
