"""Accepting pushes durably: throughput, the slowest answers, and memory."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figure, median
from benchmarks.installation import (
    SECRET,
    needs,
    processor_seconds,
    resident_megabytes,
    running,
    webhook,
    write_configuration,
)
from benchmarks.load import send, send_one_by_one, write_script

SECONDS = 4
ROUNDS = 5
PUSHES = 40_000

HOOKS = """\
- id: webhook
  execute-command: "true"
  include-command-output-in-response: true  # or it answers first, and most commands fail to start
  trigger-rule:
    match:
      type: payload-hmac-sha256
      secret: {secret}
      parameter: {{source: header, name: X-Hub-Signature-256}}
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a server did under load.

    Args:
        rate: requests a second.
        median, p99: of the response times, in milliseconds.
        processor: processor time of the server for each request, in seconds.
    """

    rate: float
    median: float
    p99: float
    processor: float


def figures(folder: Path) -> Iterator[Figure]:
    """Measure, each round against its own floors, and yield the figures."""
    script = write_script(folder / "pushes.lua", PUSHES)
    rounds = [_round(folder / str(number), script) for number in range(ROUNDS)]
    to_twin = [ours.rate / twin.rate for ours, twin, _ in rounds]
    to_other = [ours.rate / other.rate for ours, _, other in rounds]
    slowest = [ours.p99 / ours.median for ours, _, _ in rounds]
    processor = [(ours.processor * 1e6, twin.processor * 1e6) for ours, twin, _ in rounds]
    rates = ", ".join(f"{ours.rate:,.0f}" for ours, _, _ in rounds)
    yield Figure(
        "accept a signed 8 KB push durably, 32 connections, against the twin",
        ">=",
        0.50,
        median(to_twin),
        "x",
        f"{rates}/s; twin {median([twin.rate for _, twin, _ in rounds]):,.0f}/s; median of {ROUNDS}",
    )
    yield Figure(
        "the same against adnanh/webhook running `true`",
        ">=",
        3.0,
        median(to_other),
        "x",
        f"webhook {median([other.rate for _, _, other in rounds]):,.0f}/s",
    )
    yield Figure(
        "processor time of the web process for each of them, against the twin's",
        "<=",
        2.75,
        median([ours / twin for ours, twin in processor]),
        "x",
        " µs; twin ".join(f"{median(each):.0f}" for each in zip(*processor, strict=True)) + " µs",
    )
    yield Figure(
        "slowest answers at that load: p99 against the median",
        "<=",
        5.0,
        median(slowest),
        "x",
        f"median {median([ours.median for ours, _, _ in rounds]):.1f} ms, "
        f"p99 {median([ours.p99 for ours, _, _ in rounds]):.1f} ms",
    )
    yield from _memory(folder / "memory", script)


def _round(folder: Path, script: Path) -> tuple[Measured, Measured, Measured]:
    folder.mkdir()
    with webhook(write_configuration(folder), folder / "ours.log") as (server, url):
        ours = measured(server.pid, script, f"{url}/webhook")
    twin = measured_twin(folder, script)
    with _other(folder) as (server, url):
        other = measured(server.pid, script, url)
    return ours, twin, other


def measured_twin(folder: Path, script: Path) -> Measured:
    """Return what the twin did under load."""
    port = _free_port()
    argv = [sys.executable, "-m", "benchmarks.twin", str(port)]
    with running(argv, "Uvicorn running", folder / "twin.log") as (server, _):
        return measured(server.pid, script, f"http://127.0.0.1:{port}/webhook")


def measured(pid: int, script: Path, url: str) -> Measured:
    """Return what the server of that process did under load."""
    before = processor_seconds(pid)
    load = send(script, url, SECONDS)
    return Measured(load.rate, load.median, load.p99, (processor_seconds(pid) - before) / load.requests)


@contextmanager
def _other(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    hooks, port = folder / "hooks.yaml", _free_port()
    hooks.write_text(HOOKS.format(secret=SECRET))
    argv = [needs("webhook"), "-hooks", hooks, "-ip", "127.0.0.1", "-port", str(port), "-verbose"]
    with running(argv, "serving hooks", folder / "webhook.log") as (server, _):
        yield server, f"http://127.0.0.1:{port}/hooks/webhook"


def _memory(folder: Path, script: Path) -> Iterator[Figure]:
    folder.mkdir()
    with webhook(write_configuration(folder), folder / "ours.log") as (server, url):
        send_one_by_one(f"{url}/webhook", 1_000)
        at_first = resident_megabytes(server.pid)
        received = 1_000
        while received < 11_000:
            received += send(script, f"{url}/webhook", 1).requests
        at_last = resident_megabytes(server.pid)
    detail = f"{at_first:.1f} MB after 1,000, {at_last:.1f} MB after {received:,}"
    yield Figure("memory of the web process after 10,000 pushes", "<=", 80.0, at_last, "MB", detail)
    yield Figure("its growth from the first thousand on", "<=", 1.1, at_last / at_first, "x", detail)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
