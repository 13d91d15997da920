"""One thing has one name: no dead word of `dead_words.txt` is left in code, messages or documentation."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.environments import ROOT

LINES = Path(__file__).with_name("dead_words.txt").read_text().splitlines()
WORDS = [line for line in LINES if line and not line.startswith("#")]
IDENTIFIERS = {word for word in WORDS if not word.startswith('"')}
BETWEEN = r"""[\s_#"'`*-]+"""
PHRASES = "|".join(word.strip('"').replace(" ", BETWEEN) for word in WORDS if word.startswith('"'))
PHRASE = re.compile(rf"(?<![a-z0-9-])(?:{PHRASES})(?![a-z0-9-])", re.IGNORECASE)
FOLDERS = ("packages/*/src", "packages/*/tests", "tests", "benchmarks", "script", "examples")
CODE = {path for folder in FOLDERS for kind in ("py", "sql") for path in ROOT.glob(f"{folder}/**/*.{kind}")}
PAGES = {path for pages in ("*.md", "packages/*/README.md", "docs/**/*.md") for path in ROOT.glob(pages)}
FILES = sorted((CODE | PAGES) - {Path(__file__)})


def names(path: Path) -> Iterable[str]:
    """Yield the identifiers of a program or its strings, of a script of SQL, or in sentences of a page."""
    text = path.read_text()
    if path.suffix == ".py":
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        kinds = {tokenize.NAME, tokenize.STRING}
        yield from (token.string.strip("\"'") for token in tokens if token.type in kinds)
    elif path.suffix == ".sql":
        yield from re.findall(r"\w+", re.sub("--.*", "", text))
    else:
        yield from re.findall(r"\w+", " ".join(re.findall(r"`([^`\n]+)`", text)))


def dead_words(text: str, names: Iterable[str]) -> list[str]:
    """Return the dead phrases in a text, and the dead identifiers among names."""
    return PHRASE.findall(text) + [name for name in names if name in IDENTIFIERS]


@pytest.mark.parametrize(
    "path", sorted({*FILES} - {Path(__file__)}), ids=lambda path: str(path.relative_to(ROOT))
)
def test_no_dead_word_is_left(path: Path) -> None:
    assert not dead_words(path.read_text(), names(path))


def test_a_phrase_is_found_across_lines_and_in_a_name() -> None:
    assert dead_words("it Goes\n    back; # push\n# back, test_what_serves", []) == [
        "Goes\n    back",
        "push\n# back",
        "what_serves",
    ]
    assert not dead_words("as well-known; is well-known; goes backwards", [])


def test_an_identifier_is_found_whole() -> None:
    assert dead_words("", ["Site", "Sites", "site", "open_site"]) == ["Site", "open_site"]
