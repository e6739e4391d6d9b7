"""The server cases of the public h2spec suite: 146, and the one that its strict mode adds.

They run against two applications: one that answers when a request's head has come, one
that waits for its end.  What h2spec meets depends on the speed of both sides, so both must
pass.
"""

from __future__ import annotations

import pytest

from plait_engine import ErrorCode, Role
from plait_engine.testing import Fragmenter
from plait_engine.testing import frames as wire
from plait_engine.testing.frames import Flag, FrameType
from tests.engine.http2.h2spec import (
    BODY,
    CLOSED,
    COMPRESSION,
    DUMMY,
    ENDS,
    FLOW,
    HUFFMAN_AGENT,
    HUFFMAN_TEST,
    MAX_FRAME,
    PING,
    PING_ON_STREAM,
    PLAIN_AGENT,
    PLAIN_TEST,
    PROTOCOL,
    SETTINGS_ON_STREAM,
    SIZE,
    TOO_MANY_DUMMIES,
    UNKNOWN,
    WINDOW_0,
    Case,
    answered,
    closed,
    connection_error,
    data_lengths,
    headers,
    hpack_case,
    padded_headers,
    ping_answered,
    ping_ignored,
    preface_answered,
    pseudo,
    request,
    rst_stream,
    settings_acknowledged,
    stream_error,
)
from tests.engine.http2.peers import (
    GET,
    POST,
    Application,
    Peer,
    answer_at_end,
    answer_at_once,
    raw,
)

