import base64
from urllib.parse import quote

import pytest
from fraisier_core.text.printable import printable
from fraisier_core.text.redaction import Redactor
from hypothesis import given
from hypothesis import strategies as st

SECRET = "pä55/w+rd&x?"
REDACTOR = Redactor([SECRET, "", "tok-1234"])


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        (SECRET, "***"),
        (quote(SECRET), "***"),
        (quote(SECRET, safe="").lower(), "***"),
        (base64.b64encode(f"user:{SECRET}".encode()).decode(), "dXNlcjp***"),
        (base64.urlsafe_b64encode(f"{SECRET}:x".encode()).decode().rstrip("="), "***zp4"),
        (SECRET.replace("/", "\x1b[31m/\x1b[0m"), "***"),
        (SECRET.replace("5", "5\0"), "***"),
        (r"p\u00e455/w+rd&x?", "***"),
    ],
)
def test_a_secret_is_hidden_in_every_form(form: str, shown: str) -> None:
    assert REDACTOR.redact(f"before {form} after") == f"before {shown} after"


@given(st.integers(0, 9), st.text("0123456789abcdef", min_size=6, max_size=40), st.integers(0, 9))
def test_all_of_a_secret_is_hidden_in_base64_wherever_it_starts(before: int, secret: str, after: int) -> None:
    encoded = base64.b64encode(bytes(before) + secret.encode() + bytes(after)).decode()
    spans = Redactor([secret]).spans(encoded)
    hidden = {index for start, end in spans for index in range(start, end)}
    # Each character of base64 stands for six bits.
    first, last = 8 * before, 8 * (before + len(secret))
    of_the_secret_alone = {index for index in range(len(encoded)) if first <= 6 * index <= last - 6}
    of_the_secret_too = {index for index in range(len(encoded)) if first - 6 < 6 * index < last}
    assert of_the_secret_alone <= hidden <= of_the_secret_too


def test_both_alphabets_of_base64_are_known() -> None:
    redactor = Redactor(["???>>>"])
    assert redactor.redact("Pz8/Pj4+ Pz8_Pj4-") == "*** ***"


def test_overlapping_secrets_leave_no_tail() -> None:
    assert Redactor(["abcdef", "defghi"]).redact("<abcdefghi>") == "<***>"


def test_the_longer_of_two_secrets_is_hidden_whole() -> None:
    assert Redactor(["token", "token-extended"]).redact("token-extended token") == "*** ***"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://tok@host/a.git", "https://***@host/a.git"),
        ("https://user:p@ss@host/a", "https://***@host/a"),
        ("ssh://git@host/a", "ssh://git@host/a"),
        ("http://host:80/a@b", "http://host:80/a@b"),
        ("http://host?mail=a@b", "http://host?mail=a@b"),
    ],
)
def test_the_user_info_of_a_url_is_hidden(url: str, shown: str) -> None:
    assert Redactor([]).redact(f"fetch {url} now") == f"fetch {shown} now"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("10%\r20%\r\ndone", "10%\n20%\ndone"),
        ("a\0b\x7fc\x9bd\te\n", "abcd\te\n"),
        ("\x1b(Bplain\x1b", "plain"),
        ("é 漢 ✓\ttab", "é 漢 ✓\ttab"),
    ],
)
def test_terminal_escapes_and_control_characters_are_removed(raw: str, shown: str) -> None:
    assert printable(raw) == shown


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        *((f"user{mark}txt.exe", "usertxt.exe") for mark in "\u202a\u202e\u2066\u2069\u200e\u200f\u061c"),
        *((f"ma{mark}in", "main") for mark in "\xad\u200b\u200c\u200d\u2060\u2064\u206f\ufeff\u180e\ufff9"),
        ("main\U000e0001\U000e0068\U000e0069", "main"),
        ("main\u200d\u200b\u200d", "main"),
        ("one\u2028two\u2029three", "one\ntwo\nthree"),
        ("می\u200cشود 👩\u200d💻 ❤\ufe0f", "می\u200cشود 👩\u200d💻 ❤\ufe0f"),
    ],
)
def test_marks_that_reorder_or_hide_text_are_removed(raw: str, shown: str) -> None:
    assert printable(raw) == shown
