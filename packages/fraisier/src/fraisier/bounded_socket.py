"""WebSockets that no client can hold open."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class BoundedSocket(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, which is closed though its client reads nothing; uvicorn would wait for that."""

    abort_seconds = 30.0

    _deadline: asyncio.TimerHandle | None = None

    async def send(self, message: Any) -> None:
        """Send a message; the last one without waiting for the client to read those before it."""
        if message["type"] == "websocket.close":
            self.writable.set()
        await super().send(message)

    async def run_asgi(self) -> None:
        """Serve the socket, and have nothing of it left soon after."""
        await super().run_asgi()
        if not self.disconnected:
            self._deadline = self.loop.call_later(self.abort_seconds, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        if self._deadline is not None:
            self._deadline.cancel()
