"""The journal of one run of a unit."""

from __future__ import annotations

import json
from collections.abc import Iterator

from fraisier_core.system.queries import NoAnswerError
from fraisier_core.system.systemd import asked

_INVOCATION = "_SYSTEMD_INVOCATION_ID"
_SECONDS = 5.0


def unit_journal(invocation_id: str, lines: int) -> list[tuple[str, bool]]:
    """Return the last lines of one invocation of a unit, and of each whether the unit itself wrote it, and
    not systemd about it; nothing if there is no journal, or this user may not read it.

    Args:
        invocation_id: as `UnitState.invocation_id`.
        lines: how many.
    """
    own, about = f"{_INVOCATION}={invocation_id}", ["_PID=1", f"INVOCATION_ID={invocation_id}"]
    fields = f"--output-fields=MESSAGE,{_INVOCATION}"
    argv = ["journalctl", "--quiet", "--no-pager", "-o", "json", fields, "-n", str(lines), own, "+", *about]
    try:
        return list(_lines(asked(argv, _SECONDS).output, invocation_id)) if invocation_id else []
    except NoAnswerError:
        return []


def _lines(output: bytes, invocation_id: str) -> Iterator[tuple[str, bool]]:
    for line in output.splitlines():
        entry = json.loads(line)
        message = entry.get("MESSAGE")
        if isinstance(message, list):  # bytes, if it is not UTF-8
            message = bytes(message).decode(errors="replace")
        if isinstance(message, str) and message.strip():
            yield message, entry.get(_INVOCATION) == invocation_id
