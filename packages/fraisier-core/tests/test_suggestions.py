from __future__ import annotations

from fraisier_core.text.suggestions import hint, listing, nearest


def test_the_nearest_name_is_suggested() -> None:
    assert nearest("brnach", ["branch", "name"]) == "branch"
    assert hint("brnach", ["branch", "name"]) == '; did you mean "branch"?'


def test_nothing_is_suggested_if_nothing_comes_near() -> None:
    assert nearest("zzz", ["branch"]) is None
    assert hint("zzz", ["branch"]) == ""


def test_names_are_listed_in_order() -> None:
    assert listing({"b", "a"}) == "a, b"
    assert listing([]) == "none"
