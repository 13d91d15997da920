"""Where the units of a configuration run, as this host has it."""

from __future__ import annotations

import pwd
from pathlib import Path

from fraisier_core.errors import StepFailedError
from fraisier_core.units.quoting import words
from fraisier_core.units.systemctl import shown
from fraisier_core.units.unit_texts import UnitPlace

WORKER = "fraisier-worker.service"
_IGNORED = " (ignore_errors=yes)"


def unit_place(program: str, config: Path, state_dir: Path) -> UnitPlace:
    """Return where units run: as who owns the state folder, with what the worker's unit gives the worker.

    Args:
        program: the command `fraisier`.
        config: the configuration.
        state_dir: the state folder.

    Raises `StepFailedError` if there is no such folder or user, one of these has a character that no unit
    can name, or systemd does not answer.
    """
    for each in (program, str(config), str(state_dir)):
        if not each.isprintable():  # a line break would begin another line of the unit
            raise StepFailedError(f"{each!r}: has a character that no unit can name; choose another path")
    try:
        owner = pwd.getpwuid(state_dir.stat().st_uid).pw_name
    except OSError as error:
        what = f"{state_dir}: {error.strerror}; make it, owned by the user that Fraisier runs as"
        raise StepFailedError(what) from error
    except KeyError:
        raise StepFailedError(f"{state_dir} belongs to a user without a name") from None
    worker = shown([WORKER], ["EnvironmentFiles", "ReadWritePaths"]).get(WORKER, {})
    files = tuple(_environment_file(each) for each in worker.get("EnvironmentFiles", ()) if each)
    writable = tuple(words(" ".join(worker.get("ReadWritePaths", ()))))
    return UnitPlace(program, config, owner, state_dir, files, writable)


def _environment_file(shown_as: str) -> str:
    path = shown_as.rpartition(" (ignore_errors=")[0]
    return f"-{path}" if shown_as.endswith(_IGNORED) else path
