"""Accepting pushes with many fraises configured, against one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, median
from benchmarks.installation import webhook, write_configuration
from benchmarks.load import send, write_script

FRAISES = 1_000
SECONDS = 3
ROUNDS = 5
PUSHES = 40_000

FRAISE = """\
  other_{number}:
    type: api
    repository: https://forge.example/acme/other-{number}.git
    environments:
      production: {{branch: main}}
"""
RULE = "    - {{fraise: {name}, environment: production}}\n"


def figures(folder: Path) -> Iterator[Figure]:
    """Measure, one configuration and the other in turn, and yield the figure."""
    script = write_script(folder / "pushes.lua", PUSHES)
    pairs = [
        (_rate(folder / f"many{n}", script, FRAISES), _rate(folder / f"one{n}", script, 1))
        for n in range(ROUNDS)
    ]
    yield Figure(
        f"accept a signed 8 KB push with {FRAISES:,} fraises configured, against one",
        ">=",
        0.9,
        median([many / one for many, one in pairs]),
        "x",
        f"{median([many for many, _ in pairs]):,.0f}/s; with one {median([one for _, one in pairs]):,.0f}/s",
    )


def _rate(folder: Path, script: Path, fraises: int) -> float:
    """Return how many pushes a second are accepted."""
    folder.mkdir()
    config = write_configuration(folder)
    text, mapping, _ = config.read_text().partition("branch_mapping:\n")
    others = range(fraises - 1)
    names = ["my_api", *(f"other_{number}" for number in others)]
    rules = "".join(RULE.format(name=name) for name in names)
    config.write_text(
        f"{text}{''.join(FRAISE.format(number=number) for number in others)}{mapping}  main:\n{rules}"
    )
    with webhook(config, folder / "webhook.log") as (_, url):
        return send(script, f"{url}/webhook", SECONDS).rate
