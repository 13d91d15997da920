"""Following a deployment to its end: it is shown, and cancelled if Ctrl-C is pressed."""

from __future__ import annotations

import math
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType

from fraisier_core.requests.holding import hold_of
from fraisier_core.store.protocol import DeploymentReader
from fraisier_core.store.records import Deployment

from fraisier.cli.follow import Display, Follower
from fraisier.cli.reporting import NO_WORKER
from fraisier.cli.tables import noun, short_id

UNATTENDED = 3.0
"""For how many seconds what is awaited may wait before it is asked who would execute it."""


class Attendant(ABC):
    """Follows one deployment; `cancelling` is what it says when it cancels that."""

    cancelling = "cancelling (press Ctrl-C again to quit)"

    def __init__(self) -> None:
        self._announced: set[str] = set()
        self._awaited: tuple[str, float] | None = None
        self._asked_of_holds = -math.inf

    def follow(self, reader: DeploymentReader, deployment_id: str, display: Display) -> Deployment:
        """Show a deployment until it has ended, and return it."""
        follower = Follower(reader, deployment_id)
        with _ctrl_c() as pressed, display:
            while not (progress := follower.progress()).has_ended:
                display.show(progress)
                self._attend(reader, progress.deployment, display, cancel=pressed.is_set())
                self.wait()
            display.show(progress)
        return progress.deployment

    @abstractmethod
    def wait(self) -> None:
        """Wait for a moment, or until something may be new."""

    @abstractmethod
    def cancel(self, deployment_id: str) -> None:
        """Request its cancellation."""

    @abstractmethod
    def awaited(self, deployment: Deployment) -> str | None:
        """Do what it needs from outside, and return the deployment that it has to wait for, if any."""

    def stop(self, deployment: Deployment) -> str | None:  # noqa: ARG002 - for who executes it
        """Stop the deployment if this process was told to end, and return what there is to say of that."""
        return None

    def relieve(self, head: Deployment) -> str:  # noqa: ARG002 - for who executes
        """Return what there is to say if the next in line waits for a worker, and none is there."""
        return NO_WORKER

    def _attend(
        self, reader: DeploymentReader, deployment: Deployment, display: Display, *, cancel: bool
    ) -> None:
        """Do what the deployment needs from outside, and say what its steps do not."""
        if said := self.stop(deployment):
            self._once(display, said)
        if cancel and self._once(display, self.cancelling):
            self.cancel(deployment.id)
        self._tell_hold(reader, deployment, display)
        awaited = self.awaited(deployment)
        if awaited is None or self._awaited is None or self._awaited[0] != awaited:
            self._awaited = None if awaited is None else (awaited, time.monotonic())
            if awaited is not None:
                self._once(display, _waits(deployment, reader.deployment(awaited)))
        elif time.monotonic() - self._awaited[1] > UNATTENDED:
            head = reader.deployment(awaited)
            if head.status == "pending" and reader.live_workers() == 0:
                self._once(display, self.relieve(head))

    def _tell_hold(self, reader: DeploymentReader, deployment: Deployment, display: Display) -> None:
        """Say which hold the deployment waits for; it is asked for now and then."""
        if deployment.status != "pending" or not deployment.obeys_holds:
            return
        if time.monotonic() - self._asked_of_holds >= UNATTENDED:
            self._asked_of_holds = time.monotonic()
            if hold := hold_of(deployment, reader):
                what = f"{hold.fraise_id} {hold.environment} is {hold.text}"
                self._once(display, f"{what}; {noun(deployment.kind)} {short_id(deployment.id)} waits")

    def _once(self, display: Display, message: str) -> bool:
        """Announce something, and return whether it was the first time."""
        if message in self._announced:
            return False
        self._announced.add(message)
        display.announce(message)
        return True


def _waits(deployment: Deployment, awaited: Deployment) -> str:
    where = f"{deployment.fraise_id} {deployment.environment}"
    own, other = (f"{noun(each.kind)} {short_id(each.id)}" for each in (deployment, awaited))
    return f"{where}: {own} waits for {other} (Ctrl-C cancels)"


@contextmanager
def _ctrl_c() -> Iterator[Event]:
    """Set an event if Ctrl-C is pressed within a block; pressed again, it acts as before."""
    pressed = Event()

    def press(_number: int, _frame: FrameType | None) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, press)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)
