"""Git in one repository: with no configuration but ours, no hooks, no prompts, and ids in place of names."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from fraisier_core.errors import CommitGoneError, StepFailedError
from fraisier_core.git.diagnosis import last_line
from fraisier_core.git.remotes import Remote
from fraisier_core.push import BRANCH_PREFIX, TAG_PREFIX, is_ref_name
from fraisier_core.system.environment import clean_environment
from fraisier_core.system.queries import NoAnswerError, answer

QUERY_SECONDS = 60.0
QUERY_BYTES = 128 * 2**20  # the list of about a million files
_COMMIT = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})")
_ABBREVIATION = re.compile(r"[0-9a-fA-F]{4,64}")
_CONFIG = {
    "core.hooksPath": "/dev/null",
    "core.attributesFile": "/dev/null",
    "core.fsmonitor": "false",
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
    "gc.autoDetach": "false",
    "maintenance.autoDetach": "false",
    "http.lowSpeedLimit": "10",  # bytes a second: a server that counts objects sends little else
    "http.lowSpeedTime": "30",
}


NOTHING: Mapping[str, str] = MappingProxyType({})


class GitOutput(NamedTuple):
    """What git said: its exit status, its output and its errors."""

    status: int
    output: str
    errors: str


class LocalRepository:
    """A repository on this machine, in the directory `path`; `config` is more of git's configuration."""

    def __init__(self, path: Path, config: Mapping[str, str] = NOTHING) -> None:
        self.path = path
        self.config = config

    def environment(
        self,
        remote: Remote | None = None,
        opened: Mapping[str, str] | None = None,
        more: Mapping[str, str] = NOTHING,
    ) -> dict[str, str]:
        """Return git's whole environment, a clean one; for `remote` if it is given, `opened` or not.
        `more` is configuration.
        """
        self.require_trusted()
        ours = {**_CONFIG, "safe.directory": str(self.path), **self.config}
        config = {**ours, **(remote.config if remote else {}), **more}
        variables = {
            **_config_variables(config),
            "LC_ALL": "C",
            "GIT_ALLOW_PROTOCOL": "file",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_GLOB_PATHSPECS": "1",
            "GIT_TERMINAL_PROMPT": "0",
        }
        return clean_environment({**variables, **(opened or (remote.environment if remote else {}))})

    def require_trusted(self) -> None:
        """Raise if git must not run here, which is asked each time before it does; a bare copy is ours."""

    def argv(self, *arguments: str) -> list[str]:
        """Return the command line of git in this repository."""
        return ["git", "-C", str(self.path), *arguments]

    def ask(self, *arguments: str, given: str = "", env: Mapping[str, str] | None = None) -> GitOutput:
        """Return what git says about what is on the disk, names of files as `os.fsdecode` does; `env` is
        added to its environment. Raises `StepFailedError` if it does not answer.
        """
        try:
            said = answer(
                self.argv(*arguments),
                env={**self.environment(), **(env or {})},
                given=os.fsencode(given),
                seconds=QUERY_SECONDS,
                most_bytes=QUERY_BYTES,
            )
        except NoAnswerError as error:
            raise StepFailedError(f"git {arguments[0]} in {self.path}: {error}") from error
        return GitOutput(said.status, os.fsdecode(said.output), said.errors.decode(errors="replace"))

    def expect(self, *arguments: str, given: str = "", env: Mapping[str, str] | None = None) -> str:
        """Return git's output; raises `StepFailedError` with its last line if it fails."""
        answer = self.ask(*arguments, given=given, env=env)
        if answer.status != 0:
            raise StepFailedError(f"git {arguments[0]} in {self.path}: {last_line(answer.errors)}")
        return answer.output

    def has(self, name: str) -> bool:
        """Whether a ref or a full id is that of a commit that is here."""
        return self.ask("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").status == 0

    def is_ancestor(self, ancestor: str, descendant: str) -> bool | None:
        """Return whether one commit is the other or an ancestor of it; None if git cannot tell."""
        answer = self.ask("merge-base", "--is-ancestor", full_id(ancestor), full_id(descendant))
        return {0: True, 1: False}.get(answer.status)

    def proper_descendants(self, commit: str, candidates: Sequence[str]) -> list[str]:
        """Return which of the candidates are here and have `commit` as an ancestor, itself aside."""
        known = self._known([full_id(commit), *map(full_id, candidates)])
        others = [candidate for candidate in candidates if candidate in known and candidate != commit]
        if commit not in known or not others:
            return []
        # None of these is an ancestor of another one: where `commit` is among them, there is nothing to find.
        if commit in self.expect("merge-base", "--independent", commit, *others).split():
            return []
        return [candidate for candidate in others if self.is_ancestor(commit, candidate)]

    def has_changes(self, old: str, new: str, pathspecs: Sequence[str]) -> bool:
        """Return whether anything that pathspecs match differs between commits; True if git cannot tell."""
        arguments = ["--quiet", "--end-of-options", full_id(old), full_id(new), "--", *pathspecs]
        return self.ask("diff-tree", "-r", *arguments).status != 0

    def files(self, commit: str) -> frozenset[str]:
        """Return the paths of a commit's files; a submodule is none."""
        listed = self.expect("ls-tree", "-r", "-z", full_id(commit)).split("\0")
        return frozenset(entry.partition("\t")[2] for entry in listed if " blob " in entry.partition("\t")[0])

    def _known(self, commits: Sequence[str]) -> set[str]:
        lines = self.expect("cat-file", "--batch-check", given="\n".join(commits)).splitlines()
        return {line.split()[0] for line in lines if line.split()[1:2] == ["commit"]}


def is_full_id(text: str) -> bool:
    """Whether `text` is as long as a commit id, SHA-1 or SHA-256."""
    return _COMMIT.fullmatch(text) is not None


def full_id(text: str) -> str:
    """Return `text` if it is a full commit id; raises `CommitGoneError` for anything else."""
    if not is_full_id(text):
        raise CommitGoneError(f"ref_gone: {text[:80]!r} is not a full commit id")
    return text


def abbreviation(text: str) -> str:
    """Return `text` in lower case if it may begin a commit id; raises `CommitGoneError` otherwise."""
    if _ABBREVIATION.fullmatch(text) is None:
        raise CommitGoneError(f"ref_gone: {text[:80]!r} is not a commit id, 4 to 64 hexadecimal digits")
    return text.lower()


def checked_ref(ref: str) -> str:
    """Return the full ref of a branch or tag, more strictly than git does. Raises `CommitGoneError`."""
    name = ref.removeprefix(BRANCH_PREFIX).removeprefix(TAG_PREFIX)
    if name == ref or not is_ref_name(name):
        raise CommitGoneError(f"ref_gone: {ref[:80]!r} is not the name of a branch or tag")
    return ref


def _config_variables(config: Mapping[str, str]) -> dict[str, str]:
    variables = {"GIT_CONFIG_COUNT": str(len(config))}
    for index, (key, value) in enumerate(config.items()):
        variables |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
    return variables
