from __future__ import annotations

import pytest
from fraisier.terminal import clean, clean_line


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://a\x1b\\link", "link"),
        ("a\x00b\x7fc\x9bd", "abcd"),
        ("abc\rxyz", "abc\nxyz"),
        ("user\u202etxt.exe", "usertxt.exe"),
        ("é 漢 ✓\ttab", "é 漢 ✓\ttab"),
    ],
)
def test_what_a_terminal_would_obey_is_left_out(hostile: str, shown: str) -> None:
    assert clean(hostile) == shown


def test_a_line_stays_one_line() -> None:
    assert clean_line(" one\n two\r\n\tthree ") == "one two three"
