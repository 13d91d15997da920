"""Where the units of a configuration run, as this host has it."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from fraisier_core.errors import ConfigurationError, StepFailedError
from fraisier_core.job_settings import require_memory
from fraisier_core.system.queries import NoAnswerError
from fraisier_core.system.systemd import asked
from fraisier_core.units.job import PREFIX, Job
from fraisier_core.units.quoting import quoted, words
from fraisier_core.units.systemctl import Properties, shown
from fraisier_core.units.unit_texts import UnitPlace

WORKER = "fraisier-worker.service"
_PROPERTIES = ("User", "Group", "SupplementaryGroups", "Environment", "EnvironmentFiles", "ReadWritePaths")
_PRIVATE = ("/tmp", "/var/tmp")  # noqa: S108 - as PrivateTmp= has them
_SECONDS = 60.0
_IGNORED = " (ignore_errors=yes)"


def program() -> str:
    """Return the command `fraisier` as it was called, so that a link to the current version stays one."""
    called = Path(sys.argv[0])
    found = called if called.name == "fraisier" else Path(sys.executable).with_name("fraisier")
    return os.path.abspath(found)  # noqa: PTH100 - a link stays one


def unit_place(program: str, config: Path, state_dir: Path) -> UnitPlace:
    """Return where units run: as who owns the state folder, with what the worker's unit gives that user.

    Args:
        program: the command `fraisier`.
        config: the configuration.
        state_dir: the state folder.

    Raises `StepFailedError` if there is no such folder or user, one of these has a character that no unit
    can name, or systemd does not answer.
    """
    named = str(state_dir), str(config), program
    for each in named:
        if not each.isprintable():  # a line break would begin another line of the unit
            raise StepFailedError(f"{each!r}: has a character that no unit can name; choose another path")
    try:
        owner = pwd.getpwuid(state_dir.stat().st_uid)
    except OSError as error:
        what = f"{state_dir}: {error.strerror}; make it, owned by the user that Fraisier runs as"
        raise StepFailedError(what) from error
    except KeyError:
        raise StepFailedError(f"{state_dir} belongs to a user without a name") from None
    worker = _worker_of(owner)
    files = filter(None, worker.get("EnvironmentFiles", ()))
    return UnitPlace(
        program,
        config,
        owner.pw_name,
        state_dir,
        environment_files=tuple(map(_environment_file, files)),
        writable=tuple(_words(worker, "ReadWritePaths")),
        groups=tuple(_groups(worker)),
        warnings=tuple(_warnings(worker, owner, named)),
    )


def require_usable(place: UnitPlace) -> None:
    """Raise `StepFailedError` unless the owner may read the configuration and run the program; as root."""
    owner = pwd.getpwnam(place.owner)
    become = ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--init-groups", "--"]
    for what, argv in (
        (f"read {place.config}", ["test", "-r", str(place.config)]),
        (f"run {place.program}", [place.program, "--version"]),
    ):
        try:
            said = asked([*become, *argv], _SECONDS)
        except NoAnswerError as error:
            raise StepFailedError(f"cannot try whether {place.owner} may {what}: {error}") from error
        if said.status != 0:
            reason = said.errors.decode(errors="replace").strip().rpartition("\n")[2]
            refused = f"{place.owner}, as whom the jobs run, cannot {what}"
            raise StepFailedError(f"{refused}, and nothing is changed{reason and f': {reason}'}")


def require_shares(jobs: Iterable[Job], config: Path, memory: int) -> None:
    """Raise `ConfigurationError` if a share of the host's memory, in bytes, is too little for a job."""
    problems = []
    for job in jobs:
        share = job.limits.memory or ""
        if share.endswith("%"):
            size = memory * int(share[:-1]) // 100
            try:
                require_memory(size)
            except ValueError as error:
                where = f"{config}: {job.fraise} {job.environment}: limits.memory"
                problems.append(f"{where}: {share} of this host's memory is {size >> 20}M, and {error}")
    if problems:
        raise ConfigurationError(problems)


def host_memory() -> int:
    """Return how many bytes of memory the host has."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _worker_of(owner: pwd.struct_passwd) -> Properties:
    """Return what the worker's unit says, if that runs as a user: its files are not for others."""
    told = shown([WORKER], _PROPERTIES).get(WORKER, {})
    user = told.get("User", [""])[0] or "root"
    return told if user in {owner.pw_name, str(owner.pw_uid)} else {}


def _words(worker: Properties, name: str) -> list[str]:
    return words(" ".join(worker.get(name, ())))


def _groups(worker: Properties) -> Iterator[str]:
    for name in ("Group", "SupplementaryGroups"):
        if found := _words(worker, name):
            yield f"{name}={' '.join(map(quoted, found))}"


def _warnings(worker: Properties, owner: pwd.struct_passwd, named: Sequence[str]) -> Iterator[str]:
    for path in map(Path, named):
        if any(path.is_relative_to(each) for each in _PRIVATE):
            hidden = f"{path}: the jobs have a /tmp of their own, without it"
            yield f"{hidden}: move it, or set PrivateTmp=no in a drop-in for {PREFIX}.service"
    if owner.pw_uid == 0:
        yield f"the jobs run as root, who owns {named[0]}: give it to a user of its own"
    variables = {each.partition("=")[0] for each in _words(worker, "Environment")} - {"FRAISIER_CONFIG"}
    if variables:
        lost = f"{WORKER} sets {', '.join(sorted(variables))} by Environment=, which runs do not get"
        yield f"{lost}: use EnvironmentFile=, or a drop-in for {PREFIX}.service"


def _environment_file(shown_as: str) -> str:
    path = shown_as.rpartition(" (ignore_errors=")[0]
    return f"-{path}" if shown_as.endswith(_IGNORED) else path
