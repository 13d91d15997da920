"""The GraphQL API: the plugin `graphql` of the group `fraisier.mounts`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

from fraisier_core import MountSettings, hookimpl

if TYPE_CHECKING:
    from fraisier_core import App, MountContext


class GraphQLSettings(MountSettings):
    """The section `graphql:`; in development, introspection is answered too."""


@hookimpl
def settings() -> type[GraphQLSettings]:
    """Return the model of the section."""
    return GraphQLSettings


@hookimpl
def open_mount(context: MountContext) -> AbstractAsyncContextManager[Mapping[str, App]]:
    """Return the context in which the API is served."""
    return _serving(context)


@asynccontextmanager
async def _serving(_context: MountContext) -> AsyncIterator[Mapping[str, App]]:
    yield {}
