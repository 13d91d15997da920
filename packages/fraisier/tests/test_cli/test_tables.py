from __future__ import annotations

import pytest
from fraisier.cli.tables import Cell, layout, print_facts, print_table, short_commit, short_id


def test_columns_are_aligned_and_an_empty_cell_is_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(
        ("ID", "STATUS", "MESSAGE"), [("1", Cell("success", "green"), None), ("22", "failed", "no space")]
    )
    assert capsys.readouterr().out.splitlines() == [
        "ID  STATUS   MESSAGE",
        "1   success  -",
        "22  failed   no space",
    ]


def test_a_cell_is_one_line_without_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("A",), [("one\n\ttwo\x1b[2J\x07",)])
    assert capsys.readouterr().out == "A\none two\n"


def test_a_fact_that_says_nothing_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    print_facts("my_api", [("serving", "abc"), ("at", "now"), ("message", None)])
    assert capsys.readouterr().out == "my_api\n  serving  abc\n  at       now\n"


def test_an_id_is_told_by_its_end_and_a_commit_by_its_beginning() -> None:
    assert short_id("01a2079d-a9dc-7760-8aa0-6718afd0b1c2") == "afd0b1c2"
    assert short_commit("054e595ce7fe8ddc35c9e310e9da22fbf7335aa0") == "054e595ce7fe"
    assert short_commit(None) is None


TITLES = ("ID", "KIND", "STATUS", "MESSAGE")
GOING = ("KIND",)


@pytest.mark.parametrize(
    ("widths", "width", "shown", "room"),
    [
        ((8, 6, 11, 80), 120, [0, 1, 2], 89),
        ((8, 6, 11, 80), 71, [0, 1, 2], 40),
        ((8, 6, 11, 80), 70, [0, 2], 47),
        ((8, 6, 11, 80), 63, [0, 2], 40),
        ((8, 6, 11, 80), 62, [0, 1, 2], None),
        ((8, 6, 11, 80), 28, [0, 2], None),
        ((8, 6, 11, 1), 32, [0, 1, 2], 1),
        ((8, 6, 11, 1), 31, [0, 2], 8),
        ((8, 6, 11, 1), 23, [0, 2], None),
    ],
)
def test_the_message_gets_the_room(
    widths: tuple[int, ...], width: int, shown: list[int], room: int | None
) -> None:
    found = layout(TITLES, widths, GOING, width)
    assert (found.columns, found.room) == (shown, room)
    assert list(found.widths) == [widths[column] for column in shown]


def test_columns_that_may_not_go_are_cut_from_the_widest() -> None:
    found = layout(TITLES, (30, 6, 20, 80), GOING, 40)
    assert (found.columns, found.widths, found.room) == ([0, 2], [19, 19], None)
    assert layout(TITLES, (30, 6, 20, 80), GOING, 5).widths == [6, 6]
