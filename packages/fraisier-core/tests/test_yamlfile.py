from __future__ import annotations

from contextlib import suppress

import pytest
from fraisier_core.config.yamlfile import MAX_BYTES, YamlError, parse_yaml
from hypothesis import given
from hypothesis import strategies as st
from yaml import safe_dump

documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text(st.characters(codec="ascii")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="ascii"), min_size=1), inner),
    max_leaves=20,
)


def refusal(text: str) -> tuple[int, str]:
    with pytest.raises(YamlError) as caught:
        parse_yaml(text)
    return caught.value.line, caught.value.problem


@given(documents)
def test_what_was_written_is_read(value: object) -> None:
    assert parse_yaml(safe_dump(value)).value == value


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(YamlError):
        assert parse_yaml(text).duplicates is not None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("~", None),
        ("12:30", "12:30"),
        ("2026-99-99", "2026-99-99"),
        ("0755", 755),
        ("1.5", 1.5),
        ("'5'", "5"),
        ("!!str 5", "5"),
        ("9" * 5000, "9" * 5000),
        ("0x1f", "0x1f"),
    ],
)
def test_plain_scalars_follow_the_core_schema(text: str, value: object) -> None:
    assert parse_yaml(text).value == value


def test_keys_are_text() -> None:
    assert parse_yaml("2.0: a\non: b\n2026-01-01: c\n").value == {"2.0": "a", "on": "b", "2026-01-01": "c"}


def test_every_key_and_item_has_its_line() -> None:
    document = parse_yaml("a:\n  b: 1\n  c:\n  - x\n  - d: 2\n")
    assert dict(document.lines) == {
        ("a",): 1,
        ("a", "b"): 2,
        ("a", "c"): 3,
        ("a", "c", 0): 4,
        ("a", "c", 1): 5,
        ("a", "c", 1, "d"): 5,
    }
    assert document.line(("a", "c", 7, "gone")) == 3
    assert document.line(("gone",)) == 1


def test_duplicate_keys_are_found_with_both_lines() -> None:
    document = parse_yaml("a:\n  b: 1\n  b: 2\nc: 3\nc: 4\n")
    assert document.duplicates == [(("a", "b"), 3, 2), (("c",), 5, 4)]


def test_anchors_and_merges_work_and_remember_their_lines() -> None:
    document = parse_yaml("a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\nc: *a\n")
    assert document.value == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}, "c": {"x": 1, "y": 2}}
    assert document.lines["b", "x"] == 1
    assert document.lines["b", "y"] == 4
    assert document.duplicates == []


def test_the_first_of_several_merged_mappings_wins() -> None:
    text = "a: &a {x: 1}\nb: &b {<<: *a, x: 2, y: 2}\nc:\n  <<: [*b, *a]\n"
    assert parse_yaml(text).value == {"a": {"x": 1}, "b": {"x": 2, "y": 2}, "c": {"x": 2, "y": 2}}


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)
MERGE_BOMB = "a0: &a0 {x: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 12)
)


@pytest.mark.parametrize("text", [BOMB, MERGE_BOMB, "a: &a [*a]", "a: &a {<<: *a}"])
def test_a_document_that_grows_without_bound_is_refused(text: str) -> None:
    assert refusal(text)[1] == "more than 50,000 values once aliases are expanded"


@pytest.mark.parametrize("text", ["[" * 41, "a: " + "{a: " * 40, "- " * 41])
def test_a_document_that_is_too_deep_is_refused(text: str) -> None:
    assert refusal(text) == (1, "nested deeper than 40 levels")


