"""Keeping secrets out of everything that is shown or stored.

A secret is recognised as it is, in base64 wherever in the encoded text it starts, percent-encoded, and as it
stands in JSON. The user-info of a URL (`https://token@host`) is always hidden; `git@`, which every forge
uses for SSH, says nothing and stays.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from fraisier_core.text.printable import printable

MASK = "***"
# A piece of a secret this long is hidden if the rest was cut off; a shorter one tells nothing.
_TELLING = 4
_USER_INFO = re.compile(r"""(?<=://)(?!git@)[^\s/?#"'<>]{1,512}(?=@)""")
_USER_INFO_START = re.compile(r""":(?:/(?:/[^\s/?#"'<>]{0,512})?)?\Z""")
_USER_INFO_REST = re.compile(r"""[^\s/?#"'<>]{1,512}(?=@)""")
_LONGEST_START = 520

Span = tuple[int, int]


class Redactor:
    """Hides secrets in text; empty ones are ignored."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(printable(secret))}
        self._forms = tuple(sorted(forms))

    def redact(self, text: str) -> str:
        """Return `text` printable, with `***` for each secret and each URL's user-info."""
        text = printable(text)
        return mask(text, self.spans(text))

    def spans(self, text: str) -> list[Span]:
        """Return where secrets stand in printable `text`: in order, overlapping ones as one."""
        return merged([*self._secret_spans(text), *(match.span() for match in _USER_INFO.finditer(text))])

    def undecided(self, text: str) -> int:
        """Return from where on `text` may be the beginning of a secret that goes on in what follows."""
        match = _USER_INFO_START.search(text, max(0, len(text) - _LONGEST_START))
        starts = [len(text) - _overlap(text, form) for form in self._forms]
        return min([len(text), *starts, *([match.start()] if match else [])])

    def cut_off_end(self, text: str) -> Span:
        """Return the telling beginning of a secret that `text` ends with, if its rest was cut off."""
        longest = max((_overlap(text, form) for form in self._forms), default=0)
        return (len(text) - (longest if longest >= _TELLING else 0), len(text))

    def cut_off_start(self, text: str) -> Span:
        """Return the telling rest of a secret that `text` begins with, if its beginning was cut off."""
        reverse = text[: max(map(len, self._forms), default=0)][::-1]
        longest = max((_overlap(reverse, form[::-1]) for form in self._forms), default=0)
        user_info = _USER_INFO_REST.match(text)
        return (0, max(longest if longest >= _TELLING else 0, user_info.end() if user_info else 0))

    def _secret_spans(self, text: str) -> Iterator[Span]:
        for form in self._forms:
            start = text.find(form)
            while start >= 0:
                yield (start, start + len(form))
                start = text.find(form, start + 1)


def mask(text: str, spans: Iterable[Span]) -> str:
    """Return `text` with `***` for each of the spans, which are in order and apart from each other."""
    pieces, shown_to = [], 0
    for start, end in spans:
        pieces += [text[shown_to:start], MASK]
        shown_to = end
    return "".join([*pieces, text[shown_to:]])


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return the spans in order, those that overlap as one, without empty ones."""
    result: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if result and start < result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result


def _overlap(text: str, form: str) -> int:
    """Return how many characters at the end of `text` begin `form` without completing it."""
    longest = min(len(text), len(form) - 1)
    return next((length for length in range(longest, 0, -1) if text.endswith(form[:length])), 0)


def _forms(secret: str) -> Iterator[str]:
    if not secret:
        return
    yield secret
    encoded = {*_base64_forms(secret.encode("utf-8", "surrogateescape")), *_escaped_forms(secret)}
    yield from (form for form in encoded if len(form) >= _TELLING)


def _escaped_forms(secret: str) -> Iterator[str]:
    for escaped in (quote(secret), quote(secret, safe=""), quote_plus(secret)):
        yield escaped
        yield re.sub("%..", lambda match: match[0].lower(), escaped)
    for ascii_only in (True, False):
        yield json.dumps(secret, ensure_ascii=ascii_only)[1:-1]


def _base64_forms(secret: bytes) -> Iterator[str]:
    """Yield what of its base64 form depends on the secret alone, whatever stands before and after it."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + secret)
        whole = encoded[(before * 8 + 5) // 6 : (before + len(secret)) * 8 // 6].decode()
        yield whole
        yield whole.replace("+", "-").replace("/", "_")
