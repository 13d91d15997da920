"""Following a deployment by what the store says of it, and showing it as lines."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fraisier_core.store.vocabulary import ENDED
from fraisier_core.system.timing import FOLLOW, FOLLOW_AT_FIRST, FOLLOW_AT_FIRST_FOR

from fraisier.cli.times import lasted

if TYPE_CHECKING:
    from fraisier_core.store.events import DeploymentEvent
    from fraisier_core.store.protocol import DeploymentReader
    from fraisier_core.store.records import Deployment, LogChunk, Step


@dataclass(slots=True)
class FollowedStep:
    """A step as it was last read, and everything it printed so far."""

    record: Step
    output: str = ""

    @property
    def is_running(self) -> bool:
        """Whether it is under way."""
        return self.record.status == "running"


@dataclass(frozen=True, slots=True)
class Remark:
    """What a deployment says of itself between two steps, such as why it rolls back."""

    text: str
    steps_before: int


@dataclass(slots=True)
class Progress:
    """A deployment as it was last read, and its steps in the order they started."""

    deployment: Deployment
    steps: list[FollowedStep] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)

    def in_order(self) -> Iterator[Remark | FollowedStep]:
        """Yield the steps and, where they belong, the remarks."""
        for number, step in enumerate(self.steps):
            yield from (each for each in self.remarks if each.steps_before == number)
            yield step
        yield from (each for each in self.remarks if each.steps_before >= len(self.steps))

    def reason(self, step: FollowedStep) -> str | None:
        """Return why a step failed; None after the activation, where a remark on the rollback says so."""
        failed = step.record.status not in {"running", "success"}
        return step.record.message if failed and not self.deployment.activation_started else None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.deployment.status in ENDED


class Display(AbstractContextManager["Display"]):
    """Shows progress to the user."""

    def __exit__(self, *_: object) -> None:
        return None

    @abstractmethod
    def show(self, progress: Progress) -> None:
        """Show what is known now; called several times a second."""

    @abstractmethod
    def announce(self, message: str) -> None:
        """Say something beside the progress, once."""


class PlainDisplay(Display):
    """Says each step as it starts and finishes, with its output indented between; `write` takes one line."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._printed: dict[tuple[int, int], int] = {}
        self._finished: set[tuple[int, int]] = set()
        self._remarks: set[Remark] = set()

    def announce(self, message: str) -> None:
        """Print a message."""
        self._write(message)

    def show(self, progress: Progress) -> None:
        """Print what is new."""
        for each in progress.in_order():
            if isinstance(each, Remark):
                self._show_remark(each)
            elif (key := (each.record.attempt, each.record.number)) not in self._finished:
                self._show_step(key, each, progress.reason(each))

    def _show_remark(self, remark: Remark) -> None:
        if remark not in self._remarks:
            self._remarks.add(remark)
            self._write(remark.text)

    def _show_step(self, key: tuple[int, int], step: FollowedStep, reason: str | None) -> None:
        if key not in self._printed:
            self._printed[key] = 0
            self._write(f"{step.record.name} ...")
        self._show_output(key, step)
        if not step.is_running:
            self._finished.add(key)
            if reason:
                self._write(f"  {reason}")
            status = "done" if step.record.status == "success" else step.record.status
            self._write(f"{step.record.name}: {status}, {lasted(step.record.duration)}")

    def _show_output(self, key: tuple[int, int], step: FollowedStep) -> None:
        """Print the lines that are complete; the rest once the step has finished."""
        end = step.output.rfind("\n") + 1 if step.is_running else len(step.output)
        for line in step.output[self._printed[key] : end].splitlines():
            self._write(f"  {line}")
        self._printed[key] = end


class Polling:
    """Says to look for news every now and then, more often at first: what is short ends then."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def wait(self) -> None:
        """Return after a moment."""
        is_new = time.monotonic() - self._began < FOLLOW_AT_FIRST_FOR
        time.sleep(FOLLOW_AT_FIRST if is_new else FOLLOW)

    def close(self) -> None:
        """Close nothing."""


class Follower:
    """Reads what is new of one deployment."""

    def __init__(self, reader: DeploymentReader, deployment_id: str) -> None:
        self._reader = reader
        self._id = deployment_id
        self._deployment: Deployment | None = None
        self._steps: dict[tuple[int, int], FollowedStep] = {}
        self._early: list[LogChunk] = []
        self._remarks: list[Remark] = []
        self._started = 0
        self._event = 0
        self._chunk = 0

    def progress(self) -> Progress:
        """Return what is known now; the deployment and its steps are read again if there are new events. What
        is read first is the oldest: an ended deployment comes with all its steps, a finished step with all
        its output.
        """
        if (events := self._reader.events(self._event, deployment_id=self._id)) or self._deployment is None:
            self._event = events[-1].sequence if events else 0
            self._note(events)
            self._deployment = self._reader.deployment(self._id)
            for record in self._reader.steps(self._id):
                step = self._steps.setdefault((record.attempt, record.number), FollowedStep(record))
                step.record = record
        new = self._reader.log(self._id, self._chunk)
        self._chunk = new[-1].sequence if new else self._chunk
        self._early = list(self._not_placed([*self._early, *new]))
        return Progress(self._deployment, list(self._steps.values()), list(self._remarks))

    def _note(self, events: Iterable[DeploymentEvent]) -> None:
        for event in events:
            self._started += event.event == "step_started"
            if event.event == "rollback_started":
                self._remarks.append(Remark(f"rolling back: {event.message}", self._started))

    def _not_placed(self, chunks: Iterable[LogChunk]) -> Iterator[LogChunk]:
        """Give each chunk to its step, and return those whose step was not read yet."""
        for chunk in chunks:
            step = self._steps.get((chunk.attempt, chunk.step_number))
            if step is None:
                yield chunk
            else:
                step.output += (f"[{chunk.dropped} bytes left out]\n" if chunk.dropped else "") + chunk.text
