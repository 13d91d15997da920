"""Telling the store what is configured, and requesting deployments, for users and for pushes."""

from __future__ import annotations

from collections.abc import Sequence

from fraisier_core.config import Config, Environment, Fraise
from fraisier_core.config.last_good import keep
from fraisier_core.errors import FraisierError, InvalidRequestError
from fraisier_core.job_settings import JobSettings
from fraisier_core.push import Push
from fraisier_core.requests.freezing import Timetable, freeze
from fraisier_core.requests.routing import Routing, Target, route
from fraisier_core.store.protocol import Store
from fraisier_core.store.received import DeliveryDetails
from fraisier_core.store.records import Claimed, ConfiguredEnvironment, Request
from fraisier_core.store.vocabulary import KINDS, Executor, Trigger
from fraisier_core.system.host import has_systemd
from fraisier_core.system.processes import ProcessIdentity


def configure_store(store: Store, config: Config, *, executes: bool) -> Timetable:
    """Write every configured fraise and environment, without secrets, and mark the others as gone; what the
    configuration said is kept for when its file cannot be used. Who executes runs, and which windows of
    `freeze:` hold, is up to the host that `executes` what is requested. Return what is frozen.
    """
    store.configure(
        [
            _with_job(_configured(fraise, environment), environment, executes)
            for fraise in config.fraises.values()
            for environment in fraise.environments.values()
        ]
    )
    keep(config)
    return freeze(store, config, decides=executes)


def executor_for(job: JobSettings) -> Executor:
    """Return who executes the runs of a job on this host."""
    return "unit" if job.needs_unit and has_systemd() else "worker"


def _configured(fraise: Fraise, environment: Environment) -> ConfiguredEnvironment:
    return ConfiguredEnvironment(
        fraise_id=fraise.name,
        type=fraise.type,
        description=fraise.description,
        repository=environment.repository.identity,
        environment=environment.name,
        name=environment.title,
        branch=environment.branch,
        app_path=str(environment.app_path) if environment.app_path else None,
        problem=fraise.problem,
        kinds=None if environment.kinds is None else tuple(sorted(environment.kinds)),
    )


def _with_job(
    found: ConfiguredEnvironment, environment: Environment, executes: bool
) -> ConfiguredEnvironment:
    """Add what holds for the runs of an environment as far as it is known; the rest stays as it is stored."""
    try:
        job = environment.job
    except FraisierError:
        return found._replace(has_job=True)
    if job is None or environment.has_job is None:
        return found._replace(has_job=job is not None)
    executor = executor_for(job) if executes else None
    waits = not job.deploy_during_run
    return found._replace(has_job=True, overlap=job.overlap, deploys_wait=waits, executor=executor)


def request_deployment(
    store: Store, request: Request, holder: ProcessIdentity | None = None
) -> tuple[str, Claimed | None]:
    """Request a deployment; return its id, and what was claimed: for `holder`, if its environment
    is free; otherwise the workers are woken. Raises `InvalidRequestError`, or `StoreError` if the environment
    is not configured.
    """
    if holder is None:
        return request_deployments(store, [request])[0], None
    _check(request)
    deployment_id, claimed = store.request_and_claim(request, holder)
    if claimed is None:
        store.wake()
    return deployment_id, claimed


def request_deployments(store: Store, requests: Sequence[Request]) -> list[str]:
    """Request deployments of the workers, all of them or none; return their ids. Raises what
    `request_deployment` does.
    """
    for each in requests:
        _check(each)
    ids = store.request_all(requests)
    store.wake()
    return ids


def replay_of(delivery: DeliveryDetails, config: Config, requested_by: str | None) -> tuple[Request, ...]:
    """Return what a recorded delivery requests under the current configuration, as if it came in now. Neither
    its body nor its headers are needed: the record has what routing reads. Raises `InvalidRequestError` if
    the section that received it is gone, whose `hosts:` might have kept it from what it requests.
    """
    found = delivery.delivery
    requests = tuple(
        request._replace(trigger="replay", requested_by=requested_by, webhook_event_id=found.id)
        for push in delivery.pushes
        for request in requests_of(push, route(push, config, found.provider))
    )
    if requests and found.provider not in config.git.types:
        gone = f"there is no section git.{found.provider} any more"
        lost = "so whether its `hosts:` allow the repository is not known"
        raise InvalidRequestError(f"{gone}, {lost}; put it back, or use `fraisier deploy`")
    return requests


def requests_of(push: Push, routing: Routing) -> tuple[Request, ...]:
    """Return the requests of a push, with everything that routing decided; a delivery brings them."""
    return tuple(
        request_of(target, push.ref, push.after, "webhook", push.pusher, before_sha=push.before)
        for target in routing.targets
    )


def request_of(
    target: Target,
    ref: str,
    commit_sha: str | None,
    trigger: Trigger,
    requested_by: str | None,
    *,
    before_sha: str | None = None,
) -> Request:
    """Return the request for the commit of a ref in an environment, with everything that routing decided."""
    return Request(
        target.fraise,
        target.environment,
        "deploy",
        trigger,
        requested_by,
        ref=ref,
        commit_sha=commit_sha,
        before_sha=before_sha,
        pathspecs=target.pathspecs,
        reason=target.reason,
    )


def _check(request: Request) -> None:
    kind = KINDS.get(request.kind)
    if kind is None:
        known = ", ".join(sorted(KINDS))
        raise InvalidRequestError(f'unknown kind of deployment "{request.kind}" (known: {known})')
    if request.trigger == "replay" and request.webhook_event_id is None:
        raise InvalidRequestError("a replay must name its webhook_event_id")
    if missing := [name for name in kind.arguments if getattr(request, name) is None]:
        raise InvalidRequestError(f"a {kind.name} must name its {' and '.join(missing)}")
