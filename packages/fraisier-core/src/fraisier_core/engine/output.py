"""The output of a step on its way from a command to the store: decoded, redacted, bounded."""

from __future__ import annotations

import codecs
import re
import threading
from collections import deque

from fraisier_core.text.printable import printable
from fraisier_core.text.redaction import MASK, Redactor, Span, mask, merged

_LINE_SEARCH_BYTES = 4096
_CONTINUATION = bytes(range(0x80, 0xC0))  # the bytes of a UTF-8 character after its first
# What may go on in the next piece: an escape sequence, or the line feed after a carriage return.
_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]{0,4096}|[ -/]*)\Z|\r\Z")


class StepOutput:
    """Takes bytes from one thread and gives redacted text to another, at most the newest `limit_bytes`."""

    def __init__(self, redactor: Redactor, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._text = _RedactedText(redactor)
        self._pieces: deque[bytes] = deque()
        self._kept = self._total = self._seen = 0
        self._lock = threading.Lock()

    def write(self, data: bytes) -> None:
        """Add what was printed."""
        with self._lock:
            self._pieces.append(data)
            self._kept += len(data)
            self._total += len(data)
            while self._kept - len(self._pieces[0]) >= self._limit:
                self._kept -= len(self._pieces.popleft())

    def take(self, *, last: bool = False) -> tuple[str, int] | None:
        """Return what came since the last call, as far as it is decided, and how many bytes were dropped."""
        with self._lock:
            data, dropped = self._newest()
            text = self._text.restart(data) if dropped else self._text.add(data)
            text += self._text.end() if last else ""
            return (text, dropped) if text or dropped else None

    def _newest(self) -> tuple[bytes, int]:
        """Return the newest bytes, from the beginning of a line if one is near, and how many were lost."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._kept = 0
        lost = self._total - self._seen - len(data)
        self._seen = self._total
        if lost or len(data) > self._limit:
            cut = max(0, len(data) - self._limit)
            line = data.find(b"\n", cut, cut + _LINE_SEARCH_BYTES) + 1
            return data[line or cut :], lost + (line or cut)
        return data, 0


class _RedactedText:
    """Text that arrives in pieces; what leaves it is the same as if it had been redacted in one."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._undecoded = ""  # may be an unfinished escape sequence
        self._held = ""  # printable, may begin a secret
        self._hidden = 0  # how much of what is held belongs to a secret whose mask was given out already

    def add(self, data: bytes) -> str:
        """Return what `data` completes."""
        self._held += self._printable(self._decoder.decode(data))
        return self._release(self._redactor.undecided(self._held))

    def restart(self, data: bytes) -> str:
        """Return what `data` completes if something before it was lost."""
        # Shown as it is, what is held could make up a secret together with what now follows it.
        before = MASK if self.end() else ""
        self._held = self._printable(self._decoder.decode(data.lstrip(_CONTINUATION)))
        start = self._redactor.cut_off_start(self._held)
        self._held = mask(self._held, merged([start]))
        return before + self._release(self._redactor.undecided(self._held))

    def end(self) -> str:
        """Return what is held, for nothing follows it."""
        self._held += printable(self._undecoded + self._decoder.decode(b"", final=True))
        self._undecoded = ""
        self._decoder.reset()
        return self._release(len(self._held), self._redactor.cut_off_end(self._held))

    def _printable(self, text: str) -> str:
        text = self._undecoded + text
        start = max(text.rfind("\x1b"), text.rfind("\r"))
        unfinished = start >= 0 and _UNFINISHED.match(text, start)
        self._undecoded = text[start:] if unfinished else ""
        return printable(text[:start] if unfinished else text)

    def _release(self, end: int, cut_off: Span = (0, 0)) -> str:
        spans = merged([(0, self._hidden), cut_off, *self._redactor.spans(self._held)])
        visible = [(start, min(stop, end)) for start, stop in spans if start < end]
        text = mask(self._held[:end], visible)
        if self._hidden and visible:
            text = text.removeprefix(MASK)
        carried = (stop - end for start, stop in spans if start < max(end, self._hidden))
        self._hidden = max(0, *carried, 0)
        self._held = self._held[end:]
        return text
