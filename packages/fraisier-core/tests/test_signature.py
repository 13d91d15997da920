import hmac

import pytest
from fraisier_core import Unverified, Verified, sender, verify_hmac

BODY = b"{}"


def signature(secret: str, prefix: str = "") -> str:
    return prefix + hmac.digest(secret.encode(), BODY, "sha256").hex()


@pytest.mark.parametrize("prefix", ["", "sha256="])
def test_the_secret_that_signed_is_named(prefix: str) -> None:
    headers = {"x-acme-signature": signature("new", prefix)}
    assert verify_hmac(headers, "X-Acme-Signature", BODY, ["old", "new"], prefix=prefix) == Verified(1)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "no X-Acme-Signature header"),
        ({"x-acme-signature": ""}, "X-Acme-Signature is empty"),
        ({"x-acme-signature": "sha256="}, "X-Acme-Signature is empty"),
        ({"x-acme-signature": signature("one")}, "is no signature: `sha256=` and 64 lower-case"),
        ({"x-acme-signature": signature("one", "sha256=").upper()}, "is no signature"),
        ({"x-acme-signature": signature("one", "sha256=")[:-1]}, "is no signature"),
        ({"x-acme-signature": "sha256=\xe9"}, "is no signature"),
        ({"x-acme-signature": signature("other", "sha256=")}, "of another secret"),
    ],
)
def test_the_reason_says_what_is_wrong_and_quotes_nothing(headers: dict[str, str], reason: str) -> None:
    verdict = verify_hmac(headers, "X-Acme-Signature", BODY, ["one"], prefix="sha256=")
    assert isinstance(verdict, Unverified)
    assert reason in verdict.reason
    assert signature("one") not in verdict.reason


def test_without_secrets_nothing_verifies() -> None:
    headers = {"x-acme-signature": signature("")}
    assert isinstance(verify_hmac(headers, "X-Acme-Signature", BODY, []), Unverified)


def test_the_first_mark_that_is_found_names_the_sender() -> None:
    marks = {"x-new-": "New", "x-old-": "Old"}
    assert sender({"x-old-event": "push", "x-new-event": ""}, marks) == "New"
    assert sender({"x-old-event": "push"}, marks) == "Old"
    assert sender({"x-other": "x-old-"}, marks) is None
