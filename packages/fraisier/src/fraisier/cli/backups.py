"""`fraisier backups`: what becomes of backups that were made."""

from __future__ import annotations

from fraisier.cli.parameters import ConfigFile, Detach, Environment, Fraise, Json, Scheduled, command_app

app = command_app(groups="Test that backups can be restored.")


@app.callback()
def backups() -> None:
    """Test that backups can be restored."""


@app.command("test")
def restore_as_test(
    fraise: Fraise,
    environment: Environment,
    *,
    scheduled: Scheduled = False,
    detach: Detach = False,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Restore a backup as a test, and follow that to its end."""
    from fraisier.cli.requested_jobs import RequestedJob, execute_job

    job = RequestedJob("restore_test", fraise, environment, scheduled=scheduled)
    execute_job(job, config, detach=detach, as_json=as_json)
