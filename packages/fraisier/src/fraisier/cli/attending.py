"""Following a deployment to its end: it is shown, and cancelled if Ctrl-C is pressed."""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType

from fraisier_core.store.protocol import DeploymentReader
from fraisier_core.store.records import Deployment

from fraisier.cli.follow import Display, Follower
from fraisier.cli.tables import short_id


class Attendant(ABC):
    """Follows one deployment; `cancelling` is what it says when it cancels that."""

    cancelling = "cancelling (press Ctrl-C again to quit)"

    def __init__(self) -> None:
        self._announced: set[str] = set()

    def follow(self, reader: DeploymentReader, deployment_id: str, display: Display) -> Deployment:
        """Show a deployment until it has ended, and return it."""
        follower = Follower(reader, deployment_id)
        with _ctrl_c() as pressed, display:
            while not (progress := follower.progress()).has_ended:
                display.show(progress)
                self._attend(progress.deployment, display, cancel=pressed.is_set())
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

    def _attend(self, deployment: Deployment, display: Display, *, cancel: bool) -> None:
        """Do what the deployment needs from outside, and say what its steps do not."""
        if said := self.stop(deployment):
            self._once(display, said)
        if cancel and self._once(display, self.cancelling):
            self.cancel(deployment.id)
        if running := self.awaited(deployment):
            where = f"{deployment.fraise_id} {deployment.environment}"
            waits = f"deployment {short_id(deployment.id)} waits for it (Ctrl-C cancels)"
            self._once(display, f"{where} is busy with deployment {short_id(running)}: {waits}")

    def _once(self, display: Display, message: str) -> bool:
        """Announce something, and return whether it was the first time."""
        if message in self._announced:
            return False
        self._announced.add(message)
        display.announce(message)
        return True


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
