from typing import Literal

import msgspec
import pytest
from fraisier_core import MalformedPayloadError, Payload, PayloadCommit, PayloadRef, PayloadText


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
        (PayloadText, ["acme/my-api", "é"], ["", "a\nb", "a\x00", "\x1b[31m", "\x9b31m"]),
        (
            PayloadRef,
            ["refs/heads/main", "refs/tags/v1", "refs/stash"],
            ["main", "refs/heads/", "refs/heads/a b"],
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
