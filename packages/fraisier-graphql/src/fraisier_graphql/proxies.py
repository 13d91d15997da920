"""What a reverse proxy asks before it lets a client to another server of the API, which knows no tokens."""

from __future__ import annotations

from typing import Any

from fraisier_core import GRANT, Grant


async def admission(scope: Any, _receive: Any, send: Any) -> None:
    """Respond 204 to a client that may do everything everywhere, else 403: that server cannot tell what a
    token may read and where it may deploy. Who has no token got 401 before.
    """
    if scope["type"] != "http":
        return
    grant: Grant = scope[GRANT]
    status = 204 if grant.scope.may_deploy() else 403
    await send(
        {"type": "http.response.start", "status": status, "headers": [(b"cache-control", b"no-store")]}
    )
    await send({"type": "http.response.body"})
