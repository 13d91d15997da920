"""A warm interpreter that forks `fraisier` and `fraisier-webhook`: starting one costs more than most tests.

Reads a request a line from its input, answers with a line. It adopts every orphan, so that whoever asks for
its descendants sees all that a test left running.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import fraisier.app
import fraisier.cli
import fraisier.cli.worker
import fraisier.receiver
import fraisier.supervisor
import fraisier.webhook
import fraisier_core.config.configuration
import fraisier_core.worker.daemon
import fraisier_deployers.api
import fraisier_github
import uvicorn
from fraisier_core.system.processes import become_subreaper, kill_descendants

PRELOADED = (fraisier.app, fraisier.cli.worker, fraisier.receiver, fraisier.supervisor, fraisier_core.config,
             fraisier_core.worker.daemon, fraisier_deployers.api, fraisier_github, uvicorn)  # fmt: skip
COMMANDS: dict[str, Callable[[], Any]] = {
    "fraisier": fraisier.cli.main,
    "fraisier-webhook": fraisier.webhook.main,
}


def main() -> None:
    become_subreaper()
    statuses: dict[int, int] = {}
    for line in sys.stdin:
        request = json.loads(line)
        _reap(statuses)
        if "wait" in request:
            answer = _status(request["wait"], statuses)
        elif (answer := os.fork()) == 0:
            _become(request)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()
    kill_descendants(grace_seconds=0)


def _reap(statuses: dict[int, int]) -> None:
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            statuses[ended[0]] = os.waitstatus_to_exitcode(ended[1])


def _status(pid: int, statuses: dict[int, int]) -> int:
    if pid not in statuses:
        statuses[pid] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return statuses.pop(pid)


def _become(request: dict[str, Any]) -> None:
    os.setsid()
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.clear()
    os.environ.update(request["environ"])
    os.chdir(request["cwd"])
    sys.argv = request["argv"]
    code: object = 0
    try:
        COMMANDS[sys.argv[0]]()
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - a traceback and status 1, as Python itself does
        sys.excepthook(*sys.exc_info())
        code = 1
    with suppress(ValueError, OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code if isinstance(code, int) else bool(code))


if __name__ == "__main__":
    main()
