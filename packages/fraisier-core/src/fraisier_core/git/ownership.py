"""Whose a clone is: what its configuration names runs as the user that deploys it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from fraisier_core.errors import AppPathRefusedError


def require_own(path: Path) -> None:
    """Raise `AppPathRefusedError` unless `path`, a link itself, belongs to root or to this user."""
    owner = path.lstat().st_uid
    if owner not in {0, os.geteuid()}:
        raise AppPathRefusedError(
            f"{path} belongs to user {owner}, and could make the user that runs Fraisier run anything; "
            f"if it is meant, run: chown -hR {os.geteuid()} {path}"
        )


def require_own_clone(path: Path) -> None:
    """Raise `AppPathRefusedError` if another user may decide what git runs in the clone at `path`."""
    try:
        require_own(path)
        _require_closed(path, stat.S_IWOTH)
        for each in filter(os.path.lexists, _deciding(path / ".git")):
            require_own(each)
            require_own(each.resolve(strict=True))
            shared = each.stat().st_gid not in {0, os.getegid()}
            _require_closed(each, stat.S_IWOTH | (stat.S_IWGRP if shared else 0))
    except OSError as error:
        raise AppPathRefusedError(f"cannot inspect {error.filename}: {error.strerror}") from error


def _require_closed(path: Path, others: int) -> None:
    if path.stat().st_mode & others:
        raise AppPathRefusedError(
            f"{path} is writable for others, who could make the user that runs Fraisier run anything; "
            f"run: chmod {'g' if others & stat.S_IWGRP else ''}o-w {path}"
        )


def _deciding(git: Path) -> Iterator[Path]:
    """Yield what decides what git runs: `.git`, the folders that it stands for, and what configures them."""
    yield git
    folder = _named(git, "gitdir: ") if git.is_file() else git
    common = folder / "commondir"
    yield common
    for place in (folder, _named(common) if common.is_file() else folder):
        yield from (place, place / "config", place / "config.worktree")
        yield from (place / "info", place / "info/attributes")


def _named(file: Path, prefix: str = "") -> Path:
    """Return the path that a file of git's holds."""
    return file.parent / os.fsdecode(file.read_bytes()).removeprefix(prefix).rstrip("\n")
