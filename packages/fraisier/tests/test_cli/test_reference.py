"""What docs/reference says of the command is what the command does."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fraisier.exit_codes import ExitCode

from tests.command import FRAISIER, SECONDS

from .installation import HEALTHY, Installation
from .receiving import receiving

REFERENCE = Path(__file__).parents[4] / "docs" / "reference"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
# What differs from run to run, each with a stand-in of the same width if tables depend on it.
VARIABLE = [
    (re.compile(r"\d{8}-\d{6}-[0-9a-f]{12}-[0-9a-f]{4}"), "RELEASE"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "DEPLOYMENT"),
    (re.compile(r"\b[0-9a-f]{40}\b"), "COMMIT"),
    (re.compile(r"\b[0-9a-f]{16}\b"), "HASH"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "COMMIT"),
    (re.compile(r"\b[0-9a-f]{8}\b"), "ID"),
    (re.compile(r"\b(\d+\.\d s|\d+ ms)\b"), "TIME"),
    (re.compile(r"\b(just now|\d+ s ago)\b"), "WHEN"),
    (re.compile(r"\bby \S+"), "by USER"),
    (re.compile(r"(main|-) +\S+ +WHEN"), "USER WHEN"),
    (re.compile(r"\S+fraises\.yaml"), "fraises.yaml"),
    (re.compile(r"sqlite://\S+fraisier\.db"), "STORE"),
    # Told only if it takes long enough to be seen.
    (re.compile(r"^rolling back: .*\n", re.MULTILINE), ""),
    (re.compile(r" {2,}"), "  "),
]
# Typer's layout and Typer's own words in a help text.
TYPER = re.compile(
    r"^Usage: .*|^\w+:$|^ +(?:-h, --help|--\w+-completion) .*(?:\n {20,}.*)*|<\w+>|\[required\]", re.MULTILINE
)


def blocks(kind: str) -> list[str]:
    """Return the code blocks of one kind."""
    return [text for name, text in BLOCK.findall((REFERENCE / "cli.md").read_text()) if name == kind]


def examples() -> Iterator[tuple[str, str]]:
    """Return each command of the page with what it is said to print."""
    for block in blocks("console"):
        for example in block.removeprefix("$ ").split("\n$ "):
            command, _, output = example.partition("\n")
            yield command, output


def settled(text: str) -> str:
    """Return what is the same in every run."""
    for pattern, stand_in in VARIABLE:
        text = pattern.sub(stand_in, text)
    return text.strip()


def words_of_ours(text: str) -> list[str]:
    """Return what we say in a help text."""
    return TYPER.sub("", text).split()


def named(installation: Installation, word: str) -> str:
    """Return a word of an example, or the id that stands for in this run."""
    if not re.fullmatch(r"[0-9a-f]{8}", word):
        return word
    wanted = "pending" if word == waiting_id() else "rolled_back"
    return next(record.id[-8:] for record in installation.recorded() if record.status == wanted)


def waiting_id() -> str:
    """Return the id that the page gives the deployment that waits."""
    return next(output.split()[-1][-8:] for command, output in examples() if "--detach" in command.split())


def test_every_example_prints_what_the_page_says(installation: Installation) -> None:
    (config,) = blocks("yaml")
    installation.config.write_text(
        config.replace("https://github.com/acme/my-api.git", installation.forge.url)
    )
    commits = iter([HEALTHY, {"check.sh": "echo out of memory; exit 1\n"}])
    for command, output in examples():
        words = [named(installation, word) for word in shlex.split(command)[1:]]
        if words[:2] == ["deploy", "my_api"] and not {"--detach", "--dry-run"} & set(words):
            installation.forge.push_files(next(commits))
        done = subprocess.run(
            [FRAISIER, *words],
            cwd=installation.folder,
            env=installation.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        compared = words_of_ours if "--help" in words else settled
        assert compared(done.stdout) == compared(output), command


def test_the_keys_of_json_are_those_of_the_page(installation: Installation) -> None:
    installation.deploy()
    waiting = installation.run("deploy", "my_api", "staging", "--branch", "main", "--detach").stdout.strip()
    shown = installation.json("show", installation.recorded()[1].id)
    with receiving(installation) as web_app:
        delivered = web_app.push("1a" * 20)["event"]
    printed = {
        "list": installation.json("list")[0],
        "status": installation.json("status")[0],
        "history": installation.json("history")[0],
        "cancel": installation.json("cancel", waiting),
        "reconcile": installation.json("reconcile")[0],
        "plugins": installation.json("plugins")[0],
        "deploy --dry-run": installation.json("deploy", "my_api", "production", "--dry-run"),
        "db migrate": installation.json("db", "migrate"),
        "db status": installation.json("db", "status"),
        "db check": installation.json("db", "check"),
        "webhooks explain": installation.json("webhooks", "explain", delivered),
        "webhooks replay": installation.json("webhooks", "replay", delivered),
        "webhooks show": installation.json("webhooks", "show", delivered),
        "token create": installation.json("token", "create", "laptop", "--scope", "read"),
        "token audit": installation.json("token", "audit")[0],
        "token revoke": installation.json("token", "revoke", "laptop"),
        "steps": shown.pop("steps")[0],
    }
    assert list(shown) == [*printed["history"], "waits_for", "untold"]
    page = (REFERENCE / "cli.md").read_text()
    for command, value in printed.items():
        (row,) = re.findall(rf"^\| `{command}` \| .*", page, re.MULTILINE)
        assert re.findall(r"`(\w+)`", row.split("|", 2)[2]) == list(value), command


def test_the_exit_codes_are_those_of_the_page() -> None:
    rows = re.findall(r"^\| (\d+) \|", (REFERENCE / "exit-codes.md").read_text(), re.MULTILINE)
    assert list(map(int, rows)) == [int(code) for code in ExitCode]


@pytest.mark.parametrize("page", ["cli.md", "exit-codes.md"])
def test_no_line_of_a_page_is_overlong(page: str) -> None:
    text = BLOCK.sub("", (REFERENCE / page).read_text())
    assert max(len(line) for line in text.splitlines() if not line.startswith("|")) <= 130
