"""Whether a service's answer over HTTP says what `expect:` says."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping

from fraisier_core.settings import Expectation
from fraisier_core.text.printable import printable

MAX_BODY_BYTES = 1_000_000
_SHOWN = 100


def mismatch(expect: Expectation, response: http.client.HTTPResponse) -> str | None:
    """Return the first thing that an answer says otherwise than expected, or None; reads its body if needed.

    Raises `OSError` or `http.client.HTTPException` if it breaks off.
    """
    return next(_mismatches(expect, response), None)


def _mismatches(expect: Expectation, response: http.client.HTTPResponse) -> Iterator[str]:
    for name, value in expect.header.items():
        found = response.headers.get(name)
        found = found if found is None else found.strip()
        if found != value:
            yield _differs(f"header {name}", found, value)
    if expect.body is None and not expect.json_:
        return
    text = response.read(MAX_BODY_BYTES).decode(errors="replace")
    if expect.body is not None and expect.body not in text:
        yield f"its body does not contain {_shown(expect.body)}: {_begins(text)}"
    if expect.json_:
        yield from _json_mismatches(expect.json_, text)


def _json_mismatches(expected: Mapping[str, object], text: str) -> Iterator[str]:
    try:
        value = json.loads(text)
    except ValueError:
        yield f"its body is not JSON: {_begins(text)}"
    else:
        yield from _differences("json", value, expected)


def _differences(place: str, found: object, expected: object) -> Iterator[str]:
    """Yield where a value differs; a mapping may hold more than is expected of it."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key, value in expected.items():
            if key in found:
                yield from _differences(f"{place}.{key}", found[key], value)
            else:
                yield _differs(f"{place}.{key}", None, value)
    elif found != expected or isinstance(found, bool) is not isinstance(expected, bool):
        yield f"{place} is {_shown(found)}, not {_shown(expected)}"


def _differs(what: str, found: str | None, expected: object) -> str:
    return f"{what} is {'missing' if found is None else _shown(found)}, not {_shown(expected)}"


def _begins(text: str) -> str:
    return f"it begins {_shown(text[: _SHOWN + 1])}" if text else "it is empty"


def _shown(value: object) -> str:
    text = printable(json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
