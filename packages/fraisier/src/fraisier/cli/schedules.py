"""What `fraisier status` says of timers: when a run is requested next, and what keeps one from it."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

from fraisier_core.config import Config, Environment
from fraisier_core.errors import StepFailedError, UnsetVariableError
from fraisier_core.store.protocol import Reader
from fraisier_core.system.host import has_systemd
from fraisier_core.units.job import Job
from fraisier_core.units.timers import TimerFacts, timer_facts

from fraisier.cli.times import lasted

Names = tuple[str, str]


def timers_of(config: Config, reader: Reader | None, names: list[Names]) -> dict[Names, TimerFacts]:
    """Return what there is to say of the timers of some environments; systemd is asked once."""
    found = [config.fraise(fraise).environments.get(environment) for fraise, environment in names]
    jobs = [job for each in found if each and (job := _job(each)) and job.schedule is not None]
    if not jobs or not has_systemd():
        return {}
    fired = {}
    for job in jobs:
        if reader and (at := reader.last_fired(job.fraise, job.environment)):
            fired[job.fraise, job.environment] = at
    try:
        return timer_facts(jobs, fired)
    except StepFailedError as error:
        return {(job.fraise, job.environment): TimerFacts(None, str(error)) for job in jobs}


def _job(environment: Environment) -> Job | None:
    """Return the job of an environment, None if it is not known here, either."""
    with suppress(UnsetVariableError):
        return Job.of(environment)
    return None


def in_words(upcoming: str) -> str:
    """Return when a run is requested next."""
    at = datetime.fromisoformat(upcoming)
    return f"{at:%Y-%m-%d %H:%M} UTC, in {lasted(max(0.0, (at - datetime.now(UTC)).total_seconds()))}"
