"""How much of the processor a process gets beside others."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_AUTOGROUP = Path("/proc/self/autogroup")


def yield_to_others(nice: int) -> None:
    """Let others come first, by so much.

    Linux may share the processor out between sessions before it looks at the niceness of their processes, so
    one that leads a session says it of the session, too; after `forbid_dumps`, only root may. See "The
    autogroup feature" in https://man7.org/linux/man-pages/man7/sched.7.html.
    """
    os.nice(nice)
    if os.getsid(0) == os.getpid():
        with suppress(OSError):  # such as a kernel without it
            _AUTOGROUP.write_text(str(nice))
