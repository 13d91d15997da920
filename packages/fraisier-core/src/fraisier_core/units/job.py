"""An environment whose jobs are systemd's to start: its schedules, its limits, and the names of its units."""

from __future__ import annotations

from dataclasses import dataclass

from fraisier_core.config.fraise import Environment
from fraisier_core.job_settings import JobSettings, LimitsSection, ScheduleSection
from fraisier_core.settings import EnvironmentSettings
from fraisier_core.store.vocabulary import KINDS

PREFIX = "fraisier-run-"
"""What the names of the units of all jobs begin with, and of no other."""


@dataclass(frozen=True, slots=True)
class JobTimer:
    """When a kind of job is requested in an environment; `unit` is what the names of its units begin with."""

    fraise: str
    environment: str
    kind: str
    schedule: ScheduleSection
    unit: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it apart from every other."""
        return self.fraise, self.environment, self.kind

    @property
    def noun(self) -> str:
        """What messages call that which it requests."""
        return self.kind.replace("_", " ")

    @property
    def name(self) -> str:
        """The unit that says when it is requested."""
        return f"{self.unit}.timer"

    @property
    def requester(self) -> str:
        """The unit that requests it."""
        return f"{self.unit}.service"


@dataclass(frozen=True, slots=True)
class Job:
    """What systemd has to know of an environment; `runs_release` unless its jobs need none."""

    fraise: str
    environment: str
    timers: tuple[JobTimer, ...]
    limits: LimitsSection
    runs_release: bool = True

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
        names, unit = (fraise, environment), unit_of(fraise, environment)
        timers = tuple(
            JobTimer(*names, kind, schedule, unit if kind == settings.kind else f"{unit}.{kind}")
            for kind, schedule in settings.schedules.items()
        )
        return Job(*names, timers, settings.limits, KINDS[settings.kind].source != "nothing")

    @property
    def unit(self) -> str:
        """What the names of its units begin with."""
        return unit_of(self.fraise, self.environment)

    @property
    def executor(self) -> str:
        """The template of the units that execute it."""
        return f"{self.unit}@.service"


def unit_of(fraise: str, environment: str) -> str:
    """Return what the names of the units of an environment begin with; no name of either has a dot."""
    return f"{PREFIX}{fraise}.{environment}"


def executor_of(fraise: str, environment: str, deployment_id: str) -> str:
    """Return the unit that executes one run."""
    return f"{unit_of(fraise, environment)}@{deployment_id}.service"
