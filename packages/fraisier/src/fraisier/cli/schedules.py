"""What `fraisier status` says of schedules: when a run is requested next, and what keeps one from it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress

from fraisier_core.config import Config, Environment
from fraisier_core.errors import StepFailedError, UnsetVariableError
from fraisier_core.system.host import has_systemd
from fraisier_core.units.job import Job
from fraisier_core.units.timers import Names, TimerFacts, facts_without_systemd, timer_facts


def timers_of(
    config: Config, fired: Mapping[Names, str | None], deployed: Mapping[Names, str | None]
) -> dict[Names, TimerFacts]:
    """Return what there is to say of the schedules of some environments; systemd is asked once.

    Args:
        config: the configuration.
        fired: when a run was last requested by a schedule, of each environment that is meant.
        deployed: since when its release serves.
    """
    jobs = _jobs(config, fired)
    known = {names: at for names, at in fired.items() if at is not None}
    if not jobs:
        return {}
    if not has_systemd():
        return facts_without_systemd(jobs, {key: at for key, at in deployed.items() if at} | known)
    try:
        return timer_facts(jobs, known)
    except StepFailedError as error:
        return {(job.fraise, job.environment): TimerFacts(None, str(error)) for job in jobs}


def _jobs(config: Config, names: Collection[Names]) -> list[Job]:
    found = [config.fraise(fraise).environments.get(environment) for fraise, environment in names]
    return [job for each in found if each and (job := _job(each)) and job.schedule is not None]


def _job(environment: Environment) -> Job | None:
    """Return the job of an environment, None if it is not known here, either."""
    with suppress(UnsetVariableError):
        return Job.of(environment)
    return None
