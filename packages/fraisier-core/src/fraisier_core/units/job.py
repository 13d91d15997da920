"""An environment whose runs are systemd's to start: its schedule, its limits, and the names of its units."""

from __future__ import annotations

from dataclasses import dataclass

from fraisier_core.config.fraise import Environment
from fraisier_core.job_settings import JobSettings, LimitsSection, ScheduleSection
from fraisier_core.settings import EnvironmentSettings

PREFIX = "fraisier-run-"
"""What the names of the units of all jobs begin with, and of no other."""


@dataclass(frozen=True, slots=True)
class Job:
    """What systemd has to know of an environment."""

    fraise: str
    environment: str
    schedule: ScheduleSection | None
    limits: LimitsSection

    @staticmethod
    def of(environment: Environment) -> Job | None:
        """Return the job of an environment, None unless it needs units. Raises what keeps its settings from
        being known.
        """
        return None if (job := environment.job) is None else Job.by(environment.fraise, environment.name, job)

    @staticmethod
    def by(fraise: str, environment: str, settings: EnvironmentSettings) -> Job | None:
        """Return the job that some settings are for, None unless it needs units."""
        if not isinstance(settings, JobSettings) or not settings.needs_unit:
            return None
        return Job(fraise, environment, settings.schedule, settings.limits)

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
