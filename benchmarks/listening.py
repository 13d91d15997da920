"""A process with many subscribers: `python -m benchmarks.listening HOST PORT SUBSCRIBERS`.

It says `ready` once all are subscribed. When its input ends, it prints for each position when the first and
the last of them heard of it, and how often all of them did; times are of the monotonic clock, in seconds.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time

HANDSHAKE = """\
GET /ws HTTP/1.1
Host: 127.0.0.1
Connection: Upgrade
Upgrade: websocket
Sec-WebSocket-Version: 13
Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==
Sec-WebSocket-Protocol: graphql-transport-ws

"""
QUERY = "subscription { deploymentStatusChanged { id status completedAt position } }"
SUBSCRIBE = {"id": "1", "type": "subscribe", "payload": {"query": QUERY}}
POSITION = re.compile(rb'"position" ?: ?(\d+)')
AT_ONCE = 50

heard: dict[int, list[float]] = {}


class Listener(asyncio.Protocol):
    """One subscriber; it takes note of positions and looks at nothing else."""

    def __init__(self) -> None:
        self.is_ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a socket."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(HANDSHAKE.replace("\n", "\r\n").encode())

    def data_received(self, data: bytes) -> None:
        """Subscribe once there is a socket, and take note of what is told."""
        now = time.monotonic()
        if not self._data:
            for message in ({"type": "connection_init"}, SUBSCRIBE, {"type": "ping"}):
                self._transport.write(_frame(json.dumps(message).encode()))
        if not self.is_ready.done():
            self._data += data
            if b'"pong"' in self._data:
                self.is_ready.set_result(None)
        for position in POSITION.findall(data):
            heard.setdefault(int(position), []).append(now)


def _frame(payload: bytes) -> bytes:
    """Return a masked frame; the mask is zeros."""
    size = len(payload)
    head = bytes([0x81, 0x80 | size]) if size < 126 else bytes([0x81, 0x80 | 126]) + size.to_bytes(2, "big")
    return head + bytes(4) + payload


async def main() -> None:
    """Subscribe, listen until the input ends, and print what was heard."""
    host, port, subscribers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    loop = asyncio.get_running_loop()
    for start in range(0, subscribers, AT_ONCE):
        count = min(AT_ONCE, subscribers - start)
        opened = [await loop.create_connection(Listener, host, port) for _ in range(count)]
        await asyncio.gather(*(listener.is_ready for _, listener in opened))
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    print(
        json.dumps({position: [min(times), max(times), len(times)] for position, times in heard.items()}),
        flush=True,
    )


if __name__ == "__main__":
    asyncio.run(main())
