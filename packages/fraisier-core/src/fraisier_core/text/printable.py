"""Text from outside, without what a terminal would act on, or what would show another text than is there."""

from __future__ import annotations

import re

_LINE_END = r"\r\n?|[\u2028\u2029]"
# Format characters that reorder text or stay unseen: https://www.unicode.org/reports/tr36/
_MARKS = (
    r"\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f"
)
_UNPRINTABLE = (
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # ECMA-48 control sequences, such as colours
    r"|\x1b[\]PX^_][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)"  # control strings, such as window titles
    r"|\x1b[ -/]*[0-~]"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
    rf"|[{_MARKS}]"
    rf"|(?<![^\x00-\x7f{_MARKS}])[\u200c\u200d]+"  # joiners where they join nothing
)


def printable(text: str) -> str:
    """Return `text` without terminal escapes, control characters and format characters that reorder or hide
    text; a carriage return and Unicode's separators of lines and paragraphs end a line.
    """
    return text if text.isprintable() else re.sub(_UNPRINTABLE, "", re.sub(_LINE_END, "\n", text))
