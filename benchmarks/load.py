"""Signed pushes of 8 KB, and wrk to send them."""

from __future__ import annotations

import hmac
import http.client
import json
import re
import secrets
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.installation import SECRET, needs
from benchmarks.payload import push_body, template

LUA = """\
local before = [==[%s]==]
local after = [==[%s]==]
local pushes = {%s}
local sent = 0
request = function()
  sent = sent + 1
  local push = pushes[(sent - 1) %% #pushes + 1]
  local headers = {
    ["Content-Type"] = "application/json",
    ["X-GitHub-Event"] = "push",
    ["X-GitHub-Delivery"] = "%s-" .. sent,
    ["X-Hub-Signature-256"] = "sha256=" .. push[2],
  }
  return wrk.format("POST", nil, headers, before .. push[1] .. after)
end
done = function(summary, latency)
  local seen = '{"requests": %%d, "seconds": %%f, "refused": %%d, "median": %%f, "p99": %%f}\\n'
  io.write(string.format(seen,
    summary.requests, summary.duration / 1e6, summary.errors.status,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw; times in milliseconds."""

    requests: int
    rate: float
    median: float
    p99: float


def signature(body: bytes) -> str:
    """Return the hexadecimal HMAC of a body."""
    return hmac.digest(SECRET.encode(), body, "sha256").hex()


def write_script(path: Path, pushes: int) -> Path:
    """Write a wrk script that sends `pushes` different signed pushes, each under a delivery id of its own."""
    before, after = template()
    commits = [secrets.token_hex(20) for _ in range(pushes)]
    rows = ",".join(f'{{"{commit}","{signature(push_body(commit))}"}}' for commit in commits)
    path.write_text(LUA % (before, after, rows, secrets.token_hex(4)))
    return path


def send(script: Path, url: str, seconds: int, connections: int = 32) -> Load:
    """Send pushes for some seconds and return what wrk saw; every one of them must be answered with 2xx."""
    argv = [needs("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url]
    printed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    found = re.search(r"^\{.*\}$", printed, re.MULTILINE)
    assert found is not None, printed
    seen = json.loads(found[0])
    assert seen["refused"] == 0, f"{seen['refused']} answers were not 2xx"
    return Load(seen["requests"], seen["requests"] / seen["seconds"], seen["median"], seen["p99"])


def send_one_by_one(url: str, pushes: int) -> None:
    """Send that many different pushes over one connection; each must be accepted."""
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.netloc, timeout=30)) as connection:
        for _ in range(pushes):
            body = push_body(secrets.token_hex(20))
            connection.request("POST", parts.path, body, signed_headers(body))
            response = connection.getresponse()
            response.read()
            assert response.status == 202, response.status


def signed_headers(body: bytes) -> dict[str, str]:
    """Return the headers of a delivery with this body, under an id of its own."""
    return {
        "Content-Type": "application/json",
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": secrets.token_hex(16),
        "X-Hub-Signature-256": f"sha256={signature(body)}",
    }
