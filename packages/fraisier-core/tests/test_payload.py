from typing import Literal
from urllib.parse import quote_plus, unquote_to_bytes

import msgspec
import pytest
from fraisier_core import (
    MalformedPayloadError,
    Payload,
    PayloadCommit,
    PayloadRef,
    PayloadRefName,
    PayloadText,
    form_or_json,
)


class Owner(Payload):
    name: PayloadText


class Repository(Payload):
    owner: Owner
    visibility: Literal["public", "private"] = "public"


def test_a_payload_holds_the_fields_that_are_read() -> None:
    body = b'{"owner": {"name": "acme", "id": 1}, "size": 1e400}'
    assert Repository.parse(body) == Repository(owner=Owner(name="acme"))


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "sends: body: "),
        (b"[]", "sends: body: "),
        (b'{"owner": {"name": 1}}', r"sends: owner\.name: "),
        (b'{"owner": {}}', "sends: owner: .*`name`"),
        (b'{"owner": {"name": "\xff"}}', "sends: body: invalid"),
        (b'{"owner": ' + b"[" * 100_000, "sends: owner: "),
        (b'{"owner": {"name": "a", "more": ' + b"[" * 100_000, "sends: body: invalid"),
        (b'{"owner": {"name": "a"}, "visibility": "a-secret"}', "sends: visibility: invalid"),
        (b'{"owner": {"name": "a-secret\\n"}}', r"sends: owner\.name: "),
    ],
)
def test_what_is_wrong_is_named_by_its_field_and_its_value_is_not_shown(body: bytes, problem: str) -> None:
    with pytest.raises(MalformedPayloadError, match=problem) as refusal:
        Repository.parse(body)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        (PayloadText, ["acme/my-api", "é", "\u05d0\u200f"], ["", "a\nb", "a\x00", "\x1b[31m", "\x9b31m"]),
        (PayloadText, ["a b"], ["a\u2028b", "a\u2029", "\u202ab", "a\u202eb", "\u2066a", "a\u2069"]),
        (
            PayloadRef,
            ["refs/heads/main", "refs/tags/v1", "refs/stash"],
            ["main", "refs/heads/", "refs/heads/a b", "refs/heads/a\u202eb", "refs/heads/a\u2028"],
        ),
        (PayloadCommit, ["0" * 40, "2e" * 20, "2e" * 32], ["2E" * 20, "2e" * 19, "2e" * 20 + "\n", "HEAD"]),
    ],
)
def test_the_kinds_of_text_take_what_forges_send_and_refuse_the_rest(
    kind: type[str], right: list[str], wrong: list[str]
) -> None:
    assert msgspec.convert(right, list[kind]) == right  # type: ignore[valid-type]
    for text in wrong:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(text, kind)


class Named(Payload):
    name: PayloadRefName


@pytest.mark.parametrize("name", ["", "a b", "a/", "a\n", "a\x7f", "a\u202eb", "a\u2029"])
def test_a_name_of_a_ref_is_checked(name: str) -> None:
    assert Named.parse(msgspec.json.encode({"name": "feature/é"})).name == "feature/é"
    with pytest.raises(MalformedPayloadError, match="name"):
        Named.parse(msgspec.json.encode({"name": name}))


@pytest.mark.parametrize("media_type", ["", "application/json", "text/plain"])
def test_a_body_is_its_own_json_unless_it_is_a_form(media_type: str) -> None:
    assert form_or_json({"content-type": media_type}, b"payload=%7B%7D") == b"payload=%7B%7D"


@pytest.mark.parametrize(
    "payload",
    [b"{}", b'{"a": "=3D %20 + & _ \r\n \t \xc3\xa9"}', bytes(range(256)), b"=\r\n=", b" \n \r\n", b""],
)
def test_a_form_is_decoded_as_it_was_encoded(payload: bytes) -> None:
    form = b"payload=" + quote_plus(payload).encode()
    headers = {"content-type": "Application/X-WWW-Form-Urlencoded; charset=utf-8"}
    assert form_or_json(headers, form) == payload == unquote_to_bytes(quote_plus(payload).replace("+", " "))


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 65_538, 200_000])
@pytest.mark.parametrize("unit", [b"a{", b"{}", b"{ ", b"{"])
def test_a_large_form_is_decoded_whole_wherever_a_slice_ends(unit: bytes, size: int) -> None:
    payload = b"x" * (size % 5) + unit * (size // len(unit))
    form = b"payload=" + quote_plus(payload).encode()
    assert form_or_json({"content-type": "application/x-www-form-urlencoded"}, form) == payload


@pytest.mark.parametrize("end", [b"%", b"%7", b"a%", b"a%7"])
def test_a_form_that_ends_too_early_is_decoded_to_its_end(end: bytes) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert form_or_json(headers, b"payload=%7B" + end).startswith(b"{" + end.partition(b"%")[0])


def test_what_a_form_need_not_encode_stays_as_it_is() -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert form_or_json(headers, b"payload=a=3Db=%3D") == b"a=3Db=="


@pytest.mark.parametrize("form", [b"", b"other={}", b"PAYLOAD={}"])
def test_a_form_without_the_field_is_malformed(form: bytes) -> None:
    with pytest.raises(MalformedPayloadError, match="no field named payload"):
        form_or_json({"content-type": "application/x-www-form-urlencoded"}, form)
