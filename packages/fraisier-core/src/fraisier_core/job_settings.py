"""What the environment section of a type that has jobs may say, beside what every type's may."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from fraisier_core.settings import AsList, EnvironmentSettings, Section
from fraisier_core.store.vocabulary import Overlap
from fraisier_core.text.cron import is_reboot, read_cron
from fraisier_core.text.http_settings import SecretUrl
from fraisier_core.text.time_settings import CronText, Duration, TimeZone

LEAST_MEMORY, LEAST_TASKS = 80, 16
"""Megabytes, and processes and threads, with which a unit can execute the smallest job."""
_OURS = "what of Fraisier executes the run is in the same unit, and"
_UNITS = {**dict.fromkeys("0123456789", 1), "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


# Exactly what it says is known to systemd alone, which `config install` asks.
CalendarText = Annotated[str, Field(pattern=r"^[A-Za-z0-9*.,:/~+_-]+( [A-Za-z0-9*.,:/~+_-]+)*$")]


class RetriesSection(Section):
    """How often a job that fails is tried again, and when; a number alone is the `count`.

    Args:
        count: how often.
        delay: seconds before the first of them.
        factor: what each pause is longer by than the one before.
        longest: seconds that no pause is longer than.
    """

    count: int = Field(default=0, ge=0, le=100)
    delay: Duration = 10.0
    factor: float = Field(default=2.0, ge=1, le=100, allow_inf_nan=False)
    longest: Duration = 600.0

    def pause(self, number: int) -> float:
        """Return the seconds before a retry; the first is number 1."""
        return min(self.longest, self.delay * self.factor ** (number - 1))


class ScheduleSection(Section):
    """When a job runs by itself; a text alone is `cron`.

    Args:
        cron: minute, hour, day of the month, month, day of the week; or such as `@daily`, `@reboot`.
        on_calendar: calendar expressions of systemd instead, as in systemd.time(7).
        time_zone: in which the times are meant, by default that of the host.
        persistent: whether a run that the host slept through follows as soon as it is up.
        random_delay: seconds, of which a random part passes before each run.
    """

    cron: CronText | None = None
    on_calendar: Annotated[tuple[CalendarText, ...], AsList] = ()
    time_zone: TimeZone | None = None
    persistent: bool = False
    random_delay: Duration = 0.0

    @model_validator(mode="after")
    def _exactly_one(self) -> ScheduleSection:
        if (self.cron is None) == (not self.on_calendar):
            raise ValueError("set either cron or on_calendar")
        return self

    @model_validator(mode="after")
    def _no_time_of_a_start(self) -> ScheduleSection:
        if self.at_start and (self.persistent or self.time_zone):
            raise ValueError("@reboot takes neither persistent nor time_zone")
        return self

    @property
    def at_start(self) -> bool:
        """Whether it is the start of the host that is meant."""
        return self.cron is not None and is_reboot(self.cron)

    @property
    def expressions(self) -> tuple[str, ...]:
        """The calendar expressions of systemd, with the time zone; none for the start of the host."""
        if self.at_start:
            return ()
        lines = self.on_calendar if self.cron is None else read_cron(self.cron).on_calendar()
        return tuple(f"{line} {self.time_zone}" if self.time_zone else line for line in lines)


def require_memory(size: int) -> None:
    """Raise `ValueError` if no run can be executed with so many bytes."""
    if size < LEAST_MEMORY * _UNITS["M"]:
        raise ValueError(f"must be {LEAST_MEMORY}M at least: {_OURS} takes up to 60 MB of it")


def _enough_memory(text: str) -> str:
    if not text.endswith("%"):
        require_memory(int(text.rstrip("KMGT")) * _UNITS[text[-1]])
    return text


def _enough_tasks(count: int) -> int:
    if count < LEAST_TASKS:
        raise ValueError(f"must be {LEAST_TASKS} at least: {_OURS} takes up to 12 of them")
    return count


MemoryText = Annotated[str, Field(pattern=r"^([0-9]+[KMGT]?|[0-9]{1,2}%)$"), AfterValidator(_enough_memory)]


class LimitsSection(Section):
    """What systemd lets a run take, with all that it starts and the processes of ours that execute it.

    Args:
        memory: such as `512M`, or a share of the host's, such as `25%`.
        tasks: how many processes and threads.
        cpu: the share of one processor, such as `50%`; `200%` are two.
    """

    memory: MemoryText | None = None
    tasks: Annotated[int, Field(ge=1), AfterValidator(_enough_tasks)] | None = None
    cpu: Annotated[str, Field(pattern=r"^[0-9]+%$")] | None = None


def _as(key: str, written: object) -> object:
    """Return a section that was written as the value of its most common key alone."""
    return written if isinstance(written, Mapping | Section) else {key: written}


Retries = Annotated[
    RetriesSection,
    BeforeValidator(lambda value: _as("count", value), json_schema_input_type=int | RetriesSection),
]
Schedule = Annotated[
    ScheduleSection,
    BeforeValidator(lambda value: _as("cron", value), json_schema_input_type=str | ScheduleSection),
]


class JobSettings(EnvironmentSettings):
    """The section of an environment of a type that has the hook `run_job`; a type adds its own keys.

    Args:
        run: whether the job runs after each deployment, or only when it is asked for or scheduled.
        overlap: what becomes of a run that is requested while another runs or waits.
        deploy_during_run: whether a deployment and a run may go on at once; else each waits for the other.
        retries: how often a job that fails is tried again.
        on_failure: whether a release whose job fails is kept, or rolled back from.
        schedule: when it runs by itself.
        limits: what systemd lets it take.
        ping: an address that is told of each beginning and end, as healthchecks.io has it; a secret.
    """

    kind: ClassVar[str] = "run"
    """The kind of what `schedule` requests."""

    run: Literal["on_deploy", "on_request"] = "on_request"
    overlap: Overlap = "queue"
    deploy_during_run: bool = False
    retries: Retries = RetriesSection()
    on_failure: Literal["keep", "rollback"] = "keep"
    schedule: Schedule | None = None
    limits: LimitsSection = LimitsSection()
    ping: SecretUrl | None = None

    @property
    def schedules(self) -> Mapping[str, ScheduleSection]:
        """When each kind is requested by itself, by its name; those that never are left out."""
        return {self.kind: self.schedule} if self.schedule else {}

    @property
    def needs_unit(self) -> bool:
        """Whether each run is a unit of systemd's, on a host that has it."""
        return bool(self.schedules) or self.limits != LimitsSection()

    @model_validator(mode="after")
    def _runs_at_once_bind_no_deployment(self) -> JobSettings:
        if self.overlap == "allow" and not self.deploy_during_run:
            raise ValueError("overlap: allow needs deploy_during_run: true")
        return self


