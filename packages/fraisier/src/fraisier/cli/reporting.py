"""Saying what is requested, and how it ended."""

from __future__ import annotations

import sys

from fraisier_core.store.protocol import DeploymentReader
from fraisier_core.store.records import Deployment
from fraisier_core.store.vocabulary import KINDS

from fraisier.cli.follow import Display, PlainDisplay
from fraisier.cli.sizes import stored_in_words
from fraisier.cli.tables import COLOURS, noun, short_commit, short_id
from fraisier.cli.times import lasted
from fraisier.terminal import print_json, say, tell, wants_live

NO_WORKER = "no worker is running: it waits until you start `fraisier worker` or `fraisier-webhook`"


def warn_without_worker(reader: DeploymentReader) -> None:
    """Say so if no worker is there to execute what was requested."""
    if reader.live_workers() == 0:
        tell(NO_WORKER, "yellow")


def print_queued(reader: DeploymentReader, deployment_id: str, *, as_json: bool) -> None:
    """Print a deployment that is left to a worker; say so if none is there."""
    warn_without_worker(reader)
    print_requested(reader, deployment_id, as_json=as_json)


def print_requested(reader: DeploymentReader, deployment_id: str, *, as_json: bool) -> None:
    """Print a deployment that was requested."""
    if as_json:
        print_json(reader.deployment(deployment_id)._asdict())
    else:
        say(deployment_id)


def display(*, as_json: bool) -> Display:
    """Return what shows a deployment: a live picture if standard output is a terminal, else lines."""
    if not as_json and wants_live(sys.stdout):
        from fraisier.cli.live import LiveDisplay

        return LiveDisplay()
    return PlainDisplay(tell if as_json else say)


def report(history: DeploymentReader, deployment: Deployment, *, as_json: bool) -> None:
    """Say how a deployment ended; what failed, and everything beside JSON, to standard error."""
    what = f"{deployment.fraise_id} {deployment.environment}"
    done = tell if as_json else say
    if deployment.status == "success":
        done(f"{what}: {_success(deployment)}", COLOURS["success"])
    elif deployment.status == "skipped":
        done(f"{what}: nothing to do: {deployment.error_message}")
    else:
        tell(f"{what}: {_failure(deployment)}", COLOURS.get(deployment.status))
        tell(f"{_untouched(history, deployment)}see `fraisier show {short_id(deployment.id)}`")
    for each in requested_for(history, deployment):
        done(f"{noun(each.kind)} {each.id} is requested")
    if as_json:
        print_json(deployment._asdict())


def requested_for(history: DeploymentReader, deployment: Deployment) -> list[Deployment]:
    """Return what a deployment requested at its end: the run after it, or the rollback after a run."""
    if deployment.status not in {"success", "failed"}:
        return []
    newest = history.deployments(deployment.fraise_id, deployment.environment)
    return [each for each in newest if each.requested_for == deployment.id]


def _success(deployment: Deployment) -> str:
    kind, release = KINDS[deployment.kind], f"release {deployment.release}"
    took = f"{kind.done} in {lasted(deployment.duration)}"
    if kind.activates:
        return f"{short_commit(deployment.commit_sha)} serves ({release}), {took}"
    what = f"{noun(kind.name)} {short_id(deployment.id)}"
    if kind.source == "nothing":
        stored = stored_in_words(deployment)
        return f"{took} ({what}){f': {stored}' if stored else ''}"
    return f"{took} ({what}, {release})"


def _failure(deployment: Deployment) -> str:
    status = deployment.status.replace("_", " ")
    if deployment.superseded_by is not None:
        status += f" by deployment {short_id(deployment.superseded_by)}"
    return f"{status}: {deployment.error_message}" if deployment.error_message else status


def _untouched(history: DeploymentReader, deployment: Deployment) -> str:
    if KINDS[deployment.kind].source == "nothing":
        return ""
    return f"{_serving(history, deployment)}; "


def _serving(history: DeploymentReader, deployment: Deployment) -> str:
    for status in history.status(deployment.fraise_id, deployment.environment):
        if status.serving_unknown:
            return "the serving release is unknown"
        if status.serving_commit_sha is not None:
            return f"{short_commit(status.serving_commit_sha)} serves"
    return "nothing serves"
