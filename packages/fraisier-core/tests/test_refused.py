"""What is said to do about a delivery that was refused."""

from __future__ import annotations

import pytest
from fraisier_core.requests.refused import remedies

SECRETS = "git.work.webhook_secret: the repositories of its secret"
EVENTS = "the forge's webhook: it must send push events, as JSON"


@pytest.mark.parametrize(
    ("reason", "setting"),
    [
        ("its secret is for forge.example/a/b, and the push is to forge.example/a/x.allow", SECRETS),
        ("its secret is for forge.example/a/b, and the push is to forge.example/a/clock", SECRETS),
        ("its secret is for forge.example/a/b, and the push is to malformed: x, without an address", SECRETS),
        ("malformed: the ref 'the webhook has no clock' is no ref", EVENTS),
        ("malformed: its secret is for nobody.allow", EVENTS),
        ("the sender is not in git.clock.allow", "git.work.allow"),
    ],
)
def test_what_was_sent_does_not_change_what_to_do(reason: str, setting: str) -> None:
    (found,), _ = remedies("work", reason)
    assert found == setting


@pytest.mark.parametrize(
    "reason",
    [
        "no X-Signature header: the webhook has no secret, or a proxy removed it",
        "X-Token is empty: the webhook has no token",
        "neither X-Signature nor X-Token is there: the webhook has no token",
    ],
)
def test_a_webhook_without_a_secret_or_token_is_to_be_given_the_one_of_its_section(reason: str) -> None:
    settings, commands = remedies("work", reason)
    assert settings == ("the forge's webhook: its secret, the one of git.work.webhook_secret",)
    assert commands == ("fraisier webhooks test work",)
