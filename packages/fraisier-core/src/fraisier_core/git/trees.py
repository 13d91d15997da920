"""What a commit's tree says about how it is checked out: submodules, and attributes that name filters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fraisier_core.git.local import LocalRepository, full_id
from fraisier_core.text.printable import printable

_SUBMODULE, _ATTRIBUTES = "160000", ".gitattributes"


@dataclass(frozen=True, slots=True)
class Tree:
    """The tree of a commit in a repository.

    Args:
        repository: where it lies.
        commit: its full id.
        submodules: the commits of submodules by the path at which they belong.
        attributes: the ids of the files of attributes.
    """

    repository: LocalRepository
    commit: str
    submodules: Mapping[str, str]
    attributes: tuple[str, ...]

    @classmethod
    def of(cls, repository: LocalRepository, commit: str) -> Tree:
        """Return the tree of a commit. Raises `StepFailedError`."""
        listed = repository.expect("ls-tree", "-r", "-z", "--full-tree", full_id(commit))
        entries = [entry.partition("\t") for entry in listed.split("\0") if entry]
        submodules = {path: _id(facts) for facts, _, path in entries if facts.startswith(_SUBMODULE)}
        attributes = (_id(facts) for facts, _, path in entries if path.split("/")[-1] == _ATTRIBUTES)
        return cls(repository, commit, submodules, tuple(attributes))

    def may_filter(self) -> bool:
        """Whether the word `filter` stands in any file of attributes."""
        wanted = "\n".join(dict.fromkeys(self.attributes))
        return bool(wanted) and "filter" in self.repository.expect("cat-file", "--batch", given=wanted)

    def config(self, file: str) -> Iterator[tuple[str, str]]:
        """Yield the keys and values of a file in git's own form, such as `.gitmodules`, if there is one.
        Git gives keys in lower case, except for what is between the first and the last dot.
        """
        options = ["--null", "--no-includes", "--list"]
        answer = self.repository.ask("config", f"--blob={self.commit}:{file}", *options)
        for entry in answer.output.split("\0") if answer.status == 0 else []:
            key, _, value = entry.partition("\n")
            if key:
                yield key, value


def shown(path: str) -> str:
    """Return the path of a file for messages; what is no text in it is left out."""
    return printable(path.encode(errors="replace").decode())


def _id(facts: str) -> str:
    return facts.split(" ")[2]
