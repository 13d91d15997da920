"""A small HTTP service: `/` responds with its version, `/health` with its health."""

from __future__ import annotations

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = "1"
HEALTH = 200


class Handler(BaseHTTPRequestHandler):
    """Answers GET requests."""

    def do_GET(self) -> None:
        """Send the version, with the status of the health at `/health`."""
        body = f"hello, this is version {VERSION}\n".encode()
        self.send_response(HEALTH if self.path == "/health" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