GENERIC = [
    Case("1/1 preface", [wire.ping(PING)], ping_answered),
    Case("2/1 PRIORITY on idle", [wire.priority(1), wire.ping(PING)], ping_answered),
    Case(
        "2/2 WINDOW_UPDATE on half-closed (remote)",
        [WINDOW_0, headers(GET), wire.window_update(1, 1)],
        data_lengths(1),
    ),
    Case(
        "2/3 PRIORITY on half-closed (remote)",
        [WINDOW_0, headers(GET), wire.priority(1), wire.window_update(1, 1)],
        data_lengths(1),
    ),
    Case(
        "2/4 RST_STREAM on half-closed (remote)",
        [headers(GET), wire.rst_stream(1, ErrorCode.CANCEL), wire.ping(PING)],
        ping_answered,
    ),
    Case(
        "2/5 PRIORITY on closed", [headers(GET), wire.priority(1), wire.ping(PING)], ping_answered
    ),
    Case(
        "3.1/1 DATA", [headers(POST, end=False), wire.data(1, b"test", end_stream=True)], answered
    ),
    Case(
        "3.1/2 several DATA",
        [
            headers(POST, end=False),
            wire.data(1, b"test"),
            wire.data(1, b"test", end_stream=True),
        ],
        answered,
    ),
    Case(
        "3.1/3 padded DATA",
        [headers(POST, end=False), wire.data(1, b"test", end_stream=True, padding=5)],
        answered,
    ),
    Case("3.2/1 HEADERS", [headers(GET)], answered),
    Case("3.2/2 padded HEADERS", [padded_headers(GET, 8, 8, ENDS)], answered),
    Case(
        "3.2/3 HEADERS with priority",
        [raw(FrameType.HEADERS, ENDS | Flag.PRIORITY, 1, b"\x00\x00\x00\x00\xff" + GET)],
        answered,
    ),
    Case("3.3/1 PRIORITY of 1", [wire.priority(1, weight=0), headers(GET)], answered),
    Case("3.3/2 PRIORITY of 256", [wire.priority(1, weight=255), headers(GET)], answered),
    Case("3.3/3 PRIORITY with dependency", [wire.priority(3, 1), headers(GET)], answered),
    Case("3.3/4 PRIORITY exclusive", [wire.priority(1, 1 << 31), headers(GET)], answered),
    Case("3.3/5 PRIORITY for a higher idle stream", [wire.priority(3), headers(GET)], answered),
    Case(
        "3.4/1 RST_STREAM",
        [headers(GET, end=False), wire.rst_stream(1, ErrorCode.CANCEL), wire.ping(PING)],
        ping_answered,
    ),
    Case("3.5/1 SETTINGS", [wire.settings({3: 100})], settings_acknowledged),
    Case("3.7/1 PING", [wire.ping(PING)], ping_answered),
    Case("3.8/1 GOAWAY", [wire.goaway(0, 0, b"h2spec"), wire.ping(PING)], ping_answered),
    Case(
        "3.9/1 WINDOW_UPDATE of the connection",
        [wire.window_update(0, 1), wire.ping(PING)],
        ping_answered,
    ),
    Case("3.9/2 WINDOW_UPDATE of a stream", [headers(GET), wire.window_update(1, 1)], answered),
    Case(
        "3.10/1 CONTINUATION",
        [headers(GET[:5], end_headers=False), wire.continuation(1, GET[5:])],
        answered,
    ),
    Case(
        "3.10/2 several CONTINUATION",
        [
            headers(GET[:5], end_headers=False),
            wire.continuation(1, GET[5:10], end_headers=False),
            wire.continuation(1, GET[10:]),
        ],
        answered,
    ),
    Case("4/1 GET", [headers(GET)], answered),
    Case("4/2 HEAD", [headers(request("HEAD"))], answered),
    Case("4/3 POST", [headers(POST, end=False), wire.data(1, b"test", end_stream=True)], answered),
    Case(
        "4/4 POST with trailers",
        [
            headers(request("POST", [("trailer", "x-test")]), end=False),
            wire.data(1, b"test"),
            headers(wire.header_block([("x-test", "ok")])),
        ],
        answered,
    ),
    hpack_case("5/1 indexed", b"\xba"),
    # The suite calls these names indexed, but spells them, and mixes up which is Huffman.
    hpack_case("5/2 incremental, spelt name, Huffman", b"\x40" + HUFFMAN_AGENT),
    hpack_case("5/3 incremental, spelt name", b"\x40" + PLAIN_AGENT),
    hpack_case("5/4 incremental, new name", b"\x40" + PLAIN_TEST),
    hpack_case("5/5 incremental, new name, Huffman", b"\x40" + HUFFMAN_TEST),
    hpack_case("5/6 not indexed, spelt name", b"\x00" + PLAIN_AGENT),
    hpack_case("5/7 not indexed, spelt name, Huffman", b"\x00" + HUFFMAN_AGENT),
    hpack_case("5/8 not indexed, new name", b"\x00" + PLAIN_TEST),
    hpack_case("5/9 not indexed, new name, Huffman", b"\x00" + HUFFMAN_TEST),
    hpack_case("5/10 never indexed, spelt name", b"\x10" + PLAIN_AGENT),
    hpack_case("5/11 never indexed, spelt name, Huffman", b"\x10" + HUFFMAN_AGENT),
    hpack_case("5/12 never indexed, new name, Huffman too", b"\x10" + HUFFMAN_TEST),
    hpack_case("5/13 never indexed, new name, Huffman", b"\x10" + HUFFMAN_TEST),
    Case("5/14 size update", [headers(b"\x3f\x61" + GET)], answered),
    Case("5/15 two size updates", [headers(b"\x3f\x61\x3f\xe1\x1f" + GET)], answered),
]

BLOCK_AND_PRIORITY = [
    headers(GET, end=False, end_headers=False),
    wire.priority(1),
    wire.continuation(1, DUMMY),
]
BLOCK_AND_OTHER_STREAM = [
    headers(GET, end=False, end_headers=False),
    headers(GET, 3),
    wire.continuation(1, DUMMY),
]

