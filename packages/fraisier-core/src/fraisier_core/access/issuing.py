"""Making tokens: 256 random bits, of which the store keeps the SHA-256 and the beginning that is shown."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from secrets import token_urlsafe
from typing import TYPE_CHECKING

import uuid_utils

from fraisier_core.store.tokens import Token
from fraisier_core.system.host import utc_now, utc_text

if TYPE_CHECKING:
    from fraisier_core.access.scope import Scope

MARK = "frs_"
"""What every token begins with, so that scanners find one that was published."""
MAX_NAME_LENGTH = 100
_SHOWN = len(MARK) + 8
_BYTES = 32 + 6
"""256 bits that are not shown, and the 48 that are."""
_SECRET = re.compile(rf"{MARK}[A-Za-z0-9_-]{{51}}")
_SPAN = re.compile(r"([0-9]{1,6}) ?([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def issue(name: str, scope: Scope, created_by: str, expires_at: str | None = None) -> tuple[str, Token]:
    """Return a new secret and its token, to be stored. Raises `ValueError` for a name that is not usable."""
    if not name.isprintable() or name != name.strip() or not 0 < len(name) <= MAX_NAME_LENGTH:
        raise ValueError(f"a name is 1 to {MAX_NAME_LENGTH} printable characters, with no space around")
    if name.startswith(MARK):
        raise ValueError(f"a name does not begin with {MARK}, as tokens do")
    secret = MARK + token_urlsafe(_BYTES)
    token = Token(
        id=str(uuid_utils.uuid7()),
        name=name,
        prefix=prefix_of(secret),
        sha256=_digest(secret),
        level=scope.level,
        fraise_id=scope.fraise,
        environment=scope.environment,
        created_at=utc_now(),
        created_by=created_by,
        expires_at=expires_at,
        revoked_at=None,
    )
    return secret, token


def is_secret(text: str) -> bool:
    """Whether a text can be a token at all."""
    return _SECRET.fullmatch(text) is not None


def prefix_of(secret: str) -> str:
    """Return the beginning of a token, which is shown and by which it is found."""
    return secret[:_SHOWN]


def is_of(secret: str, token: Token) -> bool:
    """Whether a text is the secret of a token, in a time that says nothing about it."""
    return compare_digest(_digest(secret).encode(), token.sha256.encode())


def expiry(text: str, now: datetime | None = None) -> str:
    """Return the time at which a token expires, as the store writes it. Raises `ValueError`.

    Args:
        text: a span such as `90d` or `12h`, a time in ISO 8601, or a date: it expires as that begins in UTC.
        now: the current time.
    """
    now = now or datetime.now(UTC)
    at = _at(text.strip(), now)
    if at <= now:
        raise ValueError(f"{utc_text(at)} is past")
    return utc_text(at)


def _at(text: str, now: datetime) -> datetime:
    try:
        if span := _SPAN.fullmatch(text):
            return now + timedelta(**{_UNITS[span[2]]: int(span[1])})
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError(f'"{text}" is neither a span, such as 90d, nor a date, such as 2030-01-31') from None


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
