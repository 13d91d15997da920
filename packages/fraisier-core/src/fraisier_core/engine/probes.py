"""One probe of a service: by HTTP, a command, a TCP connection, or its unit."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from fraisier_core.errors import CommandFailedError, StepFailedError
from fraisier_core.health import Health
from fraisier_core.settings import HealthCheck
from fraisier_core.system.commands import Interruption, Limits, run_command, shown
from fraisier_core.system.systemd import unit_state
from fraisier_core.text.printable import printable

_SHOWN = 400


def probe(check: HealthCheck, *, cwd: Path, env: Mapping[str, str], cancelled: Interruption) -> Health:
    """Probe once, for at most `check.timeout`; what goes wrong is unhealthy. Raises `CancelledError`."""
    if check.command is not None:
        return _command(check.command, check.timeout, cwd, env, cancelled)
    if check.unit is not None:
        return _unit(check.unit, check.timeout)
    from fraisier_core.engine.network_probes import probe_address

    return probe_address(check, cancelled)


def _command(
    argv: list[str], timeout: float, cwd: Path, env: Mapping[str, str], cancelled: Interruption
) -> Health:
    printed = deque[int](maxlen=_SHOWN)
    limits = Limits(wall=timeout, silence=math.inf, grace=1.0, setting="health_check.timeout")
    try:
        run_command(argv, cwd=cwd, env=env, limits=limits, on_output=printed.extend, cancelled=cancelled)
    except CommandFailedError as error:
        said = printable(bytes(printed).decode("utf-8", "replace")).strip()
        return Health(False, f"{error}: {said.splitlines()[-1]}" if said else str(error))
    return Health(True, f"{shown(argv)} succeeded")


def _unit(name: str, timeout: float) -> Health:
    try:
        state = unit_state(name, timeout)
    except StepFailedError as error:
        return Health(False, str(error))
    return Health(state.is_active, str(state))
