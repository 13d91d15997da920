"""Scripts as commands: which interpreter a script names in its first line, and why it cannot be started.

A script that may not be executed itself is given to that interpreter, and never to another one. Its first
line is read as Linux reads it: `#!`, the path of a program, and at most one argument (execve(2)).
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_LINE_BYTES = 256  # BINPRM_BUF_SIZE of Linux
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_ENV = "env"


class ScriptError(Exception):
    """Why a command cannot be started."""


class _Shebang(NamedTuple):
    """The first line of a script: its interpreter, with the one argument that this is given, if any."""

    interpreter: str
    arguments: list[str]


def startable(argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> list[str]:
    """Return how to start a command in `cwd`, with `env` as its environment. Raises `ScriptError` with the
    reason why it cannot be started, and `OSError`.
    """
    path = _program(argv[0], cwd, env)
    if path is None or not path.is_file():
        return list(argv)  # whoever starts it says what is missing
    shebang = _shebang(path)
    if shebang is not None:
        _require_interpreter(shebang, cwd, env)
    if os.access(path, os.X_OK):
        return list(argv)
    if not os.access(path, os.R_OK):
        raise ScriptError("it can neither be executed nor be read")
    if shebang is None:
        raise ScriptError(f"{_obstacle(path)}, and its first line names no interpreter, such as #!/bin/sh")
    return [shebang.interpreter, *shebang.arguments, *argv]


def start_failure(error: OSError, cwd: Path) -> str:
    """Return what it means that the system refused to start a command in `cwd`."""
    said = f"{error.strerror}: {error.filename}"
    if error.errno == errno.ENOEXEC:
        return f"{said}; does its first line name an interpreter, such as #!/bin/sh?"
    if error.errno == errno.ENOENT and (cwd / str(error.filename)).is_file():
        return f"{said}, or rather what would load it; was it built for another system?"
    return said


def _program(name: str, cwd: Path, env: Mapping[str, str]) -> Path | None:
    if "/" in name:
        return cwd / name
    found = shutil.which(name, path=env.get("PATH", os.defpath))
    return cwd / found if found else None


def _shebang(path: Path) -> _Shebang | None:
    """Return the first line of a script, None if a file is no script or cannot be read."""
    try:
        with path.open("rb") as file:
            line = file.read(_LINE_BYTES).partition(b"\n")[0]
    except OSError:
        return None
    if line.startswith(_BYTE_ORDER_MARK + b"#!"):
        raise ScriptError("it begins with a byte order mark, before #!: save it as UTF-8 without one")
    if not line.startswith(b"#!"):
        return None
    if line.endswith(b"\r"):
        raise ScriptError(
            "its lines end with CRLF, as on Windows, and the system reads that into its interpreter's name: "
            f"commit it with LF, such as by `{path.name} text eol=lf` in .gitattributes"
        )
    return _parsed(os.fsdecode(line[2:]).strip(" \t"))


def _parsed(line: str) -> _Shebang | None:
    interpreter, *rest = line.split(maxsplit=1)[:2] or [""]
    return _Shebang(interpreter, rest) if interpreter else None


def _require_interpreter(shebang: _Shebang, cwd: Path, env: Mapping[str, str]) -> None:
    path, named = cwd / shebang.interpreter, "its first line names the interpreter"
    if not path.exists():
        missing = "which does not exist here: install it, or correct the line"
        raise ScriptError(f"{named} {shebang.interpreter}, {missing}")
    if not os.access(path, os.X_OK):
        raise ScriptError(f"{named} {shebang.interpreter}, which cannot be executed")
    program = _looked_up(shebang.arguments) if path.name == _ENV else None
    if program is not None and _program(program, cwd, env) is None:
        raise ScriptError(f"{named} {program}, which is not in PATH: install it, or correct PATH in `env:`")


def _looked_up(arguments: Sequence[str]) -> str | None:
    """Return which program env(1) would look up; None if that takes more than reading it."""
    words = arguments[0].split() if arguments else []
    if words[:1] == ["-S"]:
        words = words[1:]
    elif len(words) > 1:
        return arguments[0]  # the one argument, spaces included
    program = words[0] if words else ""
    return None if not program or program.startswith("-") or "=" in program else program


def _obstacle(path: Path) -> str:
    if os.statvfs(path).f_flag & os.ST_NOEXEC:
        return f"it lies on a file system that is mounted noexec ({path.parent})"
    return "it is not executable"
