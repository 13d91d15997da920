"""The process that executes the deployment of a command: forked as soon as both need nothing else alike."""

from __future__ import annotations

import logging
import os
from multiprocessing.connection import Connection


def fork_early() -> Connection:
    """Fork it and return the line to it; `Foreground` tells it of the configuration.

    Both show the progress alone, not the log; `FRAISIER_DEBUG` shows both.
    """
    import fraisier_core.config.source  # noqa: F401 - what both need
    from fraisier_core.system.processes import forbid_dumps
    from fraisier_core.worker.jobs import execute_early
    from fraisier_core.worker.launcher import fork

    if os.environ.get("FRAISIER_DEBUG"):
        logging.basicConfig(level=logging.INFO)
    else:
        logging.getLogger().addHandler(logging.NullHandler())
    forbid_dumps()
    return fork("deployment process", execute_early)
