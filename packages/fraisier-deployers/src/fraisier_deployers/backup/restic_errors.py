"""Why restic failed, without where its repository is: that is a secret as a whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from fraisier_deployers.backup.restic_locks import LOCKED

_LEAST = 4  # characters of a part of the secret that tells anything
_SCHEMES = {"azure", "http", "https", "local", "rclone", "rest", "sftp", "swift"}
_KNOWN = {
    "wrong password or no key found": "the password is wrong",
    "repository is already locked": LOCKED,
    "command can be used to remove stale locks": LOCKED,  # the end of the same, if the first line is lost
    "no space left on device": "no space is left on its device",
    "connection refused": "the connection was refused",
    "no such host": "its host is unknown",
    "permission denied": "permission is denied",
}


def reasons(repository: str) -> Callable[[str], str]:
    """Return what finds, in what restic printed, why it failed; no part of the repository's address is in
    what that returns.
    """

    def reason(text: str) -> str:
        known = (said for pattern, said in _KNOWN.items() if pattern in text.lower())
        return next(known, None) or hidden(repository, _last_words(text))

    return reason


def _last_words(text: str) -> str:
    lines = [line.strip() for line in re.split(r"\n|; ", text) if line.strip()]
    fatal = [line.partition("Fatal: ")[2] for line in lines if "Fatal: " in line]
    return (fatal or lines or [""])[-1]


def hidden(repository: str, text: str) -> str:
    """Return a text without any part of the repository's address."""
    for part in sorted(_parts(repository), key=len, reverse=True):
        text = text.replace(part, "***")
    return text


def _parts(repository: str) -> Iterator[str]:
    yield repository
    for part in re.split(r"[:@]|//", repository):
        every = (part, part.strip("/"), *part.split("/"))
        yield from (each for each in every if len(each) >= _LEAST and each not in _SCHEMES)
