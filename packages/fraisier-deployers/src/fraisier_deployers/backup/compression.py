"""Compression by zstd."""

from __future__ import annotations

import shutil

from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.pump import Stage

COMPRESSING = Stage(("zstd", "-q", "-T2", "-3", "-c"))
DECOMPRESSING = Stage(("zstd", "-q", "-d", "-c"))


def require_zstd() -> None:
    """Raise `BackupError` if zstd is not installed."""
    if shutil.which("zstd") is None:
        raise BackupError("zstd is not installed: install the package zstd")
