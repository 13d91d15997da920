"""Installations that differ in their database alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, cast

from fraisier_core.config import Config

from tests.model.installation import Installation
from tests.model.stores import Stores
from tests.stores import OpenStore

VIEWS = (  # and their order, the oldest first
    "v_deployment_history ORDER BY sequence",
    "v_webhook_events ORDER BY sequence",
    "v_webhook_refs ORDER BY sequence, number",
    "v_fraises ORDER BY id",
    "v_fraise_status ORDER BY fraise_id, environment",
    "v_deployment_stats ORDER BY fraise_id, environment",
)
_EVENTS = "tb_deployment_events ORDER BY sequence"
# What no two installations have alike. A release is called after the time and its deployment.
_OWN = re.compile(
    r"\b(?:(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)"
    r"|(?P<id>[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12})"
    r"|(?P<release>\d{8}-\d{6}-[0-9a-f]{12}-[0-9a-f]{4}))"
)
# Sequences have gaps.
_MEASURED = ("sequence", "position", "newest_delivery", "duration", "deployments_per_day")


class Twins:
    """What is done to one is done to all, and what they record stays alike.

    Args:
        config: of each.
        stores: where each keeps its store.
    """

    def __init__(self, config: Config, stores: Sequence[Stores]) -> None:
        self._all = [Installation(config, each) for each in stores]

    def __getattr__(self, name: str) -> Any:
        found = [getattr(each, name) for each in self._all]
        return partial(self._do, found) if callable(found[0]) else found[0]

    def _do(self, methods: Sequence[Any], *arguments: Any, **options: Any) -> Any:
        first, *_ = [method(*arguments, **options) for method in methods]
        return first

    def rest(self) -> None:
        """Let everything end, and compare what was recorded."""
        for each in self._all:
            each.rest()
        first, *others = self._all
        if others:  # else it would be read, which takes half of the time, for nothing
            expected = recorded(first.store)
            assert all(recorded(other.store) == expected for other in others), "every database says the same"

    def close(self) -> None:
        """End everything, after a last rest."""
        try:
            self.rest()
        finally:
            for each in self._all:
                each.close()


def twins(config: Config, stores: Sequence[Stores]) -> Installation:
    """Return installations of which each has one of the stores, as if they were one."""
    return cast("Installation", Twins(config, stores))


def recorded(store: OpenStore) -> list[str]:
    """Return the rows of every view and all events, in order, as they compare with another store's."""
    rows = [row for place in (_EVENTS, *VIEWS) for row in store.all(f"SELECT * FROM {place}")]
    return list(_alike(json.dumps({name: _plain(name, row[name]) for name in row}) for row in rows))


def _alike(rows: Iterable[str]) -> Iterable[str]:
    """Yield rows with numbers, in order of their appearance, for ids and releases."""
    numbers: dict[str, str] = {}

    def number(own: re.Match[str]) -> str:
        return "time" if own["time"] else numbers.setdefault(own[0], f"{own.lastgroup} {len(numbers)}")

    for row in rows:
        yield _OWN.sub(number, row)


def _plain(column: str, value: Any) -> Any:
    if value is not None and column == "token":
        return "drawn"
    if value is not None and column.endswith(_MEASURED):
        return "measured"
    if isinstance(value, str) and value[:1] in {"[", "{"}:
        return _plain(column, json.loads(value))
    if isinstance(value, dict):
        return {name: _plain(name, value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_plain(column, each) for each in value]
    if isinstance(value, float):  # in JSON, SQLite writes fewer digits, and PostgreSQL no point in 1.0
        value = round(value, 12)
        return int(value) if value.is_integer() else value
    return int(value) if isinstance(value, bool) else value
