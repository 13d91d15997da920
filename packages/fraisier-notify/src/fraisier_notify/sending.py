"""Sends a message through Apprise, of which nothing that may be part of the URL gets out."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote

_SPOKEN_OF = ("apprise", "urllib3", "requests")
_PART = re.compile(r"[/:@?&=#,;\s]+")
_LONG = 6
MASK = "***"


class _Heard(logging.Handler):
    """Keeps what was logged, instead of anybody else."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def send(url: str, title: str, body: str) -> str | None:
    """Send a message, and return what went wrong, without the URL; None if nothing did."""
    with _quiet() as heard:
        try:
            is_sent = _send(url, title, body)
        except Exception as error:  # noqa: BLE001 - Apprise is a hundred plugins, and its errors name the URL
            return f"Apprise raised {type(error).__name__}"
    if is_sent is None:
        return "its url is none that Apprise can use"
    if is_sent:
        return None
    said = " ".join(heard.lines).split()
    return without_parts(" ".join(said), url) or "Apprise could not send it, and does not say why"


def without_parts(text: str, url: str) -> str:
    """Return a text without a URL and what it consists of, but for the scheme."""
    _, _, rest = url.partition("://")
    parts = {rest, *_PART.split(rest), *_PART.split(unquote(rest))} - {""}
    for part in sorted(parts, key=len, reverse=True):
        pattern = re.escape(part) if len(part) >= _LONG else rf"(?<!\w){re.escape(part)}(?!\w)"
        text = re.sub(pattern, MASK, text, flags=re.IGNORECASE)
    return text


def _send(url: str, title: str, body: str) -> bool | None:
    from apprise import Apprise, AppriseAsset, NotifyFormat  # half a second

    # A URL may still say redirect=yes.
    asset = AppriseAsset(
        app_id="Fraisier", app_desc="Fraisier", app_url="", async_mode=False, http_redirects=False
    )
    service = Apprise(asset=asset)
    if not service.add(url):
        return None
    return bool(service.notify(title=title, body=body, body_format=NotifyFormat.TEXT))


@contextmanager
def _quiet() -> Iterator[_Heard]:
    """Keep what Apprise and its libraries log and warn of."""
    heard = _Heard()
    loggers = [logging.getLogger(name) for name in _SPOKEN_OF]
    before = [(each.handlers[:], each.propagate) for each in loggers]
    for each in loggers:
        each.handlers[:] = [heard if each.name == "apprise" else logging.NullHandler()]
        each.propagate = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield heard
    finally:
        for each, (handlers, propagate) in zip(loggers, before, strict=True):
            each.handlers[:], each.propagate = handlers, propagate
