"""Records what an attempt does: its steps, their output, and every other event."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fraisier_core.engine.output import StepOutput
from fraisier_core.errors import CancelledError, InterruptedRunError, StepFailedError
from fraisier_core.store.events import Event
from fraisier_core.store.protocol import Store
from fraisier_core.store.records import Deployment, Lease, Request
from fraisier_core.store.vocabulary import Ending, StepStatus
from fraisier_core.system.failpoints import failpoint
from fraisier_core.system.processes import ProcessIdentity
from fraisier_core.text.redaction import Redactor

LOG_LIMIT = 256 * 1024
_STORED = ("stored_name", "stored_size", "stored_sha256", "stored_at")


@dataclass(frozen=True, slots=True)
class _Step:
    name: str
    number: int
    started: float
    output: StepOutput


class Recorder:
    """The one writer of a deployment's events, without secrets; safe to flush from another thread.
    `deployment` follows what is appended. `steps` says how many steps started before a recovery.
    """

    def __init__(
        self, store: Store, lease: Lease, deployment: Deployment, redactor: Redactor, steps: int = 0
    ) -> None:
        self.lease = lease
        self.deployment = deployment
        self._store = store
        self._redactor = redactor
        self._number = steps
        self._started = time.monotonic()
        self._step: _Step | None = None
        self._flushing = threading.Lock()

    @property
    def in_step(self) -> bool:
        """Whether a step is under way."""
        return self._step is not None

    @contextmanager
    def step(self, name: str, *, repeatable: bool = True) -> Iterator[None]:
        """Record a step: started now, finished when the block ends, failed if it raises."""
        if self._step is not None:
            inside = f"step {name!r} was started inside step {self._step.name!r}"
            raise StepFailedError(f"{inside}: steps do not nest")
        step = self._start(name, repeatable)
        try:
            yield
        except BaseException as error:
            if output := getattr(error, "output", ""):
                self.note(output)
            self._finish(step, _status_of(error), str(error))
            raise
        self._finish(step, "success")

    def note(self, text: str) -> None:
        """Add a line of our own to the output of the step under way."""
        self.write(f"{text}\n".encode())

    def write(self, data: bytes) -> None:
        """Take output of a command."""
        if self._step is not None:
            self._step.output.write(data)

    def flush(self, *, last: bool = False) -> None:
        """Store what has been written since the last time."""
        with self._flushing:
            step = self._step
            if last:
                self._step = None
            if step is not None and (chunk := step.output.take(last=last)):
                self._store.write_log(self.lease, step.number, *chunk, LOG_LIMIT)

    def append(self, *events: Event, follow_up: Request | None = None) -> None:
        """Append events in one transaction, their messages redacted."""
        clean = (each._replace(message=each.message and self.redacted(each.message)) for each in events)
        self._store.append(self.lease, *clean, follow_up=follow_up)
        for event in events:
            self.deployment = _after(self.deployment, event)

    def end(self, ending: Ending, message: str, *events: Event, follow_up: Request | None = None) -> None:
        """End the deployment; `events` come before, and `follow_up` is requested, in the same transaction."""
        duration = _since(self._started)
        self.append(*events, Event(ending, message=message, duration=duration), follow_up=follow_up)

    def record_command(self, command: ProcessIdentity) -> None:
        """Record which command runs, so that recovery can end it."""
        self._store.record_command(self.lease, command)

    def redacted(self, text: str) -> str:
        """Return `text` without secrets."""
        return self._redactor.redact(text)

    def _start(self, name: str, repeatable: bool) -> _Step:
        self._number += 1
        self.append(Event("step_started", step=name, step_number=self._number, repeatable=repeatable))
        self._step = _Step(name, self._number, time.monotonic(), StepOutput(self._redactor, LOG_LIMIT))
        failpoint(f"step_{name}")
        return self._step

    def _finish(self, step: _Step, status: StepStatus, message: str | None = None) -> None:
        self.flush(last=True)
        ended = Event("step_finished", step=step.name, step_number=step.number, step_status=status)
        self.append(ended._replace(duration=_since(step.started), message=message))
        failpoint(f"step_{step.name}_finished")


def _after(deployment: Deployment, event: Event) -> Deployment:
    """Return what an event makes of a deployment, as the store folds it."""
    if event.event == "release_chosen":
        return deployment._replace(
            release=event.release, commit_sha=event.commit_sha, previous_release=event.previous_release
        )
    if event.event == "step_started":
        return deployment._replace(unrepeatable=deployment.unrepeatable or event.repeatable is False)
    if event.event == "activation_started":
        return deployment._replace(activation_started=True)
    if event.event == "rollback_started":
        return deployment._replace(rollback_started=True)
    if event.event == "stored":
        stored = {name: getattr(event, name) for name in _STORED}
        return deployment._replace(**stored, stored_problem=event.message)
    return deployment


def _status_of(error: BaseException) -> StepStatus:
    if isinstance(error, CancelledError):
        return "cancelled"
    return "interrupted" if isinstance(error, InterruptedRunError) else "failed"


def _since(started: float) -> float:
    """Return the seconds since then, in digits that every form of a number keeps."""
    return round(time.monotonic() - started, 6)
