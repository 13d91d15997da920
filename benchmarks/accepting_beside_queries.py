"""Accepting pushes while clients ask by GraphQL, against accepting them alone."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.accepting import PUSHES, SECONDS
from benchmarks.figures import Figure, median
from benchmarks.installation import webhook, write_configuration
from benchmarks.load import send, send_one_by_one, write_script

CLIENTS = 16
PAUSE_SECONDS = 1.0
ROUNDS = 7
QUERY = "{ deploymentHistory(limit: 50) { id fraiseId environment status startedAt commitSha } }"


def figures(folder: Path) -> Iterator[Figure]:
    """Measure beside the clients and alone in turn, each on a store of its own, and yield the figure."""
    script = write_script(folder / "pushes.lua", PUSHES)
    rates = [
        (_rate(folder / f"{number}-beside", script, CLIENTS), _rate(folder / f"{number}-alone", script, 0))
        for number in range(ROUNDS)
    ]
    beside, alone = (median(each) for each in zip(*rates, strict=True))
    yield Figure(
        f"accepting while {CLIENTS} clients send a query a second each, against accepting alone",
        ">=",
        0.9,
        median([ours / floor for ours, floor in rates]),
        "x",
        f"{beside:,.0f}/s; alone {alone:,.0f}/s; median of {ROUNDS}",
    )


def _rate(folder: Path, script: Path, clients: int) -> float:
    """Return how many pushes a second are accepted beside so many clients that ask."""
    folder.mkdir()
    config = write_configuration(folder)
    with config.open("a") as file:
        file.write("graphql: {development: true}\n")
    with webhook(config, folder / "web.log") as (_, url):
        send_one_by_one(f"{url}/webhook", 100)  # or there is nothing to be asked for
        with _asking(url, clients):
            return send(script, f"{url}/webhook", SECONDS).rate


@contextmanager
def _asking(url: str, count: int) -> Iterator[None]:
    """Have the clients ask until the block ends. Raises `AssertionError` if one was not answered."""
    over, unanswered = threading.Event(), list[object]()
    body = json.dumps({"query": QUERY}).encode()
    request = urllib.request.Request(f"{url}/graphql", body, {"Content-Type": "application/json"})

    def ask() -> None:
        while not over.wait(PAUSE_SECONDS):
            with urllib.request.urlopen(request, timeout=30) as response:
                answer = json.load(response)
            if not answer.get("data", {}).get("deploymentHistory"):
                unanswered.append(answer)

    clients = [threading.Thread(target=ask) for _ in range(count)]
    for client in clients:
        client.start()
    try:
        yield
    finally:
        over.set()
        for client in clients:
            client.join()
    assert not unanswered, unanswered[0]
