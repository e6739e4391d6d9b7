"""Malformed messages, by the ids of the project's list of attacks (T70-T78)."""

from __future__ import annotations

import pytest

from plait_engine import (
    Accept,
    Config,
    Data,
    EndOfMessage,
    ErrorCode,
    InformationalResponse,
    LocalProtocolError,
    Request,
    Response,
    Role,
    StreamReset,
)
from plait_engine.testing import frames as wire
from plait_engine.testing.frames import Flag, FrameType
from tests.engine.http2.peers import (
    GET,
    OK,
    Peer,
    assert_alive,
    assert_stream_error,
    kinds,
    of_type,
)

PROTOCOL = ErrorCode.PROTOCOL_ERROR
Fields = list[tuple[bytes | str, bytes | str]]

PSEUDO: dict[str, str] = {
    ":method": "GET",
    ":scheme": "http",
    ":path": "/",
    ":authority": "example.org",
}


def request(changes: dict[str, str | None] | None = None, fields: Fields | None = None) -> bytes:
    """A request with some pseudo-header fields changed, or left out (``None``)."""
    pseudo = {**PSEUDO, **(changes or {})}
    present = [(name, value) for name, value in pseudo.items() if value is not None]
    return wire.header_block([*present, *(fields or [])])


def assert_malformed(peer: Peer, stream: int = 1) -> None:
    """The stream is reset and the application gets to see nothing but that."""
    assert_stream_error(peer, stream, PROTOCOL)
    (reset,) = peer.events()
    assert isinstance(reset, StreamReset)
    assert (reset.stream_id, reset.error.code) == (stream, PROTOCOL)
    # The next request is decoded and served: the compression state is in sync.
    peer.say(wire.headers(stream + 2, GET, end_stream=True))
    assert kinds(peer.events()) == [Request, EndOfMessage]


def says(peer: Peer, block: bytes) -> None:
    peer.say(wire.headers(1, block, end_stream=True))


# -- T70 names and values -------------------------------------------------------------------

CONTROLS = [*range(0x09), *range(0x0A, 0x20), 0x7F]
BAD_VALUES = [
    *(b"a" + bytes((byte,)) + b"b" for byte in CONTROLS),
    b" lead",
    b"trail ",
    b"\tlead",
    b"trail\t",
    b" ",
]
BAD_NAMES = [
    b"",
    b"Upper",
    b"x-Upper",
    b"two words",
    b"col:on",
    b":late",
    b"x\x00",
    b"x\r\ny",
    b"x\x7f",
    b"\x80name",
    b"na\xc3\xafve",
    b"\xe2\x84\xaa",
    b"tab\t",
    b'"quoted"',
    b"(x)",
    b"x,y",
    b"x/y",
]


@pytest.mark.parametrize("value", BAD_VALUES)
def test_t70_values(server: Peer, value: bytes) -> None:
    says(server, request(fields=[("x-good", "1"), ("x-bad", value), ("x-more", "2")]))
    assert_malformed(server)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_t70_names(server: Peer, name: bytes) -> None:
    says(server, request(fields=[("x-good", "1"), (name, "value")]))
    assert_malformed(server)


@pytest.mark.parametrize("byte", [b"\r", b"\n", b"\x00", b"\x7f", b" x", b"\xff"])
@pytest.mark.parametrize("name", PSEUDO)
def test_t70_pseudo_header_fields(server: Peer, name: str, byte: bytes) -> None:
    fields: Fields = [(n, v.encode() + (byte if n == name else b"")) for n, v in PSEUDO.items()]
    says(server, wire.header_block(fields))
    assert_malformed(server)


@pytest.mark.parametrize(
    "value", [b"", b"a|b", b"a | b", b"a\tb", b"gr\xc3\xbcn", b"\xff\xfe", b"a\xa0b"]
)
def test_t70_values_that_are_allowed(server: Peer, value: bytes) -> None:
    says(server, request(fields=[("x-value", value), ("x-next", "1")]))
    received = dict(server.events()[0].headers)["x-value"]
    assert received.encode("utf-8", "surrogateescape") == value


