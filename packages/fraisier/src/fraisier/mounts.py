"""The apps of the mounts that the configuration has a section for, each served under paths of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager

from fraisier_core.access.development import require_loopback
from fraisier_core.access.gate import Gate
from fraisier_core.engine.manual import ManualActions
from fraisier_core.errors import PluginError
from fraisier_core.mount import App, MountContext
from fraisier_core.store.protocol import Store
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Match
from starlette.types import Lifespan, Receive, Scope, Send

from fraisier.admission import Admission
from fraisier.cli.session import ActingSession


class MountRoute(BaseRoute):
    """One path of a mount, for requests and for WebSockets."""

    def __init__(self, path: str, app: App) -> None:
        self.path = path
        self._app = app

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether a request is for this path, with or without a slash at its end."""
        is_here = scope["type"] in {"http", "websocket"} and scope["path"].removesuffix("/") == self.path
        return (Match.FULL if is_here else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the app of the mount answer."""
        await self._app(scope, receive, send)


def open_mounts(session: ActingSession, store: Store, addresses: Sequence[str]) -> list[Lifespan[Starlette]]:
    """Return what runs beside the web app and serves the mounts' paths there.

    Args:
        session: whose configuration has the mounts' sections.
        store: the store of the web app.
        addresses: those that the web app listens on.

    Raises `PluginError` if a section's mount cannot be used, and `ConfigurationError` if it refuses to start.
    """
    mounts = session.config.mounts
    if mounts.missing:
        raise PluginError("\n".join(mounts.missing.values()))

    actions = ManualActions(session.source, session.plugins, store)
    kind = session.plugins.store(session.place.database).name
    opened = []
    for name, settings in mounts.settings.items():
        if settings.development:
            require_loopback(addresses, f"{name}.development")
        gate = Gate(session.existing_reader, store, development=settings.development)
        context = MountContext(settings, kind, session.existing_reader, actions, gate)
        opened.append(_served(session.plugins.mount(name).open(context), context))
    return opened


def _served(
    mount: AbstractAsyncContextManager[Mapping[str, App]], context: MountContext
) -> Lifespan[Starlette]:
    """Return the lifespan of a mount, in which its apps are served behind the gate."""

    @asynccontextmanager
    async def lifespan(web: Starlette) -> AsyncIterator[None]:
        async with aclosing(context.gate), mount as apps:
            web.router.routes.extend(
                MountRoute(path, Admission(app, context.gate, context.settings.origins))
                for path, app in apps.items()
            )
            yield

    return lifespan
