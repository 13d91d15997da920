"""The fraise type `api`: build a release, migrate its database, switch to it, restart its service."""

from __future__ import annotations

import json
import os
import pwd
import re
import time
from collections.abc import Collection
from typing import Annotated

from fraisier_core import (
    ActivationRefusedError,
    CommandFailedError,
    Health,
    Release,
    Run,
    RunsFrom,
    StepFailedError,
    UnitState,
    UnitWatch,
    hookimpl,
    release_of_process,
    unit_failure,
    unit_state,
)
from pydantic import AfterValidator, model_validator

from fraisier_deployers.installing import (
    Command,
    InstallSettings,
    build,
    install_steps,
    migrate,
    roll_back,
)

SETTLE_SECONDS = 0.2

_UNIT = re.compile(r"[A-Za-z0-9_.:@\\][A-Za-z0-9_.:@\\-]*")
_OTHER_UNIT_TYPES = (".mount", ".path", ".scope", ".slice", ".socket", ".target", ".timer")


def _service(name: str) -> str:
    if not _UNIT.fullmatch(name) or name.endswith(_OTHER_UNIT_TYPES):
        raise ValueError("must be the name of a systemd service, such as api.service")
    return name if name.endswith(".service") else f"{name}.service"


ServiceUnit = Annotated[str, AfterValidator(_service)]


class ApiSettings(InstallSettings):
    """The section of an environment of type `api`.

    Args:
        systemd_service: the unit to restart; `.service` is added if it is missing.
        restart: how to restart the service on a host without systemd; what it starts may stay running.
    """

    systemd_service: ServiceUnit | None = None
    restart: Command | None = None

    @model_validator(mode="after")
    def _one_way_to_restart(self) -> ApiSettings:
        if self.systemd_service is not None and self.restart is not None:
            raise ValueError("set either systemd_service or restart, not both")
        return self


@hookimpl
def settings() -> type[ApiSettings]:
    """Return the model of the environment's section."""
    return ApiSettings


@hookimpl
def deploy(run: Run[ApiSettings]) -> None:
    """Build, migrate, switch, restart; a step that has nothing to do is left out."""
    build(run)
    migrate(run)
    run.activate()
    _restart(run)


@hookimpl
def steps(settings: ApiSettings, files: Collection[str]) -> list[str]:
    """Return the names of the steps that `deploy` would take."""
    restarts = settings.restart or settings.systemd_service
    return [*install_steps(settings, files), *(["restart"] if restarts else [])]


@hookimpl
def rollback(run: Run[ApiSettings], to: Release) -> None:
    """Switch back to `to` and restart; its files are as they were built, unless it is deployed in place."""
    roll_back(run, to)
    _restart(run)


@hookimpl
def health_check(run: Run[ApiSettings]) -> Health:
    """Run the configured probe."""
    return run.probe()


@hookimpl
def watch(run: Run[ApiSettings]) -> UnitWatch | None:
    """Watch the unit, if there is one."""
    unit = run.settings.systemd_service
    return UnitWatch(unit, run.note) if unit is not None else None


def _restart(run: Run[ApiSettings]) -> None:
    if run.settings.restart is not None:
        with run.step("restart"):
            run.command(run.settings.restart, leave_running=True)
    elif run.settings.systemd_service is not None:
        with run.step("restart"):
            _restart_unit(run, run.settings.systemd_service)


def _restart_unit(run: Run[ApiSettings], unit: str) -> None:
    before = unit_state(unit)
    try:
        run.command(["systemctl", "--no-ask-password", "restart", "--", unit])
    except CommandFailedError as error:
        raise _failed_restart(run, before, error) from error
    _verify_restarted(run, before)


def _failed_restart(run: Run[ApiSettings], before: UnitState, error: CommandFailedError) -> StepFailedError:
    """Return what it means that systemctl failed: systemd did nothing, or the service did not start."""
    after = unit_state(before.name)
    if after.load_state != "loaded":
        return ActivationRefusedError(f"{after}: install the unit, or correct systemd_service")
    if after == before:
        return ActivationRefusedError(f"{error}; systemd left the service as it was. {_permission(after)}")
    if not before.is_active or before.restarts:  # one that keeps failing changes by itself
        return unit_failure(f"{error}: {after}. {_permission(after)}", after, run.note)
    return unit_failure(f"{error}: {after}", after, run.note)


def _permission(unit: UnitState) -> str:
    """Return how to permit the restart: only the output of systemctl says whether that is what is missing."""
    if os.geteuid() == 0:
        return "The output of this step says why"
    user = pwd.getpwuid(os.geteuid()).pw_name
    rules = f"/etc/polkit-1/rules.d/50-fraisier-{unit.name}.rules"
    return (
        f"If the output of this step says that {user} may not restart it, put this into {rules}:\n"
        f"{polkit_rule(unit.name, user)}polkit reads it at once"
    )


def polkit_rule(unit: str, user: str) -> str:
    """Return the polkit(8) rule that lets a user restart one unit (systemd1.manage-units), no more."""
    return (
        "polkit.addRule(function(action, subject) {\n"
        '    if (action.id == "org.freedesktop.systemd1.manage-units" &&\n'
        f'        action.lookup("unit") == {json.dumps(unit)} && action.lookup("verb") == "restart" &&\n'
        f"        subject.user == {json.dumps(user)}) {{\n"
        "        return polkit.Result.YES;\n"
        "    }\n"
        "});\n"
    )


def _verify_restarted(run: Run[ApiSettings], before: UnitState) -> None:
    # A unit of Type=simple counts as started before its program could even fail; and as long as it starts,
    # nothing that is done here may slow it down.
    time.sleep(SETTLE_SECONDS)
    settled = unit_state(before.name)
    if settled.invocation_id == before.invocation_id:
        raise StepFailedError(f"{before.name} was not restarted: its InvocationID is unchanged")
    if not settled.is_active:
        raise unit_failure(f"after the restart {settled}", settled, run.note)
    run.note(str(settled))
    if not run.in_place:
        _verify_release(run, settled)


def _verify_release(run: Run[ApiSettings], unit: UnitState) -> None:
    runs_from = release_of_process(unit.main_pid, run.release.path)
    hidden = " (another user's process does not show it)" if runs_from is RunsFrom.UNKNOWN else ""
    run.note(f"release that its main process runs from: {runs_from.value}{hidden}")
    if runs_from is RunsFrom.OTHER:
        raise StepFailedError(
            f"{unit.name} runs from another release than {run.release.name}: "
            "its WorkingDirectory= must lead through the link at app_path"
        )
