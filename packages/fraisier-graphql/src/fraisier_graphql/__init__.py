"""The GraphQL API: the plugin `graphql` of the group `fraisier.mounts`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from fraisier_core import hookimpl

if TYPE_CHECKING:
    from fraisier_core import App, MountContext


@hookimpl
def open_mount(context: MountContext) -> AbstractAsyncContextManager[Mapping[str, App]]:
    """Return the context in which the API is served."""
    from fraisier_graphql.serving import serving

    return serving(context)


@hookimpl
def ask(context: MountContext, document: str, variables: Mapping[str, Any], actor: str, explain: bool) -> str:
    """Return the answer to a document, or the SQL that would answer it."""
    from fraisier_graphql.offline import answer, explanation

    if explain:
        return explanation(context, document, variables)
    return answer(context, document, variables, actor)
