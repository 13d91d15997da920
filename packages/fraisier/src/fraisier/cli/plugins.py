"""`fraisier plugins`: what is installed, and why one of it was set aside."""

from __future__ import annotations

from fraisier.cli.parameters import Json, command_app
from fraisier.cli.tables import print_table, status_cell
from fraisier.terminal import print_json

app = command_app()


@app.command()
def plugins(as_json: Json = False) -> None:
    """Show the installed plugins, and why one cannot be used."""
    from dataclasses import asdict

    from fraisier_core.plugins import Plugins

    reports = Plugins.installed().report()
    if as_json:
        print_json([asdict(report) for report in reports])
        return
    titles = ("NAME", "GROUP", "PACKAGE", "VERSION", "STATUS", "REASON")
    rows = [
        (each.name, each.group, each.distribution, each.version, status_cell(each.status), each.reason)
        for each in reports
    ]
    print_table(titles, rows, ("VERSION", "PACKAGE", "GROUP"))
