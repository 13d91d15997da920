"""How unit files and `systemctl show` write words that are not plain, as in systemd.syntax(7)."""

from __future__ import annotations

import re

_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
_SPECIAL = frozenset(" \t'\";\\")


def quoted(word: str) -> str:
    """Return a word of a command line or of a list in a unit file; `ExecStart=:` keeps its `$` as well."""
    text = without_specifiers(word).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"' if not word or _SPECIAL & set(word) else text


def without_specifiers(text: str) -> str:
    """Return what stands for a text where specifiers, such as `%h`, are replaced and nothing else is."""
    return text.replace("%", "%%")


def words(shown: str) -> list[str]:
    """Return the words of a list, as `systemctl show` prints it."""
    found = _WORD.findall(shown)
    return [plain or re.sub(r"\\(.)", r"\1", inner) for inner, plain in found]


def first_word(line: str) -> str:
    """Return the first word of a command line, as `quoted` was given it."""
    return words(line)[0].replace("%%", "%")
