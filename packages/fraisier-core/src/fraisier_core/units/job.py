"""An environment whose runs are systemd's to start: its schedule, its limits, and the names of its units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from fraisier_core.config.fraise import Environment
from fraisier_core.errors import FraisierError
from fraisier_core.job_settings import LimitsSection, Schedule, ScheduleSection

PREFIX = "fraisier-run-"
"""What the names of the units of all jobs begin with, and of no other."""


class _JobKeys(BaseModel):
    """What units need of a section whose other keys may be unknown, or lack a variable."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    schedule: Schedule | None = None
    limits: LimitsSection = LimitsSection()


@dataclass(frozen=True, slots=True)
class Job:
    """What systemd has to know of an environment."""

    fraise: str
    environment: str
    schedule: ScheduleSection | None
    limits: LimitsSection

    @staticmethod
    def read(fraise: str, environment: str, section: Mapping[str, object]) -> Job | None:
        """Return the job of a section with units, None if it needs none. Raises `ValidationError`."""
        if not section.get("schedule") and not section.get("limits"):
            return None
        keys = _JobKeys.model_validate(section)
        return Job(fraise, environment, keys.schedule, keys.limits)

    @staticmethod
    def of(environment: Environment) -> Job | None:
        """Return the job of an environment; a variable that only its commands need may be missing.

        Raises what keeps the settings from being known.
        """
        try:
            return Job.read(environment.fraise, environment.name, environment.section)
        except ValidationError:
            if isinstance(environment.outcome, FraisierError):
                raise environment.outcome.with_traceback(None) from None
            return None  # keys of another meaning

    @property
    def unit(self) -> str:
        """What the names of its units begin with."""
        return unit_of(self.fraise, self.environment)

    @property
    def timer(self) -> str:
        """The unit that says when a run is requested."""
        return f"{self.unit}.timer"


def unit_of(fraise: str, environment: str) -> str:
    """Return what the names of the units of an environment begin with; no name of either has a dot."""
    return f"{PREFIX}{fraise}.{environment}"


def executor_of(fraise: str, environment: str, deployment_id: str) -> str:
    """Return the unit that executes one run."""
    return f"{unit_of(fraise, environment)}@{deployment_id}.service"
