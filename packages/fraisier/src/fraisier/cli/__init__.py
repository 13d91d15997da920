"""The `fraisier` command."""

from __future__ import annotations

import sys
from io import TextIOWrapper

from fraisier.exit_codes import explain_errors


@explain_errors
def main() -> None:
    """Run the command; exits with one of `ExitCode`."""
    from fraisier.cli.tree import app

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="fraisier")
