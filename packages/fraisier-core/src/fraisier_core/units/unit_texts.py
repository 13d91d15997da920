"""The texts of units."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fraisier_core.store.vocabulary import KINDS
from fraisier_core.units.job import Job, JobTimer
from fraisier_core.units.quoting import quoted, without_specifiers

MARK = "Written by `fraisier config install`, from "
"""What the first line of each file that is installed says, with the configuration after it."""
_HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
_HARDENING = """\
NoNewPrivileges=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictRealtime=yes
LockPersonality=yes
SystemCallArchitectures=native
"""
_CONFINED = """\
ProtectSystem=strict
PrivateTmp=yes
RestrictSUIDSGID=yes
CapabilityBoundingSet=
"""
# What could not be recorded is requested again, unless there is nothing to request: the exit codes of a wrong
# request and of an unknown name. What was killed, as for taking too long, may have been recorded, and is not
# repeated; `status` says if it was not. Without the time-out it would keep the timer from firing again.
_AGAIN = """\
Restart=on-failure
RestartSec=30
RestartPreventExitStatus=2 4 SIGTERM SIGKILL
TimeoutStartSec=15min
"""


@dataclass(frozen=True, slots=True)
class UnitPlace:
    """Where units run, the same for all: as which user, by which program and configuration.

    Args:
        program: the command `fraisier`.
        config: the configuration.
        owner: the user who owns the state folder.
        state_dir: the state folder.
        environment_files: the `EnvironmentFile=` of the worker's unit, never a value of `env:`.
        writable: the `ReadWritePaths=` of the worker's unit.
        groups: the lines `Group=` and `SupplementaryGroups=` of the worker's unit.
        warnings: what the administrator should know of this.
    """

    program: str
    config: Path
    owner: str
    state_dir: Path
    environment_files: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def mark(self) -> str:
        """The text of the first line of what is written here; what does not begin so is never touched."""
        return f"{MARK}{self.config}"

    def command(self, *arguments: str) -> str:
        """Return a command line of systemd that calls Fraisier, and replaces no variable."""
        return ":" + " ".join(map(quoted, (self.program, "-c", str(self.config), *arguments)))


def unit_texts(job: Job, place: UnitPlace) -> dict[str, str]:
    """Return the text of each unit of a job, by its name."""
    texts = {job.executor: _executor(job, place)}
    for timer in job.timers:
        texts |= {timer.requester: _requester(timer, place), timer.name: _timer(timer, place)}
    return texts


def _timer(job: JobTimer, place: UnitPlace) -> str:
    schedule = job.schedule
    lines = [f"OnCalendar={each}" for each in schedule.expressions] or ["OnBootSec=0"]
    lines.append("AccuracySec=1s")
    if schedule.persistent:
        lines.append("Persistent=yes")
    if schedule.random_delay:
        lines.append(f"RandomizedDelaySec={schedule.random_delay:g}s")
    timer, does = "\n".join(lines), "runs" if job.kind == "run" else f"has its {job.noun}"
    return (
        f"# {place.mark}\n[Unit]\nDescription=When {job.fraise} {job.environment} {does}\n\n"
        f"[Timer]\n{timer}\n\n[Install]\nWantedBy=timers.target\n"
    )


def _requester(job: JobTimer, place: UnitPlace) -> str:
    asks = KINDS[job.kind].again[0].split()
    command = place.command(*asks, job.fraise, job.environment, "--scheduled", "--detach")
    return (
        f"# {place.mark}\n[Unit]\nDescription=Request of a {job.noun} of {job.fraise} {job.environment}\n"
        f"Wants=network-online.target\nAfter=network-online.target\nStartLimitIntervalSec=0\n\n"
        f"[Service]\nType=oneshot\nExecStart={command}\n{_AGAIN}{_service(place)}"
    )


def _executor(job: Job, place: UnitPlace) -> str:
    command = place.command("run", job.fraise, job.environment, "--claim")
    return (
        f"# {place.mark}\n[Unit]\nDescription=Run %i of {job.fraise} {job.environment}\n"
        f"After=network.target\nCollectMode=inactive-or-failed\n\n"
        f"[Service]\nType=exec\nExecStart={command} %i\n"
        f"KillMode=mixed\nTimeoutStopSec=60\nOOMPolicy=continue\n"
        f"{_limits(job)}{_service(place, runs_release=job.runs_release)}"
    )


def _limits(job: Job) -> str:
    limits = job.limits
    named = {"MemoryMax": limits.memory, "TasksMax": limits.tasks, "CPUQuota": limits.cpu}
    return "".join(f"{name}={value}\n" for name, value in named.items() if value is not None)


def _service(place: UnitPlace, *, runs_release: bool = True) -> str:
    """Return how a service is confined. What runs no release is configured by the administrator alone, and
    sees and writes the host as its user does: a backup reads homes and sockets in /tmp, and restores modes.
    """
    user = "".join(f"{line}\n" for line in (f"User={place.owner}", *place.groups))
    files = "".join(f"EnvironmentFile={without_specifiers(each)}\n" for each in place.environment_files)
    confined = _confined(place) if runs_release else "ProtectSystem=full\n"
    writable = " ".join(map(quoted, dict.fromkeys([str(place.state_dir), *place.writable])))
    return f"{user}{files}UMask=0022\nReadWritePaths={writable}\n{confined}{_HARDENING}"


def _confined(place: UnitPlace) -> str:
    used = (place.state_dir, place.config, *map(Path, (place.program, *place.writable)))
    at_home = any(path.is_relative_to(home) for path in used for home in _HOMES)
    return f"ProtectHome={'no' if at_home else 'yes'}\n{_CONFINED}"
