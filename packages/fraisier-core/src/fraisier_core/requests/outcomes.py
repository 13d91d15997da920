"""What became of a deployment that was requested, and what a user can do about it."""

from __future__ import annotations

from dataclasses import dataclass

from fraisier_core.config import Config
from fraisier_core.config.branch_mapping import written_path
from fraisier_core.requests.holding import hold_of, resume_commands
from fraisier_core.store.protocol import Reader
from fraisier_core.store.records import Deployment
from fraisier_core.store.vocabulary import SKIP_DEPLOY

SHOWN_COMMIT = 12
CONDITION = (
    "its commit is deployed only if the ref is there, and had left it or nothing else was requested since"
)
"""What holds for the deployments of a delivery with the signed body of an earlier one."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a deployment stands, in words; `settings` are those that decided it, `commands` what comes next."""

    deployment_id: str
    fraise_id: str
    environment: str
    status: str
    text: str
    settings: tuple[str, ...]
    commands: tuple[str, ...]


def outcome_of(deployment: Deployment, reader: Reader, config: Config | None) -> Outcome:
    """Return the outcome of a deployment, beside the configuration of today if that can be used."""
    worker, hold = _worker(deployment, reader), hold_of(deployment, reader)
    return Outcome(
        deployment.id,
        deployment.fraise_id,
        deployment.environment,
        deployment.status,
        f"{deployment.status}: {hold.text}" if hold else _text(deployment, reader, worker),
        _settings(deployment, config),
        (*(resume_commands(hold) if hold else ()), *worker, *commands_after(deployment)),
    )


def deploy_command(fraise: str, environment: str, commit: str) -> str:
    """Return the command that deploys a commit by hand."""
    return f"fraisier deploy {fraise} {environment} --commit {commit[:SHOWN_COMMIT]}"


def commands_after(deployment: Deployment) -> tuple[str, ...]:
    """Return the commands that follow a deployment, tell of it, or deploy its commit by hand."""
    if deployment.status in {"pending", "running"}:
        return (f"fraisier logs {deployment.id} --follow",)
    told = f"fraisier show {deployment.superseded_by or deployment.id}"
    if deployment.status == "success" or not deployment.commit_sha:
        return (told,)
    return told, deploy_command(deployment.fraise_id, deployment.environment, deployment.commit_sha)


def _text(deployment: Deployment, reader: Reader, worker: tuple[str, ...]) -> str:
    status = deployment.status.replace("_", " ")
    if deployment.superseded_by is not None:
        status += f" by {_newer(reader.deployment(deployment.superseded_by))}"
    if worker:
        status += ": no worker is running"
    return f"{status}: {deployment.error_message}" if deployment.error_message else status


def _worker(deployment: Deployment, reader: Reader) -> tuple[str, ...]:
    """Return the command that a deployment waits for, if it is that."""
    return ("fraisier worker",) if deployment.status == "pending" and not reader.live_workers() else ()


def _newer(deployment: Deployment) -> str:
    commit = (deployment.commit_sha or "")[:SHOWN_COMMIT]
    return f"deployment {deployment.id} of {commit or deployment.ref_name}, which is {deployment.status}"


def _settings(deployment: Deployment, config: Config | None) -> tuple[str, ...]:
    fraise, environment = deployment.fraise_id, deployment.environment
    known = config.fraises.get(fraise) if config else None
    if config is not None and (known is None or environment not in known.environments):
        return (f"fraises.{fraise}.environments.{environment}: not in {config.path.name} any more",)
    if deployment.status != "skipped":
        return ()
    if SKIP_DEPLOY in (deployment.error_message or ""):
        return (f"fraises.{fraise}.environments.{environment}.skip_deploy: false",)
    paths = ", ".join(written_path(path) for pathspecs in deployment.pathspecs for path in pathspecs)
    is_narrowed = paths and deployment.repeats is None
    return (
        (f"branch_mapping: the rule for {fraise} {environment} has paths: [{paths}]",) if is_narrowed else ()
    )
