"""The processes of this machine, as `/proc` shows them: who they are, who descends from whom, their end.

A process id is used again once its process is gone, so a process is named by its id together with the time
at which it started (`proc(5)`, field 22 of `/proc/PID/stat`).
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # mallopt(3)
_LARGE_BLOCK_BYTES = 128_000
_KEPT_BYTES = 8_000_000
_PR_SET_PDEATHSIG = 1  # prctl(2)
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_SCAN_SECONDS = 0.01
KILL_SECONDS = 5.0
_STAT_BYTES = 4096

# The children of a process are one set for all of its threads, and so are those among them to be spared.
_LEFT_RUNNING: set[ProcessIdentity] = set()
# Children whose exit status is waited for: the waiting thread reaps them as well.
AWAITED: set[ProcessIdentity] = set()


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process, told apart by its start, in clock ticks since the boot, from a later one of its id."""

    pid: int
    start_time: int

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity:
        """Return the identity of the process with this id; raises `ProcessLookupError` if there is none."""
        return cls(pid, _Stat.of(pid).start_time)

    def is_alive(self) -> bool:
        """Whether this very process still runs; a zombie does not."""
        try:
            stat = _Stat.of(self.pid)
        except ProcessLookupError:
            return False
        return stat.start_time == self.start_time and stat.runs


def become_subreaper() -> None:
    """Make this process the parent of every orphan among its descendants, so that a daemon stays findable."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def forbid_dumps() -> None:
    """Keep other processes of this user from reading this one's memory and environment in `/proc`."""
    _prctl(_PR_SET_DUMPABLE, 0)


