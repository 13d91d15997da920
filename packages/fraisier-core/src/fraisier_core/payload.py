"""What a forge's JSON body becomes: structs that hold only the fields a provider reads."""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from io import BytesIO
from typing import Annotated, Self

import msgspec

from fraisier_core.errors import MalformedPayloadError

_FIELD = b"payload="
_SLICE_BYTES = 64 * 1024
# No genuine name has controls, line separators or what reorders text: https://www.unicode.org/reports/tr9/
_CONTROLS = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"

PayloadText = Annotated[str, msgspec.Meta(min_length=1, pattern=rf"^[^{_CONTROLS}]*\Z")]
"""One line of text without control characters: a database refuses NUL, a terminal obeys escapes, and a log
would show another name than the one that is there.
"""

PayloadRef = Annotated[str, msgspec.Meta(pattern=rf"^refs/(?:[^ {_CONTROLS}]*[^ /{_CONTROLS}])\Z")]
"""A full ref, such as `refs/heads/main`. Which refs git is given is decided elsewhere."""

PayloadRefName = Annotated[str, msgspec.Meta(pattern=rf"^[^ {_CONTROLS}]*[^ /{_CONTROLS}]\Z")]
"""The name of a branch or tag without its prefix, such as `main`."""

PayloadCommit = Annotated[str, msgspec.Meta(pattern=r"^(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")]
"""A full object id, SHA-1 or SHA-256; `commit_or_none` tells the zero id."""


class Payload(msgspec.Struct):
    """Base of a provider's payload models: no type is converted, fields that no model names are skipped.

    A field with a default stands after those without.
    """

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Return the payload that `body` holds.

        Args:
            body: JSON in UTF-8.

        Raises `MalformedPayloadError`, which names the field and never shows a value of the payload.
        """
        try:
            return msgspec.json.decode(body, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedPayloadError(
                f"the payload is not what the forge sends: {_problem(error)}"
            ) from None


def form_or_json(headers: Mapping[str, str], body: bytes) -> bytes:
    """Return the JSON of a delivery: the body, or the only field of a form, `payload`.

    Args:
        headers: as hooks get them.
        body: the raw body, which need not be verified: the time this takes is bounded by its size.

    Raises `MalformedPayloadError` if the form has no such field.
    """
    if not headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded"):
        return body
    if not body.startswith(_FIELD):
        raise MalformedPayloadError("the form has no field named payload")
    return _decoded(memoryview(body)[len(_FIELD) :])


def _decoded(value: memoryview) -> bytes:
    """Return what a field of a form says. It is decoded slice by slice, so that nothing as large is held
    beside it, and other threads get their turn in between.
    """
    decoded, start = BytesIO(), 0
    while start < len(value):
        piece = _whole(bytes(value[start : start + _SLICE_BYTES]))
        start += len(piece)
        # Quoted-printable differs by its sign alone, and C decodes it: 25 MB in 0.1 s, not in 2 s.
        decoded.write(binascii.a2b_qp(piece.replace(b"+", b" ").replace(b"=", b"=3D").replace(b"%", b"=")))
    return decoded.getvalue()


def _whole(piece: bytes) -> bytes:
    """Return a slice without the `%XX` at its end that it cuts."""
    cut = piece.rfind(b"%", -2)
    return piece[:cut] if cut > 0 else piece


def _problem(error: Exception) -> str:
    """Return the field and what is wrong with it, without those texts of msgspec's that quote a value."""
    text, _, path = str(error).partition(" - at `")
    field = path.rstrip("`").removeprefix("$").removeprefix(".") or "body"
    names_types = isinstance(error, msgspec.ValidationError) and text.startswith(("Expected ", "Object "))
    return f"{field}: {text if names_types or type(error) is msgspec.DecodeError else 'invalid'}"
