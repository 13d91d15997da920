"""What is deployed: one commit, as a complete directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Release:
    """A commit, checked out and complete.

    Args:
        name: what tells it apart from the fraise's other releases.
        path: its directory.
        commit_sha: the full id of the commit.
    """

    name: str
    path: Path
    commit_sha: str
