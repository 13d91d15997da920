"""The socket that the web app listens on."""

from __future__ import annotations

import errno
import socket

from fraisier_core.errors import BusyError, ConfigurationError

BACKLOG = 2048


def open_listener(host: str, port: int) -> socket.socket:
    """Return a listening socket on the first address of a host; port 0 takes a free one.

    Raises `BusyError` if something else listens there, `ConfigurationError` if one cannot listen there.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address, family=family, backlog=BACKLOG)
    except OSError as error:
        text = (error.strerror or str(error)).partition(" (while attempting")[0]
        reason = f"cannot listen on {host}, port {port}: {text}"
        if error.errno == errno.EADDRINUSE:
            raise BusyError(f"{reason}; stop what listens there, or choose another --port") from None
        raise ConfigurationError([reason]) from None


def url_of(listener: socket.socket) -> str:
    """Return the URL under which a listening socket is reached."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if listener.family == socket.AF_INET6 else f"http://{host}:{port}"