@pytest.mark.parametrize("block", [request(fields=[("X", "y")]), request(fields=[("x", "\n")])])
def test_t70_malformed_blocks_that_repeat(server: Peer, block: bytes) -> None:
    for stream in (1, 3, 5):
        server.say(wire.headers(stream, block, end_stream=True))
        assert_stream_error(server, stream, PROTOCOL)
    assert kinds(server.events()) == [StreamReset] * 3


# -- T71 authority ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("authority", "hosts"),
    [
        ("example.org", ["other.org"]),
        ("example.org", ["example.org", "example.org"]),
        (None, ["a", "b"]),
        (None, [""]),
        ("example.org", [""]),
        (None, []),
        ("", []),
        ("user@example.org", []),
        ("a,b", []),
        ("user:pw@example.org", []),
        ("a b", []),
        ("a/b", []),
        ("a?b", []),
        ("a#b", []),
        ("a:99999", []),
        ("a:b", []),
        ("[::1", []),
        ("[.]", []),
        ("<h1>", []),
        ("\u00fc.org", []),
        (None, ["user@example.org"]),
        ("example.org:81", ["example.org"]),
    ],
)
def test_t71_authority(server: Peer, authority: str | None, hosts: list[str]) -> None:
    says(server, request({":authority": authority}, [("host", host) for host in hosts]))
    assert_malformed(server)


def test_t71_two_authorities(server: Peer) -> None:
    says(server, wire.header_block([*PSEUDO.items(), (":authority", "example.org")]))
    assert_malformed(server)


@pytest.mark.parametrize(
    ("authority", "host", "expected"),
    [
        (None, "example.org", "example.org"),
        ("example.org", None, "example.org"),
        ("example.org", "example.org", "example.org"),
        ("example.org", "EXAMPLE.org:80", "example.org"),
        ("example.org:8080", None, "example.org:8080"),
        ("[::1]:8080", None, "[::1]:8080"),
        ("[v1.a:b]", None, "[v1.a:b]"),
        ("127.0.0.1", None, "127.0.0.1"),
        ("xn--bcher-kva.example", None, "xn--bcher-kva.example"),
        ("a%20b", None, "a%20b"),
    ],
)
def test_t71_authorities_that_are_valid(
    server: Peer, authority: str | None, host: str | None, expected: str
) -> None:
    says(server, request({":authority": authority}, [("host", host)] if host else []))
    assert server.events()[0].authority == expected


# -- T72 content-length ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lengths", "body"),
    [
        (["4"], [b"12345"]),
        (["4"], [b"123"]),
        (["4"], [b"12", b"345"]),
        (["4"], [b"12", b""]),
        (["4"], []),
        (["4", "4"], [b"1234"]),
        (["4", "5"], [b"1234"]),
        (["+4"], [b"1234"]),
        (["4, 4"], [b"1234"]),
        (["-4"], [b"1234"]),
        (["4.0"], [b"1234"]),
        (["0x4"], [b"1234"]),
        (["\u0664"], [b"1234"]),
        ([""], [b"1234"]),
        (["9" * 30], [b"1234"]),
    ],
)
@pytest.mark.parametrize("role", list(Role))
def test_t72_content_length(chop, role: Role, lengths: list[str], body: list[bytes]) -> None:
    peer = Peer(role, chop=chop)
    fields: Fields = [("content-length", length.encode()) for length in lengths]
    if role is Role.SERVER:
        block = request({":method": "POST"}, fields)
    else:
        peer.request()
        block = wire.response_block(200, fields)
    peer.say(wire.headers(1, block, end_stream=not body))
    for index, piece in enumerate(body):
        peer.say(wire.data(1, piece, end_stream=index == len(body) - 1))
    assert_stream_error(peer, 1, PROTOCOL)
    assert EndOfMessage not in kinds(peer.events())


@pytest.mark.parametrize("role", list(Role))
def test_t72_trailers_before_all_the_content(chop, role: Role) -> None:
    peer = Peer(role, chop=chop)
    fields: Fields = [("content-length", "4")]
    if role is Role.SERVER:
        peer.say(wire.headers(1, request({":method": "POST"}, fields)))
    else:
        peer.request()
        peer.say(wire.headers(1, wire.response_block(200, fields)))
    peer.say(
        wire.data(1, b"123"), wire.headers(1, wire.header_block([("x", "y")]), end_stream=True)
    )
    assert_stream_error(peer, 1, PROTOCOL)


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 304), ("GET", 204)])
def test_t72_length_without_content(client: Peer, method: str, status: int) -> None:
    client.request(method=method)
    block = wire.response_block(status, [("content-length", "400")])
    client.say(wire.headers(1, block, end_stream=True))
    assert kinds(client.events()) == [Response, EndOfMessage]


