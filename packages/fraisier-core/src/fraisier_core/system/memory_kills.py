"""What the kernel kills if memory runs out, and how many processes it killed in the cgroup of this process
and of what it starts: `memory.events` of https://docs.kernel.org/admin-guide/cgroup-v2.html, and
`memory.oom_control` of https://docs.kernel.org/admin-guide/cgroup-v1/memory.html.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc/self")
_EXECUTOR = re.compile(r"fraisier-run-[^@]+@.+\.service")
_KILLED_FIRST = 500  # as if it held half of the memory that there is
_OCTAL = re.compile(r"\\([0-7]{3})")


class _Mount(NamedTuple):
    """A hierarchy: what of it is mounted, where, and its file that counts."""

    root: str
    place: str
    counter: str


def memory_kills(proc: Path = _PROC) -> int | None:
    """Return how many there have been so far; None if the host does not count them.

    Args:
        proc: the folder of this process in `/proc`.
    """
    counter = _counter(proc)
    with suppress(OSError, ValueError):
        for line in counter.read_text().splitlines() if counter else ():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    return None


@cache
def is_of_one_run(proc: Path = _PROC) -> bool:
    """Whether the cgroup of this process is that of a unit which executes one run, and nothing else."""
    with suppress(OSError, ValueError):
        return any(_EXECUTOR.fullmatch(path.rpartition("/")[2]) for path in _cgroups(proc).values())
    return False


def kill_first(pid: int, proc: Path = Path("/proc")) -> None:
    """Have the kernel rather kill a process, and what that starts from now on, than others of its cgroup.

    It has no effect on a process that is gone or has more rights than this one.
    """
    score = proc / str(pid) / "oom_score_adj"
    with suppress(OSError, ValueError):
        if int(score.read_text()) < _KILLED_FIRST:
            score.write_text(f"{_KILLED_FIRST}\n")


@cache
def _counter(proc: Path) -> Path | None:
    """Return the file that counts: a hierarchy of version 1 has the controller, or else that of 2 may."""
    with suppress(OSError, ValueError):
        cgroups = _cgroups(proc)
        for mount in sorted(_mounts(proc), key=lambda each: each.counter, reverse=True):
            own = os.path.relpath(cgroups.get(mount.counter, "/"), mount.root)
            counter = Path(mount.place, own, mount.counter)
            if not own.startswith("..") and counter.exists():
                return counter
    return None


def _cgroups(proc: Path) -> dict[str, str]:
    """Return the cgroup of this process for each file that counts, as cgroups(7) says."""
    found = {}
    for line in (proc / "cgroup").read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            found["memory.oom_control"] = path
        elif number == "0":
            found["memory.events"] = path
    return found


def _mounts(proc: Path) -> Iterator[_Mount]:
    """Yield what is mounted, as proc(5) says of `mountinfo`."""
    for line in (proc / "mountinfo").read_text().splitlines():
        if " - cgroup" not in line:
            continue
        mount, _, kind = line.partition(" - ")
        root, place = (_OCTAL.sub(lambda found: chr(int(found[1], 8)), each) for each in mount.split()[3:5])
        name, _, options = kind.split(None, 2)
        if name == "cgroup2":
            yield _Mount(root, place, "memory.events")
        elif "memory" in options.split(","):
            yield _Mount(root, place, "memory.oom_control")
