"""What to do about a delivery that was refused: the record has the reason alone."""

from __future__ import annotations

# How the server's own reasons begin; after that, they may quote what was sent.
_BEGINNINGS = (
    ("malformed: ", "the forge's webhook: it must send push events, as JSON"),
    ("the sender is not in ", "git.{name}.allow"),
    ("it has the delivery id of event ", "a proxy or sender that repeats the id of another delivery"),
    ("its secret is for ", "git.{name}.webhook_secret: the repositories of its secret"),
)
# What the reasons of providers have in common.
_PHRASES = (
    (
        "use the provider of that forge",
        "the forge's webhook: its URL must end in the name of a section for that forge",
    ),
    ("clock", "the clock of this host, or of the forge"),
    ("the webhook has no ", "the forge's webhook: its secret, the one of git.{name}.webhook_secret"),
)
_SAME = "git.{name}.webhook_secret, and the secret of the forge's webhook: they must be the same"


def remedies(provider: str, reason: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the settings that decide about a delivery that was refused, and the commands that check them."""
    ours = [text for beginning, text in _BEGINNINGS if reason.startswith(beginning)]
    theirs = [text for phrase, text in _PHRASES if phrase in reason]
    setting = (ours or theirs or [_SAME])[0]
    return (setting.format(name=provider),), (f"fraisier webhooks test {provider}",)
