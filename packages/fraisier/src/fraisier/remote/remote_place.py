"""Where a Fraisier on another machine is, and the token that it wants."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from fraisier_core.errors import RemoteError
from fraisier_core.text.http_addresses import is_loopback

TOKEN = re.compile(r"[!-~]+")
LONGEST_TOKEN = 4096


class RemotePlace(NamedTuple):
    """The `url` below which it answers, without a slash at its end, and the file with the token, if any."""

    url: str
    token_file: Path | None

    @staticmethod
    def of(url: str, token_file: Path | None) -> RemotePlace:
        """Return the place that `--url` and `--token-file` name. Raises `RemoteError`."""
        if problem := _problem(url):
            raise RemoteError(f"--url {_shown(url)}: {problem}")
        return RemotePlace(url.rstrip("/").removesuffix("/graphql"), token_file)

    @property
    def socket_url(self) -> str:
        """The address of its WebSocket."""
        return f"ws{self.url.removeprefix('http')}/ws"

    @property
    def is_encrypted(self) -> bool:
        """Whether it is asked over TLS."""
        return self.url.startswith("https:")

    def token(self) -> str | None:
        """Return the token; None if no file is named. Raises `RemoteError` if it cannot be used."""
        return None if self.token_file is None else _token(self.token_file)


def _problem(url: str) -> str | None:
    """Return what is wrong with a URL, and what to give instead."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return f"{error}; give the address of a Fraisier, such as https://deploy.example.com"
    if parts.scheme not in {"http", "https"} or not host or re.search(r"\s", url):
        return "give the address of a Fraisier, such as https://deploy.example.com"
    if "@" in parts.netloc or "?" in url or "#" in url:
        return "give it without a user, a query and a fragment; --token-file names the token"
    if parts.scheme == "http" and not is_loopback(host):
        return "the token and the answers could be read on the way; use https"
    return None


def _shown(url: str) -> str:
    """Return a URL without what may be a password."""
    return re.sub(r"//.*@", "//***@", url)


def _token(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            found = os.fstat(opened.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise RemoteError(f"{file}: not a file; --token-file names a file that holds a token alone")
            if found.st_mode & 0o077:
                raise RemoteError(f"{file}: others may read the token; run `chmod 600 {file}`")
            text = opened.read(LONGEST_TOKEN + 1).decode("ascii", "replace").strip()
    except OSError as error:
        raise RemoteError(f"{file}: the token cannot be read: {error.strerror}") from None
    if len(text) > LONGEST_TOKEN or not TOKEN.fullmatch(text):
        raise RemoteError(f"{file}: there is no token in it, on one line; `fraisier token create` makes one")
    return text
