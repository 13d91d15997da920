"""Runs a command that may say nothing for long, and says now and then that it still runs: `python -m
fraisier_deployers.backup.heartbeat SECONDS COMMAND ...`. The command must give up by itself if nothing moves.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from functools import partial

from fraisier_core import die_with_parent


def main(arguments: Sequence[str]) -> int:
    """Run the command, and return an exit status."""
    seconds, *command = arguments
    ending = partial(die_with_parent, os.getpid())
    with subprocess.Popen(command, preexec_fn=ending) as process:  # noqa: PLW1509 - there are no threads
        while True:
            try:
                status = process.wait(float(seconds))
            except subprocess.TimeoutExpired:
                print(f"{command[0]} is still running", flush=True)  # noqa: T201 - to who waits for it
            else:
                return status if status >= 0 else 128 - status


if __name__ == "__main__":
    die_with_parent(os.getppid())
    sys.exit(main(sys.argv[1:]))
