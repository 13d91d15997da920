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
        logger.warning("deployment %s lost its process: recovering", lease.deployment_id)
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
        message = f"its process ended {lease.attempt} times before it could begin. Nothing was done"
        store.append(lease, Event("interrupted", message=message))
        return True
    if store.deployment(lease.deployment_id).activation_started:
        return False
    last = steps[-1]
    when = "during" if last.status == "running" else "after"
    message = f"its process ended {when} step {last.name}. Nothing was activated"
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
        engine.give_up(f"its process ended, and recovering from that failed: {engine.message(error)}")


def _inspect(engine: Engine, store: Store, lease: Lease) -> None:
    deployment = engine.deployment()
    steps = store.steps(lease.deployment_id)
    status: Ending = "cancelled" if deployment.cancel_requested else "rolled_back"
    if deployment.rollback_started:
        engine.roll_back(deployment.error_message or "its process ended while it was going back", status)
    elif not _since_switch(steps):
        engine.undo_activation()
        message = "its process ended while it was activating. app_path leads to the release before it again"
        store.append(lease, Event("interrupted", message=message))
    else:
        _finish_or_roll_back(engine, steps)


def _finish_or_roll_back(engine: Engine, steps: Sequence[Step]) -> None:
    """Finish if `deploy` had returned, which is when the engine begins to verify; otherwise roll back."""
    unfinished = [step.name for step in steps if step.status != "success" and step.name != "verify"]
    release = engine.release()
    if release is None or unfinished or not any(step.name == "verify" for step in steps):
        engine.roll_back(f"its process ended during step {', '.join(unfinished) or steps[-1].name}")
        return
    try:
        engine.finish(release)
    except (StoreError, InterruptedRunError):
        raise
    except FraisierError as error:
        status: Ending = "cancelled" if isinstance(error, CancelledError) else "rolled_back"
        engine.roll_back(f"its process ended before the health check, and then: {error}", status)


def _since_switch(steps: Sequence[Step]) -> Sequence[Step]:
    switches = [index for index, step in enumerate(steps) if step.name in SWITCHES]
    return steps[switches[-1] + 1 :] if switches else steps
