"""What an admitted client may do."""

from __future__ import annotations

from dataclasses import dataclass

from fraisier_core.access.scope import Scope
from fraisier_core.store.tokens import Token

GRANT = "fraisier.grant"
"""Where in the scope of an ASGI request its `Grant` is."""
ADMIT = "fraisier.admit"
"""Where in that of a WebSocket its admission is: an async function from its token, or None, to a `Grant`."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a client may do, and what the record calls it (`requested_by`). Without a token it never ends."""

    actor: str
    scope: Scope
    token_id: str | None = None


DEVELOPMENT = Grant("development", Scope("deploy"))
"""What every client may do in development."""


def scope_of(token: Token) -> Scope:
    """Return what a token allows."""
    return Scope(token.level, token.fraise_id, token.environment)


def grant_of(token: Token) -> Grant:
    """Return what the client with a token may do."""
    return Grant(f"token {token.name}", scope_of(token), token.id)


def why_ended(token: Token, now: str) -> str | None:
    """Return why a token is not valid, None if it is.

    Args:
        token: as the store has it.
        now: the time, as the store writes it.
    """
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expires_at is not None and token.expires_at <= now else None
