"""`fraisier config install`: the units of systemd that run the configured jobs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraisier_core.errors import ConfigurationError, ConflictError, StoreError, UnknownNameError

from fraisier.terminal import print_json, say, tell

if TYPE_CHECKING:
    from fraisier_core.config import Config
    from fraisier_core.plugins import Plugins
    from fraisier_core.units.job import Job
    from fraisier_core.units.unit_plan import Plan
    from fraisier_core.units.unit_texts import UnitPlace


def install_units(config: Config, *, dry_run: bool, as_json: bool) -> None:
    """Show how the installed units differ from the configuration and, unless it is only tried, change them.

    Raises `ConflictError` without systemd or polkit, or over a file that is not ours, `ConfigurationError`
    for another user than root or too small a share of the memory, and `StepFailedError` if systemd does not
    accept something.
    """
    from fraisier_core.system.host import has_systemd
    from fraisier_core.system.owner import command_as
    from fraisier_core.units.job import Job
    from fraisier_core.units.place import host_memory, program, require_shares, require_usable, unit_place
    from fraisier_core.units.unit_plan import apply, plan, verify

    jobs = [job for each in config.environments if (job := Job.of(each))]
    if not has_systemd():
        raise ConflictError(_without_systemd(config, jobs))
    if os.geteuid() != 0:
        raise ConfigurationError([f"{config.path}: only root may install units: run `{command_as(0)}`"])
    place = unit_place(program(), config.path, config.state_dir)
    if jobs:
        require_shares(jobs, config.path, host_memory())
        require_usable(place)
        verify(jobs, place)
    planned = plan(jobs, place)
    if not as_json:
        _print(planned, place)
    applied = False
    try:
        if not dry_run:
            apply(planned)
            applied = True
    finally:
        if as_json:
            print_json(_as_json(planned, place) | {"applied": applied})


def tell_store(config: Config, plugins: Plugins) -> None:
    """Tell the store, if there is one yet, who executes runs from now on, as its owner."""
    from fraisier_core.requests.requesting import configure_store

    from fraisier.cli.session import Session

    try:
        with closing(Session(config.place, plugins, config).existing_store()) as store:
            configure_store(store, config, executes=True)
    except UnknownNameError:
        return
    except StoreError as error:
        tell(
            f"{error}; until a worker has told it, runs may be left to workers, without their limits",
            "yellow",
        )


def require_trusted_by_root(path: Path, plugins: Plugins) -> None:
    """Refuse, as root, a configuration that neither root nor the owner of its store has written, before
    anything else of it is read. Raises `ConfigurationError`.
    """
    from fraisier_core.config import place_of_store
    from fraisier_core.system.owner import existing_place, require_trusted

    if os.geteuid() == 0:
        place = place_of_store(path, plugins)
        require_trusted(place.path, existing_place(place.state_dir).stat().st_uid)


def _without_systemd(config: Config, jobs: Iterable[Job]) -> str:
    from fraisier_core.units.crontab import crontab
    from fraisier_core.units.place import program

    problem = "this host is not run by systemd, which units are for"
    lines = crontab(jobs, program(), config.path)
    if not lines:
        return problem
    owner = f"the crontab of the user who owns {config.state_dir}"
    does = f"{problem}; cron does the same with these lines at the end of {owner}:"
    return "\n".join([does, *_needed(config), *lines])


def _needed(config: Config) -> Iterator[str]:
    """Yield comments that name the variables which the runs of a crontab need, and who notifies."""
    if names := set().union(*config.variables.values()) - config.secret_variables():
        lacking = "# Cron sets none of the variables that runs need, as the worker's unit does"
        yield f"{lacking}: set {', '.join(sorted(names))} above these lines"
    if "notify" in config.variables or any(each.pings for each in config.environments):
        yield "# Only a worker notifies and pings: start `fraisier worker`, too"


def _print(planned: Plan, place: UnitPlace) -> None:
    for warning in place.warnings:
        tell(f"warning: {warning}", "yellow")
    for change in planned.changes:
        say(change.diff().rstrip("\n"))
    for arguments in (*planned.first, *planned.commands):
        say(f"systemctl {' '.join(arguments)}")
    if planned.is_empty:
        say(f"{place.config}: nothing to do")


def _as_json(planned: Plan, place: UnitPlace) -> dict[str, Any]:
    changes = [{"path": str(each.path), "diff": each.diff()} for each in planned.changes]
    return {
        "changes": changes,
        "commands": [["systemctl", *each] for each in (*planned.first, *planned.commands)],
        "warnings": list(place.warnings),
    }
