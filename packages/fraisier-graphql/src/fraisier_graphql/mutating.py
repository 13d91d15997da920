"""What each mutation of the schema does: it changes something, and says of which row."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from fraisier_core import Actions, ConfigurationError, Gate, Grant, UnknownNameError

from fraisier_graphql.api_schema import ApiSchema
from fraisier_graphql.reading import Readers

Arguments = Mapping[str, Any]
Mutation = Callable[[Grant, Arguments], Awaitable[str]]
"""Does what the arguments say, by the names of columns, and returns the id of the row."""


class Mutations:
    """The mutations by the function that the schema says they call.

    Args:
        actions: what may be requested.
        gate: says who may.
        readers: find out of what a deployment is.
    """

    def __init__(self, actions: Actions, gate: Gate, readers: Readers) -> None:
        self._actions = actions
        self._gate = gate
        self._readers = readers
        self._functions: Mapping[str, Mutation] = {
            "fn_deploy": self._deploy,
            "fn_run": self._run,
            "fn_backup": self._backup,
            "fn_restore_test": self._restore_test,
            "fn_rollback": self._rollback,
            "fn_cancel": self._cancel,
            "fn_hold": self._hold,
            "fn_resume": self._resume,
        }

    def of(self, schema: ApiSchema) -> Mapping[str, Mutation]:
        """Return what each mutation of a schema calls, by its name. Raises `ConfigurationError` if the schema
        has one that nothing is called for.
        """
        missing = [name for name, function in schema.mutations.items() if function not in self._functions]
        if missing:
            raise ConfigurationError(
                [f"graphql: the mutation {name} has no implementation" for name in missing]
            )
        return {name: self._functions[function] for name, function in schema.mutations.items()}

    async def _deploy(self, grant: Grant, given: Arguments) -> str:
        fraise, environment = given["fraise_id"], given["environment"]
        await self._gate.require(grant, "deploy", fraise, environment)
        deploy = partial(self._actions.deploy, override_hold=bool(given.get("override_hold")))
        what = given.get("commit"), given.get("branch")
        return await asyncio.to_thread(deploy, fraise, environment, grant.actor, *what)

    async def _run(self, grant: Grant, given: Arguments) -> str:
        fraise, environment = given["fraise_id"], given["environment"]
        await self._gate.require(grant, "run", fraise, environment)
        arguments = given.get("arguments") or ()
        return await asyncio.to_thread(self._actions.run, fraise, environment, grant.actor, arguments)

    async def _backup(self, grant: Grant, given: Arguments) -> str:
        fraise, environment = given["fraise_id"], given["environment"]
        await self._gate.require(grant, "backup", fraise, environment)
        return await asyncio.to_thread(self._actions.backup, fraise, environment, grant.actor)

    async def _restore_test(self, grant: Grant, given: Arguments) -> str:
        fraise, environment = given["fraise_id"], given["environment"]
        await self._gate.require(grant, "restore_test", fraise, environment)
        return await asyncio.to_thread(self._actions.restore_test, fraise, environment, grant.actor)

    async def _rollback(self, grant: Grant, given: Arguments) -> str:
        fraise, environment = given["fraise_id"], given["environment"]
        await self._gate.require(grant, "rollback", fraise, environment)
        to = given.get("to")
        return await asyncio.to_thread(self._actions.rollback, fraise, environment, grant.actor, to)

    async def _hold(self, grant: Grant, given: Arguments) -> str:
        fraise, environment = given["fraise_id"], given.get("environment")
        await self._gate.require(grant, "hold", fraise, environment)
        why = given["reason"], given.get("until")
        return await asyncio.to_thread(self._actions.hold, fraise, environment, grant.actor, *why)

    async def _resume(self, grant: Grant, given: Arguments) -> str:
        fraise, environment = given["fraise_id"], given.get("environment")
        await self._gate.require(grant, "resume", fraise, environment)
        return await asyncio.to_thread(self._actions.resume, fraise, environment, grant.actor)

    async def _cancel(self, grant: Grant, given: Arguments) -> str:
        place = await self._readers.place_of(given["id"])
        if place is None or not grant.scope.may_read(*place):
            await self._gate.require(grant, "cancel")
            raise UnknownNameError(f"there is no deployment {given['id']!r}")
        await self._gate.require(grant, "cancel", *place)
        deployment = await asyncio.to_thread(self._actions.cancel, given["id"], grant.actor)
        return deployment.id
