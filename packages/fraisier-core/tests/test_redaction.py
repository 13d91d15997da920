import base64
from urllib.parse import quote

import pytest
from fraisier_core.text.redaction import Redactor, printable
from hypothesis import given
from hypothesis import strategies as st

SECRET = "pä55/w+rd&x?"
REDACTOR = Redactor([SECRET, "", "tok-1234"])


@pytest.mark.parametrize(
    "shown",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe="").lower(),
        base64.b64encode(f"user:{SECRET}".encode()).decode(),
        base64.urlsafe_b64encode(f"{SECRET}:x".encode()).decode().rstrip("="),
        SECRET.replace("/", "\x1b[31m/\x1b[0m"),
        SECRET.replace("5", "5\0"),
        r"p\u00e455/w+rd&x?",
    ],
)
def test_a_secret_is_hidden_in_every_form(shown: str) -> None:
    text = REDACTOR.redact(f"before {shown} after")
    assert text.startswith("before ")
    assert "***" in text
    assert SECRET not in text
    assert text.endswith(" after")


@given(st.binary(max_size=9), st.binary(min_size=6, max_size=20), st.binary(max_size=9))
def test_a_secret_is_hidden_in_base64_wherever_it_starts(before: bytes, secret: bytes, after: bytes) -> None:
    secret = secret.hex().encode()
    encoded = base64.b64encode(before + secret + after).decode()
    assert "***" in Redactor([secret.decode()]).redact(encoded)


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
    ],
)
def test_terminal_escapes_and_control_characters_are_removed(raw: str, shown: str) -> None:
    assert printable(raw) == shown
