"""Runs a command that may say nothing for long, and says now and then that it still runs: `python -m
fraisier_deployers.backup.heartbeat SECONDS COMMAND ...`. The command must give up by itself if nothing moves.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Run the command, and return an exit status."""
    seconds, *command = arguments
    with subprocess.Popen(command) as process:
        while True:
            try:
                status = process.wait(float(seconds))
            except subprocess.TimeoutExpired:
                print(f"{command[0]} is still running", flush=True)  # noqa: T201 - to who waits for it
            else:
                return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