def die_with_parent(parent: int) -> None:
    """Let this process be killed when its parent, by its id, ends; or end it if that is gone already."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def children() -> frozenset[ProcessIdentity]:
    """Return the processes whose parent is this process, zombies included."""
    if not _has_children():
        return frozenset()
    return frozenset(
        ProcessIdentity(pid, stat.start_time) for pid, stat in _table().items() if stat.parent == os.getpid()
    )


def descendants(pid: int, *, spare: Collection[ProcessIdentity] = frozenset()) -> frozenset[ProcessIdentity]:
    """Return the running children of a process, their children, and so on, without those to spare."""
    table = _table()
    return frozenset(identity for identity in _below(pid, table, spare) if table[identity.pid].runs)


def leave_running(processes: Collection[ProcessIdentity]) -> None:
    """Spare these and their descendants whenever this process ends its descendants from now on."""
    _LEFT_RUNNING.update(processes)


def left_running() -> frozenset[ProcessIdentity]:
    """Return all that `leave_running` was told of, whether or not it still runs."""
    return frozenset(_LEFT_RUNNING)


def kill_descendants(
    *, spare: Collection[ProcessIdentity] = frozenset(), grace_seconds: float
) -> frozenset[ProcessIdentity]:
    """End every descendant of this process: SIGTERM, then SIGKILL, until none is left; reap its orphans.
    `spare` and their descendants are left alone, like what `leave_running` was told of. Returns those that
    could not be ended, such as a process of another user.
    """
    return _end(lambda: _reap({*spare, *_LEFT_RUNNING}), grace_seconds)


def kill_marked(variable: str, value: str) -> frozenset[ProcessIdentity]:
    """Kill what was started with this environment variable, in whatever session; return what is left."""
    entry = os.fsencode(f"{variable}={value}")
    return _end(lambda: _select(lambda pid, _: entry in _environment(pid)), grace_seconds=0)


def kill_group(leader: ProcessIdentity) -> frozenset[ProcessIdentity]:
    """Kill what is left of the session or process group that a recorded command led; return what is left. If
    its id now belongs to another process, the group is gone: an id is not given out again while a group bears
    it.
    """

    def belongs(_: int, stat: _Stat) -> bool:
        return leader.pid in {stat.group, stat.session} and not _reused(leader)

    return _end(lambda: _select(belongs), grace_seconds=0)


@dataclass(frozen=True, slots=True)
class _Stat:
    state: str
    parent: int
    group: int
    session: int
    threads: int
    start_time: int

    @classmethod
    def of(cls, pid: int) -> _Stat:
        try:
            descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
        except FileNotFoundError:
            raise ProcessLookupError(pid) from None
        try:
            line = os.read(descriptor, _STAT_BYTES)
        finally:
            os.close(descriptor)
        # The name may hold anything, spaces and brackets included; what follows its last bracket may not.
        fields = line.rpartition(b")")[2].split()
        numbers = [int(fields[number]) for number in (1, 2, 3, 17, 19)]
        return cls(fields[0].decode(), *numbers)

    @property
    def runs(self) -> bool:
        """Whether one of its threads does; the first one may end before others, and is a zombie until then,
        whose exit status is not there yet.
        """
        return self.state not in {"Z", "X"} or self.threads > 1


def return_large_blocks() -> None:
    """Let malloc return each block of 128 KB or more to the system as soon as it is free, rather than
    raise that limit with each that is freed: https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    with suppress(AttributeError):  # not every C library has it
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK_BYTES)
        mallopt(_M_ARENA_MAX, 1)  # or each thread would keep blocks of its own, which no other can use
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)  # or it would return what the next small request needs


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _has_children() -> bool:
    """Whether there are any: one system call; reading all of `/proc` would cost milliseconds."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _table() -> dict[int, _Stat]:
    table = {}
    for name in os.listdir(_PROC):  # noqa: PTH208 - a Path for each process would double the cost
        if name.isdigit():
            with suppress(ProcessLookupError):
                table[int(name)] = _Stat.of(int(name))
    return table


def _below(
    pid: int, table: dict[int, _Stat], spare: Collection[ProcessIdentity]
) -> Iterator[ProcessIdentity]:
    offspring: dict[int, list[int]] = {}
    for child, stat in table.items():
        offspring.setdefault(stat.parent, []).append(child)
    waiting = offspring.get(pid, [])
    while waiting:
        child = waiting.pop()
        identity = ProcessIdentity(child, table[child].start_time)
        if identity not in spare:
            yield identity
            waiting.extend(offspring.get(child, []))


def _reap(spare: Collection[ProcessIdentity]) -> frozenset[ProcessIdentity]:
    """Return the running descendants of this process after reaping the zombies among its children."""
    if not _has_children():
        return frozenset()
    table = _table()
    found = set(_below(os.getpid(), table, spare))
    for zombie in [identity for identity in found if not table[identity.pid].runs]:
        found.discard(zombie)
        if zombie in AWAITED:
            continue
        with suppress(ChildProcessError):  # not a child of this process but of one that still runs
            os.waitpid(zombie.pid, os.WNOHANG)
    return frozenset(found)


def _select(wanted: Callable[[int, _Stat], bool]) -> frozenset[ProcessIdentity]:
    return frozenset(
        ProcessIdentity(pid, stat.start_time)
        for pid, stat in _table().items()
        if stat.runs and pid != os.getpid() and wanted(pid, stat)
    )


def _environment(pid: int) -> list[bytes]:
    try:
        return (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:  # gone, or of another user
        return []


def _reused(leader: ProcessIdentity) -> bool:
    try:
        return ProcessIdentity.of(leader.pid) != leader
    except ProcessLookupError:
        return False


def _end(find: Callable[[], frozenset[ProcessIdentity]], grace_seconds: float) -> frozenset[ProcessIdentity]:
    asked: set[ProcessIdentity] = set()
    kill_from = time.monotonic() + grace_seconds
    while left := find():
        if (now := time.monotonic()) >= kill_from + KILL_SECONDS:
            break
        if now >= kill_from:
            _signal_all(left, signal.SIGKILL)
        else:
            _signal_all(left - asked, signal.SIGTERM)
            asked |= left
        time.sleep(_SCAN_SECONDS)
    return left


def _signal_all(identities: Collection[ProcessIdentity], number: signal.Signals) -> None:
    """Stop all of them first: a shell whose command ended before it would go on to the next one."""
    for each in (signal.SIGSTOP, number, signal.SIGCONT):
        for identity in identities:
            _signal(identity, each)


def _signal(identity: ProcessIdentity, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        descriptor = os.pidfd_open(identity.pid)
        try:
            if identity.is_alive():  # asked while the descriptor holds on to the process: no id is reused
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)
