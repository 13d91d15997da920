"""Pipelines of bytes: what they are, and how they are written as the arguments of a command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_SIGNS = {"<", ">", "|", "#"}
_ESCAPED = {"\\", "?"}


@dataclass(frozen=True, slots=True)
class Stage:
    """A command of a pipeline.

    Args:
        argv: the program and its arguments; no secret is in them.
        accepted: the exit statuses that are a success.
    """

    argv: tuple[str, ...]
    accepted: tuple[int, ...] = (0,)

    def words(self) -> list[str]:
        """Return it as `parse` takes it: whatever has a meaning in a pipeline is escaped."""
        escaped = [f"\\{word}" if word in _SIGNS or word[:1] in _ESCAPED else word for word in self.argv]
        return escaped if self.accepted == (0,) else [*escaped, f"?{','.join(map(str, self.accepted))}"]

    @classmethod
    def parse(cls, words: Sequence[str]) -> Stage:
        """Return the stage that was written so."""
        argv = tuple(word.removeprefix("\\") for word in words if not word.startswith("?"))
        if words[-1].startswith("?"):
            return cls(argv, tuple(map(int, words[-1][1:].split(","))))
        return cls(argv)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Where bytes come from, and where they go.

    Args:
        input: the file that the first command reads, or this process if there is none before it.
        before: commands, each of which reads what the one before it prints.
        after: commands that read what was counted and hashed.
        output: the new file of what comes out at the end; without it, that is printed.
    """

    input: str | None = None
    before: tuple[Stage, ...] = ()
    after: tuple[Stage, ...] = ()
    output: str | None = None

    def words(self) -> list[str]:
        """Return it as `parse` takes it, and as one would type it in a shell."""
        parts = [["<", self.input]] if self.input else []
        parts += [*(stage.words() for stage in self.before), ["#"], *(stage.words() for stage in self.after)]
        words = [word for part in parts for word in ("|", *part)][1:]
        return [*words, ">", self.output] if self.output else words

    @classmethod
    def parse(cls, words: Sequence[str]) -> Pipeline:
        """Return the pipeline that was written so."""
        output = words[-1] if words[-2:-1] == [">"] else None
        parts = _split(words[:-2] if output else words)
        source = parts.pop(0)[1] if parts[0][0] == "<" else None
        here = parts.index(["#"])
        before, after = (tuple(map(Stage.parse, each)) for each in (parts[:here], parts[here + 1 :]))
        return cls(source, before, after, output)


def _split(words: Sequence[str]) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for word in words:
        if word == "|":
            parts.append([])
        else:
            parts[-1].append(word)
    return parts
