"""A record for tests, of everything that a store holds: deliveries, deployments and their output."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable

from fraisier_core.access.issuing import issue
from fraisier_core.access.scope import Scope
from fraisier_core.errors import StoreError
from fraisier_core.push import DeliveryId
from fraisier_core.store.events import Event, Observed, Untold
from fraisier_core.store.protocol import Store
from fraisier_core.store.received import DeliveredRef, Delivery
from fraisier_core.store.records import BranchHead, ConfiguredEnvironment, Lease, Request
from fraisier_core.store.tokens import AuditEvent
from fraisier_core.store.vocabulary import Ending
from fraisier_core.system.processes import ProcessIdentity

PLACES = [("cellar", "live"), ("cellar", "trial"), ("pantry", "live")]
NOON = "2026-01-31T12:00:00.{:06}Z"
KINDS = ("sqlite", "postgresql")
Open = Callable[[str], Store]
ENDINGS: tuple[Ending, ...] = ("success", "failed", "rolled_back", "cancelled", "interrupted", "skipped")


class Player:
    """Plays a history into a store.

    Args:
        store: is written to.
        seed: other seeds give other histories.
    """

    def __init__(self, store: Store, seed: int = 1) -> None:
        self.store = store
        self.random = random.Random(seed)
        self.me = ProcessIdentity.of(os.getpid())
        self.leases: list[Lease] = []
        self.number = seed * 1_000_000
        store.configure(
            ConfiguredEnvironment(fraise, "api", "Änne's", None, environment, None, "main")
            for fraise, environment in PLACES
        )

    def play(self, turns: int) -> None:
        """Play so many turns."""
        for _ in range(turns):
            self.random.choice([self.deliver, self.claim, self.go_on, self.go_on, self.request])()
        self.store.observe("told", Observed(turns, 0, "no\nanswer"))
        told = self.store.events(limit=1)[0]
        self.store.record_untold(told, Untold("told", told.event, NOON.format(4), "ü: no\nanswer"))
        head = BranchHead("cellar", "live", "refs/heads/ü", "a" * 40, NOON.format(1))
        self.store.record_heads("cellar", "live", [head])
        self.store.record_no_heads("pantry", "live", "not there")
        self.make_tokens()
        self.hold()

    def hold(self) -> None:
        """Hold what is resumed at once, and what was over before."""
        self.store.hold("cellar", None, "Änne's", "Änne")
        self.store.resume("cellar", None, "ada")
        self.store.hold("pantry", "live", "ü", "ada", NOON.format(3))

    def make_tokens(self) -> None:
        """Make two tokens, of which one is revoked, and refuse somebody something."""
        number = len(self.store.tokens())  # a store may be played into twice
        for name in (f"Änne's {number}", f"ci {number}"):
            _, token = issue(name, Scope("deploy", "cellar"), "Änne", NOON.format(1))
            self.store.create_token(token)
        self.store.revoke_token(token, "Änne")
        self.store.audit(AuditEvent(NOON.format(2), None, "not_admitted", None, "ü", 3))

    def deliver(self) -> str:
        """Deliver a push, and return what it is called."""
        self.number += 1
        fraise, environment = self.random.choice(PLACES)
        request = Request(
            fraise, environment, "deploy", "webhook", "Änne", "refs/heads/main", f"{self.number:040x}"
        )
        delivery = Delivery(
            "forge",
            "push",
            DeliveryId(f"d{self.number}", signed=False),
            True,
            self.random.randbytes(self.random.randrange(3000)),
            NOON.format(self.number % 1_000_000),
            ("matched: ü", 'not "matched"'),
            self.random.choice([(request,), (request._replace(pathspecs=(("src", "*.py"), ("ä",))),), ()]),
            "acme/api",
            "refs/heads/main",
            f"{self.number:040x}",
            None,
            "Änne",
            more_refs=self.random.choice([(), (DeliveredRef("refs/tags/1", "c" * 40, None, ("no rule",)),)]),
        )
        (receipt,) = asyncio.run(_accept(self.store, delivery))
        if isinstance(receipt, StoreError):
            raise receipt
        if not delivery.requests:
            asyncio.run(_refuse(self.store, NOON.format(self.number % 1_000_000)))
        return f"d{self.number}"

    def request(self) -> None:
        """Request a rollback."""
        fraise, environment = self.random.choice(PLACES)
        self.store.request_all([Request(fraise, environment, "rollback", "manual", "ada", release="r1")])

    def claim(self) -> None:
        """Claim the next deployment, if one waits."""
        claimed = self.store.claim(self.me)
        self.leases += [claimed.lease] if claimed else []

    def go_on(self) -> None:
        """Have a deployment go on, or end."""
        if not self.leases:
            return
        lease = self.random.choice(self.leases)
        self.number += 1
        step = self.number
        self.store.append(lease, Event("step_started", step="build", step_number=step, repeatable=True))
        self.store.write_log(lease, step, f"output \x1b of {step}\n", 0, 1000)
        ended = Event("step_finished", step="build", step_number=step, step_status="success", duration=0.1)
        self.store.append(lease, ended, Event("serving", release=f"r{step}", commit_sha="a" * 40))
        if self.random.random() < 0.5:
            self.end(lease)

    def end(self, lease: Lease) -> None:
        """End a deployment."""
        ending = self.random.choice(ENDINGS)
        self.store.append(lease, Event(ending, message="it\nended", duration=round(self.random.random(), 6)))
        self.leases.remove(lease)

    def end_all(self) -> None:
        """End what is running."""
        for lease in [*self.leases]:
            self.end(lease)


async def _accept(store: Store, delivery: Delivery) -> list[object]:
    try:
        return [*await store.accept([delivery])]
    finally:
        _leave(store)


async def _refuse(store: Store, at: str) -> None:
    try:
        await store.refuse("forge", at, "::1", "no signature")
    finally:
        _leave(store)


def _leave(store: Store) -> None:
    """Close what belongs to this event loop, which ends."""
    for name in {"_batches", "_refusals"} & vars(store).keys():
        vars(store).pop(name).close()
