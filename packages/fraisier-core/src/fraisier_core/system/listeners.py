"""Which processes listen on a port of this host, as `/proc` shows it (proc_net_tcp, proc(5))."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTENING = "0A"
_LOOPBACK_4, _LOOPBACK_6 = "7F", "00000000000000000000000001000000"


def listeners(port: int) -> frozenset[int]:
    """Return the ids of the processes that listen on a TCP port for connections from this host itself.

    The processes of other users are not found.
    """
    sockets = {f"socket:[{inode}]" for table in _TABLES for inode in _inodes(table, port)}
    return frozenset(_holders(sockets)) if sockets else frozenset()


def _inodes(table: Path, port: int) -> Iterator[str]:
    with suppress(OSError):
        for line in table.read_text().splitlines()[1:]:
            fields = line.split()
            address, _, number = fields[1].partition(":")
            if fields[3] == _LISTENING and int(number, 16) == port and _is_local(address):
                yield fields[9]


def _is_local(address: str) -> bool:
    """Whether what listens on an address, as the table shows it, gets this host's connections to itself."""
    return not int(address, 16) or address == _LOOPBACK_6 or address[-2:] == _LOOPBACK_4


def _holders(sockets: set[str]) -> Iterator[int]:
    for name in os.listdir("/proc"):  # noqa: PTH208 - a Path for each process would double the cost
        if name.isdigit():
            with suppress(OSError):
                folder = f"/proc/{name}/fd"
                if any(_target(f"{folder}/{number}") in sockets for number in os.listdir(folder)):  # noqa: PTH208
                    yield int(name)


def _target(link: str) -> str:
    try:
        return os.readlink(link)  # noqa: PTH115
    except OSError:  # closed meanwhile
        return ""
