"""The client cases of the public h2spec suite, of which there are 57."""

from __future__ import annotations

import pytest

from plait_engine import EndOfMessage, Request, Role, StreamReset
from plait_engine.testing import Fragmenter
from plait_engine.testing import frames as wire
from plait_engine.testing.frames import Flag, FrameType
from tests.engine.http2.h2spec import (
    CLOSED,
    COMPRESSION,
    DUMMY,
    FLOW,
    MAX_FRAME,
    PING,
    PING_ON_STREAM,
    PROTOCOL,
    SETTINGS_ON_STREAM,
    SIZE,
    TOO_MANY_DUMMIES,
    UNKNOWN,
    Case,
    closed,
    connection_error,
    headers,
    ping_answered,
    ping_ignored,
    rst_stream,
    settings_acknowledged,
    stream_error,
)
from tests.engine.http2.peers import OK, Peer, assert_alive, raw

# -- clients -------------------------------------------------------------------------


def response_padded(stream: int = 1) -> bytes:
    return raw(FrameType.HEADERS, Flag.PADDED, stream, b"\x11" + OK)


BLOCK_OPEN = headers(OK, end=False, end_headers=False)

CLIENT = [
    Case("1/1 preface", [headers(OK)], lambda peer, heard: assert_alive(peer)),
    Case("4.1/1 unknown type", [UNKNOWN, wire.ping(PING)], ping_answered),
    Case("4.1/2 undefined flags", [raw(FrameType.PING, 0x16, 0, PING)], ping_answered),
    Case("4.1/3 reserved bit", [raw(FrameType.PING, 0x16, 1 << 31, PING)], ping_answered),
    Case(
        "4.2/1 DATA of 2^14",
        [headers(OK, end=False), wire.data(1, bytes(MAX_FRAME), end_stream=True), wire.ping(PING)],
        ping_answered,
    ),
    Case(
        "4.2/2 DATA too large",
        [headers(OK, end=False), wire.data(1, bytes(MAX_FRAME + 1), end_stream=True)],
        stream_error(SIZE),
    ),
    Case("4.2/3 HEADERS too large", [headers(OK + TOO_MANY_DUMMIES)], connection_error(SIZE)),
    Case(
        "4.3/1 bad header block on a strange stream",
        [headers(b"\x40", 0x01000000)],
        connection_error(COMPRESSION),
    ),
    Case("5.1/1 idle: DATA", [wire.data(2, b"test")], connection_error(PROTOCOL)),
    Case("5.1/2 idle: RST_STREAM", [wire.rst_stream(2, 8)], connection_error(PROTOCOL)),
    Case("5.1/3 idle: WINDOW_UPDATE", [wire.window_update(2, 100)], connection_error(PROTOCOL)),
    Case("5.1/4 idle: CONTINUATION", [wire.continuation(2, OK)], connection_error(PROTOCOL)),
    Case(
        "5.1/5 closed: DATA after RST_STREAM",
        [headers(OK, end=False), wire.rst_stream(1, 8), wire.data(1, b"test")],
        stream_error(CLOSED),
    ),
    Case(
        "5.1/6 closed: HEADERS after RST_STREAM",
        [headers(OK, end=False), wire.rst_stream(1, 8), headers(OK)],
        stream_error(CLOSED),
    ),
    Case(
        "5.1/7 closed: CONTINUATION after RST_STREAM",
        [headers(OK, end=False), wire.rst_stream(1, 8), wire.continuation(1, DUMMY)],
        stream_error(CLOSED, PROTOCOL),
    ),
    Case("5.1/8 closed: DATA", [headers(OK), wire.data(1, b"test")], connection_error(CLOSED)),
    Case("5.1/9 closed: HEADERS", [headers(OK), headers(OK)], connection_error(CLOSED)),
    Case(
        "5.1/10 closed: CONTINUATION",
        [headers(OK), wire.continuation(1, DUMMY)],
        connection_error(CLOSED, PROTOCOL),
    ),
    Case("5.1.1/1 unexpected id", [headers(OK, 101)], connection_error(PROTOCOL)),
    Case("5.4.1/1 close after an error", [PING_ON_STREAM], closed),
    Case("5.4.1/2 GOAWAY before that", [PING_ON_STREAM], connection_error(PROTOCOL)),
    Case("5.5/1 unknown frame", [UNKNOWN, wire.ping(PING)], ping_answered),
    Case("6.1/1 DATA on 0", [wire.data(0, b"test")], connection_error(PROTOCOL)),
    Case("6.1/2 DATA on closed", [headers(OK), wire.data(1, b"test")], stream_error(CLOSED)),
    Case(
        "6.1/3 DATA with bad padding",
        [
            headers(wire.response_block(200, [("content-length", "4")]), end=False),
            raw(FrameType.DATA, Flag.PADDED | Flag.END_STREAM, 1, b"\x06test"),
        ],
        stream_error(PROTOCOL),
    ),
    Case(
        "6.2/1 HEADERS, then PRIORITY", [BLOCK_OPEN, wire.priority(1)], connection_error(PROTOCOL)
    ),
    Case("6.2/2 HEADERS on 0", [headers(OK, 0)], connection_error(PROTOCOL)),
    Case("6.2/3 HEADERS with bad padding", [response_padded()], stream_error(PROTOCOL)),
    Case("6.3/1 PRIORITY on 0", [wire.priority(0)], connection_error(PROTOCOL)),
    Case(
        "6.3/2 PRIORITY of 4 bytes",
        [headers(OK), raw(FrameType.PRIORITY, 0, 1, b"\x80\x00\x00\x01")],
        stream_error(SIZE),
    ),
    Case("6.4/1 RST_STREAM on 0", [wire.rst_stream(0, 8)], connection_error(PROTOCOL)),
    Case("6.4/2 RST_STREAM on idle", [wire.rst_stream(2, 8)], connection_error(PROTOCOL)),
    Case(
        "6.4/3 RST_STREAM of 3 bytes",
        [headers(OK), raw(FrameType.RST_STREAM, 0, 1, bytes(3))],
        stream_error(SIZE),
    ),
    Case(
        "6.5/1 ACK with payload", [raw(FrameType.SETTINGS, 1, 0, b"\x00")], connection_error(SIZE)
    ),
    Case("6.5/2 SETTINGS on a stream", [SETTINGS_ON_STREAM], connection_error(PROTOCOL)),
    Case(
        "6.5/3 SETTINGS of 3 bytes",
        [raw(FrameType.SETTINGS, 0, 0, b"\x00\x03\x00")],
        connection_error(SIZE),
    ),
    Case("6.5.2/1 window of 2^31", [wire.settings({4: 1 << 31})], connection_error(FLOW)),
    Case("6.5.2/2 small frame size", [wire.settings({5: 16383})], connection_error(PROTOCOL)),
    Case("6.5.2/3 large frame size", [wire.settings({5: 1 << 24})], connection_error(PROTOCOL)),
    Case("6.5.2/4 unknown setting", [wire.settings({0xFF: 1}), wire.ping(PING)], ping_answered),
    Case("6.5.3/1 acknowledgement", [wire.settings({3: 100})], settings_acknowledged),
    Case("6.7/1 PING", [wire.ping(PING)], ping_answered),
    Case("6.7/2 PING with ACK", [wire.ping(PING, ack=True)], ping_ignored),
    Case("6.7/3 PING on a stream", [PING_ON_STREAM], connection_error(PROTOCOL)),
    Case("6.7/4 PING of 6 bytes", [raw(FrameType.PING, 0, 0, bytes(6))], connection_error(SIZE)),
    Case(
        "6.8/1 GOAWAY on a stream",
        [raw(FrameType.GOAWAY, 0, 1, bytes(8))],
        connection_error(PROTOCOL),
    ),
    Case("6.9/1 WINDOW_UPDATE of 0", [wire.window_update(0, 0)], connection_error(PROTOCOL)),
    Case(
        "6.9/2 WINDOW_UPDATE of 0 on a stream",
        [headers(OK, end=False), wire.window_update(1, 0)],
        stream_error(PROTOCOL),
    ),
    Case(
        "6.9/3 WINDOW_UPDATE of 3 bytes",
        [raw(FrameType.WINDOW_UPDATE, 0, 0, bytes(3))],
        connection_error(SIZE),
    ),
    Case(
        "6.9.1/1 connection window overflows",
        [wire.window_update(0, 2**31 - 1), wire.window_update(0, 2**31 - 1)],
        connection_error(FLOW),
    ),
    Case(
        "6.9.1/2 stream window overflows",
        [
            headers(OK, end=False),
            wire.window_update(1, 2**31 - 1),
            wire.window_update(1, 2**31 - 1),
        ],
        rst_stream(FLOW),
    ),
    Case(
        "6.10/1 several CONTINUATION",
        [
            headers(OK, end_headers=False),
            wire.continuation(1, DUMMY, end_headers=False),
            wire.continuation(1, DUMMY),
            wire.ping(PING),
        ],
        ping_answered,
    ),
    Case(
        "6.10/2 CONTINUATION, then DATA",
        [BLOCK_OPEN, wire.continuation(1, DUMMY, end_headers=False), wire.data(1, b"test")],
        connection_error(PROTOCOL),
    ),
    Case(
        "6.10/3 CONTINUATION on 0",
        [BLOCK_OPEN, wire.continuation(0, DUMMY)],
        connection_error(PROTOCOL),
    ),
    Case(
        "6.10/4 CONTINUATION after END_HEADERS",
        [headers(OK), wire.continuation(1, DUMMY)],
        connection_error(PROTOCOL),
    ),
    Case(
        "6.10/5 CONTINUATION after CONTINUATION with END_HEADERS",
        [
            headers(OK, end_headers=False),
            wire.continuation(1, DUMMY),
            wire.continuation(1, DUMMY),
        ],
        connection_error(PROTOCOL),
    ),
    Case(
        "6.10/6 CONTINUATION after DATA",
        [BLOCK_OPEN, wire.data(1, b"test"), wire.continuation(1, DUMMY)],
        connection_error(PROTOCOL),
    ),
]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CLIENT])
def test_client(case: Case, chop: Fragmenter) -> None:
    peer = Peer(Role.CLIENT, chop=chop)
    assert peer.request() == 1
    peer.hear()
    heard = []
    for step in case.steps:
        peer.say(step)
        heard += peer.hear()
    case.expect(peer, heard)
    # However it ended, the application knows how its request ended, and once.
    ends = [e for e in peer.endpoint.events if isinstance(e, EndOfMessage | StreamReset)]
    assert len(ends) == (0 if peer.connection.open_streams else 1)
    assert not any(isinstance(event, Request) for event in peer.endpoint.events)


def test_the_client_cases_are_all_there() -> None:
    assert len(CLIENT) == 57
