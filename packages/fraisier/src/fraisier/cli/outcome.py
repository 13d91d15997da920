"""How a deployment ended, in one or two lines: the serving release, or why it failed and what to do next."""

from __future__ import annotations

from fraisier_core.store.protocol import Reader
from fraisier_core.store.records import Deployment
from fraisier_core.store.vocabulary import KINDS

from fraisier.cli.tables import COLOURS, short_commit, short_id
from fraisier.cli.times import lasted
from fraisier.terminal import say, tell


def report(history: Reader, deployment: Deployment, *, as_json: bool) -> None:
    """Say how a deployment ended; what failed, and everything beside JSON, to standard error."""
    what = f"{deployment.fraise_id} {deployment.environment}"
    done = tell if as_json else say
    if deployment.status == "success":
        done(f"{what}: {_success(deployment)}", COLOURS["success"])
        return
    if deployment.status == "skipped":
        done(f"{what}: nothing to do: {deployment.error_message}")
        return
    tell(f"{what}: {_failure(deployment)}", COLOURS.get(deployment.status))
    tell(f"{_serving(history, deployment)}; see `fraisier show {short_id(deployment.id)}`")


def _success(deployment: Deployment) -> str:
    serving = f"{short_commit(deployment.commit_sha)} serves (release {deployment.release})"
    return f"{serving}, {KINDS[deployment.kind].done} in {lasted(deployment.duration)}"


def _failure(deployment: Deployment) -> str:
    status = deployment.status.replace("_", " ")
    if deployment.superseded_by is not None:
        status += f" by deployment {short_id(deployment.superseded_by)}"
    return f"{status}: {deployment.error_message}" if deployment.error_message else status


def _serving(history: Reader, deployment: Deployment) -> str:
    for status in history.status(deployment.fraise_id, deployment.environment):
        if status.serving_unknown:
            return "the serving release is unknown"
        if status.serving_commit_sha is not None:
            return f"{short_commit(status.serving_commit_sha)} serves"
    return "nothing serves"
