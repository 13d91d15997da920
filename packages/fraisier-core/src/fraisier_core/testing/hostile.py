"""What no forge sends, and every provider must survive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

MALFORMED_BODIES = (
    *(b"", b"null", b"[]", b"1", b"NaN", b'"push"', b"{}", b"{"),
    *(b'{"ref": "\xff"}', b'{"ref": "\\ud800"}'),
    *(b"[" * 10_000, b'{"a":' * 10_000, b'{"ref": ' + b"9" * 10_000 + b"}"),
)
"""Bodies that are no payload: no JSON, no object, no UTF-8, too deep, too large a number."""

HOSTILE_HEADERS = (
    *("", " ", "\x00", "\xff\xfe", "\xb2", "-1", "1e9", "9" * 5_000),
    *("=", "v1,", "sha256=", "a b"),
)
"""Header values, decoded as Latin-1; `\\xb2` is a digit to `str.isdigit` and none to `int`."""

HOSTILE_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 1.5, float("nan"), [], [1], {}, {"a": 1}),
    *("", "\x00", "\n", "0", "refs/heads/", "refs/heads/\x1b[31m", "--upload-pack=x", "$(x)", "é" * 5_000),
)
"""Values for any field of a payload: of every JSON type, and strings that mean something elsewhere."""


def with_one_wrong(payload: Any) -> Iterator[Any]:
    """Yield the payload with one field, at any depth, left out or hostile: each field and value in turn.

    Args:
        payload: parsed JSON. Of a list only the first item is changed.
    """
    if isinstance(payload, dict):
        for key, value in payload.items():
            yield {other: payload[other] for other in payload if other != key}
            yield from ({**payload, key: wrong} for wrong in (*HOSTILE_VALUES, *with_one_wrong(value)))
    elif isinstance(payload, list) and payload:
        yield from ([wrong, *payload[1:]] for wrong in (*HOSTILE_VALUES, *with_one_wrong(payload[0])))
