"""Pages of the documentation: their blocks, and a shell in which a page's blocks run one after the other.

What a block is follows from the words after its fence:

- `bash`: commands that must succeed. `console`: commands after `$`, and what they print.
- `LANGUAGE FILE`: a file, written when the page gets there.
- `yaml`: a part of `fraises.yaml`, which the real loader must accept.
- `python`: a program. `sql`: a query of the store of the page's `fraises.yaml`.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fraisier_core.system.processes import kill_marked

from tests.waiting import wait_until

PATIENCE_SECONDS = 20.0
BLOCK_SECONDS = 120.0

_BLOCK = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```[ ]*$", re.MULTILINE | re.DOTALL)
_PORTS = re.compile(r"\b80\d\d\b")
_VARYING = (
    (re.compile(r"\b\d{8}-\d{6}-[0-9a-f]{12}-[0-9a-f]{4}\b"), "RELEASE"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{7,64}\b"), "COMMIT"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT[\d:.]+Z\b"), "TIME"),
    (re.compile(r"\bjust now\b|\b\d+ s ago\b"), "WHEN"),
    (re.compile(r"\b\d+(\.\d+)? m?s\b"), "DURATION"),
    (re.compile(r"\b1\.0\.0\b"), "VERSION"),
    (re.compile(r"[ \t]+"), " "),
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    Args:
        language: the first word after the fence.
        file: the second, None if there is none.
        text: what it holds.
        line: where it begins.
    """

    language: str
    file: str | None
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page, in order."""
    text = page.read_text()
    return [
        Block(
            (words := match["info"].split() or [""])[0],
            words[1] if len(words) > 1 else None,
            match["text"],
            text.count("\n", 0, match.start()) + 1,
        )
        for match in _BLOCK.finditer(text)
    ]


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a `console` block, and what the page says that it prints."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


class PageShell:
    """One bash for all blocks of a page.

    Args:
        folder: where it starts, and its home.
        environment: its variables.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._scripts = folder.parent / "blocks"
        self._scripts.mkdir()
        self._ports: dict[str, str] = {}
        reader, writer = os.pipe()
        self._statuses = os.fdopen(reader)
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[writer],
            text=True,
            start_new_session=True,
        )
        os.close(writer)
        self._writer = writer
        self._count = 0

    def close(self) -> None:
        """End bash."""
        self._bash.kill()
        self._bash.communicate()
        self._statuses.close()

    def execute(self, block: Block) -> None:
        """Do what a block asks for; what is neither a file nor for the shell is checked elsewhere."""
        if block.file:
            self.write(block.file, block.text)
        elif block.language == "bash":
            self.run(block.text)
        elif block.language == "sql":
            self.run(f"python3 - <<'END'\n{_query(block.text)}\nEND")
        elif block.language == "console":
            for command, output in commands(block.text):
                self.expect(command, output)

    def run(self, script: str) -> str:
        """Run commands that must succeed, and return what they print."""
        return self._run(f"set -e\n{self._with_ports(script)}\nset +e\n")

    def write(self, file: str, text: str) -> None:
        """Write a file below the shell's current directory."""
        source = self._scripts / f"file-{self._count}"
        source.write_text(self._with_ports(text))
        self.run(f'mkdir -p "$(dirname {file})"\ncp {source} {file}')

    def expect(self, command: str, output: str) -> None:
        """Run a command until it prints what the page says."""
        expected = _comparable(self._with_ports(output))
        found: list[str] = []

        def as_expected() -> bool:
            found[:] = _comparable(self._shown(self._run(self._with_ports(command))))
            return _matches(found, expected)

        wait_until(as_expected, lambda: f"$ {command}\nprints\n{found}\nnot\n{expected}")

    def _run(self, script: str) -> str:
        assert self._bash.stdin is not None
        self._count += 1
        source, output = self._scripts / f"{self._count}.sh", self._scripts / f"{self._count}.out"
        source.write_text(script)
        closed = f"{self._writer}>&-"
        self._bash.stdin.write(f". {source} > {output} 2>&1 < /dev/null {closed}; echo >&{self._writer}\n")
        self._bash.stdin.flush()
        assert self._statuses.readline(), f"failed:\n{script}\n{output.read_text()}"
        return output.read_text()

    def _with_ports(self, text: str) -> str:
        return _PORTS.sub(self._free_in_place_of, text)

    def _free_in_place_of(self, port: re.Match[str]) -> str:
        return self._ports.setdefault(port[0], str(_free_port()))

    def _shown(self, output: str) -> str:
        return output.replace(str(self._folder), "/home/alice")


@contextmanager
def page_shell(
    folder: Path, environment: Mapping[str, str], *, known_to_git: bool = True
) -> Iterator[PageShell]:
    """Open a shell in a folder; on the way out, everything that was started from it is ended.

    Args:
        folder: where it starts, and the home of whoever reads the page.
        environment: its variables.
        known_to_git: whether Git knows who that is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    alice = {"HOME": str(folder), "USER": "alice", "LOGNAME": "alice", "COLUMNS": "200", "LC_ALL": "C.UTF-8"}
    shell = PageShell(folder, {**environment, **alice, **(_IDENTITY if known_to_git else {})})
    try:
        yield shell
    finally:
        shell.close()
        kill_marked("HOME", str(folder))


_IDENTITY = {
    f"GIT_{role}_{fact}": value
    for role in ("AUTHOR", "COMMITTER")
    for fact, value in (("NAME", "Alice"), ("EMAIL", "alice@example.com"))
}


def _query(sql: str) -> str:
    """Return a program that runs a query and fails if it finds nothing."""
    return (
        "import sqlite3\n"
        "store = sqlite3.connect('file:.fraisier/fraisier.db?mode=ro', uri=True)\n"
        f"assert store.execute({sql!r}).fetchall(), 'the query finds nothing'"
    )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _comparable(text: str) -> list[str]:
    for pattern, name in _VARYING:
        text = pattern.sub(name, text)
    return [line.strip() for line in text.strip().splitlines()]


def _matches(found: list[str], expected: list[str]) -> bool:
    """Whether lines are as expected; `...` stands for any rest of a line, and alone for any lines."""
    if not expected:
        return not found
    if expected[0] == "...":
        return any(_matches(found[index:], expected[1:]) for index in range(len(found) + 1))
    if not found:
        return False
    pattern = ".*".join(map(re.escape, expected[0].split("...")))
    return re.fullmatch(pattern, found[0]) is not None and _matches(found[1:], expected[1:])
