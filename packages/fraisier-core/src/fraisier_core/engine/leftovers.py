"""What a deployment process leaves that is gone: its lease, and whatever it had started."""

from __future__ import annotations

import logging

from fraisier_core.errors import UnknownOutcomeError
from fraisier_core.store.protocol import Store
from fraisier_core.store.records import HeldLease, Lease
from fraisier_core.system.host import Host
from fraisier_core.system.processes import ProcessIdentity, kill_group, kill_marked

logger = logging.getLogger(__name__)

DEPLOYMENT_VARIABLE = "FRAISIER_DEPLOYMENT"


def take_over(store: Store, host: Host, held: HeldLease, process: ProcessIdentity) -> Lease | None:
    """Take over an expired lease for a process, then end what its holder left; None if another did so."""
    try:
        lease = store.take_over(held, process)
    except UnknownOutcomeError:
        _end_named(host, held)  # a lease that replaced it does not name them
        raise
    if lease is not None:
        logger.warning("the process of deployment %s is gone: recovering it", lease.deployment_id)
        end_leftovers(host, held)
    return lease


def end_leftovers(host: Host, held: HeldLease) -> None:
    """Kill what an expired lease names: its process, its command, and whatever broke away from that."""
    _end_named(host, held)
    if held.boot_id == host.boot_id:
        kill_marked(DEPLOYMENT_VARIABLE, held.lease.deployment_id)


def _end_named(host: Host, held: HeldLease) -> None:
    for process in (held.holder, held.command):
        if process is not None and held.boot_id == host.boot_id:
            kill_group(process)
