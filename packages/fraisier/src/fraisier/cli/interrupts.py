"""Ctrl-C while a deployment runs: the first requests its cancellation, the second quits."""

from __future__ import annotations

import signal
from types import FrameType


class Interrupts:
    """Counts Ctrl-C within a block; the second one raises `KeyboardInterrupt` as usual."""

    def __init__(self) -> None:
        self.pressed = False

    def __enter__(self) -> Interrupts:
        self._before = signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _press(self, _number: int, _frame: FrameType | None) -> None:
        if self.pressed:
            raise KeyboardInterrupt
        self.pressed = True
