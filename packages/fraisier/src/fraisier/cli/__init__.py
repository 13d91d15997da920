"""The `fraisier` command."""

from __future__ import annotations

from fraisier.exit_codes import explain_errors


@explain_errors
def main() -> None:
    """Run the command; exits with one of `ExitCode`."""
    from fraisier.cli.tree import app
    from fraisier.running import run

    run(app, "fraisier")
