"""What is served, put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import TYPE_CHECKING

from fraisier_graphql.api_schema import ApiSchema
from fraisier_graphql.compiling import Compiler
from fraisier_graphql.dialects import dialect_of
from fraisier_graphql.endpoint import Endpoint
from fraisier_graphql.executing import Executor
from fraisier_graphql.follower import Follower
from fraisier_graphql.mutating import Mutations
from fraisier_graphql.proxies import admission
from fraisier_graphql.reading import Readers
from fraisier_graphql.sockets import SocketEndpoint

if TYPE_CHECKING:
    from fraisier_core import App, MountContext


def serving(context: MountContext) -> AbstractAsyncContextManager[Mapping[str, App]]:
    """Return the context in which the API is served. Raises `ConfigurationError` if the schema has a mutation
    that is not implemented.
    """
    development = context.settings.development
    executor, readers = put_together(context, introspection=development)
    endpoint = Endpoint(executor, executor.compiler.limits, page=development)
    apps: Mapping[str, App] = {"/graphql": endpoint, "/graphql/admission": admission}
    follower = Follower(context.open_reader)
    return _served(apps, SocketEndpoint(executor, follower, context.gate), follower, readers)


def put_together(context: MountContext, *, introspection: bool) -> tuple[Executor, Readers]:
    """Return what answers documents, and what it reads with, which is to be closed. Raises as `serving`."""
    schema = ApiSchema.read()
    dialect = dialect_of(context.store)
    readers = Readers(context.open_reader)
    mutations = Mutations(context.actions, context.gate, readers).of(schema)
    return Executor(Compiler(schema, dialect), readers, mutations, introspection=introspection), readers


@asynccontextmanager
async def _served(
    apps: Mapping[str, App], sockets: SocketEndpoint, follower: Follower, readers: Readers
) -> AsyncIterator[Mapping[str, App]]:
    watching = asyncio.create_task(sockets.watch())
    try:
        yield {**apps, "/ws": sockets}
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        await asyncio.to_thread(follower.close)
        await asyncio.to_thread(readers.close)
