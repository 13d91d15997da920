"""The launcher in an interpreter of its own: `python -m fraisier_core.worker CONTROL`, a file descriptor."""

from __future__ import annotations

import logging
import socket
import sys

import fraisier_core.engine.network_probes  # noqa: F401 - what is forked has it then
from fraisier_core.plugins import Plugins
from fraisier_core.system.processes import forbid_dumps
from fraisier_core.worker.jobs import jobs
from fraisier_core.worker.launcher import serve, warmth

if __name__ == "__main__":
    forbid_dumps()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    control = socket.socket(fileno=int(sys.argv[1]))
    if told := warmth(control):
        serve(control, jobs(told, Plugins.installed()))
