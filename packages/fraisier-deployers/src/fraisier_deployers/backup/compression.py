"""Compression by zstd, of files whose names say so."""

from __future__ import annotations

import shutil

from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.pipeline import Stage

SUFFIX = ".zst"


def compressing(name: str) -> tuple[Stage, ...]:
    """Return what compresses a file of this name, if it is compressed. Raises `BackupError`."""
    return _stages(name, "-T2", "-3")


def decompressing(name: str) -> tuple[Stage, ...]:
    """Return what decompresses a file of this name, if it is compressed. Raises `BackupError`."""
    return _stages(name, "-d")


def _stages(name: str, *options: str) -> tuple[Stage, ...]:
    if not name.endswith(SUFFIX):
        return ()
    if shutil.which("zstd") is None:
        raise BackupError("zstd is not installed: install the package zstd")
    return (Stage(("zstd", "-q", *options, "-c")),)
