from __future__ import annotations

from fraisier.terminal import clean_line


def test_a_line_stays_one_line() -> None:
    assert clean_line(" one\n two\r\n\tthree ") == "one two three"
    assert clean_line("one\u2028two\u2029three") == "one two three"
