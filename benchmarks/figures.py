"""A figure beside its floor: what was promised, what was measured, and whether it holds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    Args:
        what: what was measured.
        goal: the bound on `value`; None if it is only stated, such as what is not ours to promise.
        sense: whether `value` should be at most or at least `goal`.
        value: the measured ratio, or the amount in `unit`.
        unit: of goal and value; `x` for a ratio.
        detail: the figures behind it.
    """

    what: str
    sense: Literal["<=", ">="]
    goal: float | None
    value: float
    unit: str
    detail: str

    @property
    def holds(self) -> bool:
        """Whether the goal is met, if there is one."""
        if self.goal is None:
            return True
        return self.value <= self.goal if self.sense == "<=" else self.value >= self.goal

    def row(self) -> str:
        """Return the line of the Markdown table."""
        verdict, goal = "", "stated"
        if self.goal is not None:
            verdict = "yes" if self.holds else "**no**"
            goal = f"{'≤' if self.sense == '<=' else '≥'} {self.goal:g} {self.unit}"
        return f"| {self.what} | {goal} | {self.value:.2f} {self.unit} | {verdict} | {self.detail} |"


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest of `values` that at least `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * len(ordered)))]


def median(values: Sequence[float]) -> float:
    """Return the median of `values`."""
    return statistics.median(values)


def beside(ours: Sequence[float], floor: Sequence[float]) -> str:
    """Return both medians, in milliseconds of seconds given."""
    return f"{median(ours) * 1e3:.0f} ms; floor {median(floor) * 1e3:.0f} ms"
