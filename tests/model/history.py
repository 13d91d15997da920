"""A repository in memory: its commits and refs, and the questions that the engine asks of a mirror."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fraisier_core.git.mirrors import Mirror


@dataclass(slots=True)
class History:
    """Commits in the order they were made, the ancestors of each, and what the refs point to.

    Args:
        ancestors: by commit, the commit itself left out.
        parents: by commit.
        refs: by full name.
        faults: at which step deploying a commit fails, for those that fail.
    """

    ancestors: dict[str, frozenset[str]] = field(default_factory=dict)
    parents: dict[str, str | None] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)

    def commit(self, parent: str | None, fault: str | None = None) -> str:
        """Make a commit and return its full id."""
        commit = f"{len(self.parents) + 1:02x}" * 20
        self.parents[commit] = parent
        self.ancestors[commit] = self.ancestors[parent] | {parent} if parent else frozenset()
        if fault is not None:
            self.faults[commit] = fault
        return commit

    def back(self, commit: str, steps: int) -> str:
        """Return the commit that lies at most `steps` before another one."""
        for _ in range(steps):
            commit = self.parents[commit] or commit
        return commit


class SimulatedMirror(Mirror):
    """A mirror of a history, always up to date."""

    def __init__(self, history: History) -> None:
        super().__init__(Path("/nowhere/site.git"), "https://forge.example/acme/site.git", threading.Event())
        self._history = history

    def fetch(self, wanted: str | None = None) -> None:
        pass

    def resolve_ref(self, ref: str) -> str:
        return self._history.refs[ref]

    def has(self, name: str) -> bool:
        return name in self._history.parents

    def require(self, commit: str) -> str:
        assert commit in self._history.parents
        return commit

    def is_ancestor(self, ancestor: str, descendant: str) -> bool | None:
        return ancestor == descendant or ancestor in self._history.ancestors[descendant]

    def proper_descendants(self, commit: str, candidates: Sequence[str]) -> list[str]:
        return [each for each in candidates if commit in self._history.ancestors[each]]
