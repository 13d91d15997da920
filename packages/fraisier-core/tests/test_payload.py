import pytest
from fraisier_core import MalformedPayloadError, Payload, PayloadCommit, PayloadRef, PayloadText
from pydantic import TypeAdapter, ValidationError


class Owner(Payload):
    name: PayloadText


class Repository(Payload):
    owner: Owner


def test_a_payload_holds_the_fields_that_are_read() -> None:
    body = b'{"owner": {"name": "acme", "id": 1}, "size": NaN}'
    assert Repository.parse(body) == Repository(owner=Owner(name="acme"))


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "body: json_invalid"),
        (b"[]", "body: model_type"),
        (b'{"owner": {"name": 1}}', r"owner\.name: string_type"),
        (b'{"owner": {}}', r"owner\.name: missing"),
    ],
)
def test_what_is_wrong_is_named_by_its_field(body: bytes, problem: str) -> None:
    with pytest.raises(MalformedPayloadError, match=problem):
        Repository.parse(body)


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
    adapter = TypeAdapter(kind)
    assert [adapter.validate_python(text) for text in right] == right
    for text in wrong:
        with pytest.raises(ValidationError):
            adapter.validate_python(text)
