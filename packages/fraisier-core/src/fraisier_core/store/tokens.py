"""Tokens and the audit, as the store holds them; named as the columns are."""

from __future__ import annotations

from typing import NamedTuple

from fraisier_core.store.vocabulary import Level


class Token(NamedTuple):
    """A token without its secret: its SHA-256 in hex, and the `prefix` that is shown. What it allows where
    (None: everywhere), and until when. It is never deleted, only revoked.
    """

    id: str
    name: str
    prefix: str
    sha256: str
    level: Level
    fraise_id: str | None
    environment: str | None
    created_at: str
    created_by: str
    expires_at: str | None
    revoked_at: str | None


class AuditEvent(NamedTuple):
    """Who did what to what; `occurrences` is how often, of what is only counted."""

    at: str
    actor: str | None
    action: str
    subject: str | None
    detail: str | None
    occurrences: int
