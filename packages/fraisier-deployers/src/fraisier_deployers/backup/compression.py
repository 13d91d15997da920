"""Compression by zstd, of files whose names say so."""

from __future__ import annotations

from fraisier_deployers.backup.pipeline import Stage
from fraisier_deployers.backup.programs import require_program

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
    require_program("zstd")
    return (Stage(("zstd", "-q", *options, "-c")),)
