"""Accepting a delivery of many refs, against as many deliveries of one."""

from __future__ import annotations

import http.client
import json
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.figures import Figure, median
from benchmarks.installation import SCRIPTS, SECRET, processor_seconds, running

REFS = 100
ROUNDS = 7
REPEATED = 10

PROVIDER = """\
import json

from fraisier_core import DeliveryId, Push, Verified, hookimpl

URL = "https://forge.example/acme/my-api.git"


@hookimpl
def verify(headers, body, secrets, now):
    return Verified(0) if headers.get("x-token") in secrets else None


@hookimpl
def delivery_id(headers):
    return DeliveryId(headers["x-id"], signed=False)


@hookimpl
def normalize(headers, body):
    return [Push("push", "acme/my-api", (URL,), *change, "octavia") for change in json.loads(body)]
"""
CONFIGURATION = f"""\
git:
  provider: many
  many: {{{{webhook_secret: {SECRET}}}}}
fraises:
  my_api:
    type: api
    repository: https://forge.example/acme/my-api.git
    environments:
      production: {{{{app_path: {{folder}}/app}}}}
branch_mapping:
  "*": {{{{fraise: my_api, environment: production}}}}
"""


def figures(folder: Path) -> Iterator[Figure]:
    """Measure the two in turn and yield the ratios."""
    _install_provider(folder)
    (folder / "fraises.yaml").write_text(CONFIGURATION.format(folder=folder))
    web = [SCRIPTS / "fraisier-webhook", "-c", folder / "fraises.yaml", "--port", "0", "--no-worker"]
    argv = ["env", f"PYTHONPATH={folder}", *web]
    with running(argv, r"listening on http://", folder / "web.log") as (server, line):
        found = re.search(r"http://\S+", line)
        assert found is not None
        rounds = [_round(server.pid, found[0]) for _ in range(ROUNDS)]
    for what, number in (("time", 0), ("processor time of the web process", 1)):
        many = [each[number] for each, _ in rounds]
        single = [each[number] for _, each in rounds]
        yield Figure(
            f"accept a delivery of {REFS} refs, against {REFS} deliveries of one: {what}",
            "<=",
            0.25,
            median([ours / floor for ours, floor in zip(many, single, strict=True)]),
            "x",
            f"{median(many) * 1e3:.1f} ms; {REFS} deliveries {median(single) * 1e3:.1f} ms",
        )


def _round(pid: int, url: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the seconds and processor seconds of one delivery of all refs, and of one for each."""
    pushes = [_changes() for _ in range(REPEATED)]
    singly = [[change] for _ in range(REPEATED) for change in _changes()]
    return _measured(pid, url, pushes), _measured(pid, url, singly)


def _measured(pid: int, url: str, deliveries: Sequence[object]) -> tuple[float, float]:
    processor, began = processor_seconds(pid), time.perf_counter()
    _send(url, deliveries)
    seconds = time.perf_counter() - began
    return seconds / REPEATED, (processor_seconds(pid) - processor) / REPEATED


def _send(url: str, deliveries: Sequence[object]) -> None:
    """Send deliveries one after another over one connection; each must be accepted."""
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)) as connection:
        for each in deliveries:
            headers = {"content-type": "application/json", "x-token": SECRET, "x-id": secrets.token_hex(8)}
            connection.request("POST", "/webhook", json.dumps(each), headers)
            response = connection.getresponse()
            response.read()
            assert response.status == 202, response.status


def _changes() -> list[tuple[str, str, str]]:
    return [(f"refs/heads/b{n}", secrets.token_hex(20), secrets.token_hex(20)) for n in range(REFS)]


def _install_provider(folder: Path) -> None:
    (folder / "many_refs.py").write_text(PROVIDER)
    info = folder / "many_refs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: many-refs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[fraisier.providers]\nmany = many_refs\n")