@pytest.mark.parametrize("text", ["[" * 900_000, "a: " + "{a: " * 200_000, "- " * 400_000])
def test_no_depth_ends_the_process(text: str) -> None:
    assert refusal(text)[0] == 1


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("#" * (MAX_BYTES + 1), 1, "larger than 1,000,000 bytes"),
        ("a: 1\nb: \x00", 2, "column 4: the character '\\x00' is not allowed"),
        ("a: 1\nb: !!python/object:os.system x", 2, "the tag !!python/object:os.system is not allowed"),
        ("a: !secret x", 1, "the tag !secret is not allowed"),
        ("a: !!binary eA==", 1, "the tag !!binary is not allowed"),
        ("? [a]\n: b", 1, "a key must be text"),
        ("a:\n  <<: 3", 2, "<< takes a mapping, or a list of them"),
    ],
)
def test_a_refusal_names_line_and_problem(text: str, line: int, problem: str) -> None:
    assert refusal(text) == (line, problem)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [("a: 1\n---\nb: 2", 2, 1), ("a: *b", 1, 4), ("a: [1", 2, 1), ("\ta: 1", 1, 1)],
)
def test_what_is_no_yaml_is_refused_at_its_place(text: str, line: int, column: int) -> None:
    found, problem = refusal(text)
    assert (found, problem.partition(":")[0]) == (line, f"column {column}")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a:\n\tb: 1", 2),
        ("a:\n  b: 1\n  \tc: 2", 3),
        ("a:\n  -\tb: 1\n", 2),
        ("a: b\n\t# x\nc: 1", 2),
        ("a: |\n\tx", 2),
        ("a:\n\t\n  b: 1", 2),
        ("a:\r\n\tb: 1", 2),
    ],
)
def test_a_tab_in_the_indentation_is_told_so(text: str, line: int) -> None:
    found, problem = refusal(text)
    assert (found, problem.partition(": ")[2]) == (line, "a tab in the indentation; indent with spaces")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a:\n  b: 1\n   c: 2", 3),
        ("a:\n   b: 1\n  c: 2", 3),
        ("a:\n  - x\n - y", 3),
        ("a: 1\n # more\n\n b: 2", 4),
        ("  a: 1\nb: 2", 2),
        ("a:\n  - b: 1\n   c: 2", 3),
        ("a:\n  b: 1\n  - c", 3),
    ],
)
def test_a_line_that_is_indented_wrongly_is_told_so(text: str, line: int) -> None:
    found, problem = refusal(text)
    assert (found, problem.split(": ")[1]) == (line, "wrong indentation")


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a: http://x: y", 1, "column 12: a second `: ` in one value; put the value in quotes"),
        ("a: b\tc: d", 1, "column 7: a second `: ` in one value; put the value in quotes"),
        ("a:\n  b\n  c: 1", 3, "column 4: line 2 has no `:` after its key"),
        ("#\na\n\n  c: 1", 4, "column 4: line 2 has no `:` after its key"),
        ("a: @x", 1, "column 4: no value may begin with @; put it in quotes"),
        ("a: 1\nb: 'x\nc: 1\n", 4, "column 1: the quote that begins on line 2 has no end"),
        ("a: [1\nb: 2", 2, "column 2: did not find expected ',' or ']'"),
        ("a: [\n", 2, "column 1: the text ends before a bracket or a quote does"),
        ("a: {b: 1,\n\n", 3, "column 1: the text ends before a bracket or a quote does"),
    ],
)
def test_other_mistakes_are_not_taken_for_indentation(text: str, line: int, problem: str) -> None:
    assert refusal(text) == (line, problem)


@pytest.mark.parametrize("text", ["${A}", "x ${A} y", "${A:-b}", "$${A}", "${file:/a/b}", "${A}${B}"])
def test_a_placeholder_needs_no_quotes_anywhere(text: str) -> None:
    for document in (
        f"{{a: {text}, b: 1}}",
        f"a: {text}\nb: 1",
        f"{{a: '{text}', b: 1}}",
        f'a: "{text}"\nb: 1',
    ):
        assert parse_yaml(document).value == {"a": text, "b": 1}
    assert parse_yaml(f"[{text}, [{text}]]").value == [text, [text]]
    assert parse_yaml(f"{{{text}: 1}}").value == {text: 1}
