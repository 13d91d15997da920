"""What every section of `fraises.yaml` is, and those of environments and observers, which plugins extend."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from fraisier_core.push import is_ref_name
from fraisier_core.text.http_settings import HeaderName, HeaderValue, Origin
from fraisier_core.text.time_settings import ClockText, Duration, TimeZone

COMMIT_PLACEHOLDER = "${commit}"
ESCAPED = "$${"  # stands for `${`
_COMMIT_OR_ESCAPED = re.compile(f"{re.escape(COMMIT_PLACEHOLDER)}|{re.escape(ESCAPED)}")


def _not_blank(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().strip():
        raise ValueError("must not be empty")
    return secret


def _branch_name(name: str) -> str:
    if not is_ref_name(name):
        raise ValueError("is not a branch name")
    return name


def _variable_text(written: object) -> object:
    """Return the value of a variable in `env:`, which may be written with whether it is a secret."""
    if not isinstance(written, Mapping):
        return written
    if not {"value"} <= set(written) <= {"value", "secret"}:
        raise ValueError("takes the keys value and secret, and needs value")
    if not isinstance(written.get("secret", False), bool):
        raise ValueError("secret should be true or false")
    return written["value"]


def _within_release(path: str) -> str:
    parts = path.removesuffix("/").split("/")
    if not path.isprintable() or {"", ".", ".."}.intersection(parts):
        raise ValueError("must be a path within the release, such as uploads/images, without . or ..")
    if parts[0].lower() == ".git":
        raise ValueError("must not be a part of .git")
    return path


def _one_line(text: str) -> str:
    if not text.isprintable() or not text.strip():
        raise ValueError("must be one line that says something")
    return text


def _filled(value: object, commit_sha: str) -> object:
    if isinstance(value, dict):
        return {key: _filled(item, commit_sha) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, commit_sha) for item in value]
    if not isinstance(value, str):
        return value
    return _COMMIT_OR_ESCAPED.sub(lambda found: "${" if found[0] == ESCAPED else commit_sha, value)


AsList = BeforeValidator(lambda value: value if isinstance(value, list | tuple) else [value])
NonEmptySecret = Annotated[SecretStr, AfterValidator(_not_blank)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
BranchName = Annotated[str, AfterValidator(_branch_name)]
Notify = Annotated[tuple[str, ...], AsList]
ReleasePath = Annotated[str, AfterValidator(_within_release)]


class Section(BaseModel):
    """A section of the configuration: frozen, unknown keys are errors, and its repr shows no value.

    Any value may come from a `${VARIABLE}` and be secret, whatever the type of its field.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)

    def __repr_args__(self) -> Iterable[tuple[str, object]]:
        return ()


class LongVariable(Section):
    """A variable of `env:`, and whether it is redacted in output; by default, if `${...}` brings it."""

    value: str
    secret: bool | None = None


Variable = Annotated[str, BeforeValidator(_variable_text, json_schema_input_type=str | LongVariable)]


class Expectation(Section):
    """What an answer must say to be healthy; `${commit}` in a value is the full id of the release's commit.

    Args:
        status: its status; by default, any 2xx.
        body: text that its body contains.
        json: what its body says as JSON; a mapping may hold more.
        header: headers that it has, with these values.
    """

    status: int | None = Field(default=None, ge=100, le=599)
    body: Annotated[str, Field(min_length=1)] | None = None
    json_: dict[str, object] = Field(default_factory=dict, alias="json")
    header: dict[str, str] = Field(default_factory=dict)

    def takes(self, status: int) -> bool:
        """Whether a status is one that is expected."""
        return status == self.status if self.status is not None else 200 <= status < 300