def test_t72_a_request_of_known_length(server: Peer) -> None:
    server.say(wire.headers(1, request({":method": "POST"}, [("content-length", "0004")])))
    server.say(wire.data(1, b"12", padding=9), wire.data(1, b"34", end_stream=True))
    assert server.endpoint.recorder.body(1) == b"1234"
    assert isinstance(server.endpoint.events[-1], EndOfMessage)


# -- T73 connection-specific fields -------------------------------------------------------------------

CONNECTION_SPECIFIC = [
    ("transfer-encoding", "chunked"),
    ("connection", "close"),
    ("connection", "x-foo"),
    ("keep-alive", "timeout=5"),
    ("proxy-connection", "keep-alive"),
    ("upgrade", "websocket"),
    ("te", "gzip"),
    ("te", "trailers, gzip"),
    ("te", ""),
]


@pytest.mark.parametrize("field", CONNECTION_SPECIFIC)
def test_t73_requests(server: Peer, field: tuple[str, str]) -> None:
    says(server, request(fields=[field]))
    assert_malformed(server)


@pytest.mark.parametrize("field", CONNECTION_SPECIFIC[:6])
def test_t73_responses(client: Peer, field: tuple[str, str]) -> None:
    client.request()
    client.say(wire.headers(1, wire.response_block(200, [field]), end_stream=True))
    assert_stream_error(client, 1, PROTOCOL)


@pytest.mark.parametrize("value", ["trailers", "Trailers"])
def test_t73_te_trailers(server: Peer, value: str) -> None:
    says(server, request(fields=[("te", value)]))
    assert kinds(server.events()) == [Request, EndOfMessage]


def test_t73_ours_are_dropped(client: Peer, server: Peer) -> None:
    """RFC 9113 section 8.2.2: what an application sets for HTTP/1.1 does not get out."""
    fields = [
        ("Connection", "keep-alive"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "x"),
        ("Transfer-Encoding", "chunked"),
        ("Upgrade", "h2c"),
        ("TE", "gzip"),
        ("X-Kept", " padded "),
        ("Host", "virtual.example"),
    ]
    head = Request(1, "GET", "http", "ignored.example", "/", fields)
    client.endpoint.send(head, EndOfMessage(1))
    (frame,) = of_type(client.hear(), FrameType.HEADERS)
    assert client.fields(frame) == [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "virtual.example"),
        (":path", "/"),
        ("x-kept", "padded"),
    ]
    says(server, GET)
    server.endpoint.send(Response(1, 200, fields[:7]), EndOfMessage(1))
    (frame,) = of_type(server.hear(), FrameType.HEADERS)
    assert server.fields(frame) == [
        (":status", "200"),
        ("x-kept", "padded"),
        ("content-length", "0"),
    ]


# -- T74 pseudo-header fields ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {":method": None},
        {":method": ""},
        {":method": "G T"},
        {":method": "GET /evil"},
        {":method": "GET\r\n"},
        {":scheme": None},
        {":scheme": ""},
        {":scheme": "ftp"},
        {":scheme": "http://evil"},
        {":scheme": "x"},
        {":path": None},
        {":path": ""},
        {":path": "index.html"},
        {":path": "*"},
        {":path": "http://example.org/"},
        {":path": "/a b"},
        {":path": "/a#b"},
        {":path": "/a\\b"},
        {":path": "/\u00fc"},
        {":path": "/\x00"},
        {":status": "200"},
        {":unknown": "x"},
        {":protocol": "websocket"},
    ],
    ids=str,
)
def test_t74_requests(server: Peer, changes: dict[str, str | None]) -> None:
    says(server, request(changes))
    assert_malformed(server)


@pytest.mark.parametrize("name", PSEUDO)
def test_t74_twice(server: Peer, name: str) -> None:
    says(server, wire.header_block([*PSEUDO.items(), (name, PSEUDO[name])]))
    assert_malformed(server)


