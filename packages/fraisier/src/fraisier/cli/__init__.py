"""The `fraisier` command."""

from __future__ import annotations

import gc

from fraisier.exit_codes import explain_errors


@explain_errors
def main() -> None:
    """Run the command; exits with one of `ExitCode`."""
    gc.disable()  # imports leave no garbage, and looking for it takes a tenth of the start
    from fraisier.cli.tree import app
    from fraisier.running import run

    try:
        run(app, "fraisier")
    finally:
        gc.freeze()  # or the interpreter traverses everything a few times more before it ends
