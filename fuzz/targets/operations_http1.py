"""HTTP/1.1, either role, with random calls: the invariants of ``fuzz.operations``.

Input: options (a byte), then calls with their arguments.
"""

from __future__ import annotations

from fuzz.choices import Choices
from fuzz.harness import config
from fuzz.operations import Machine
from plait_engine.config import Limits
from plait_engine.connection import Role
from plait_engine.engines import create_connection

CLIENT = 0x01
TLS = 0x02
DETECT_HTTP2 = 0x04
SPELT_OUT = 255

LIMITS = Limits(read_high_water=64, write_high_water=2048, write_low_water=100, max_pipelined=128)
"""Low, so that the fuzzer reaches them."""

PIECES = (
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
    b"HEAD / HTTP/1.0\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"hello",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"0\r\nX: trailer\r\n\r\n",
    b"\r\n",
    b"Host: a\r\n",
    b"x" * 300,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)


def run(data: bytes) -> None:
    """Run one input."""
    choices = Choices(data)
    options = choices.byte()
    settings = config(
        limits=LIMITS,
        scheme="https" if options & TLS else "http",
        detect_http2=bool(options & DETECT_HTTP2),
    )
    role = Role.CLIENT if options & CLIENT else Role.SERVER
    Machine(create_connection(role, "http/1.1", settings), choices, read_piece).run()


def read_piece(choices: Choices) -> bytes:
    """Return bytes for the connection: of a message, or any."""
    number = choices.byte()
    if number == SPELT_OUT:
        return choices.data(choices.byte())
    return PIECES[number % len(PIECES)]
