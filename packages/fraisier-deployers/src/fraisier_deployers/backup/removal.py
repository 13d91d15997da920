"""Removing folders, whatever what was restored into them permits."""

from __future__ import annotations

from pathlib import Path

from fraisier_core import delete_tree


def remove_folder(path: Path) -> str | None:
    """Delete a folder as far as possible; return why something of it is left, None if nothing is."""
    try:
        return delete_tree(path)
    except (OSError, RecursionError) as error:
        return str(error)
