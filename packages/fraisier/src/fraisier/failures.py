"""Deliveries that do not verify, counted by sender: over a bound, large ones are verified one by one."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from fraisier.responses import unavailable
from fraisier.senders import Address, client_of

BOUND = 20
FORGET_SECONDS = 3.0
MAX_CLIENTS = 10_000
MAX_WAITING = 4


@dataclass(slots=True)
class _Turns:
    """Who takes turns: the lock of the one whose turn it is, and how many there are with those waiting."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    length: int = 0


class Failures:
    """Failures of the newest `MAX_CLIENTS` clients, of which each forgets one every `FORGET_SECONDS`.

    A client is an IPv4 address or an IPv6 network of 64 bits; what is kept is when its last failure will be
    forgotten.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._forgotten_at: OrderedDict[Address | None, float] = OrderedDict()
        self._turns: dict[Address | None, _Turns] = {}

    def add(self, address: Address | None) -> int:
        """Count a failure; return in how many seconds the sender is below the bound, 0 if it was."""
        client, now = client_of(address), self._clock()
        seconds = math.ceil(self._over(client, now))
        before = max(self._forgotten_at.get(client, now), now)
        self._forgotten_at[client] = min(before, now + (BOUND - 1) * FORGET_SECONDS) + FORGET_SECONDS
        self._forgotten_at.move_to_end(client)
        if len(self._forgotten_at) > MAX_CLIENTS:
            self._forgotten_at.popitem(last=False)
        return max(seconds, 0)

    def is_over(self, address: Address | None) -> bool:
        """Whether a sender has reached the bound."""
        return bool(self._forgotten_at) and self._over(client_of(address), self._clock()) > 0

    @asynccontextmanager
    async def turn(self, address: Address | None) -> AsyncIterator[None]:
        """Wait for the turn of a sender that has reached the bound, and hold it; others need not wait. Raises
        `HTTPException` (503) if too many wait already.
        """
        if not self.is_over(address):
            yield
            return
        client = client_of(address)
        turns = self._turns.setdefault(client, _Turns())
        if turns.length > MAX_WAITING:
            raise unavailable("server busy: too many deliveries wait that come from where many do not verify")
        turns.length += 1
        try:
            async with turns.lock:
                yield
        finally:
            turns.length -= 1
            if not turns.length:
                del self._turns[client]

    def _over(self, client: Address | None, now: float) -> float:
        """Return in how many seconds a client is below the bound; at most 0 if it is."""
        return self._forgotten_at.get(client, now) - now - (BOUND - 1) * FORGET_SECONDS
