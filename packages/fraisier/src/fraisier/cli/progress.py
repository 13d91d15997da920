"""How far a long command is: a line that is kept up to date on a terminal, else one for each large table."""

from __future__ import annotations

import sys
import time

from fraisier.terminal import tell, wants_live

INTERVAL = 0.2
LARGE = 10_000


class Progress:
    """Tells how many rows of which table are done."""

    def __init__(self) -> None:
        self._is_live = wants_live(sys.stderr)
        self._shown = 0.0

    def __call__(self, table: str, done: int, total: int) -> None:
        """Tell of a table how many of its rows are done, and how many there are."""
        text = f"{table.removeprefix('tb_')}: {done} of {max(done, total)}"
        ended = done >= total
        if self._is_live and (ended or time.monotonic() - self._shown > INTERVAL):
            self._shown = time.monotonic()
            sys.stderr.write(f"\r\x1b[K{text}" + "\n" * ended)
            sys.stderr.flush()
        elif ended and total >= LARGE and not self._is_live:
            tell(text)


def quiet(table: str, done: int, total: int) -> None:
    """Tell nothing."""