HTTP2 = [
    Case("3.5/1 preface", [wire.PREFACE + wire.settings()], preface_answered, False),
    Case("3.5/2 invalid preface", [b"INVALID CONNECTION PREFACE\r\n\r\n"], closed, False),
    Case("4.1/1 unknown type", [UNKNOWN, wire.ping(PING)], ping_answered),
    Case("4.1/2 undefined flags", [raw(FrameType.PING, 0x16, 0, PING)], ping_answered),
    Case("4.1/3 reserved bit", [raw(FrameType.PING, 0x16, 1 << 31, PING)], ping_answered),
    Case(
        "4.2/1 DATA of 2^14",
        [headers(POST, end=False), wire.data(1, bytes(MAX_FRAME), end_stream=True)],
        answered,
    ),
    Case(
        "4.2/2 DATA too large",
        [headers(POST, end=False), wire.data(1, bytes(MAX_FRAME + 1), end_stream=True)],
        stream_error(SIZE),
    ),
    Case("4.2/3 HEADERS too large", [headers(GET + TOO_MANY_DUMMIES)], connection_error(SIZE)),
    Case("4.3/1 bad header block", [headers(b"\x40")], connection_error(COMPRESSION)),
    Case("4.3/2 PRIORITY in a header block", BLOCK_AND_PRIORITY, connection_error(PROTOCOL)),
    Case("4.3/3 other stream in a block", BLOCK_AND_OTHER_STREAM, connection_error(PROTOCOL)),
    Case("5.1/1 idle: DATA", [wire.data(1, b"test")], connection_error(PROTOCOL)),
    Case("5.1/2 idle: RST_STREAM", [wire.rst_stream(1, 8)], connection_error(PROTOCOL)),
    Case("5.1/3 idle: WINDOW_UPDATE", [wire.window_update(1, 100)], connection_error(PROTOCOL)),
    Case("5.1/4 idle: CONTINUATION", [wire.continuation(1, GET)], connection_error(PROTOCOL)),
    Case(
        "5.1/5 half-closed (remote): DATA",
        [headers(GET), wire.data(1, b"test", end_stream=True)],
        stream_error(CLOSED),
    ),
    Case("5.1/6 half-closed (remote): HEADERS", [headers(GET), headers(GET)], stream_error(CLOSED)),
    Case(
        "5.1/7 half-closed (remote): CONTINUATION",
        [headers(GET), wire.continuation(1, GET)],
        stream_error(CLOSED, PROTOCOL),
    ),
    Case(
        "5.1/8 closed: DATA after RST_STREAM",
        [headers(GET, end=False), wire.rst_stream(1, 8), wire.data(1, b"test")],
        stream_error(CLOSED),
    ),
    Case(
        "5.1/9 closed: HEADERS after RST_STREAM",
        [headers(GET, end=False), wire.rst_stream(1, 8), headers(GET)],
        stream_error(CLOSED),
    ),
    Case(
        "5.1/10 closed: CONTINUATION after RST_STREAM",
        [headers(GET, end=False), wire.rst_stream(1, 8), wire.continuation(1, DUMMY)],
        stream_error(CLOSED, PROTOCOL),
    ),
    Case(
        "5.1/11 closed: DATA",
        [headers(GET), wire.data(1, b"test", end_stream=True)],
        connection_error(CLOSED),
    ),
    Case("5.1/12 closed: HEADERS", [headers(GET), headers(GET)], connection_error(CLOSED)),
    Case(
        "5.1/13 closed: CONTINUATION",
        [headers(GET), wire.continuation(1, DUMMY)],
        connection_error(CLOSED, PROTOCOL),
    ),
    Case("5.1.1/1 even id", [headers(GET, 2)], connection_error(PROTOCOL)),
    Case("5.1.1/2 smaller id", [headers(GET, 5), headers(GET, 3)], connection_error(PROTOCOL)),
    Case(
        "5.1.2/1 too many streams",
        [WINDOW_0, *(headers(GET, stream) for stream in range(1, 203, 2))],
        stream_error(PROTOCOL, ErrorCode.REFUSED_STREAM),
    ),
    Case(
        "5.3.1/1 HEADERS depends on itself",
        [raw(FrameType.HEADERS, ENDS | Flag.PRIORITY, 1, b"\x00\x00\x00\x01\xff" + GET)],
        stream_error(PROTOCOL),
    ),
    Case("5.3.1/2 PRIORITY depends on itself", [wire.priority(1, 1)], stream_error(PROTOCOL)),
    Case("5.4.1/1 close after an error", [PING_ON_STREAM], closed),
    Case("5.4.1/2 GOAWAY before the close", [PING_ON_STREAM], connection_error(PROTOCOL)),
    Case("5.5/1 unknown frame", [UNKNOWN, wire.ping(PING)], ping_answered),
    Case(
        "5.5/2 unknown frame in a header block",
        [headers(GET, end_headers=False), UNKNOWN],
        connection_error(PROTOCOL),
    ),
    Case("6.1/1 DATA on 0", [wire.data(0, b"test")], connection_error(PROTOCOL)),
    Case(
        "6.1/2 DATA on a stream that is not open",
        [headers(POST), wire.data(1, b"test", end_stream=True)],
        stream_error(CLOSED),
    ),
    Case(
        "6.1/3 DATA with bad padding",
        [
            headers(request("POST", [("content-length", "4")]), end=False),
            raw(FrameType.DATA, Flag.PADDED | Flag.END_STREAM, 1, b"\x06test"),
        ],
        connection_error(PROTOCOL),
    ),
    Case("6.2/1 HEADERS, then PRIORITY", BLOCK_AND_PRIORITY, connection_error(PROTOCOL)),
    Case("6.2/2 HEADERS, other HEADERS", BLOCK_AND_OTHER_STREAM, connection_error(PROTOCOL)),
    Case("6.2/3 HEADERS on 0", [headers(GET, 0)], connection_error(PROTOCOL)),
    Case(
        "6.2/4 HEADERS with bad padding",
        [padded_headers(GET, len(GET) + 2, 0, ENDS)],
        stream_error(PROTOCOL),
    ),
    Case("6.3/1 PRIORITY on 0", [wire.priority(0)], connection_error(PROTOCOL)),
    Case(
        "6.3/2 PRIORITY of 4 bytes",
        [headers(GET), raw(FrameType.PRIORITY, 0, 1, b"\x80\x00\x00\x01")],
        stream_error(SIZE),
    ),
    Case("6.4/1 RST_STREAM on 0", [wire.rst_stream(0, 8)], connection_error(PROTOCOL)),
    Case("6.4/2 RST_STREAM on idle", [wire.rst_stream(1, 8)], connection_error(PROTOCOL)),
    Case(
        "6.4/3 RST_STREAM of 3 bytes",
        [headers(GET), raw(FrameType.RST_STREAM, 0, 1, bytes(3))],
        connection_error(SIZE),
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
    Case("6.5.2/1 ENABLE_PUSH of 2", [wire.settings({2: 2})], connection_error(PROTOCOL)),
    Case("6.5.2/2 window of 2^31", [wire.settings({4: 1 << 31})], connection_error(FLOW)),
    Case("6.5.2/3 small frame size", [wire.settings({5: 16383})], connection_error(PROTOCOL)),
    Case("6.5.2/4 large frame size", [wire.settings({5: 1 << 24})], connection_error(PROTOCOL)),
    Case("6.5.2/5 unknown setting", [wire.settings({0xFF: 1}), wire.ping(PING)], ping_answered),
    Case(
        "6.5.3/1 values in order",
        [wire.settings([(4, 100), (4, 1)]), headers(GET)],
        data_lengths(1),
    ),
    Case("6.5.3/2 acknowledgement", [wire.settings({2: 0})], settings_acknowledged),
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
        [headers(GET, end=False), wire.window_update(1, 0)],
        stream_error(PROTOCOL),
    ),
    Case(
        "6.9/3 WINDOW_UPDATE of 3 bytes",
        [raw(FrameType.WINDOW_UPDATE, 0, 0, bytes(3))],
        connection_error(SIZE),
    ),
    Case("6.9.1/1 window of 1", [wire.settings({4: 1}), headers(GET)], data_lengths(1)),
    Case(
        "6.9.1/2 connection window overflows",
        [wire.window_update(0, 2**31 - 1), wire.window_update(0, 2**31 - 1)],
        connection_error(FLOW),
    ),
    Case(
        "6.9.1/3 stream window overflows",
        [
            headers(GET, end=False),
            wire.window_update(1, 2**31 - 1),
            wire.window_update(1, 2**31 - 1),
        ],
        rst_stream(FLOW),
    ),
    Case(
        "6.9.2/1 initial window changes",
        [WINDOW_0, headers(GET), wire.settings({4: 1})],
        data_lengths(1),
    ),
    Case(
        "6.9.2/2 window gets negative",
        [wire.settings({4: 3}), headers(GET), wire.settings({4: 2}), wire.window_update(1, 2)],
        data_lengths(3, 1),
    ),
    Case("6.9.2/3 window of 2^31", [wire.settings({4: 1 << 31})], connection_error(FLOW)),
    Case(
        "6.10/1 several CONTINUATION",
        [
            headers(GET, end_headers=False),
            wire.continuation(1, DUMMY, end_headers=False),
            wire.continuation(1, DUMMY),
        ],
        answered,
    ),
    Case(
        "6.10/2 CONTINUATION, then DATA",
        [
            headers(POST, end=False, end_headers=False),
            wire.continuation(1, DUMMY, end_headers=False),
            wire.data(1, b"test"),
        ],
        connection_error(PROTOCOL),
    ),
    Case(
        "6.10/3 CONTINUATION on 0",
        [headers(GET, end_headers=False), wire.continuation(0, DUMMY)],
        connection_error(PROTOCOL),
    ),
    Case(
        "6.10/4 CONTINUATION after END_HEADERS",
        [headers(GET), wire.continuation(1, DUMMY)],
        connection_error(PROTOCOL),
    ),
    Case(
        "6.10/5 CONTINUATION after CONTINUATION with END_HEADERS",
        [
            headers(GET, end_headers=False),
            wire.continuation(1, DUMMY),
            wire.continuation(1, DUMMY),
        ],
        connection_error(PROTOCOL),
    ),
    Case(
        "6.10/6 CONTINUATION after DATA",
        [
            headers(POST, end=False, end_headers=False),
            wire.data(1, b"test"),
            wire.continuation(1, DUMMY),
        ],
        connection_error(PROTOCOL),
    ),
    Case("7/1 GOAWAY with unknown code", [wire.goaway(0, 0xFF), wire.ping(PING)], ping_answered),
    Case(
        "7/2 RST_STREAM with unknown code",
        [headers(POST, end=False), wire.rst_stream(1, 0xFF), wire.ping(PING)],
        ping_answered,
    ),
    Case(
        "8.1/1 second HEADERS without END_STREAM",
        [
            headers(POST, end=False),
            wire.data(1, b"test"),
            headers(wire.header_block([("x-test", "ok")]), end=False),
        ],
        stream_error(PROTOCOL),
    ),
    Case(
        "8.1.2/1 upper case", [headers(request(fields=[("X-TEST", "ok")]))], stream_error(PROTOCOL)
    ),
    Case(
        "8.1.2.1/1 unknown pseudo-header",
        [headers(request(fields=[(":test", "ok")]))],
        stream_error(PROTOCOL),
    ),
    Case(
        "8.1.2.1/2 pseudo-header of responses",
        [headers(request(fields=[(":status", "200")]))],
        stream_error(PROTOCOL),
    ),
    Case(
        "8.1.2.1/3 pseudo-header in trailers",
        [
            headers(POST, end=False),
            wire.data(1, b"test"),
            headers(wire.header_block([(":method", "POST")])),
        ],
        stream_error(PROTOCOL),
    ),
    Case(
        "8.1.2.1/4 pseudo-header after a field",
        [headers(wire.header_block([("x-test", "ok")]) + GET)],
        stream_error(PROTOCOL),
    ),
    Case(
        "8.1.2.2/1 connection-specific field",
        [headers(request(fields=[("connection", "keep-alive")]))],
        stream_error(PROTOCOL),
    ),
    Case(
        "8.1.2.2/2 TE other than trailers",
        [headers(request(fields=[("trailers", "test"), ("te", "trailers, deflate")]))],
        stream_error(PROTOCOL),
    ),
    Case("8.1.2.3/1 empty :path", [headers(wire.request_block(path=""))], stream_error(PROTOCOL)),
    Case(
        "8.1.2.3/2 no :method, nor :scheme",
        [headers(pseudo(":path", ":authority"))],
        stream_error(PROTOCOL),
    ),
    Case(
        "8.1.2.3/3 no :scheme",
        [headers(pseudo(":method", ":path", ":authority"))],
        stream_error(PROTOCOL),
    ),
    Case(
        "8.1.2.3/4 no :path",
        [headers(pseudo(":method", ":scheme", ":authority"))],
        stream_error(PROTOCOL),
    ),
    *(
        Case(
            f"8.1.2.3/{number} {name} twice",
            [headers(request(fields=[(name, value)]))],
            stream_error(PROTOCOL),
        )
        for number, name, value in [
            (5, ":method", "GET"),
            (6, ":scheme", "http"),
            (7, ":path", "/"),
        ]
    ),
    Case(
        "8.1.2.6/1 content-length and DATA differ",
        [
            headers(request("POST", [("content-length", "1")]), end=False),
            wire.data(1, b"test", end_stream=True),
        ],
        stream_error(PROTOCOL),
    ),
    Case(
        "8.1.2.6/2 content-length and several DATA differ",
        [
            headers(request("POST", [("content-length", "1")]), end=False),
            wire.data(1, b"test") + wire.data(1, b"test", end_stream=True),
        ],
        stream_error(PROTOCOL),
    ),
    Case(
        "8.2/1 PUSH_PROMISE",
        [raw(FrameType.PUSH_PROMISE, Flag.END_HEADERS, 1, b"\x00\x00\x00\x03" + GET)],
        connection_error(PROTOCOL),
    ),
]

