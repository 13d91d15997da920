from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from fraisier_core.config.variables import Substituted
from hypothesis import given
from hypothesis import strategies as st

values = st.text(st.characters(exclude_characters="\x00"))


def filled(text: str, environ: Mapping[str, str]) -> object:
    found = Substituted({"key": text}, environ)
    assert not found.unset
    assert not found.malformed
    assert isinstance(found.value, dict)
    return found.value["key"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${A}", "one"),
        ("a ${A} and ${B}", "a one and two"),
        ("${C:-three}", "three"),
        ("${EMPTY:-full}", "full"),
        ("${EMPTY}", ""),
        ("${A:-three}", "one"),
        ("${C:-}", ""),
        ("${C:-a:-b}", "a:-b"),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$A $$ {A}", "$A $$ {A}"),
        ("${TRICKY}", "${A}: [x"),
    ],
)
def test_placeholders_are_replaced(text: str, expected: str) -> None:
    assert filled(text, {"A": "one", "B": "two", "EMPTY": "", "TRICKY": "${A}: [x"}) == expected


@given(values)
def test_what_a_variable_holds_is_never_read_as_anything_else(value: str) -> None:
    assert filled("<${A}>", {"A": value}) == f"<{value.strip()}>"


@given(values.filter(lambda text: "${" not in text))
def test_text_without_placeholders_is_left_alone(text: str) -> None:
    assert filled(text, {}) == text


@given(values)
def test_any_text_can_be_written_by_escaping(text: str) -> None:
    # A `$` right before a `${` cannot be told from an escape.
    if "$${" not in text:
        assert filled(text.replace("${", "$${"), {}) == text


def test_only_scalars_are_replaced_at_any_depth() -> None:
    found = Substituted({"${A}": [{"b": "${A}"}, 3, None, True, 1.5]}, {"A": "x"})
    assert found.value == {"${A}": [{"b": "x"}, 3, None, True, 1.5]}


def test_unset_variables_are_named_and_the_text_stays() -> None:
    found = Substituted({"a": ["${GONE} ${A}"], "b": "${A}"}, {"A": "x"})
    assert found.value == {"a": ["${GONE} ${A}"], "b": "x"}
    assert found.unset == {("a", 0): "the variable GONE is not set"}


def test_a_skipped_section_is_not_looked_at() -> None:
    found = Substituted({"git": {"a": "${A} ${"}, "b": "${A}"}, {"A": "secret-a"}, skip=[("git",)])
    assert found.value == {"git": {"a": "${A} ${"}, "b": "secret-a"}
    assert not found.malformed
    assert Substituted({"git": "${A}"}, {"A": "secret-a"}, skip=[("git",)]).secrets_at(()) == frozenset()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("${A", "${ without }; write $${ for the characters themselves"),
        ("${}", "${} is none of ${VAR}, ${VAR:-default}, ${file:/path}"),
        ("${1A}", "${1A} is none of ${VAR}, ${VAR:-default}, ${file:/path}"),
        ("${A-b}", "${A-b} is none of ${VAR}, ${VAR:-default}, ${file:/path}"),
        ("${file:run/secrets}", "${file:run/secrets} must name an absolute path"),
    ],
)
def test_a_malformed_placeholder_is_a_problem(text: str, problem: str) -> None:
    assert Substituted({"key": text}, {"A": "x"}).malformed == {("key",): problem}


KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("brought", "value"),
    [
        ("a secret\n", "a secret"),
        ("a secret\r\n", "a secret"),
        ("\t a secret \n\n", "a secret"),
        ("first line\nsecond line\n", "first line\nsecond line"),
        (KEY, KEY),
        (f"\n{KEY}", f"\n{KEY}"),
    ],
)
def test_white_space_is_left_out_around_a_value_but_not_around_a_key(
    brought: str, value: str, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(brought.encode())
    for text in ("${A}", f"${{file:{tmp_path}/secret}}"):
        found = Substituted({"key": text}, {"A": brought})
        assert found.value == {"key": value}
        assert found.secrets_at(()) == {value}


def test_a_file_that_cannot_be_read_is_like_an_unset_variable(tmp_path: Path) -> None:
    latin = tmp_path / "latin"
    latin.write_bytes(b"\xe9")
    large = tmp_path / "large"
    large.write_bytes(b"x" * 1_000_001)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path, reason in [
        (tmp_path / "gone", "does not exist"),
        (tmp_path, "is not a regular file"),
        (fifo, "is not a regular file"),
        (latin, "is not UTF-8 text"),
        (large, "is larger than 1,000,000 bytes"),
    ]:
        found = Substituted({"key": f"${{file:{path}}}"}, {})
        assert found.unset == {("key",): f"the file {path} {reason}"}


def test_long_values_are_kept_for_redaction_and_defaults_are_not() -> None:
    environ = {"LONG": "123456", "SHORT": "12345"}
    found = Substituted(["${LONG}", "${SHORT}", "${GONE:-a default value}"], environ)
    assert found.secrets_at(()) == {"123456"}
    assert "123456" not in repr(found)
