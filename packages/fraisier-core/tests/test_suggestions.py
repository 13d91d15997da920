from __future__ import annotations

import pytest
from fraisier_core.errors import UnknownNameError
from fraisier_core.text.suggestions import begun, hint, listing, nearest


def test_the_nearest_name_is_suggested() -> None:
    assert nearest("brnach", ["branch", "name"]) == "branch"
    assert hint("brnach", ["branch", "name"]) == '; did you mean "branch"?'
    assert nearest("MAIN", ["Main-2", "Main"]) == "Main"


def test_nothing_is_suggested_if_nothing_comes_near() -> None:
    assert nearest("zzz", ["branch"]) is None
    assert hint("zzz", ["branch"]) == ""


def test_names_are_listed_in_order() -> None:
    assert listing({"b", "a"}) == "a, b"
    assert listing([]) == "none"


def test_a_name_may_be_shortened_to_what_only_it_begins_with() -> None:
    known = ["production", "preview", "prod"]
    assert [begun("environment", name, known) for name in ("prod", "produ", "pre")] == [
        "prod", "production", "preview",
    ]  # fmt: skip
    for name, problem in [
        ("pr", '"pr" is ambiguous: it begins preview, prod, production'),
        ("", 'no environment is called "" (known: preview, prod, production)'),
        ("stag", 'no environment is called "stag" (known: preview, prod, production)'),
    ]:
        with pytest.raises(UnknownNameError) as caught:
            begun("environment", name, known)
        assert str(caught.value) == problem
