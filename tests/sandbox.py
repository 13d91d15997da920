"""A real systemd in a sandbox: a machine that can be started, switched off, and used for one command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.environments import ROOT, from_wheelhouse

SCRIPT = ROOT / "tests/systemd-sandbox.sh"
# What the sandbox has of its own, and hides of the machine's.
HIDDEN = (Path("/tmp"), Path("/var/tmp"), Path("/run"))
TIMEOUT_SECONDS = 600.0

Completed = subprocess.CompletedProcess[str]


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A machine of a test's own.

    Args:
        folder: a directory for what it needs; nothing else of the real machine is written to.
        wheelhouse: where pip finds everything.
        keeps_its_disk: whether what is written there is still there at the next start.
        seen: another directory that is needed inside.
    """

    folder: Path
    wheelhouse: Path | None = None
    keeps_its_disk: bool = False
    seen: Path | None = None

    @property
    def writable(self) -> Path:
        """A directory that is the same inside and outside."""
        return self.folder / "writable"

    def start(self) -> None:
        """Switch it on, and wait until it is up."""
        self._succeed("start")

    def stop(self) -> None:
        """Shut it down, which stops its units."""
        self._succeed("stop")

    def kill(self) -> None:
        """Take its power away: every process ends at once."""
        self._succeed("kill")

    def is_up(self) -> bool:
        """Whether it was started and has not ended."""
        return self._call("status").returncode == 0

    def run(self, *command: str) -> Completed:
        """Run a command inside, once it was started."""
        return self._call("exec", *command)

    def succeed(self, *command: str) -> str:
        """Run a command inside that must succeed, and return what it prints."""
        return self._succeed("exec", *command)

    def once(self, *command: str) -> Completed:
        """Start it for one command, and stop it."""
        return self._call("run", *command)

    def _succeed(self, *arguments: str) -> str:
        done = self._call(*arguments)
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def _call(self, *arguments: str) -> Completed:
        return subprocess.run(
            self.command(*arguments),
            cwd=ROOT,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            text=True,
            timeout=TIMEOUT_SECONDS,
        )

    def command(self, verb: str, *command: str) -> list[str]:
        """Return how the script of the sandbox is called."""
        return [str(SCRIPT), verb, *(["--", *command] if command else [])]

    def environment(self) -> dict[str, str]:
        """Return with which variables it is called."""
        needed = [
            Path(path)
            for path in (ROOT, sys.prefix, sys.base_prefix, self.wheelhouse or ROOT, self.seen or ROOT)
        ]
        visible = [path for path in needed if any(path.is_relative_to(hidden) for hidden in HIDDEN)]
        self.writable.mkdir(exist_ok=True)
        variables = {
            "FRAISIER_SANDBOX_NET": "private",
            "FRAISIER_SANDBOX_STATE": str(self.folder / "state"),
            "FRAISIER_SANDBOX_RW": ":".join(map(str, [self.writable, *visible])),
        }
        if self.keeps_its_disk:
            variables["FRAISIER_SANDBOX_DISK"] = str(self.folder / "disk")
        packages = from_wheelhouse(self.wheelhouse) if self.wheelhouse else {}
        return os.environ | packages | variables


@contextmanager
def started(folder: Path, wheelhouse: Path | None = None, seen: Path | None = None) -> Iterator[Sandbox]:
    """Start a sandbox that keeps its disk, and take its power away on the way out.

    Args:
        folder: as in `Sandbox`.
        wheelhouse: as in `Sandbox`.
        seen: as in `Sandbox`.
    """
    sandbox = Sandbox(folder, wheelhouse, keeps_its_disk=True, seen=seen)
    sandbox.start()
    try:
        yield sandbox
    finally:
        sandbox.kill()
