"""Small files that are there as a whole after a loss of power, or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from fraisier_deployers.backup.local_place import PARTIAL, sync_folder


def replace_file(file: Path, text: str) -> None:
    """Write a file that no other process writes meanwhile, and its folder. Raises `OSError`."""
    partial = _written(file, f".{file.name}{PARTIAL}", text)
    partial.replace(file)
    sync_folder(file.parent)


def create_file(file: Path, text: str) -> None:
    """Write a file, and its folder, unless another process is faster. Raises `OSError`."""
    partial = _written(file, f".{file.name}.{uuid4().hex[:8]}{PARTIAL}", text)
    with suppress(FileExistsError):
        file.hardlink_to(partial)
    partial.unlink()
    sync_folder(file.parent)


def _written(file: Path, name: str, text: str) -> Path:
    """Return a hidden file beside another."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = file.with_name(name)
    with partial.open("w") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    return partial
