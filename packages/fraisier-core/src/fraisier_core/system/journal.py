"""The journal of one run of a unit."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

from fraisier_core.system.environment import clean_environment

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
        done = subprocess.run(
            argv,
            env=clean_environment({"LC_ALL": "C"}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return list(_lines(done.stdout, invocation_id)) if invocation_id else []


def _lines(output: bytes, invocation_id: str) -> Iterator[tuple[str, bool]]:
    for line in output.splitlines():
        entry = json.loads(line)
        message = entry.get("MESSAGE")
        if isinstance(message, list):  # bytes, if it is not UTF-8
            message = bytes(message).decode(errors="replace")
        if isinstance(message, str) and message.strip():
            yield message, entry.get(_INVOCATION) == invocation_id
