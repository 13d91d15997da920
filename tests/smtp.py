"""A small SMTP server for tests: a real socket, on which everything is accepted and kept."""

from __future__ import annotations

import email
import email.policy
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage

from fraisier_core.testing.serving_threads import serving_in_thread


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """A server that accepts every mail (RFC 5321).

    Args:
        port: where it listens.
        mails: what it was sent.
    """

    port: int
    mails: list[EmailMessage]


@contextmanager
def smtp_server() -> Iterator[SmtpServer]:
    """Serve on a free port of the loopback address while the block lasts."""
    mails: list[EmailMessage] = []
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _session(mails))
    server.daemon_threads = True
    with serving_in_thread(server):
        yield SmtpServer(server.server_address[1], mails)


def _session(mails: list[EmailMessage]) -> type[socketserver.StreamRequestHandler]:
    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 ready")
            for line in self.rfile:
                verb = line[:4].upper()
                if verb == b"DATA":
                    self._say("354 go on")
                    lines = [each for each in iter(self.rfile.readline, b".\r\n") if each]
                    mail = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
                    mails.append(mail)
                self._say("221 bye" if verb == b"QUIT" else "250 done")
                if verb == b"QUIT":
                    return

        def _say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

    return Session
