"""What the deployer's commands started and left running, as `restart:` does without systemd."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import urlsplit

from fraisier_core.errors import StepFailedError
from fraisier_core.release import Release
from fraisier_core.settings import HealthCheck
from fraisier_core.system.daemons import Daemons, has_newer_descendant, shown_process
from fraisier_core.system.listeners import listeners
from fraisier_core.system.systemd import RunsFrom, release_of_process
from fraisier_core.text.http_addresses import is_loopback

_ADVICE = "end the old process, and wait until it is gone, before the new one starts"


class Started:
    """The processes that a hook left running, and whoever answers in their place.

    Args:
        daemons: what it left running.
        release: what should run.
        check: how the service is probed.
        in_place: whether all releases run from the same folder, so that it tells nothing.
    """

    def __init__(
        self, daemons: Daemons, release: Release, check: HealthCheck | None, *, in_place: bool
    ) -> None:
        self._daemons = daemons
        self._release = release
        self._port = local_port(check) if check is not None else None
        self._in_place = in_place

    def require_running(self) -> None:
        """Raise `StepFailedError` if nothing runs of what was left running, and some of it failed.

        That a process of this very release answers all the same is a success, as after a rollback to it.
        """
        self._daemons.look()
        failure = self._daemons.failure
        if failure is None:
            return
        answering = self._answering()
        if RunsFrom.SAME not in answering.values():
            held = [f"; port {self._port} is held by {shown_process(pid)}: {_ADVICE}" for pid in answering]
            raise StepFailedError(f"what was started runs no more: {failure}{''.join(held[:1])}")

    def require_answering(self) -> None:
        """Raise `StepFailedError` if a process of another release listens where the service is probed.

        One that started others since, as a server does that reloads, is not meant.
        """
        for pid, runs_from in self._answering().items():
            if runs_from is RunsFrom.OTHER and not has_newer_descendant(pid, self._daemons.since):
                held = f"port {self._port} is still held by {shown_process(pid)}"
                other = f"which runs from another release than {self._release.name}"
                raise StepFailedError(f"{held}, {other}: {_ADVICE}")

    def _answering(self) -> dict[int, RunsFrom]:
        """Return the processes that listen where the service is probed, and from which release they run."""
        pids = listeners(self._port) if self._port is not None else ()
        if self._in_place:
            return dict.fromkeys(pids, RunsFrom.UNKNOWN)
        return {pid: release_of_process(pid, self._release.path) for pid in pids}


def local_port(check: HealthCheck) -> int | None:
    """Return the port that a health check probes on this host itself, None if it probes none there."""
    url = urlsplit(check.url or f"tcp://{check.tcp or ''}")
    with suppress(ValueError):
        if is_loopback(url.hostname or ""):
            return url.port or {"http": 80, "https": 443}[url.scheme]
    return None