class HealthCheck(Section):
    """How `run.probe()` probes the service; exactly one of the first four.

    Args:
        url: GET it; any 2xx answer is healthy, a redirect is not, unless `expect` says otherwise.
        command: run it in the release; exit status 0 is healthy.
        tcp: `host:port` that must accept a connection.
        unit: systemd unit that must be active.
        expect: what the answer from `url` must say.
        headers: headers of the request to `url`.
        host: the host that the request is for and the certificate must name, instead of that of `url`.
        timeout: seconds that one probe may take.
        retries: probes before the deployment counts as unhealthy; none begins after `probing_seconds`.
        interval: seconds from the start of one probe to that of the next.
    """

    url: str | None = Field(default=None, pattern=r"^https?://")
    command: list[str] | None = Field(default=None, min_length=1)
    tcp: str | None = Field(default=None, pattern=r"^.+:\d+$")
    unit: str | None = None
    expect: Expectation | None = None
    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict)
    host: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._:\[\]-]+$")
    timeout: Seconds = 5.0
    retries: int = Field(default=10, ge=1)
    interval: float = Field(default=1.0, ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _exactly_one_probe(self) -> HealthCheck:
        if sum(probe is not None for probe in (self.url, self.command, self.tcp, self.unit)) != 1:
            raise ValueError("set exactly one of url, command, tcp, unit")
        if self.url is None and (self.expect or self.headers or self.host):
            raise ValueError("expect, headers and host are for url alone")
        return self

    def for_commit(self, commit_sha: str) -> HealthCheck:
        """Return this check with `${commit}` in what it expects replaced, and `$${` by `${`."""
        if self.expect is None:
            return self
        filled = {name: _filled(value, commit_sha) for name, value in vars(self.expect).items()}
        return self.model_copy(update={"expect": self.expect.model_copy(update=filled)})

    @property
    def probing_seconds(self) -> float:
        """For how long new probes begin while the service is unhealthy, however long each of them takes."""
        return max((self.retries - 1) * self.interval, self.timeout)


class SharedPath(Section):
    """A file or folder that lies beside the releases and is linked into each of them.

    Args:
        path: where it belongs in a release. A folder if it ends with `/`, or its last part has no dot.
        default: what of the first release that needs it becomes it, such as `.env.example`; it may be
            `path` itself. Without it, a folder begins empty, and a file must be there.
    """

    path: ReleasePath
    default: ReleasePath | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the path."""
        return PurePosixPath(self.path).parts

    @property
    def is_folder(self) -> bool:
        """Whether a folder is meant, unless what is there already says otherwise."""
        return self.path.endswith("/") or "." not in self.parts[-1]


def _apart(shared: Sequence[SharedPath]) -> Sequence[SharedPath]:
    for number, one in enumerate(shared):
        for other in shared[number + 1 :]:
            length = min(len(one.parts), len(other.parts))
            if one.parts[:length] == other.parts[:length]:
                raise ValueError(f"must not overlap: {one.path}, {other.path}")
    return shared


Shared = Annotated[
    SharedPath,
    BeforeValidator(
        lambda value: {"path": value} if isinstance(value, str) else value,
        json_schema_input_type=str | SharedPath,
    ),
]


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


class EnvironmentSettings(Section):
    """What every fraise type's environment section may say; a type adds its own keys by subclassing.

    Args:
        name: what people call this environment, such as its host name.
        branch: what `fraisier deploy` takes when no commit is named.
        app_path: where the application lives: absent or a link of ours (releases), or a clone (in place).
        health_check: how to tell that the service is healthy; absent, an error-free deployment is a success.
        stable_for: seconds that a release must stay healthy, from its first healthy probe, to be a success.
        timeout: seconds that one command may take.
        silence_timeout: seconds that one command may go without printing anything.
        keep_releases: complete releases to keep, never fewer than the serving one and its predecessor.
        skip_deploy: whether a push is skipped if the message of its commit says `[skip deploy]`.
        env: extra environment variables for the commands of this environment; each is text, or a mapping of
            its `value` and whether it is `secret`.
        shared: files and folders that outlive releases; not for a clone, in which they stay where they are.
        reconcile: have the worker look for pushes that were missed; absent, only webhooks deploy.
        notify: the names of those that are notified of it; by default, those of its fraise, or all.
        freeze: when what is pushed waits, beside what holds for the fraise and for all.
        backup_before: what each deployment has backed up before it changes anything: a fraise that makes
            backups, and its environment unless it is called as this one or is the only one.
    """

    name: str | None = None
    branch: BranchName | None = None
    app_path: Path | None = None
    health_check: HealthCheck | None = None
    stable_for: float = Field(default=5.0, ge=0, allow_inf_nan=False)
    timeout: Seconds = 900.0
    silence_timeout: Seconds = 300.0
    keep_releases: int = Field(default=5, ge=2)
    skip_deploy: bool = False
    env: dict[str, Variable] = Field(default_factory=dict)
    shared: Annotated[tuple[Shared, ...], AfterValidator(_apart)] = ()
    reconcile: ReconcileSection | None = None
    notify: Notify | None = None
    freeze: Freezes = ()
    backup_before: Annotated[str, Field(pattern=r"^[a-z0-9_-]+( [a-z0-9_-]+)?$")] | None = None

    @field_validator("app_path")
    @classmethod
    def _absolute_app_path(cls, app_path: Path | None) -> Path | None:
        if app_path is not None and not app_path.is_absolute():
            raise ValueError("must be an absolute path")
        return app_path


class ObserverSettings(Section):
    """What every observer's section says; an observer adds its own keys by subclassing.

    Args:
        timeout: seconds that it may take for one event.
    """

    timeout: Seconds = 10.0


class ProviderObserverSettings(ObserverSettings):
    """What the section of an observer says that speaks to the forges of some providers. It needs no section:
    it is active if a section below `git:` of one of its `providers` has an `api_token`.
    """

    providers: ClassVar[Collection[str]] = ()


class MountSettings(Section):
    """What every mount's section says; a mount adds its own keys by subclassing.

    Args:
        development: whether clients on this host may do everything without a token.
        origins: the pages of other sites that may open WebSockets, such as `https://panel.example.com`.
    """

    development: bool = False
    origins: Annotated[tuple[Origin, ...], AsList] = ()
