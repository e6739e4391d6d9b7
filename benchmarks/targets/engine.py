"""An engine alone, server role: ``python -m benchmarks.targets.engine PROTOCOL ENGINE``.

It reads a number of exchanges a line from standard input, does them without any input or
output, and answers with its CPU time in seconds.  The client's bytes are made beforehand.
"""

from __future__ import annotations

import os
import struct
import sys
import time
from itertools import cycle, islice

from plait_engine import (
    Config,
    Connection,
    Data,
    EndOfMessage,
    Request,
    Response,
    Role,
    create_connection,
)
from plait_engine.engines import EngineName

_STREAMS = 16
_BATCHES = 64
"""Batches of HTTP/2 streams on one connection; then a new one begins."""

# Of a thousand different targets, so that no cache of whole requests can help.
_H1_REQUESTS = [
    b"GET /item/%d HTTP/1.1\r\nHost: example.com\r\nUser-Agent: bench\r\nAccept: */*\r\n"
    b"Accept-Encoding: gzip, deflate\r\n\r\n" % number
    for number in range(1000)
]
_RESPONSE_HEADERS = (
    ("content-type", "text/plain; charset=utf-8"),
    ("content-length", "13"),
    ("date", "Tue, 24 Nov 2026 12:00:00 GMT"),
    ("server", "bench"),
)


def _answer(engine: Connection, data: bytes) -> int:
    """Give bytes to the engine and answer every request; return how many there were."""
    engine.receive_data(data, 0.0)
    answered = 0
    while (event := engine.next_event()) is not None:
        if type(event) is Request:
            answered += 1
            stream_id = event.stream_id
            engine.send(
                Response(stream_id, 200, _RESPONSE_HEADERS),
                Data(stream_id, b"Hello, World!"),
                EndOfMessage(stream_id),
                now=0.0,
            )
    while engine.data_to_send():
        pass
    return answered


def _open(protocol: str, name: EngineName) -> Connection:
    engine = create_connection(Role.SERVER, protocol, Config(random=os.urandom), engine=name)
    engine.connection_made(0.0)
    return engine


def _h1(name: EngineName, count: int) -> None:
    engine = _open("http/1.1", name)
    for request in islice(cycle(_H1_REQUESTS), count):
        if _answer(engine, request) != 1:
            raise RuntimeError("a request was not answered")


def _h2(name: EngineName, count: int) -> None:
    done = 0
    while done < count:
        engine = _open("h2", name)
        for batch in _H2_CONNECTION:
            done += _answer(engine, batch)
        if done % (_STREAMS * _BATCHES):
            raise RuntimeError("a request was not answered")


def _h2_connection() -> list[bytes]:
    """The bytes of a client, a batch of streams at a time (RFC 9113 section 4.1)."""
    # RFC 7541: indexed :method GET, :scheme http and :path /, then a literal :authority
    # that goes into the dynamic table, and is indexed from the second request on.
    first = b"\x82\x86\x84\x41\x0bexample.com"
    later = b"\x82\x86\x84\xbe"
    batches = []
    stream_id = 1
    for number in range(_BATCHES):
        frames = []
        if number == 0:
            frames.append(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(0x4, 0, 0, b""))
            frames.append(_frame(0x4, 0x1, 0, b""))  # The server's SETTINGS, acknowledged.
        for _ in range(_STREAMS):
            # HEADERS with END_STREAM and END_HEADERS
            frames.append(_frame(0x1, 0x5, stream_id, first if stream_id == 1 else later))
            stream_id += 2
        # WINDOW_UPDATE of the connection for what the answers take.
        frames.append(_frame(0x8, 0, 0, struct.pack("!L", _STREAMS * 13)))
        batches.append(b"".join(frames))
    return batches


def _frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    return struct.pack("!LBL", len(payload) << 8 | kind, flags, stream_id) + payload


_H2_CONNECTION = _h2_connection()


def main(protocol: str, name: EngineName) -> None:
    """Serve commands until standard input ends."""
    run = {"http/1.1": _h1, "h2": _h2}[protocol]
    for line in sys.stdin:
        # Whole connections only, so that each exchange costs the same.
        unit = _STREAMS * _BATCHES if protocol == "h2" else 1
        count = -(-int(line) // unit) * unit
        before = time.process_time()
        run(name, count)
        print((time.process_time() - before) * int(line) / count, flush=True)


if __name__ == "__main__":
    _engines: dict[str, EngineName] = {"native": "native", "reference": "reference"}
    main(sys.argv[1], _engines[sys.argv[2]])
