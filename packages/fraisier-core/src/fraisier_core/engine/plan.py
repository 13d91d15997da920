"""What a deployment would do, found out without doing it: the mirror is fetched, and nothing else changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from fraisier_core.config import ResolvedEnvironment
from fraisier_core.engine.backup_first import STEP as BACKUP
from fraisier_core.engine.cancellation import CancellationToken
from fraisier_core.engine.commits import commit_of
from fraisier_core.engine.execution import DeploymentContext, open_context
from fraisier_core.engine.unit_check import STEP
from fraisier_core.errors import StepFailedError
from fraisier_core.plugins import Plugins
from fraisier_core.store.protocol import Reader
from fraisier_core.store.records import Deployment, Request
from fraisier_core.store.vocabulary import KINDS
from fraisier_core.units.job import Job

RECENT = 1000
"""Of how many deployments some may wait: what is held may have been requested long ago."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a deployment would do now.

    `ref` is the full ref whose newest commit is taken unless one is named, `waits_for` the running
    deployment, `supersedes` those that wait, of which one may be held. `steps` is None if the fraise type
    does not tell; `refused` says why it would be refused; `settings` is a SHA-256 of the environment's
    settings without their secrets.
    """

    fraise_id: str
    environment: str
    type: str
    ref: str | None
    commit_sha: str | None = None
    mode: Literal["releases", "in place"] | None = None
    app_path: str | None = None
    serving_release: str | None = None
    serving_commit_sha: str | None = None
    waits_for: str | None = None
    supersedes: tuple[str, ...] = ()
    steps: tuple[str, ...] | None = None
    refused: str | None = None
    settings: str | None = None

    @property
    def hash(self) -> str:
        """16 hexadecimal digits, others if anything of the plan is another."""
        return _digest(json.dumps(asdict(self)))[:16]


def plan(resolved: ResolvedEnvironment, plugins: Plugins, reader: Reader | None, request: Request) -> Plan:
    """Return what a requested deployment would do. Raises `PluginError` or `StoreError`."""
    names = resolved.fraise, resolved.environment
    facts = _recorded(reader, request) if reader else {}
    try:
        for found in _facts(open_context(resolved, plugins, CancellationToken()), request):
            facts |= found
    except StepFailedError as error:
        facts["refused"] = str(error)
    return Plan(*names, resolved.type, request.ref, **facts)


def _recorded(reader: Reader, request: Request) -> dict[str, Any]:
    where = request.fraise_id, request.environment
    serving, newest = reader.serving(*where), reader.deployments(*where, limit=RECENT)
    hold = None if request.overrides_hold else next(iter(reader.holds(*where)), None)
    return {
        "refused": hold.refusal if hold else None,
        "serving_release": serving.release if serving else None,
        "serving_commit_sha": serving.commit_sha if serving else None,
        "waits_for": reader.running(*where, KINDS[request.kind].lane),
        "supersedes": tuple(each.id for each in newest if _waits(each, request)),
    }


def _waits(deployment: Deployment, request: Request) -> bool:
    """Whether a request would supersede a deployment."""
    return (deployment.status, deployment.kind, deployment.repeats) == ("pending", request.kind, None)


def _facts(context: DeploymentContext, request: Request) -> Iterator[dict[str, Any]]:
    """Yield what is found, until something is found that would be refused."""
    settings, in_place = context.settings, context.workspace.in_place
    yield {
        "settings": _digest(settings.model_dump_json()),
        "app_path": str(settings.app_path) if settings.app_path else None,
        "mode": "in place" if in_place else "releases",
    }
    context.workspace.check_place()
    commit = commit_of(request, context.mirror)
    yield {"commit_sha": commit}
    own = context.deployer.steps(settings, context.mirror.files(commit))
    if own is not None:
        checkout, left_out = (["checkout"], {"activate"}) if in_place else ([], set())
        units = [STEP] if Job.by(context.fraise, context.environment, settings) else []
        units += [BACKUP] if context.backup_before else []
        yield {
            "steps": ("fetch", *units, *checkout, *(name for name in own if name not in left_out), "verify")
        }
    context.workspace.check_commit(commit)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
