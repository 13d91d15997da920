"""How much one release may take, whatever its repository holds: submodules, their depth, and time."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from fraisier_core.errors import StepFailedError
from fraisier_core.git.remotes import Remote

MOST_SUBMODULES = 1_000
DEEPEST = 20


@dataclass(slots=True)
class Deadline:
    """The time at which several runs of git, together, have taken too long."""

    seconds: float = math.inf
    until: float = math.inf

    @contextmanager
    def after(self, seconds: float) -> Iterator[None]:
        """Set the deadline during the block, unless one is set already."""
        before = self.seconds, self.until
        if self.until == math.inf:
            self.seconds, self.until = seconds, time.monotonic() + seconds
        try:
            yield
        finally:
            self.seconds, self.until = before

    def left(self, seconds: float = math.inf) -> float:
        """Return how many of some seconds are left. Raises `StepFailedError` if none is."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise StepFailedError(
                f"fetching the commit and all that belongs to it took longer than {self.seconds:g} s "
                "(timeout); raise `timeout:`, or look for what makes the repository so large"
            )
        return min(seconds, left)


@dataclass(frozen=True, slots=True)
class Nesting:
    """Where a submodule is: in `top`, the repository of a release, at a depth; `count` has one for each."""

    top: Remote
    depth: int = 0
    count: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def inner(self, path: str) -> Nesting:
        """Return that of a submodule in this one. Raises `StepFailedError` if there are too many."""
        for number, most, what in (
            (self.depth + 1, DEEPEST, "levels of submodules"),
            (next(self.count), MOST_SUBMODULES, "submodules"),
        ):
            if number > most:
                raise StepFailedError(
                    f"a release may have {most:,} {what}, and {path} is beyond that: remove some, "
                    "or set `submodules: false`"
                )
        return Nesting(self.top, self.depth + 1, self.count)
