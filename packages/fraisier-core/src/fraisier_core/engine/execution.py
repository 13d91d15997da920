"""A claimed deployment under way: what it works with, and what has become of it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from traceback import format_exception

from fraisier_core.engine.cancellation import CancellationToken
from fraisier_core.engine.context import DeploymentContext
from fraisier_core.engine.recorder import Recorder
from fraisier_core.errors import FraisierError
from fraisier_core.release import Release
from fraisier_core.store.protocol import Store
from fraisier_core.store.records import Deployment, Event
from fraisier_core.system.failpoints import failpoint

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Execution:
    """One deployment while its process executes it; the recorder follows it."""

    context: DeploymentContext
    store: Store
    recorder: Recorder
    cancellation: CancellationToken

    @property
    def deployment(self) -> Deployment:
        """The deployment as its events leave it."""
        return self.recorder.deployment

    @property
    def release(self) -> Release | None:
        """Its release, if it was created and still exists."""
        return self.existing(self.deployment.release)

    @property
    def previous(self) -> Release | None:
        """The release that was serving before it, if that is known and still exists."""
        return self.existing(self.deployment.previous_release)

    def existing(self, name: str | None) -> Release | None:
        """Return the release of that name, or None if there is none."""
        return self.context.workspace.get(name) if name else None

    def activate(self, release: Release) -> None:
        """Activate a release. The event comes first: it is refused if the lease was taken over."""
        previous = self.context.workspace.current()
        self.recorder.append(Event("activation_started", release=release.name, previous_release=previous))
        failpoint("before_activate")
        self.context.workspace.activate(release)
        failpoint("after_activate")

    def message(self, error: Exception) -> str:
        """Return what an error says; what a plugin raised is logged whole, without secrets."""
        if isinstance(error, FraisierError):
            return str(error).rstrip(".")
        logger.error("a plugin raised:\n%s", self.recorder.redacted("".join(format_exception(error))))
        return f"{type(error).__name__}: {error}".rstrip(".")
