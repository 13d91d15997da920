"""The gate that every client passes: from its token to what it may do, without holding up the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeVar

from fraisier_core.access.auditing import AuditedRefusals, Refusal
from fraisier_core.access.grants import DEVELOPMENT, Grant, grant_of, why_ended
from fraisier_core.access.issuing import is_of, is_secret, prefix_of
from fraisier_core.errors import ForbiddenError, StoreError, UnauthenticatedError, UnreachableStoreError
from fraisier_core.system.host import utc_now

if TYPE_CHECKING:
    from fraisier_core.store.protocol import Reader, Store

T = TypeVar("T")

PATIENCE_SECONDS = 3.0
MAX_WAITING = 2000
NEEDED = "a token is needed: send it as `Authorization: Bearer TOKEN`, `fraisier token create` makes one"
UNKNOWN = "no such token: `fraisier token list` shows what there is"


class Gate:
    """Admits clients. It asks the store each time, so that a revoked token is of no use from then on; one
    thread asks, so that a database that says nothing holds up nothing else.

    Args:
        open_reader: opens the read side of the store, for the gate alone.
        store: is where refusals are recorded.
        development: whether clients without a token may do everything.
    """

    def __init__(self, open_reader: Callable[[], Reader], store: Store, *, development: bool = False) -> None:
        self.development = development
        self._open_reader = open_reader
        self._refusals = AuditedRefusals(store)
        self._thread = ThreadPoolExecutor(1, "gate")
        self._waiting = 0

    async def admit(self, secret: str | None) -> Grant:
        """Return what the client with a token may do; one that is shown counts in development, too. Raises
        `UnauthenticatedError`, and `StoreError` if the store cannot be asked.
        """
        if secret is None and self.development:
            return DEVELOPMENT
        return await self._aside(partial(self._admit, secret))

    async def require(
        self, grant: Grant, action: str, fraise: str | None = None, environment: str | None = None
    ) -> None:
        """Raise `ForbiddenError`, and record that, unless a client may change an environment.

        Args:
            grant: of the client.
            action: what it wants to do there: deploy, run, rollback or cancel.
            fraise: None if it is not known which; then only who may change all of them may.
            environment: likewise.
        """
        if grant.scope.may_deploy(fraise, environment):
            return
        what = " ".join(filter(None, (action, fraise, environment)))
        refusal = Refusal("forbidden", grant.actor, what, f"its scope is {grant.scope}")
        with suppress(StoreError):
            await self._aside(partial(self._refusals.add, refusal))
        raise ForbiddenError(f"{grant.actor} may not {what}: its scope is {grant.scope}")

    async def ended(self, grants: Collection[Grant]) -> set[Grant]:
        """Return those whose tokens were revoked or have expired, in one query. Raises `StoreError`."""
        with_token = {grant for grant in grants if grant.token_id is not None}
        return await self._aside(partial(self._ended, with_token)) if with_token else set()

    async def aclose(self) -> None:
        """Record what was only counted so far, and end."""
        with suppress(StoreError):
            await self._aside(self._close)
        self._thread.shutdown(wait=False, cancel_futures=True)

    @cached_property
    def _reader(self) -> Reader:
        return self._open_reader()

    def _admit(self, secret: str | None) -> Grant:
        self._refusals.write_due()
        if not secret:
            raise self._unauthenticated("no token", NEEDED)
        token = self._reader.token(prefix_of(secret)) if is_secret(secret) else None
        if token is None or not is_of(secret, token):
            raise self._unauthenticated("an unknown token", UNKNOWN)
        if reason := why_ended(token, utc_now()):
            problem = f'the token "{token.name}" is {reason}'
            raise self._unauthenticated(reason, f"{problem}; ask for another", f"token {token.name}")
        return grant_of(token)

    def _unauthenticated(self, detail: str, message: str, actor: str | None = None) -> UnauthenticatedError:
        self._refusals.add(Refusal("not_admitted", actor, None, detail))
        return UnauthenticatedError(message)

    def _ended(self, grants: Collection[Grant]) -> set[Grant]:
        now = utc_now()
        valid = {token.id for token in self._reader.tokens() if not why_ended(token, now)}
        return {grant for grant in grants if grant.token_id not in valid}

    def _close(self) -> None:
        self._refusals.write_counts()
        if "_reader" in self.__dict__:
            self._reader.close()

    async def _aside(self, work: Callable[[], T]) -> T:
        if self._waiting >= MAX_WAITING:
            raise UnreachableStoreError("too many clients wait to be admitted")
        self._waiting += 1
        task = asyncio.get_running_loop().run_in_executor(self._thread, work)
        task.add_done_callback(self._done)
        await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
        if task.done():
            return task.result()
        task.cancel()
        raise UnreachableStoreError(f"the store did not answer within {PATIENCE_SECONDS:g} s")

    def _done(self, _task: object) -> None:
        self._waiting -= 1