@pytest.mark.parametrize("name", PSEUDO)
def test_t74_behind_a_field(server: Peer, name: str) -> None:
    fields: Fields = [item for item in PSEUDO.items() if item[0] != name]
    says(server, wire.header_block([*fields, ("x-test", "1"), (name, PSEUDO[name])]))
    assert_malformed(server)


@pytest.mark.parametrize("scheme", ["HTTP", "Https"])
def test_t74_the_scheme_has_no_case(server: Peer, scheme: str) -> None:
    says(server, request({":scheme": scheme}))
    assert server.events()[0].scheme == scheme.lower()


def test_t74_options_of_the_server(server: Peer) -> None:
    says(server, request({":method": "OPTIONS", ":path": "*"}))
    assert server.events()[0].target == "*"


# -- T75 trailers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(
    ("fields", "end"),
    [
        ([("x", "y")], False),
        ([(":path", "/")], True),
        ([(":status", "200")], True),
        ([("X", "y")], True),
        ([("x", "a\nb")], True),
        ([("connection", "close")], True),
    ],
)
def test_t75_malformed_trailers(chop, role: Role, fields: Fields, end: bool) -> None:
    peer = Peer(role, chop=chop)
    if role is Role.SERVER:
        peer.say(wire.headers(1, request({":method": "POST"})))
    else:
        peer.request()
        peer.say(wire.headers(1, OK))
    peer.say(wire.data(1, b"body"), wire.headers(1, wire.header_block(fields), end_stream=end))
    assert_stream_error(peer, 1, PROTOCOL)
    assert EndOfMessage not in kinds(peer.events())


def test_t75_forbidden_trailers_are_dropped(server: Peer) -> None:
    server.say(wire.headers(1, request({":method": "POST"})))
    trailers: Fields = [("content-length", "4"), ("host", "evil"), ("x-ok", "1"), ("cookie", "a")]
    server.say(wire.headers(1, wire.header_block(trailers), end_stream=True))
    assert server.events()[-1] == EndOfMessage(1, [("x-ok", "1")])


@pytest.mark.parametrize("name", ["content-length", "host", "authorization", "te"])
def test_t75_we_send_no_forbidden_trailers(server: Peer, name: str) -> None:
    says(server, GET)
    with pytest.raises(LocalProtocolError):
        server.endpoint.send(Response(1, 200), EndOfMessage(1, [(name, "trailers")]))
    assert of_type(server.hear(), FrameType.HEADERS) == []


# -- T76 CONNECT ---------------------------------------------------------------------------------------------


def connect(fields: dict[str, str]) -> bytes:
    return wire.header_block([(":method", "CONNECT"), *fields.items()])


WEBSOCKET = {
    ":protocol": "websocket",
    ":scheme": "http",
    ":path": "/chat",
    ":authority": "example.org",
}


@pytest.mark.parametrize(
    "fields",
    [
        {":authority": "example.org:443", ":path": "/"},
        {":authority": "example.org:443", ":scheme": "http"},
        {":scheme": "http", ":path": "/"},
        {},
        {":authority": "example.org"},
        {":authority": "example.org:"},
        {":authority": "user@example.org:443"},
        {":protocol": "websocket", ":authority": "example.org"},
        {**WEBSOCKET, ":path": ""},
        {**WEBSOCKET, ":protocol": ""},
        {**WEBSOCKET, ":protocol": "two words"},
        {key: value for key, value in WEBSOCKET.items() if key != ":authority"},
        {key: value for key, value in WEBSOCKET.items() if key != ":scheme"},
    ],
    ids=str,
)
def test_t76_malformed_connect(server: Peer, fields: dict[str, str]) -> None:
    server.say(wire.headers(1, connect(fields)))
    assert_malformed(server)


def test_t76_extended_connect_that_was_not_offered(chop) -> None:
    peer = Peer(Role.SERVER, chop=chop, config=Config(enable_connect_protocol=False))
    peer.say(wire.headers(1, connect(WEBSOCKET)))
    assert_malformed(peer)


