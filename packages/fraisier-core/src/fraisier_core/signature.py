"""What most forges sign with: the HMAC-SHA256 (RFC 2104) of a delivery, as hexadecimal digits in a header."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence

from fraisier_core.push import Unverified, Verified

_DIGEST = re.compile(r"[0-9a-f]{64}")


def verify_hmac(
    headers: Mapping[str, str], name: str, signed: bytes, secrets: Sequence[str], *, prefix: str = ""
) -> Verified | Unverified:
    """Return the secret with which a header signs a delivery, or why none does.

    Args:
        headers: as `verify` gets them.
        name: the header's name as the forge writes it.
        signed: what is signed, such as the raw body.
        secrets: as `verify` gets them.
        prefix: what stands before the 64 lower-case digits, such as `sha256=`.
    """
    given = headers.get(name.lower())
    if given is None:
        return Unverified(f"no {name} header: the webhook has no secret, or a proxy removed it")
    for index, secret in enumerate(secrets):
        signature = hmac_signature(secret, signed, prefix)
        if hmac.compare_digest(signature.encode(), given.encode("latin-1")):
            return Verified(index)
    return Unverified(_mismatch(name, given, prefix))


def hmac_signature(secret: str, signed: bytes, prefix: str = "") -> str:
    """Return the signature that `verify_hmac` verifies.

    Args:
        secret: the secret shared with the forge.
        signed: as in `verify_hmac`.
        prefix: as in `verify_hmac`.
    """
    return prefix + hmac.digest(secret.encode(), signed, "sha256").hex()


def sender(headers: Mapping[str, str], marks: Mapping[str, str]) -> str | None:
    """Return which forge sent a delivery, as its headers say, None if it is none of `marks`. Nothing signs
    them: this explains a refusal or is a reason for one, never for trust.

    Args:
        headers: as `verify` gets them.
        marks: how headers of a forge begin, and what the forge is called. The first that is found counts.
    """
    marked = [name for name in headers if name.startswith(tuple(marks))]
    if not marked:
        return None
    return next(forge for mark, forge in marks.items() if any(name.startswith(mark) for name in marked))


def _mismatch(name: str, given: str, prefix: str) -> str:
    if given in {"", prefix}:
        return f"{name} is empty: the webhook has no secret"
    if not given.startswith(prefix) or not _DIGEST.fullmatch(given.removeprefix(prefix)):
        return f"{name} is no signature: {prefix and f'`{prefix}` and '}64 lower-case hexadecimal digits"
    return f"{name} is the signature of another secret, or of a body that was changed on the way"
