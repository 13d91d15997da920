"""Asking and telling systemd about several units at once."""

from __future__ import annotations

from collections.abc import Sequence

from fraisier_core.errors import StepFailedError
from fraisier_core.system.queries import NoAnswerError
from fraisier_core.system.systemd import asked

SECONDS = 90.0  # systemd's own for a job
Properties = dict[str, list[str]]
"""The values of each property, of which some come more than once."""


def told(*arguments: str, what: str, seconds: float = SECONDS) -> str:
    """Have `systemctl` do something and return what it prints. Raises `StepFailedError`: cannot `what`."""
    try:
        said = asked(["systemctl", "--no-ask-password", *arguments], seconds, time_zone="UTC")
    except NoAnswerError as error:
        raise StepFailedError(f"cannot {what}: {error}") from error
    if said.status != 0:
        raise StepFailedError(f"cannot {what}: {said.errors.decode(errors='replace').strip()}")
    return said.output.decode(errors="replace")


def shown(units: Sequence[str], properties: Sequence[str], seconds: float = SECONDS) -> dict[str, Properties]:
    """Return properties of units, loaded or not, by their names. Raises `StepFailedError`."""
    if not units:
        return {}
    names = f"--property=Id,{','.join(properties)}"
    output = told("show", names, "--", *units, what="read the state of units from systemd", seconds=seconds)
    blocks = [_block(text) for text in output.split("\n\n")]
    return {block["Id"][0]: block for block in blocks if "Id" in block}


def _block(text: str) -> Properties:
    found: Properties = {}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        found.setdefault(name, []).append(value)
    return found
