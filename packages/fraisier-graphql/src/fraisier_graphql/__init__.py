"""The GraphQL API: the plugin `graphql` of the group `fraisier.mounts`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from fraisier_core import hookimpl

if TYPE_CHECKING:
    from fraisier_core import App, MountContext


@hookimpl
def open_mount(context: MountContext) -> AbstractAsyncContextManager[Mapping[str, App]]:
    """Return the context in which the API is served."""
    from fraisier_graphql.serving import serving

    return serving(context)
