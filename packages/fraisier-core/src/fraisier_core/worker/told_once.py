"""Which overdue jobs an observer was told of, in a file: after a restart, a repetition is told as one."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from fraisier_core.observer_context import Missed
from fraisier_core.system.disk import make_folder, replace_file

_BEGUN, _TOLD = "begun", "told"


class ToldOnce:
    """For each kind of job of an environment, since when none was requested, and whether that was told."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._states: dict[str, list[str]] = {}
        with suppress(OSError, ValueError):
            self._states = json.loads(path.read_text())

    def is_told(self, missed: Missed) -> bool:
        """Whether the observer was told of it."""
        return self._states.get(_key(missed)) == [missed.since, _TOLD]

    def begin(self, missed: Missed) -> bool:
        """Remember that the observer is being told, and return whether it may have been told already."""
        has_begun = self._states.get(_key(missed)) == [missed.since, _BEGUN]
        self._write(missed, _BEGUN)
        return has_begun

    def end(self, missed: Missed) -> None:
        """Remember that the observer was told."""
        self._write(missed, _TOLD)

    def _write(self, missed: Missed, state: str) -> None:
        self._states[_key(missed)] = [missed.since, state]
        make_folder(self._path.parent)
        replace_file(self._path, json.dumps(self._states))


def _key(missed: Missed) -> str:
    return f"{missed.fraise_id} {missed.environment} {missed.kind}"
