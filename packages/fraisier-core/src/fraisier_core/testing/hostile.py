"""What no forge sends, and every provider must survive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from fraisier_core.testing.positions import Position, at, positions, removed, replaced

DEEP = 2_000
LONG = 30_000
HUGE = 500_000
MARK = "@MARK@"

MALFORMED_BODIES = (
    *(b"", b"null", b"[]", b"1", b"NaN", b'"push"', b"{}", b"{"),
    *(b'{"ref": "\xff"}', b'{"ref": "\\ud800"}', b"\x00", b"\xff\xfe", b"[" * 100_000),
    *(b"[" * 10_000, b'{"a":' * 10_000, b'{"ref": ' + b"9" * 10_000 + b"}"),
)
"""Bodies that are no payload: no JSON, no object, no UTF-8, too deep, too large a number."""

HOSTILE_HEADERS = (
    *("", " ", "\x00", "\xff\xfe", "\xb2", "-1", "1e9", "9" * 5_000),
    *("=", "v1,", "sha256=", "a b"),
)
"""Header values, decoded as Latin-1; `\\xb2` is a digit to `str.isdigit` and none to `int`."""

HOSTILE_JSON = (
    *(b"null", b"true", b"0", b"-1", b"1.5", b"-0", b"1e999", b"NaN", b"Infinity", b"9" * 5_000),
    *(
        b"[]",
        b"[1]",
        b"[null]",
        b"{}",
        b'{"a": 1}',
        b"[" * DEEP + b"]" * DEEP,
        b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    ),
    *(b'""', b'"\\u0000"', b'"\\n"', b'"0"', b'"\\ud800"', b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\xaf"'),
    *(
        b'"refs/heads/a\\u202eb"',
        b'"a\\u2028b"',
        b'"refs/heads/"',
        b'"refs/heads/\\u001b[31m"',
        b'"--upload-pack=x"',
        b'"$(x)"',
    ),
    *(b'"' + "é".encode() * 500 + b'"', b'"' + b"0" * 40 + b'"', b"", b'"', b"{", b"]"),
)
"""JSON for any position of a payload: of every type, too deep or too large, and what is no JSON at all."""

HOSTILE_NAMES = (
    *("--upload-pack=x", "-oProxyCommand=x", "$(x)", "`x`", "$HOME", "~", ";x", "x|y", "x&payload=y"),
    *("a'b", 'a"b', "a+b", "a%20b", "%s", "{x}", "../../x", "/x", "HEAD", "é", "\N{PILE OF POO}"),
    *("refs/heads/main", "heads/main", "refs/tags/v1", "head", "s"),
)
"""Names of branches that are options, shell text, templates, paths or parts of a ref's prefix."""

HOSTILE_URLS = (
    "--upload-pack=x",
    "ext::sh -c x",
    "file:///etc/passwd",
    "ssh://-oProxyCommand=x/y",
    "$HOME/x",
)
"""Addresses that git would read as an option, a command or a file."""


def bodies_with_one_wrong(payload: Any) -> Iterator[bytes]:
    """Yield JSON of a payload with one position left out or hostile: each position and value in turn.

    Args:
        payload: parsed JSON, an object.
    """
    for position in positions(payload):
        if position:
            yield json.dumps(removed(payload, position)).encode()
            yield from (_with_json(payload, position, wrong) for wrong in HOSTILE_JSON)


def bodies_with_a_key_twice(payload: Any) -> Iterator[tuple[bytes, bytes]]:
    """Yield JSON of a payload with a key twice, and JSON with only the last of the two: each key in turn.

    Args:
        payload: parsed JSON, an object.
    """
    for position in positions(payload):
        if position and isinstance(key := position[-1], str):
            value = at(payload, position)
            for first, last in ((_other(value), value), (value, _other(value))):
                parent = json.dumps(at(replaced(payload, position, last), position[:-1]))
                twice = f"{{{json.dumps(key)}: {json.dumps(first)}, {parent[1:]}"
                alone = json.dumps(replaced(payload, position, last))
                yield _with_json(payload, position[:-1], twice.encode()), alone.encode()


def huge_bodies(payload: Any) -> Iterator[bytes]:
    """Yield JSON of a payload that is some MB long, and with each of its strings a long one.

    Args:
        payload: parsed JSON, an object.
    """
    more = {
        "text": "x" * HUGE,
        "list": [{}] * (HUGE // 4),
        "object": dict.fromkeys(map(str, range(HUGE // 10))),
    }
    yield b" " * HUGE + json.dumps(payload | more).encode()
    for position in positions(payload):
        for unit in ("a", "/") if isinstance(at(payload, position), str) else ():
            yield json.dumps(replaced(payload, position, f"refs/heads/{unit * LONG}")).encode()


def _with_json(payload: Any, position: Position, text: bytes) -> bytes:
    before, _, after = json.dumps(replaced(payload, position, MARK)).partition(json.dumps(MARK))
    return before.encode() + text + after.encode()


def _other(value: Any) -> Any:
    """Return a string much like another one, null instead of anything else."""
    return value[:-1] + ("0" if value[-1:] != "0" else "1") if isinstance(value, str) else None
