"""What is wrong with a text that is not YAML, in words that say what to change."""

from __future__ import annotations

import re

import yaml

_KEY = re.compile(r":(\s|$)")
_CANNOT_BEGIN = "cannot start any"
_NO_MAPPING = "mapping values are not allowed"
_UNENDED = "end of stream"


def syntax_problem(error: yaml.MarkedYAMLError, text: str) -> tuple[int, str]:
    """Return the line, counted from 1, and what is wrong there, with its column."""
    mark = error.problem_mark or error.context_mark
    problem = error.problem or error.context or "not YAML"
    if mark is None:
        return 1, problem
    lines = [*re.split(r"\r\n?|\n", text), ""]
    opened = error.context_mark.line + 1 if error.context_mark else mark.line + 1
    if _UNENDED in problem and "quoted" in (error.context or ""):
        problem = f"the quote that begins on line {opened} has no end"
    elif not any(line.strip() for line in [lines[mark.line][mark.column :], *lines[mark.line + 1 :]]):
        problem = "the text ends before a bracket or a quote does"
    else:
        problem = _reason(problem, lines, mark.line, mark.column) or problem
    return mark.line + 1, f"column {mark.column + 1}: {problem}"


def _reason(problem: str, lines: list[str], number: int, column: int) -> str | None:
    line = lines[number] if number < len(lines) else ""
    if line[: column + 1].lstrip(" -").startswith("\t"):
        return "a tab in the indentation; indent with spaces"
    if _CANNOT_BEGIN in problem:
        return f"no value may begin with {line[column : column + 1]}; put it in quotes"
    if _NO_MAPPING in problem:
        return _misplaced_colon(lines, number, column)
    if line[:column].strip() == "" and line[column:]:
        return "wrong indentation: this line goes on nothing that is above it"
    return None


def _misplaced_colon(lines: list[str], number: int, column: int) -> str:
    """Say why there must be no `: ` in a line at a column: a key is above it, or before it."""
    if _KEY.search(lines[number][:column]):
        return "a second `: ` in one value; put the value in quotes"
    before = range(number - 1, -1, -1)
    above = next((at for at in before if lines[at].strip("- ")[:1] not in {"", "#"}), 0)
    if not _KEY.search(lines[above]):
        return f"line {above + 1} has no `:` after its key"
    return f"wrong indentation: this line is deeper than line {above + 1}, which has a value already"
