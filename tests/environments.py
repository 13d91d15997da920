"""Empty Python environments, and our packages as wheels to put into them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
UV = Path(sys.executable).with_name("uv")
LOCK = ROOT / "requirements/development.txt"
APPLICATION_LOCK = ROOT / "requirements/application.txt"
SYSTEM_PYTHON = "/usr/bin/python3"
TIMEOUT_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class PythonEnvironment:
    """A virtual environment of a test's own.

    Args:
        folder: where it lies.
    """

    folder: Path

    @classmethod
    def create(cls, folder: Path, *packages: str | Path, python: str = sys.executable) -> PythonEnvironment:
        """Return a new environment.

        Args:
            folder: where to make it.
            packages: as in `install`.
            python: of which interpreter.
        """
        _run(UV, "venv", "--quiet", "--python", python, folder)
        environment = cls(folder)
        environment.install(*packages)
        return environment

    @property
    def bin(self) -> Path:
        """The folder of its programs."""
        return self.folder / "bin"

    def install(self, *packages: str | Path) -> None:
        """Install wheels and folders by path, other packages by name, as locked; ours always by path."""
        if packages:
            locked = ("--constraint", LOCK, "--build-constraint", LOCK)
            _run(UV, "pip", "install", "--quiet", "--python", self.bin / "python", *locked, *packages)

    def run(
        self, program: str, *arguments: str, cwd: Path, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of this environment to its end."""
        return subprocess.run(
            [self.bin / program, *arguments],
            cwd=cwd,
            env=self.variables(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
        )

    def variables(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return a process environment in which its programs come first."""
        path = f"{self.bin}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("FRAISIER", "PYTEST"))
        }
        return kept | {"PATH": path} | dict(more or {})


def package_names() -> list[str]:
    """Return the names of our packages."""
    return sorted(path.parent.name for path in (ROOT / "packages").glob("*/pyproject.toml"))


def wheel(wheels: Path, package: str) -> Path:
    """Return the wheel of a package."""
    (found,) = wheels.glob(f"{package.replace('-', '_')}-*.whl")
    return found


def build_wheels(folder: Path) -> None:
    """Build the wheel of every package, all at the same time."""
    build: list[str | Path] = [UV, "build", "--quiet", "--wheel", "--out-dir", folder]
    build += ["--require-hashes", "--build-constraint", LOCK]
    builds = [subprocess.Popen([*build, ROOT / "packages" / name]) for name in package_names()]
    statuses = [build.wait(TIMEOUT_SECONDS) for build in builds]
    assert not any(statuses), "a wheel could not be built"


def download_wheels(folder: Path) -> None:
    """Fill a folder with the locked wheels that the application needs, for this Python and the system's."""
    for python in {sys.executable, SYSTEM_PYTHON if Path(SYSTEM_PYTHON).exists() else sys.executable}:
        with TemporaryDirectory() as place:
            pip = PythonEnvironment.create(Path(place), "pip", python=python)
            options = ("--quiet", "--require-hashes", "--only-binary=:all:", "--dest", folder)
            _run(pip.bin / "pip", "download", *options, "--requirement", APPLICATION_LOCK)


def from_wheelhouse(wheelhouse: Path) -> dict[str, str]:
    """Return the variables with which pip installs what lies in a folder, and nothing else."""
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": wheelhouse.as_uri()}


def _run(*argv: str | Path) -> None:
    done = subprocess.run(argv, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
