"""What `fraisier status` says of schedules: when a job is requested next, and what keeps one from it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress

from fraisier_core.config import Config, Environment
from fraisier_core.errors import StepFailedError, UnsetVariableError
from fraisier_core.system.host import has_systemd
from fraisier_core.units.job import Job, JobTimer
from fraisier_core.units.timers import Key, TimerFacts, facts_without_systemd, timer_facts

Names = tuple[str, str]


def timers_of(
    config: Config, names: Collection[Names], fired: Mapping[Key, str], deployed: Mapping[Names, str | None]
) -> dict[Key, TimerFacts]:
    """Return what there is to say of the schedules of some environments; systemd is asked once.

    Args:
        config: the configuration.
        names: of the environments.
        fired: when something was last requested by a schedule.
        deployed: since when a release serves.
    """
    timers = _timers(config, names)
    if not timers:
        return {}
    if not has_systemd():
        since = {each.key: at for each in timers if (at := deployed.get(each.key[:2]))}
        return facts_without_systemd(timers, {**since, **fired})
    try:
        return timer_facts(timers, fired)
    except StepFailedError as error:
        return {each.key: TimerFacts(None, str(error)) for each in timers}


def _timers(config: Config, names: Collection[Names]) -> list[JobTimer]:
    found = [config.fraise(fraise).environments.get(environment) for fraise, environment in names]
    return [timer for each in found if each and (job := _job(each)) for timer in job.timers]


def _job(environment: Environment) -> Job | None:
    """Return the job of an environment, None if it is not known here, either."""
    with suppress(UnsetVariableError):
        return Job.of(environment)
    return None
