"""HTTP/2, either role, with random calls: the invariants of ``fuzz.operations``.

Input: options (a byte), then calls with their arguments; what is received are the frames
of ``fuzz.frames``, or frames that often fit.
"""

from __future__ import annotations

from fuzz.choices import Choices
from fuzz.frames import read_frame
from fuzz.harness import config
from fuzz.operations import Machine
from plait_engine.config import Limits, Timeouts
from plait_engine.connection import Role
from plait_engine.http2 import HTTP2Connection, frames
from plait_engine.testing.frames import priority_update, request_block, response_block

CLIENT = 0x01
STARTED = 0x02
PINGS = 0x04
SPELT_OUT = 255

LIMITS = Limits(
    max_concurrent_streams=4,
    write_high_water=2048,
    write_low_water=100,
    stream_window=1024,
    connection_window=65535,
    max_control_frames=20,
    reset_burst=10,
)
"""Low, so that the fuzzer reaches them."""

PIECES = (
    frames.PREFACE,
    frames.encode_settings([]),
    frames.SETTINGS_ACK,
    frames.encode_settings([(frames.SETTINGS_INITIAL_WINDOW_SIZE, 0)]),
    frames.encode_settings([(frames.SETTINGS_INITIAL_WINDOW_SIZE, 2**31 - 1)]),
    frames.encode_settings([(frames.SETTINGS_MAX_CONCURRENT_STREAMS, 0)]),
    frames.encode_settings([(frames.SETTINGS_HEADER_TABLE_SIZE, 0)]),
    frames.encode_settings([(frames.SETTINGS_ENABLE_CONNECT_PROTOCOL, 1)]),
    *(frames.encode_headers(n, request_block(), end_stream=True) for n in (1, 3, 5, 7)),
    *(frames.encode_headers(n, request_block("POST")) for n in (1, 3, 5)),
    frames.encode_headers(1, request_block("POST", fields=[("expect", "100-continue")])),
    *(frames.encode_headers(n, response_block()) for n in (1, 3, 5)),
    frames.encode_headers(1, response_block(), end_stream=True),
    frames.encode_headers(1, response_block(100)),
    *(frames.encode_data(n, b"hello", end_stream=True) for n in (1, 3, 5)),
    *(frames.encode_data(n, b"x" * 500, padding=5) for n in (1, 3, 5)),
    *(frames.encode_window_update(n, 1000) for n in (0, 1, 3)),
    *(frames.encode_rst_stream(n, 8) for n in (1, 3, 5)),
    frames.encode_ping(b"12345678"),
    frames.encode_ping(b"12345678", ack=True),
    frames.encode_goaway(0, 0),
    frames.encode_goaway(2**31 - 1, 0),
    frames.encode_goaway(1, 2, b"debug"),
    priority_update(1, b"u=0"),
)


def run(data: bytes) -> None:
    """Run one input."""
    choices = Choices(data)
    options = choices.byte()
    role = Role.CLIENT if options & CLIENT else Role.SERVER
    timeouts = Timeouts(ping_interval=5.0 if options & PINGS else None)
    connection = HTTP2Connection(role, config(limits=LIMITS, timeouts=timeouts))
    machine = Machine(connection, choices, read_piece)
    if options & STARTED:
        preface = b"" if options & CLIENT else frames.PREFACE
        machine.receive(preface + frames.encode_settings([]) + frames.SETTINGS_ACK)
    machine.run()


def read_piece(choices: Choices) -> bytes:
    """Return bytes for the connection: a frame that often fits, or any."""
    number = choices.byte()
    if number == SPELT_OUT:
        return read_frame(choices)
    return PIECES[number % len(PIECES)]
