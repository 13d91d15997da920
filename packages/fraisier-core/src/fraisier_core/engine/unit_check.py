"""Before a release is activated: whether the units that will run its job are installed as configured."""

from __future__ import annotations

from pathlib import Path

from fraisier_core.engine.execution import Execution
from fraisier_core.errors import StepFailedError
from fraisier_core.system.host import has_systemd
from fraisier_core.units.crontab import crontab
from fraisier_core.units.installed_units import differences, installed_names
from fraisier_core.units.job import Job
from fraisier_core.units.place import program
from fraisier_core.units.starting import INSTALL

STEP = "units"


def check_units(execution: Execution) -> None:
    """Compare the installed units with the settings. Raises `StepFailedError` with the command to run.

    It is a step only if there is something to compare. Without systemd, its output says what does the same.
    """
    context = execution.context
    names = context.fraise, context.environment
    job = Job.by(*names, context.settings)
    if job or (has_systemd() and installed_names(*names)):
        with execution.recorder.step(STEP):
            if has_systemd():
                _require_equal(names, job, context.config, context.state_dir)
            elif job is not None:
                execution.recorder.note(_without_systemd(job, context.config))


def _require_equal(names: tuple[str, str], job: Job | None, config: Path, state_dir: Path) -> None:
    if found := differences(names, job, config, state_dir):
        raise StepFailedError(f"{'; '.join(found)}: run `{INSTALL}`, then deploy again")


def _without_systemd(job: Job, config: Path) -> str:
    lines = "\n".join(crontab([job], program(), config))
    problem = "this host is not run by systemd"
    if not job.timers:
        return f"{problem}:\n{lines}"
    return f"{problem}, so no run starts by itself unless the crontab of Fraisier's user ends so:\n{lines}"
