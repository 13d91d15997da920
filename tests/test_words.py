"""One thing has one name: no dead word of `dead_words.txt` is left in the documentation."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.environments import ROOT

LINES = Path(__file__).with_name("dead_words.txt").read_text().splitlines()
WORDS = [line for line in LINES if line and not line.startswith("#")]
IDENTIFIERS = {word for word in WORDS if not word.startswith('"')}
PHRASES = "|".join(word.strip('"').replace(" ", r"""[\s_#"'`*]+""") for word in WORDS if word.startswith('"'))
PHRASE = re.compile(rf"(?<![a-z0-9-])(?:{PHRASES})(?![a-z0-9-])", re.IGNORECASE)
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("packages/*/README.md"), *ROOT.glob("docs/**/*.md")]

_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")


def dead_words(text: str, names: Iterable[str]) -> list[str]:
    """Return the dead phrases in a text, and the dead identifiers among names."""
    return PHRASE.findall(text) + [name for name in names if name in IDENTIFIERS]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_dead_word_is_left_on_a_page(page: Path) -> None:
    prose = _BLOCK.sub("", page.read_text())
    names = re.findall(r"\w+", " ".join(_CODE.findall(prose)))
    assert not dead_words(prose, names)


def test_a_phrase_is_found_across_lines_and_in_a_name() -> None:
    assert dead_words("it Goes\n    back; # push\n# back, test_what_serves", []) == [
        "Goes\n    back",
        "push\n# back",
        "what_serves",
    ]
    assert not dead_words("as well-known; is well-known; goes backwards", [])


def test_an_identifier_is_found_whole() -> None:
    assert dead_words("", ["Site", "Sites", "site", "open_site"]) == ["Site", "open_site"]
