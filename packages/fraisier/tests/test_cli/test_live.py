from __future__ import annotations

import os
import pty
import re
import subprocess

from tests.command import FRAISIER, SECONDS

from .installation import HEALTHY, Installation

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9]m")


def on_a_terminal(installation: Installation, *arguments: str, **environ: str) -> str:
    """Return what the command writes to a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [FRAISIER, *arguments],
        cwd=installation.folder,
        env=installation.environ | {"TERM": "xterm-256color", "COLUMNS": "100"} | environ,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        written = _read(ours)
        process.wait(SECONDS)
    os.close(ours)
    return written


def _read(terminal: int) -> str:
    written = b""
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # Linux fails like this once nothing holds the other end
            return written.decode()
        written += data


def test_on_a_terminal_the_steps_are_a_picture_kept_up_to_date(installation: Installation) -> None:
    installation.forge.push_files(HEALTHY)
    written = on_a_terminal(installation, "deploy", "my_api", "production")
    assert "✓ build" in written
    assert "✓ verify" in written
    assert "\x1b[?25h" in written  # the cursor is back
    assert "my_api production: " in written
    assert COLOUR.search(written)


def test_on_a_terminal_a_failed_step_shows_the_end_of_its_output(installation: Installation) -> None:
    installation.forge.push_files(HEALTHY | {"build.sh": "seq 100; printf '\\033]0;title\\007'; exit 3\n"})
    written = ESCAPE.sub("", on_a_terminal(installation, "deploy", "my_api", "production"))
    assert "✗ build" in written
    assert "    93\r\n" in written
    assert "    100\r\n" in written
    assert "    92\r\n" not in written
    assert "title" not in written


def test_no_color_is_respected(installation: Installation) -> None:
    installation.forge.push_files(HEALTHY)
    for command in (["deploy", "my_api", "production"], ["history"], ["status"]):
        assert not COLOUR.search(on_a_terminal(installation, *command, NO_COLOR="1"))
    assert COLOUR.search(on_a_terminal(installation, "history"))


def test_nothing_is_coloured_in_a_pipe(installation: Installation) -> None:
    installation.deploy()
    assert "\x1b" not in installation.run("history").stdout


def test_a_dumb_terminal_gets_lines(installation: Installation) -> None:
    installation.forge.push_files(HEALTHY)
    written = on_a_terminal(installation, "deploy", "my_api", "production", TERM="dumb")
    assert "build: done" in written
    assert "\x1b" not in written


def test_long_messages_are_cut_to_the_terminal(installation: Installation) -> None:
    installation.forge.push_files(HEALTHY | {"build.sh": "exit 1\n"})
    installation.run("deploy", "my_api", "production")
    rows = on_a_terminal(installation, "history", NO_COLOR="1", COLUMNS="120").splitlines()
    assert rows[1].endswith("…")
    assert len(rows[1]) == 120


def test_tables_fit_the_terminal_and_are_whole_in_a_pipe(installation: Installation) -> None:
    installation.deploy()
    installation.forge.push_files(HEALTHY | {"check.sh": f"echo {'why ' * 20}; exit 1\n"})
    installation.run("deploy", "my_api", "production")
    for command in (["history"], ["status"], ["list"], ["plugins"], ["status", "my_api", "prod"]):
        for columns in (60, 80, 100, 200):
            written = on_a_terminal(installation, *command, NO_COLOR="1", COLUMNS=str(columns))
            rows = [row for row in written.splitlines() if "`" not in row]  # commands are left to be copied
            assert max(map(len, rows)) <= columns
            if command[0] in {"history", "status"} and columns == 60:
                assert "why why why" in " ".join(written.split())
        assert "…" not in installation.run(*command).stdout


def test_live_the_reason_of_a_rollback_is_shown_below_the_step_that_failed(
    installation: Installation,
) -> None:
    installation.deploy()
    installation.forge.push_files(HEALTHY | {"check.sh": "echo no answer; exit 1\n"})
    written = ESCAPE.sub("", on_a_terminal(installation, "deploy", "my_api", "production"))
    picture = written[written.rindex("✓ fetch") :].splitlines()
    starts = [line.split(":")[0].split("  ")[0] for line in picture if not line.startswith(" ")]
    assert starts[:7] == [
        "✓ fetch", "✓ build", "✓ activate", "✗ verify", "rolling back", "✓ build", "✓ activate",
    ]  # fmt: skip
