"""The process that asks one repository for its branches: whatever becomes of it, the worker goes on."""

from __future__ import annotations

import os
import threading
import time
from multiprocessing.connection import Connection

from fraisier_core.requests.reconciling import Question
from fraisier_core.system.processes import become_subreaper, kill_descendants
from fraisier_core.system.timing import INTERRUPTION, LAST_GRACE
from fraisier_core.worker.assignment import receive, send


def ask_repository(line: Connection) -> None:
    """Ask what the question that is sent says, and send the answer; end with the owner."""
    question: Question | None = receive(line)
    if question is not None:
        become_subreaper()
        cancelled = threading.Event()
        threading.Thread(target=_end_with_owner, args=[line, cancelled], daemon=True).start()
        send(line, question.ask(cancelled=cancelled))


def _end_with_owner(line: Connection, cancelled: threading.Event) -> None:
    receive(line)
    cancelled.set()
    time.sleep(INTERRUPTION)
    kill_descendants(grace_seconds=LAST_GRACE)
    os._exit(1)
