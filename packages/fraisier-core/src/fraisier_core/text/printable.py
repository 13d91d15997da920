"""Text from outside, without what a terminal would act on."""

from __future__ import annotations

import re

_LINE_END = r"\r\n?"
_UNPRINTABLE = (
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # ECMA-48 control sequences, such as colours
    r"|\x1b[\]PX^_][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)"  # control strings, such as window titles
    r"|\x1b[ -/]*[0-~]"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)


def printable(text: str) -> str:
    """Return `text` without terminal escapes and control characters; a carriage return ends a line."""
    return text if text.isprintable() else re.sub(_UNPRINTABLE, "", re.sub(_LINE_END, "\n", text))
