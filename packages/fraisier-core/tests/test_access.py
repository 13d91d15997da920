"""What tokens allow, how they are made, and how a client shows one."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256

import pytest
from fraisier_core.access.bearer import token_of_payload, token_of_request
from fraisier_core.access.development import require_loopback
from fraisier_core.access.grants import why_ended
from fraisier_core.access.issuing import expiry, is_of, is_secret, issue
from fraisier_core.access.scope import Scope
from fraisier_core.errors import ConfigurationError

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["read", "deploy", "read:api", "deploy:my-api_2", "read:api/live", "deploy:api/l-i_v2"]
)
def test_a_scope_is_written_as_it_is_read(text: str) -> None:
    assert str(Scope.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "write",
            "READ",
            "deploy ",
            " read",
            "read:",
            "deploy:api/",
            "deploy:/live",
            "read,deploy",
            "*",
        ),
        *("deploy:api:live", "deploy:api/live/more", "deploy/api", "read\n", "read:a\x00/b/c", "deploy::api"),
    ],
)
def test_what_is_no_scope_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no scope: it is `read` or `deploy`"):
        Scope.parse(text)


@pytest.mark.parametrize(
    ("scope", "places"),
    [
        ("deploy", [(None, None), ("api", None), ("api", "live"), ("site", "live")]),
        ("deploy:api", [("api", None), ("api", "live"), ("api", "trial")]),
        ("deploy:api/live", [("api", "live")]),
    ],
)
def test_a_scope_holds_in_its_places_and_in_no_other(
    scope: str, places: list[tuple[str | None, str | None]]
) -> None:
    asked = [(fraise, name) for fraise in (None, "api", "site", "") for name in (None, "live", "trial", "")]
    asked = [each for each in asked if each[0] is not None or each[1] is None]
    deploys = Scope.parse(scope)
    reads = Scope("read", deploys.fraise, deploys.environment)
    allowed = [each for each in asked if deploys.may_deploy(*each)]
    assert [each for each in asked if deploys.may_read(*each)] == allowed
    assert [each for each in asked if reads.may_read(*each)] == allowed
    assert not [each for each in asked if reads.may_deploy(*each)]
    if deploys.fraise is not None:
        assert {each for each in allowed if each[1] in {None, "live", "trial"}} == {*places}


def test_a_secret_is_of_its_own_token_alone() -> None:
    made = [issue("ci", Scope("read"), "ada") for _ in range(50)]
    assert len({secret for secret, _ in made}) == len({token.prefix for _, token in made}) == 50
    for number, (secret, token) in enumerate(made):
        assert is_secret(secret)
        assert is_of(secret, token)
        assert token.sha256 == sha256(secret.encode()).hexdigest()
        assert not is_of(secret[:-1], token)
        assert not is_of(made[number - 1][0], token)


@pytest.mark.parametrize(
    "text", ["frs_", "frs_" + "A" * 50, "frs_" + "A" * 52, "FRS_" + "A" * 51, "frs_" + "ä" * 51]
)
def test_what_no_token_looks_like_is_none(text: str) -> None:
    assert not is_secret(text)


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "ci ", "\tci", "c\ni", "c\x1b[31mi", "c\0i", "x" * 101, "frs_ci", "\udcff", "a\u202eb"),
        *("a\u2028b", "\ufeff", "a\x85b"),
    ],
)
def test_a_name_is_one_line_of_text(name: str) -> None:
    with pytest.raises(ValueError, match="a name"):
        issue(name, Scope("read"), "ada")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90d", "2026-05-01T12:00:00.000000Z"),
        ("12h", "2026-02-01T00:00:00.000000Z"),
        ("2 w", "2026-02-14T12:00:00.000000Z"),
        ("30s", "2026-01-31T12:00:30.000000Z"),
        ("2026-02-01", "2026-02-01T00:00:00.000000Z"),
        ("2026-02-01T12:00", "2026-02-01T12:00:00.000000Z"),
        ("2026-02-01T12:00+02:00", "2026-02-01T10:00:00.000000Z"),
        ("2026-02-01T12:00:00Z", "2026-02-01T12:00:00.000000Z"),
        ("9999-12-31T23:59:59", "9999-12-31T23:59:59.000000Z"),
    ],
)
def test_an_expiry_is_a_time_in_utc(text: str, expected: str) -> None:
    assert expiry(text, NOW) == expected


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "0d",
            "-1d",
            "90",
            "1y",
            "1.5d",
            "d",
            "yesterday",
            "never",
            "2026-01-31",
            "2020-01-31",
            "31.01.2030",
        ),
        *("2030-02-30", "999999w", "90d\n1h", "2030-01-31T25:00", "\u0663d", "1970-01-01T00:00:00Z", "1e3d"),
        *("9999-12-31T23:59:59-12:00", "0001-01-01T00:00+14:00", "2026-01-31T12:00:00Z"),
    ],
)
def test_what_is_no_time_to_come_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is past|is neither a span"):
        expiry(text, NOW)


@pytest.mark.parametrize(("at", "reason"), [("2026-01-31T12:00:00.000000Z", "expired"), (None, None)])
def test_a_token_ends_when_its_time_has_come(at: str | None, reason: str | None) -> None:
    _, token = issue("ci", Scope("read"), "ada", at)
    assert why_ended(token, "2026-01-31T11:59:59.999999Z") is None
    assert why_ended(token, "2026-01-31T12:00:00.000000Z") == reason
    assert why_ended(token._replace(revoked_at="2026-01-31T12:00:00.000000Z"), "2026-01-31") == "revoked"


@pytest.mark.parametrize(
    ("payload", "token"),
    [
        (None, None),
        ({}, None),
        ([], None),
        ("Bearer x", None),
        ({"token": "x"}, None),
        ({"Authorization": "Bearer x"}, "x"),
        ({"authorization": "bearer  x "}, "x"),
        ({"AUTHORIZATION": "x"}, ""),
        ({"Authorization": "Basic x"}, ""),
        ({"Authorization": ""}, ""),
        ({"Authorization": None}, ""),
        ({"Authorization": ["Bearer x"]}, ""),
        ({"Authorization": {"Bearer": "x"}}, ""),
        ({"Authorization": "Bearer x", "authorization": "Bearer y"}, ""),
        ({1: "Bearer x"}, None),
    ],
)
def test_a_socket_shows_its_token_in_one_place(payload: object, token: str | None) -> None:
    assert token_of_payload(payload) == token


def test_two_headers_are_no_token() -> None:
    header = (b"authorization", b"Bearer x")
    assert token_of_request([header]) == "x"
    assert token_of_request([header, header]) == ""
    assert token_of_request([(b"cookie", b"Bearer x")]) is None


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "127.255.255.254", "::1%lo"])
def test_loopback_is_this_host(address: str) -> None:
    require_loopback([address], "graphql.development")


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "::", "192.168.0.1", "10.0.0.1", "::ffff:10.0.0.1", "example.com", ""]
)
def test_every_other_address_is_not(address: str) -> None:
    with pytest.raises(ConfigurationError, match=r"graphql\.development: whoever reaches .* without a token"):
        require_loopback(["127.0.0.1", address], "graphql.development")
