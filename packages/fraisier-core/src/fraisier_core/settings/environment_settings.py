"""What every fraise type's environment section may say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from fraisier_core.settings.health_settings import HealthCheck
from fraisier_core.settings.push_settings import Freezes, ReconcileSection
from fraisier_core.settings.section import BranchName, Notify, Seconds, Section
from fraisier_core.settings.shared_paths import SharedPaths


def _variable_text(written: object) -> object:
    """Return the value of a variable in `env:`, which may be written with whether it is a secret."""
    if not isinstance(written, Mapping):
        return written
    if not {"value"} <= set(written) <= {"value", "secret"}:
        raise ValueError("takes the keys value and secret, and needs value")
    if not isinstance(written.get("secret", False), bool):
        raise ValueError("secret should be true or false")
    return written["value"]


class LongVariable(Section):
    """A variable of `env:`, and whether it is redacted in output; by default, if `${...}` brings it."""

    value: str
    secret: bool | None = None


Variable = Annotated[str, BeforeValidator(_variable_text, json_schema_input_type=str | LongVariable)]


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
    shared: SharedPaths = ()
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
