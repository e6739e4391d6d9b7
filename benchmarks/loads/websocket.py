"""A WebSocket client that does as little as it can, so that the server is the bottleneck.

``python -m benchmarks.loads.websocket PORT CONNECTIONS MESSAGES SIZE`` opens the connections,
sends the messages, one at a time on each connection, waits for each echo and compares the
last one.  It exits with 1 when anything is not as it should be.

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


class _Connection(asyncio.BufferedProtocol):
    def __init__(self, messages: int, size: int) -> None:
        self.messages = messages
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        payload = os.urandom(size)
        # RFC 6455 section 5.2: FIN and opcode 2 (binary), the length in 16 bits, masked.
        length = struct.pack("!H", size)
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        self.frame = b"\x82\xfe" + length + mask + masked
        self.echo = b"\x82\x7e" + length + payload
        self.missing = 0  # Bytes of the echo that have not come.
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
            self.messages -= 1
            if self.missing < 0 or not self.echo.endswith(data):
                self.fail("the echo is not what was sent")
                return
            if self.messages <= 0:
                self.done.set_result(None)
                self.transport.close()
                return
        self.missing = len(self.echo)
        self.transport.write(self.frame)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.fail(f"connection lost: {exc}")

    def fail(self, message: str) -> None:
        self.done.set_exception(RuntimeError(message))
        self.transport.abort()


async def _main(port: int, connections: int, messages: int, size: int) -> None:
    loop = asyncio.get_running_loop()
    share, rest = divmod(messages, connections)
    clients = []
    for index in range(connections):
        factory = partial(_Connection, share + (index < rest), size)
        _, client = await loop.create_connection(factory, "127.0.0.1", port)
        clients.append(client)
    await asyncio.gather(*(client.done for client in clients))


if __name__ == "__main__":
    asyncio.run(_main(*(int(argument) for argument in sys.argv[1:])))