class RestoreTestSection(Section):
    """What is said of testing that backups can be restored; a type adds its own keys.

    Args:
        schedule: when the newest backup is restored as a test.
    """

    schedule: Schedule | None = None


class BackupJobSettings(JobSettings):
    """The section of an environment of a type that has the hook `back_up`, of whose backups `schedule` is; a
    type adds its own keys.

    Args:
        restore_test: when a backup is restored as a test, if it ever is by itself.
    """

    kind: ClassVar[str] = "backup"
    restore_test: RestoreTestSection | None = None

    @property
    def schedules(self) -> Mapping[str, ScheduleSection]:
        """When each kind is requested by itself, by its name; those that never are left out."""
        test = self.restore_test.schedule if self.restore_test else None
        return {**super().schedules, **({"restore_test": test} if test else {})}


def settings_of_requests(section: Mapping[str, object], kinds: Collection[str] | None) -> JobSettings:
    """Return what a section says of how jobs are requested and who executes them, whatever else is wrong with
    it; `kinds` are those of its type, None if nobody knows. Raises `ValidationError`.
    """
    keys = "overlap", "deploy_during_run", "schedule", "limits"
    said = {key: section[key] for key in keys if key in section}
    test = section.get("restore_test")
    if "backup" not in (["backup"] if kinds is None and test else kinds or ()):
        return JobSettings.model_validate(said)
    if isinstance(test, Mapping):
        said["restore_test"] = {"schedule": test.get("schedule")}
    return BackupJobSettings.model_validate(said)
