"""When what is pushed waits, and when what was missed is looked for."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from fraisier_core.settings.section import AsList, Section
from fraisier_core.text.time_settings import ClockText, Duration, TimeZone


def _one_line(text: str) -> str:
    if not text.isprintable() or not text.strip():
        raise ValueError("must be one line that says something")
    return text


class ReconcileSection(Section):
    """How often the worker compares the branches that an environment follows with what was requested there.

    Args:
        every: seconds between two comparisons, at least 60; also as `90s`, `10m`, `1h`.
        action: whether a branch head that was never requested is only shown, or deployed.
    """

    every: Annotated[Duration, Field(ge=60, allow_inf_nan=False)] = 600.0
    action: Literal["show", "deploy"] = "show"


class FreezeSection(Section):
    """Times in which what is pushed waits, one after each time that `cron` names.

    Args:
        cron: when each begins: minute, hour, day of the month, month, day of the week; or such as `@daily`.
        duration: for how many seconds it lasts, at most 31 days; also as `90m`, `8h`, `2d`.
        time_zone: in which `cron` is meant, by default that of the host.
        reason: what is shown wherever something waits.
    """

    cron: ClockText
    duration: Annotated[Duration, Field(ge=60, le=31 * 86400)]
    time_zone: TimeZone | None = None
    reason: Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_one_line)]


Freezes = Annotated[tuple[FreezeSection, ...], AsList]
