"""Recover a deployment whose process is gone: inspect, then finish, roll back, or record `interrupted`."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from fraisier_core.engine.engine import Engine
from fraisier_core.engine.recorded_run import DEPLOYMENT_VARIABLE
from fraisier_core.errors import CancelledError, FraisierError, InterruptedRunError, StoreError
from fraisier_core.store.protocol import Store
from fraisier_core.store.records import Event, HeldLease, Lease, Step
from fraisier_core.store.vocabulary import Ending
from fraisier_core.system.host import Host
from fraisier_core.system.processes import ProcessIdentity, kill_group, kill_marked

logger = logging.getLogger(__name__)

SWITCHES = {"activate", "checkout"}
ATTEMPTS = 3


def take_over(store: Store, host: Host, held: HeldLease, process: ProcessIdentity) -> Lease | None:
    """Take over an expired lease for a process, then end what its holder left; None if another did so."""
    lease = store.take_over(held, process)
    if lease is not None:
        logger.warning("the process of deployment %s is gone: recovering it", lease.deployment_id)
        end_leftovers(host, held)
    return lease


def end_leftovers(host: Host, held: HeldLease) -> None:
    """Kill what an expired lease names: its process, its command, and whatever broke away from that."""
    if held.boot_id != host.boot_id:
        return
    for process in (held.holder, held.command):
        if process is not None:
            kill_group(process)
    kill_marked(DEPLOYMENT_VARIABLE, held.lease.deployment_id)


def recover_unactivated(store: Store, lease: Lease) -> bool:
    """End or requeue a deployment that had activated nothing, and return whether it was one.

    Only one that had not started a step may run again, a few times: nothing is ever blindly run twice.
    """
    steps = store.steps(lease.deployment_id)
    if not steps and lease.attempt < ATTEMPTS:
        store.requeue(lease)
        return True
    if not steps:
        ended = f"the deployment process ended {lease.attempt} times before its first step"
        store.append(lease, Event("interrupted", message=f"{ended}; nothing was done"))
        return True
    if store.deployment(lease.deployment_id).activation_started:
        return False
    last = steps[-1]
    when = "during" if last.status == "running" else "after"
    message = f"the deployment process ended {when} step {last.name}; nothing was activated"
    store.append(lease, Event("interrupted", message=message))
    return True


def recover(engine: Engine, store: Store, lease: Lease) -> None:
    """Finish a deployment that had activated something, or roll it back.

    Raises `StoreError` and `InterruptedRunError` as `Engine.execute` does.
    """
    try:
        _inspect(engine, store, lease)
    except (StoreError, InterruptedRunError):
        raise
    except Exception as error:  # noqa: BLE001 - the run boundary: a recovery that fails must not be tried for ever
        engine.give_up(f"the deployment process ended, and recovery failed: {engine.message(error)}")


def _inspect(engine: Engine, store: Store, lease: Lease) -> None:
    deployment = engine.deployment()
    steps = store.steps(lease.deployment_id)
    status: Ending = "cancelled" if deployment.cancel_requested else "rolled_back"
    if deployment.rollback_started:
        message = deployment.error_message or "the deployment process ended during the rollback"
        engine.roll_back(message, status)
    elif not _since_switch(steps):
        engine.undo_activation()
        message = "the deployment process ended during activation; app_path points to its old release again"
        store.append(lease, Event("interrupted", message=message))
    else:
        _finish_or_roll_back(engine, steps)


def _finish_or_roll_back(engine: Engine, steps: Sequence[Step]) -> None:
    """Finish if `deploy` had returned, which is when the engine begins to verify; otherwise roll back."""
    unfinished = [step.name for step in steps if step.status != "success" and step.name != "verify"]
    release = engine.release()
    if release is None or unfinished or not any(step.name == "verify" for step in steps):
        step = ", ".join(unfinished) or steps[-1].name
        engine.roll_back(f"the deployment process ended during step {step}")
        return
    try:
        engine.finish(release)
    except (StoreError, InterruptedRunError):
        raise
    except FraisierError as error:
        status: Ending = "cancelled" if isinstance(error, CancelledError) else "rolled_back"
        message = f"the deployment process ended before the health check, and recovery failed: {error}"
        engine.roll_back(message, status)


def _since_switch(steps: Sequence[Step]) -> Sequence[Step]:
    switches = [index for index, step in enumerate(steps) if step.name in SWITCHES]
    return steps[switches[-1] + 1 :] if switches else steps
