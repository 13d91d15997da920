"""Pushes as large as they may be: the memory they take, and how long the others wait meanwhile."""

from __future__ import annotations

import http.client
import re
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from benchmarks.figures import Figure, median
from benchmarks.installation import SECRET, webhook, write_configuration
from benchmarks.load import send_one_by_one, signature, signed_headers
from benchmarks.payload import large_push_body

BODY_BYTES = 24_900_000
PUSHES = 5
FORM = "application/x-www-form-urlencoded"


def figures(folder: Path) -> Iterator[Figure]:
    """Send large pushes while `/healthz` is asked again and again, and yield the figures."""
    yield from _figures(folder / "json", "a push of 25 MB", as_form=False)
    yield from _figures(folder / "form", "a push of 25 MB as a form", as_form=True)


def _figures(folder: Path, what: str, *, as_form: bool) -> Iterator[Figure]:
    folder.mkdir()
    config = write_configuration(folder)
    config.write_text(config.read_text().replace("git:\n", f"git:\n  gitea: {{webhook_secret: {SECRET}}}\n"))
    with webhook(config, folder / "ours.log") as (server, url):
        send_one_by_one(f"{url}/webhook", 100)
        before = _peak_megabytes(server.pid)
        with ProcessPoolExecutor(1) as pool:
            pauses = [_longest_pause(url, pool.submit(_send, url, as_form)) for _ in range(PUSHES)]
        peak = _peak_megabytes(server.pid)
    megabytes = BODY_BYTES / 1e6
    detail = f"{before:.0f} MB before, {peak:.0f} MB at most; {PUSHES} pushes of {megabytes:.1f} MB"
    yield Figure(
        f"memory of the web process for {what}, against the body", "<=", 4.0, peak / megabytes, "x", detail
    )
    every = ", ".join(f"{pause * 1e3:.0f}" for pause in pauses)
    yield Figure(
        f"longest pause of the others during {what}", "<=", 50.0, median(pauses) * 1e3, "ms", f"{every} ms"
    )


def _longest_pause(url: str, sending: Future[None]) -> float:
    """Ask for `/healthz` until a push is answered, and return the seconds that the slowest answer took."""
    slowest = 0.0
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)) as connection:
        while not sending.done():
            asked = time.perf_counter()
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            slowest = max(slowest, time.perf_counter() - asked)
    sending.result()
    return slowest


def _send(url: str, as_form: bool) -> None:
    """Send one large push; it must be accepted."""
    body = large_push_body(secrets.token_hex(20), BODY_BYTES, as_form)
    path, headers = ("/webhook/gitea", _form_headers(body)) if as_form else ("/webhook", signed_headers(body))
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)) as connection:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        response.read()
        assert response.status == 202, response.status


def _form_headers(body: bytes) -> dict[str, str]:
    """Return the headers of a form as Gitea sends it, which signs the JSON: the most that a provider does."""
    signed = unquote_to_bytes(body.removeprefix(b"payload=").replace(b"+", b" "))
    return {
        "Content-Type": FORM,
        "X-Gitea-Event": "push",
        "X-Gitea-Delivery": secrets.token_hex(16),
        "X-Gitea-Signature": signature(signed),
    }


def _peak_megabytes(pid: int) -> float:
    """Return the most resident memory that a process ever had, in MB (10^6 bytes)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024 / 1e6
