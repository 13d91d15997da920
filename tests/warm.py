"""A process that has imported the libraries of the command `fraisier`, and forks a child for each call.

The child takes on the arguments, folder, environment, umask and outputs of the call, and is the command: most
of the time of a short one is its imports. Tests start the installed program where the start itself matters,
as `Installation.started`, the pages and the packages do.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import sys
import time
from contextlib import suppress
from importlib import import_module

LIBRARIES = (
    "importlib.metadata",
    "pluggy",
    "psycopg",
    "pydantic.main",
    "typer._adapters",
    "typer.main",
    "yaml",
)
OURS = (
    "fraisier.cli.tree",
    "fraisier.cli.session",
    "fraisier_core.config",
    "fraisier_core.store.sqlite.sqlite_reader",
)


def serve(control: socket.socket) -> None:
    """Fork for each call, until the caller is gone; return in the child that is to be the command."""
    while True:
        _, descriptors, _, _ = socket.recv_fds(control, 1, 5)
        if not descriptors:
            os._exit(0)
        if os.fork() == 0:
            control.close()
            return _fork(*descriptors)
        for each in descriptors:
            os.close(each)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _fork(call: int, stdin: int, stdout: int, stderr: int, told: int) -> None:
    """Tell the id of a child and how it ended; return in the child."""
    if child := os.fork():
        for each in (call, stdin, stdout, stderr):
            os.close(each)
        os.write(told, f"{child}\n".encode())
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.write(told, f"{status}\n".encode())
        os._exit(0)
    os.close(told)
    for number, each in enumerate((stdin, stdout, stderr)):
        os.dup2(each, number)
        os.close(each)
    with os.fdopen(call) as file:
        said = json.load(file)
    os.environ.clear()
    os.environ.update(said["environ"])
    time.tzset()
    os.umask(said["umask"])
    os.chdir(said["folder"])
    sys.argv = said["argv"]
    further = os.environ.get("PYTHONPATH", "")
    sys.path[:1] = [os.path.dirname(sys.argv[0]), *filter(None, further.split(os.pathsep))]  # noqa: PTH120


if __name__ == "__main__":
    for name in (*LIBRARIES, *OURS):
        with suppress(ModuleNotFoundError):
            import_module(name)
    gc.freeze()  # or each child copies what it looks through
    serve(socket.socket(fileno=int(sys.argv[1])))

    from fraisier.cli import main

    main()
