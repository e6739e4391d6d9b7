"""A client of HTTP/2 whose requests differ in every field, which h2load's cannot.

``python -m benchmarks.loads.http2 PORT CONNECTIONS STREAMS COUNT`` sends the requests of
``traffic.varied``, as a proxy would that brings those of many people over few connections.
All heads are encoded before the first is sent: HPACK with its dynamic table, on each
connection in another order.  It exits with 1 when a response is not a 200.
"""

from __future__ import annotations

import asyncio
import random
import struct
import sys
from collections.abc import Iterator
from functools import partial
from itertools import islice

import hpack

from benchmarks import traffic

_END_STREAM = 0x1
_HEADERS = 0x1
_RST_STREAM = 0x3
_SETTINGS = 0x4
_GOAWAY = 0x7
_WINDOW_UPDATE = 0x8
_STATUS_200 = 0x88  # RFC 7541 appendix A: the static table's entry 8, indexed.


def _frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    return struct.pack("!LBL", len(payload) << 8 | kind, flags, stream_id) + payload


_PREFACE = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    + _frame(_SETTINGS, 0, 0, b"")
    # All the window there is (RFC 9113 section 6.9.1), so that no response waits for it.
    + _frame(_WINDOW_UPDATE, 0, 0, struct.pack("!L", 2**31 - 1 - 65535))
)


def _heads(count: int, seed: int) -> Iterator[bytes]:
    """Yield the HEADERS frames of one connection."""
    encoder = hpack.Encoder()
    source = random.Random(seed)
    requests = traffic.varied()
    for number in range(count):
        request = source.choice(requests)
        (_, authority), *fields = request.all_fields()
        pseudo = [(":method", request.method), (":scheme", "http")]
        pseudo += [(":authority", authority), (":path", request.target)]
        block = encoder.encode(pseudo + [(name.lower(), value) for name, value in fields])
        yield _frame(_HEADERS, 0x4 | _END_STREAM, 2 * number + 1, block)


class _Connection(asyncio.Protocol):
    def __init__(self, heads: list[bytes], streams: int) -> None:
        self.heads = iter(heads)
        self.missing = len(heads)
        self.streams = streams
        self.received = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(_PREFACE)
        self.send(self.streams)

    def send(self, count: int) -> None:
        self.transport.write(b"".join(islice(self.heads, count)))

    def data_received(self, data: bytes) -> None:
        data = self.received + data
        start = ended = 0
        while len(data) - start >= 9:
            length_and_kind, flags = struct.unpack_from("!LB", data, start)
            length, kind = length_and_kind >> 8, length_and_kind & 0xFF
            payload = start + 9
            if len(data) < payload + length:
                break
            start = payload + length
            wrong = kind == _HEADERS and data[payload] != _STATUS_200
            if wrong or kind in (_RST_STREAM, _GOAWAY):
                self.fail(f"not a 200: {data[payload - 9 : start]!r}")
                return
            if kind == _SETTINGS and not flags:
                self.transport.write(_frame(_SETTINGS, 0x1, 0, b""))
            elif kind <= _HEADERS and flags & _END_STREAM:
                ended += 1
        self.received = data[start:]
        self.missing -= ended
        if self.missing:
            self.send(ended)
        elif not self.done.done():
            self.done.set_result(None)
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.fail(f"connection lost: {exc}")

    def fail(self, message: str) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(message))
        self.transport.abort()


async def _main(port: int, connections: int, streams: int, count: int) -> None:
    loop = asyncio.get_running_loop()
    orders = [list(_heads(count // connections, seed)) for seed in range(connections)]
    clients = []
    for heads in orders:
        factory = partial(_Connection, heads, streams)
        clients.append((await loop.create_connection(factory, "127.0.0.1", port))[1])
    await asyncio.gather(*(client.done for client in clients))


if __name__ == "__main__":
    asyncio.run(_main(*(int(argument) for argument in sys.argv[1:])))