HPACK = [
    Case("2.3.3/1 index not there", [headers(GET + b"\xc6")], connection_error(COMPRESSION)),
    Case(
        "2.3.3/2 name index not there",
        [headers(GET + b"\x7f\x07\x00")],
        connection_error(COMPRESSION),
    ),
    Case("4.2/1 size update at the end", [headers(GET + b"\x21")], connection_error(COMPRESSION)),
    Case(
        "5.2/1 padding longer than 7 bits",
        [headers(GET + b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff")],
        connection_error(COMPRESSION),
    ),
    Case(
        "5.2/2 padding of zeros",
        [headers(GET + b"\x00\x85\xf2\xb2\x4a\x84\xff\x83\x49\x50\x90")],
        connection_error(COMPRESSION),
    ),
    Case(
        "5.2/3 EOS in a string",
        [headers(GET + b"\x00\x85\xf2\xb2\x4a\x84\xff\x87\x49\x51\xff\xff\xff\xfa\x7f")],
        connection_error(COMPRESSION),
    ),
    Case("6.1/1 index 0", [headers(GET + b"\x80")], connection_error(COMPRESSION)),
    Case(
        "6.3/1 size update too large",
        [headers(b"\x3f\xe2\x1f" + GET)],
        connection_error(COMPRESSION),
    ),
]

SERVER = [
    *(pytest.param(case, id=f"generic/{case.name}") for case in GENERIC),
    *(pytest.param(case, id=f"http2/{case.name}") for case in HTTP2),
    *(pytest.param(case, id=f"hpack/{case.name}") for case in HPACK),
]


@pytest.mark.parametrize("application", [answer_at_once, answer_at_end])
@pytest.mark.parametrize("case", SERVER)
def test_server(case: Case, application: Application, chop: Fragmenter) -> None:
    peer = Peer(Role.SERVER, chop=chop, handshake=case.handshake)
    heard = []
    for step in case.steps:
        peer.say(step)
        heard += peer.hear()
        application(peer, peer.events(), BODY)
        heard += peer.hear()
    case.expect(peer, heard)


def test_the_server_cases_are_all_there() -> None:
    assert len({case.id for case in SERVER}) == len(SERVER) == 147
