"""Shows and checks on this machine alone that a push becomes a deployment, and a bad one is rolled back.

Every process it starts is a descendant of this one, and is ended with it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from fraisier_core.system.processes import become_subreaper, kill_descendants
from stage import BIN, DemoFailedError, Screen, Stage, require


def play(stage: Stage, screen: Screen) -> None:
    """Push twice, push a broken version, and roll back by hand; check each."""
    screen.title("1. Push version 1")
    first = stage.push(1, 200)
    ended = stage.followed(first)
    require(ended["status"] == "success" and ended["trigger"] == "webhook", f"it should succeed: {ended}")
    stage.require_serving(1, first)
    screen.proved("the signed webhook was verified, the pushed commit deployed, its health checked")

    screen.title("2. Push version 2")
    second = stage.push(2, 200)
    ended = stage.followed(second)
    require(ended["status"] == "success", f"it should succeed: {ended}")
    stage.require_serving(2, second)
    screen.proved("the new release took over; version 1 is kept")

    screen.title("3. Push version 3, which is broken: /health answers 500")
    third = stage.push(3, 500)
    ended = stage.followed(third)
    screen.line(ended["error_message"])
    require(ended["status"] == "rolled_back", f"it should be rolled back: {ended}")
    require("500" in ended["error_message"], f"the message should say why: {ended}")
    stage.require_serving(2, second)
    screen.proved("the bad release failed its health check and was rolled back: version 2 serves again")

    screen.title("4. Roll back to version 1 by hand")
    stage.show("rollback", "hello", "production")
    stage.require_serving(1, first)
    screen.proved("any release that was healthy is one command away")

    screen.title("5. Everything is on record")
    stage.show("status")
    stage.show("history")
    recorded = [(each["kind"], each["status"]) for each in stage.json("history")]
    deploys = [("deploy", "rolled_back"), ("deploy", "success"), ("deploy", "success")]
    require(recorded == [("rollback", "success"), *deploys], f"the history should say so: {recorded}")


def keep(stage: Stage, screen: Screen) -> NoReturn:
    """Push a fixed version, then run until a signal."""
    screen.title("6. Push version 4, which is healthy again")
    fourth = stage.push(4, 200)
    stage.followed(fourth)
    stage.require_serving(4, fourth)

    screen.title("It runs until Ctrl-C here. In another terminal:")
    screen.command("cd", str(stage.clone))
    screen.line("edit VERSION in app.py, then")
    screen.command("git", "commit", "-am", "My own version")
    screen.command("git", "push")
    screen.command("curl", stage.url)
    screen.command(str(BIN / "fraisier"), "-c", str(stage.config), "history")
    while True:
        signal.pause()


@contextmanager
def throwaway_folder() -> Iterator[Path]:
    """Make a folder; on the way out, end every process below this one and remove the folder."""
    become_subreaper()
    folder = Path(tempfile.mkdtemp(prefix="fraisier-demo-")).resolve()
    try:
        yield folder
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        kill_descendants(grace_seconds=5.0)
        shutil.rmtree(folder)


class Interrupted(SystemExit):
    """A signal ended the demo."""


def interrupt(number: int, _frame: object) -> NoReturn:
    """Exit through every `finally`."""
    raise Interrupted(128 + number)


def perform(stage: Stage, screen: Screen, *, kept: bool) -> None:
    """Build the stage, run the demo, and keep running if asked to."""
    screen.title("Fraisier: a push becomes a deployment")
    screen.line(f"A bare Git repository, a clone, a small HTTP service and Fraisier, in {stage.folder}")
    stage.build()
    stage.start_webhook()
    screen.line(f"fraisier-webhook listens on {stage.webhook}, its worker waits")
    play(stage, screen)
    if kept:
        keep(stage, screen)


def main() -> None:
    """Run the demo; the exit status says whether every check passed."""
    parser = argparse.ArgumentParser(prog="script/demo", description="A push becomes a deployment.")
    parser.add_argument("--keep", action="store_true", help="keep running, so that you can push yourself")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    os.environ["no_proxy"] = "127.0.0.1"
    screen, started = Screen(), time.monotonic()
    try:
        with throwaway_folder() as folder:
            perform(Stage(folder, screen), screen, kept=arguments.keep)
    except DemoFailedError as error:
        sys.exit(f"\nThe demo failed: {error}")
    except Interrupted:
        screen.title("Stopped; everything is removed.")
        raise
    screen.title(
        f"All of it was true, in {time.monotonic() - started:.0f} s. Everything is stopped and removed."
    )


if __name__ == "__main__":
    main()