def test_t76_an_unknown_protocol_is_answered_501(server: Peer) -> None:
    server.say(wire.headers(1, connect({**WEBSOCKET, ":protocol": "connect-ip"})))
    heard = server.hear()
    (answer,) = of_type(heard, FrameType.HEADERS)
    assert server.fields(answer)[0] == (":status", "501")
    assert answer.flags & Flag.END_STREAM
    assert of_type(heard, FrameType.RST_STREAM)
    (reset,) = server.events()
    assert isinstance(reset, StreamReset)
    assert reset.error.status_hint == 501
    assert_alive(server)


def test_t76_a_client_asks_only_where_it_was_offered(client: Peer) -> None:
    head = Request(1, "CONNECT", "http", "example.org", "/chat", (), "websocket")
    with pytest.raises(LocalProtocolError):
        client.endpoint.send(head)
    client.say(wire.settings({8: 1}))
    client.endpoint.send(head)
    (frame,) = of_type(client.hear(), FrameType.HEADERS)
    assert dict(client.fields(frame))[":protocol"] == "websocket"


# -- T77 responses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [("x-test", "1")],
        [(":status", "")],
        [(":status", "1000")],
        [(":status", "20")],
        [(":status", "+20")],
        [(":status", "2x0")],
        [(":status", "\u0662\u0660\u0660".encode())],
        [(":status", "099")],
        [(":status", "101")],
        [(":status", "200"), (":status", "200")],
        [(":status", "200"), (":path", "/")],
        [(":status", "200"), ("X-Upper", "1")],
        [("x-first", "1"), (":status", "200")],
        [(":status", "200"), ("x", "a\rb")],
    ],
    ids=ascii,
)
def test_t77_malformed_heads(client: Peer, fields: Fields) -> None:
    client.request()
    client.say(wire.headers(1, wire.header_block(fields), end_stream=True))
    assert_stream_error(client, 1, PROTOCOL)
    (reset,) = client.events()
    assert isinstance(reset, StreamReset)
    assert not reset.retryable


def test_t77_an_interim_response_ends_nothing(client: Peer) -> None:
    client.request()
    client.say(wire.headers(1, wire.response_block(103), end_stream=True))
    assert_stream_error(client, 1, PROTOCOL)


def test_t77_data_before_headers(client: Peer) -> None:
    client.request()
    client.say(wire.data(1, b"x"))
    assert_stream_error(client, 1, PROTOCOL)


def test_t77_data_behind_an_interim_response(client: Peer) -> None:
    client.request()
    client.say(wire.headers(1, wire.response_block(103)), wire.data(1, b"x"))
    assert_stream_error(client, 1, PROTOCOL)
    assert kinds(client.events()) == [InformationalResponse, StreamReset]


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_t77_content_where_there_is_none(client: Peer, method: str, status: int) -> None:
    client.request(method=method)
    client.say(wire.headers(1, wire.response_block(status)), wire.data(1, b"x", end_stream=True))
    assert_stream_error(client, 1, PROTOCOL)


def test_t77_an_empty_end_is_fine_where_there_is_no_content(client: Peer) -> None:
    client.request(method="HEAD")
    client.say(wire.headers(1, OK), wire.data(1, b"", end_stream=True))
    assert kinds(client.events()) == [Response, EndOfMessage]


def test_t77_an_accept_needs_a_tunnel(client: Peer) -> None:
    client.request()
    client.say(wire.headers(1, OK), wire.data(1, b"x", end_stream=True))
    assert Accept not in kinds(client.events())
    assert client.endpoint.recorder.of_type(Data)


# -- T78 cookies -----------------------------------------------------------------------------------------------


def test_t78_crumbs_are_joined(server: Peer) -> None:
    fields: Fields = [("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), ("cookie", "c=3")]
    says(server, request(fields=fields))
    assert server.events()[0].headers == [("cookie", "a=1; b=2; c=3"), ("x", "y")]


def test_t78_one_cookie_stays(server: Peer) -> None:
    says(server, request(fields=[("cookie", "a=1; b=2")]))
    assert server.events()[0].headers == [("cookie", "a=1; b=2")]


def test_host_says_nothing_in_a_response(client: Peer) -> None:
    """RFC 9110 section 7.2: it is a field of requests; two are no reason to refuse a response."""
    client.request()
    fields: Fields = [(":status", "200"), ("host", "a"), ("host", "b")]
    client.say(wire.headers(1, wire.header_block(fields), end_stream=True))
    assert kinds(client.events()) == [Response, EndOfMessage]
