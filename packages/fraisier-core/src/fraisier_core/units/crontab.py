"""What does the same without systemd: lines of a crontab."""

from __future__ import annotations

import shlex
from pathlib import Path

from fraisier_core.units.job import Job

_ZONE = "# cronie knows CRON_TZ; with another cron, the times below are those of the host"


def crontab_line(job: Job, program: str, config: Path) -> str | None:
    """Return the line of the owner's crontab that requests the same runs, None if a job has no schedule.

    A time zone takes lines of its own, which not every cron knows. A calendar expression is systemd's own:
    the line then says which times have to be translated.
    """
    if job.schedule is None:
        return None
    argv = [program, "-c", str(config), "run", job.fraise, job.environment, "--scheduled", "--detach"]
    command = shlex.join(argv).replace("%", r"\%")
    if job.schedule.cron is None:
        return f"# at {' and '.join(job.schedule.on_calendar)}: {command}"
    zone = f"{_ZONE}\nCRON_TZ={job.schedule.time_zone}\n" if job.schedule.time_zone else ""
    return f"{zone}{job.schedule.cron} {command}"
