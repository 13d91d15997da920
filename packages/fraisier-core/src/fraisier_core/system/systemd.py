"""What systemd says about a unit, and which release its main process runs from."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from fraisier_core.errors import StepFailedError
from fraisier_core.system.environment import clean_environment
from fraisier_core.system.host import has_systemd
from fraisier_core.system.queries import NoAnswerError, QueryOutput, answer

MOST_BYTES = 16 * 2**20  # more than systemd says of a unit, or the end of a journal
_PROPERTIES = (
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "MainPID",
    "InvocationID",
    "NRestarts",
    "ExecMainCode",
    "ExecMainStatus",
)
_STATE_SECONDS = 5.0
_UP = {"initializing", "starting", "running", "degraded", "maintenance"}
_EXITED = "1"  # CLD_EXITED, see waitid(2); 2 and 3 mean that a signal ended it


@dataclass(frozen=True, slots=True)
class UnitState:
    """The state of a unit, in systemd's words (`systemctl show`, org.freedesktop.systemd1(5)).

    Args:
        name: the unit.
        load_state: `loaded`, `not-found`, `masked` ...
        active_state: `active`, `activating`, `failed` ...
        sub_state: finer, such as `running` or `auto-restart`.
        result: how it last ended, such as `success` or `exit-code`.
        main_pid: its main process, 0 if it has none.
        invocation_id: another one each time it is started; empty if it never was.
        restarts: how often systemd restarted it by itself.
        ended: how its main process ended, such as `status: 1` or `signal: SIGSEGV`; empty if it runs.
    """

    name: str
    load_state: str
    active_state: str
    sub_state: str
    result: str
    main_pid: int
    invocation_id: str
    restarts: int
    ended: str = ""

    @property
    def is_active(self) -> bool:
        """Whether it has started and not ended."""
        return self.active_state == "active"

    @property
    def is_alive(self) -> bool:
        """Whether it has started and not ended, be it that it reloads its configuration."""
        return self.active_state in {"active", "reloading", "refreshing"}

    def __str__(self) -> str:
        if self.load_state != "loaded":
            return f"{self.name} is {self.load_state}"
        facts = [self.sub_state]
        if self.result not in {"", "success"}:
            facts.append(f"result: {self.result}")
        if self.ended and not self.is_alive:
            facts.append(self.ended)
        return f"{self.name} is {self.active_state} ({', '.join(facts)})"


class RunsFrom(Enum):
    """Which release a process runs from, as far as its working directory tells."""

    SAME = "same"
    OTHER = "other"
    UNKNOWN = "unknown"


def unit_state(name: str, timeout: float = 10.0) -> UnitState:
    """Return the state of a unit; one that does not exist has the load state `not-found`.

    Args:
        name: the unit, such as `api.service`.
        timeout: seconds that systemd may take to answer.

    Raises `StepFailedError` if systemd does not answer.
    """
    argv = ["systemctl", "show", f"--property={','.join(_PROPERTIES)}", "--", name]
    try:
        said = asked(argv, timeout)
    except NoAnswerError as error:
        raise StepFailedError(f"cannot read the state of {name} from systemd: {error}") from error
    if said.status != 0:
        reason = said.errors.decode(errors="replace").strip()
        raise StepFailedError(f"cannot read the state of {name} from systemd: {reason}")
    return _parsed(name, said.output.decode(errors="replace"))


def asked(argv: Sequence[str], seconds: float, *, time_zone: str | None = None) -> QueryOutput:
    """Return what a program of systemd's says, in English, perhaps in a time zone. Raises `NoAnswerError`."""
    env = clean_environment({"LC_ALL": "C"} | ({"TZ": time_zone} if time_zone else {}))
    return answer(argv, env=env, given=b"", seconds=seconds, most_bytes=MOST_BYTES)


def is_shutting_down() -> bool:
    """Whether systemd stops this host, or has stopped answering while it does."""
    if not has_systemd():
        return False
    try:
        said = asked(["systemctl", "is-system-running"], _STATE_SECONDS).output.decode(errors="replace")
    except NoAnswerError:
        return True
    return said.strip() not in _UP


def release_of_process(pid: int, release_path: Path) -> RunsFrom:
    """Return whether a process runs from a release, from another one beside it, or whether one cannot tell.

    Only the working directory is read: that of another user's process cannot be read, and a unit without
    `WorkingDirectory=` runs in `/`. What runs outside of the folder of releases says nothing either.

    Args:
        pid: the process.
        release_path: the release's directory, in the folder that holds the others.
    """
    try:
        directory = Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return RunsFrom.UNKNOWN
    release = release_path.resolve()
    if directory.is_relative_to(release):
        return RunsFrom.SAME
    return RunsFrom.OTHER if directory.is_relative_to(release.parent) else RunsFrom.UNKNOWN


def _parsed(name: str, output: str) -> UnitState:
    values = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
    told = (values.get(key, "") for key in _PROPERTIES)
    load, active, sub, result, main_pid, invocation, restarts, code, status = told
    numbers = int(main_pid or 0), invocation, int(restarts or 0)
    return UnitState(name, load, active, sub, result, *numbers, _ended(code, int(status or 0)))


def _ended(code: str, status: int) -> str:
    if code in {"", "0"}:
        return ""
    if code == _EXITED:
        return f"status: {status}"
    known = status in signal.valid_signals()
    return f"signal: {signal.Signals(status).name if known else status}"
