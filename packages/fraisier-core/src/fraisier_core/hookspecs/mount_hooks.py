"""The hook specs of a mount."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from fraisier_core.markers import hookspec
from fraisier_core.settings import MountSettings

if TYPE_CHECKING:
    from fraisier_core.mount import App, MountContext


class MountHooks:
    """The hooks of a mount: serve paths of the web app."""

    @hookspec(firstresult=True)
    def open_mount(self, context: MountContext) -> AbstractAsyncContextManager[Mapping[str, App]]:
        """Return a context that yields ASGI apps by their path. Required.

        Called when the web app starts, if the configuration has a section of the mount's name. The context is
        entered before the first request and left after the last one. Requests reach an app only from clients
        that are admitted: `scope[GRANT]` is their `Grant`. It admits WebSockets itself, by `scope[ADMIT]`.

        Args:
            context: the section, the addresses listened on, and the means: the record, and what may be
                requested.

        Raises `ConfigurationError` if it cannot be served as the section says, here or when it is entered.

        Example::

            @hookimpl
            def open_mount(context):
                return serving(context)

            @asynccontextmanager
            async def serving(context):
                yield {"/feed": Feed(context.open_reader)}
        """

    @hookspec(firstresult=True)
    def ask(
        self, context: MountContext, document: str, variables: Mapping[str, Any], actor: str, explain: bool
    ) -> str:
        """Return the JSON of the answer to a document. Optional.

        Called for the command of the mount's name, without a web app. Who can run it on the host may do
        everything.

        Args:
            context: as in `open_mount`.
            document: what is asked.
            variables: the values of its variables.
            actor: who asks, for the record.
            explain: return how it would be answered instead, for people, and do nothing.

        Raises `FraisierError` if it cannot be answered at all.

        Example::

            @hookimpl
            def ask(context, document):
                return json.dumps(look_up(context.open_reader(), document))
        """

    @hookspec(firstresult=True)
    def settings(self) -> type[MountSettings]:
        """Return the model of this mount's section, which has the mount's name. Optional.

        Called when the web app reads the configuration. Without it the section is empty.

        Example::

            @hookimpl
            def settings():
                return MyMountSettings
        """
