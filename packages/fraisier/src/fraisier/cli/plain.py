"""Progress as lines, for logs and everything else that is not a terminal."""

from __future__ import annotations

from collections.abc import Callable

from fraisier.cli.follow import Display, FollowedStep, Progress
from fraisier.cli.times import lasted


class PlainDisplay(Display):
    """Says each step as it starts and finishes, with its output indented between; `write` takes one line."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._printed: dict[tuple[int, int], int] = {}
        self._finished: set[tuple[int, int]] = set()

    def announce(self, message: str) -> None:
        """Print a message."""
        self._write(message)

    def show(self, progress: Progress) -> None:
        """Print what is new."""
        for step in progress.steps:
            key = (step.record.attempt, step.record.number)
            if key not in self._finished:
                self._show_step(key, step)

    def _show_step(self, key: tuple[int, int], step: FollowedStep) -> None:
        if key not in self._printed:
            self._printed[key] = 0
            self._write(f"{step.record.name} ...")
        self._show_output(key, step)
        if not step.is_running:
            self._finished.add(key)
            status = "done" if step.record.status == "success" else step.record.status
            self._write(f"{step.record.name}: {status}, {lasted(step.record.duration)}")

    def _show_output(self, key: tuple[int, int], step: FollowedStep) -> None:
        """Print the lines that are complete; the rest once the step has finished."""
        end = step.output.rfind("\n") + 1 if step.is_running else len(step.output)
        for line in step.output[self._printed[key] : end].splitlines():
            self._write(f"  {line}")
        self._printed[key] = end
