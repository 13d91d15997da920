"""How much memory processes take, as Linux tells it."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fraisier_core.system.processes import descendants

LOOK_SECONDS = 0.05


@dataclass
class Memory:
    """The most that was seen, in MB.

    Attributes:
        largest: of one process.
        resident: of all of them at once, what they share counted for each.
        together: of all of them at once, what they share counted once.
    """

    largest: float = 0.0
    resident: float = 0.0
    together: float = 0.0


@contextmanager
def memory_of_commands() -> Iterator[Memory]:
    """Yield the memory of all processes that this one starts, for as long as the context lasts."""
    memory, done = Memory(), threading.Event()

    def look() -> None:
        while not done.wait(LOOK_SECONDS):
            _look(memory)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield memory
    finally:
        done.set()
        looking.join()


def _look(memory: Memory) -> None:
    own = _command(os.getpid())
    pids = [each.pid for each in descendants(os.getpid())]
    pids = [pid for pid in pids if _command(pid) not in {own, b""}]  # else it is not the command yet
    memory.largest = max(memory.largest, *(_megabytes(pid, "status", "VmHWM") for pid in pids), 0.0)
    memory.resident = max(memory.resident, sum(_megabytes(pid, "status", "VmRSS") for pid in pids))
    memory.together = max(memory.together, sum(_megabytes(pid, "smaps_rollup", "Pss") for pid in pids))


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _megabytes(pid: int, file: str, name: str) -> float:
    try:
        text = Path(f"/proc/{pid}/{file}").read_text()
    except OSError:
        return 0.0
    found = re.search(rf"{name}:\s+(\d+) kB", text)
    return int(found[1]) * 1024 / 1e6 if found else 0.0
