"""A WebSocket client that does as little as it can, so that the server is the bottleneck.

``python -m benchmarks.loads.websocket PORT CONNECTIONS MESSAGES SIZE BATCH`` opens the
connections and sends the messages, each connection its share and BATCH at once; when all
their echoes have come it sends the next.  It compares the end of what came with what was sent, and exits
with 1 when anything is not as it should be.

It reads into one buffer: an ``asyncio.Protocol`` has 256 KiB allocated for each read, which
can cost so much that the server waits for the client, and is measured at waiting.
"""

from __future__ import annotations

import asyncio
import os
import struct
import sys
from functools import partial

_HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


_buffer = memoryview(bytearray(65536))


def _frame(payload: bytes, mask: bytes = b"") -> bytes:
    """Return a whole message, masked if there is a mask (RFC 6455 section 5.2)."""
    bit = 0x80 if mask else 0
    size = len(payload)
    if size < 126:
        head = bytes((0x82, bit | size))
    elif size < 1 << 16:
        head = struct.pack("!BBH", 0x82, bit | 126, size)
    else:
        head = struct.pack("!BBQ", 0x82, bit | 127, size)
    if not mask:
        return head + payload
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


class _Connection(asyncio.BufferedProtocol):
    def __init__(self, batches: int, messages: bytes, echoes: bytes) -> None:
        self.batches = batches
        self.messages = messages
        self.echoes = echoes
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.missing = 0  # Bytes of the echoes that have not come.
        self.open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(_HANDSHAKE)

    def get_buffer(self, sizehint: int) -> memoryview:
        return _buffer

    def buffer_updated(self, nbytes: int) -> None:
        data = _buffer[:nbytes].tobytes()
        if not self.open:
            if not data.startswith(b"HTTP/1.1 101") or not data.endswith(b"\r\n\r\n"):
                self.fail(f"no WebSocket: {data!r}")
                return
            self.open = True
        else:
            self.missing -= len(data)
            if self.missing > 0:
                return
            self.batches -= 1
            if self.missing < 0 or not self.echoes.endswith(data):
                self.fail("the echo is not what was sent")
                return
            if self.batches <= 0:
                self.done.set_result(None)
                self.transport.close()
                return
        self.missing = len(self.echoes)
        self.transport.write(self.messages)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.fail(f"connection lost: {exc}")

    def fail(self, message: str) -> None:
        self.done.set_exception(RuntimeError(message))
        self.transport.abort()


async def _main(port: int, connections: int, messages: int, size: int, batch: int) -> None:
    loop = asyncio.get_running_loop()
    payload = os.urandom(size)
    sent, echoes = _frame(payload, os.urandom(4)) * batch, _frame(payload) * batch
    factory = partial(_Connection, messages // batch // connections, sent, echoes)
    clients = [
        (await loop.create_connection(factory, "127.0.0.1", port))[1] for _ in range(connections)
    ]
    await asyncio.gather(*(client.done for client in clients))


if __name__ == "__main__":
    asyncio.run(_main(*(int(argument) for argument in sys.argv[1:])))
