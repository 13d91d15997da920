"""The `fraisier-webhook` command: the web app, and unless `--no-worker` is given, one worker beside it."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from fraisier_core.errors import BusyError, ConfigurationError, UnreachableStoreError

from fraisier.cli.parameters import ConfigFile, command_app
from fraisier.cli.session import ActingSession
from fraisier.exit_codes import explain_errors

if TYPE_CHECKING:
    import asyncio

    from fraisier_core.store.protocol import Store
    from starlette.applications import Starlette

SHUTDOWN_SECONDS = 3
BACKLOG = 2048
MAX_FILES = 8192
MAX_MESSAGE_BYTES = 128 * 1024
"""Of what a client may send over a WebSocket at once."""

app = command_app()


@app.command()
def serve(
    config: ConfigFile = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Its port; 0 takes a free one.", min=0, max=65535)] = 8080,
    worker: Annotated[bool, typer.Option("--worker/--no-worker", help="Run a worker beside it.")] = True,
) -> None:
    """Receive webhooks and request the deployments that they trigger."""
    import logging

    from fraisier_core.system.processes import forbid_dumps

    from fraisier.app import create_app
    from fraisier.late_store import opened_or_late
    from fraisier.mounts import open_mounts
    from fraisier.receiver import Receiver
    from fraisier.supervisor import supervision

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    session = ActingSession(config, parts={"git", "mounts"}, needs=[["git"]])
    with _open_listener(host, port) as listener:  # before the store is touched: the port may be taken
        session.become_owner()
        forbid_dumps()  # a change of user undoes it
        store = opened_or_late(partial(_open_store, session))
        receiver = Receiver(session.source, session.plugins, store)
        with suppress(UnreachableStoreError):  # the first delivery tries again
            receiver.configure()
        mounts = open_mounts(session, store, [listener.getsockname()[0]])
        beside = [supervision(session.source)] if worker else []
        web = create_app(receiver, store, [*beside, *mounts])
        logging.getLogger(__name__).info("listening on %s", _url_of(listener))
        _run(web, listener, sockets=bool(mounts))


def _open_store(session: ActingSession) -> Store:
    store = session.open_store()
    store.maintain()
    return store


def _open_listener(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one. Raises `BusyError` or `ConfigurationError`."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address, family=family, backlog=BACKLOG)
    except OSError as error:
        text = (error.strerror or str(error)).partition(" (while attempting")[0]
        reason = f"cannot listen on {host}, port {port}: {text}"
        if error.errno == errno.EADDRINUSE:
            raise BusyError(f"{reason}; stop what listens there, or choose another --port") from None
        raise ConfigurationError([reason]) from None


def _url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if listener.family == socket.AF_INET6 else f"http://{host}:{port}"


def _run(web: Starlette, listener: socket.socket, *, sockets: bool) -> None:
    """Serve until SIGTERM or SIGINT, WebSockets too if they are wanted."""
    import gc
    import logging

    import uvicorn
    from fraisier_core.system.processes import return_large_blocks

    from fraisier.bounded_connection import BoundedConnection

    return_large_blocks()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)  # what a batch makes outlives it; traversing it is a tenth of the work
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # below that, strangers could fill the log
    settings = uvicorn.Config(
        web,
        http=BoundedConnection,
        loop="uvloop",
        ws=_sockets() if sockets else "none",
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,  # it would take 60 KB a socket
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,  # each provider says which proxies it trusts
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    uvicorn.Server(settings).run(sockets=[listener])


def _sockets() -> type[asyncio.Protocol]:
    """Return how WebSockets are served, and let there be many of them."""
    import resource

    from fraisier.bounded_socket import BoundedSocket

    usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(usual, min(MAX_FILES, most)), most))
    return BoundedSocket


@explain_errors
def main() -> None:
    """Run the command; its exit codes are those of `fraisier`."""
    from fraisier.running import run

    run(app, "fraisier-webhook")
