"""What an observer prints while it is called: the beginning goes to the log, the rest nowhere.

A log that floods would be written to the disk when a deployment syncs its release.
"""

from __future__ import annotations

import codecs
import os
from contextlib import suppress
from typing import NamedTuple

MOST_BYTES = 8_000
_CHUNK = 65_536
_CHUNKS_AT_ONCE = 16


class Excerpt(NamedTuple):
    """The beginning of what was printed, and how many bytes followed."""

    text: str = ""
    left_out: int = 0


class Printed:
    """A pipe for standard output and errors, of which everything is read."""

    def __init__(self) -> None:
        self._source, self._sink = os.pipe()
        os.set_blocking(self._source, False)
        self._kept = bytearray()
        self._left_out = 0
        self.is_open = True

    def fileno(self) -> int:
        """Return a file descriptor that is readable when something was printed, and at its end."""
        return self._source

    def take(self) -> None:
        """In the process that prints: print here from now on."""
        os.dup2(self._sink, 1)
        os.dup2(self._sink, 2)

    def started(self) -> None:
        """In the other one: leave the end that prints to it."""
        os.close(self._sink)

    def read(self) -> None:
        """Read what is there, and some of what comes meanwhile."""
        with suppress(BlockingIOError):
            for _ in range(_CHUNKS_AT_ONCE):
                chunk = os.read(self._source, _CHUNK)
                if not chunk:
                    self.is_open = False
                    return
                kept = chunk[: MOST_BYTES - len(self._kept)]
                self._kept += kept
                self._left_out += len(chunk) - len(kept)

    def close(self) -> Excerpt:
        """Read no more, and return what is to be logged."""
        self.read()
        os.close(self._source)
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        return Excerpt(decoder.decode(self._kept, final=not self._left_out), self._left_out)
