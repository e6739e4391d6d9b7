"""The server's side of an exchange: requests, bodies, persistence, tunnels, the end."""

from __future__ import annotations

import pytest

from plait_engine import (
    Accept,
    CloseAction,
    CloseReason,
    ConnectionState,
    Data,
    EndOfMessage,
    ErrorCode,
    InformationalResponse,
    Initiator,
    LocalProtocolError,
    PriorKnowledge,
    RemoteProtocolError,
    Request,
    Response,
    StreamReset,
)
from plait_engine.testing import Endpoint, Fragmenter, coalesce
from tests.engine.chops import CHOPS
from tests.engine.http1.helpers import (
    GET,
    answer,
    body_of,
    closed,
    config,
    ended,
    requests,
    resets,
    server,
    statuses,
)

each_chop = pytest.mark.parametrize("chop", CHOPS)


def head(line: str, *fields: str) -> bytes:
    return "\r\n".join([line, *fields, "", ""]).encode("latin-1")


# -- requests -------------------------------------------------------------------------


@each_chop
@pytest.mark.parametrize(
    ("line", "fields", "expected"),
    [
        ("GET /a?b=c HTTP/1.1", ["Host: h:80"], ("GET", "http", "h:80", "/a?b=c", "1.1")),
        ("get / HTTP/1.1", ["Host: h"], ("get", "http", "h", "/", "1.1")),
        ("OPTIONS * HTTP/1.1", ["Host: h"], ("OPTIONS", "http", "h", "*", "1.1")),
        ("GET http://o/p?q HTTP/1.1", ["Host: h"], ("GET", "http", "o", "/p?q", "1.1")),
        ("GET HTTPS://o:1 HTTP/1.1", ["Host: h"], ("GET", "https", "o:1", "/", "1.1")),
        ("GET http://o?q HTTP/1.1", ["Host: h"], ("GET", "http", "o", "/?q", "1.1")),
        ("OPTIONS http://o HTTP/1.1", ["Host: h"], ("OPTIONS", "http", "o", "*", "1.1")),
        ("GET http://[::1]:8/ HTTP/1.1", ["Host: h"], ("GET", "http", "[::1]:8", "/", "1.1")),
        ("CONNECT o:443 HTTP/1.1", ["Host: o:443"], ("CONNECT", "http", "o:443", "o:443", "1.1")),
        ("GET / HTTP/1.0", [], ("GET", "http", "", "/", "1.0")),
        ("GET / HTTP/1.0", ["Host: h"], ("GET", "http", "h", "/", "1.0")),
        ("GET / HTTP/1.7", ["Host: h"], ("GET", "http", "h", "/", "1.1")),
        ('GET /{}|^`"?\\ HTTP/1.1', ["Host: h"], ("GET", "http", "h", '/{}|^`"?\\', "1.1")),
    ],
)
def test_request_targets_and_versions(
    line: str, fields: list[str], expected: tuple[str, ...], chop: Fragmenter
) -> None:
    endpoint = server(chop)
    endpoint.receive(head(line, *fields))
    (request,) = requests(endpoint)
    assert (
        request.method,
        request.scheme,
        request.authority,
        request.target,
        request.http_version,
    ) == expected


@each_chop
def test_fields_keep_their_order_spelling_and_octets(chop: Fragmenter) -> None:
    endpoint = server(chop)
    endpoint.receive(
        b"GET / HTTP/1.1\r\nhOst:a\r\nX: 1\r\nX-Empty:\r\nx:\t 2 \t\r\n"
        b"X-Utf8: \xc3\xa9\r\nX-Raw: \xff\r\n__proto__: x\r\nContent_Length: 9\r\n\r\n"
    )
    (request,) = requests(endpoint)
    assert list(request.headers) == [
        ("hOst", "a"),
        ("X", "1"),
        ("X-Empty", ""),
        ("x", "2"),
        ("X-Utf8", "é"),
        ("X-Raw", "\udcff"),
        ("__proto__", "x"),
        ("Content_Length", "9"),
    ]
    assert ended(endpoint)


def test_the_scheme_is_that_of_the_transport() -> None:
    endpoint = server(settings=config(scheme="https"))
    endpoint.receive(GET)
    assert requests(endpoint)[0].scheme == "https"


@each_chop
def test_one_empty_line_before_a_request_is_ignored(chop: Fragmenter) -> None:
    """RFC 9112 section 2.2; on each request of the connection."""
    endpoint = server(chop)
    for stream_id in (1, 3, 5):
        endpoint.receive(b"\r\n" + GET)
        assert statuses(answer(endpoint, stream_id)) == [200]


# -- bodies ---------------------------------------------------------------------------

BODIES = [
    ("length", "Content-Length: 5", b"hello", b"hello"),
    ("zero", "Content-Length: 0", b"", b""),
    ("neither", "X: 1", b"", b""),
    (
        "chunked",
        "Transfer-Encoding: chunked",
        b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
        b"hello world",
    ),
    ("chunked-case", "transfer-encoding: Chunked", b"A\r\nhelloworld\r\n0\r\n\r\n", b"helloworld"),
    ("chunked-empty", "Transfer-Encoding: chunked", b"0\r\n\r\n", b""),
    ("chunked-zeros", "Transfer-Encoding: chunked", b"0005\r\nhello\r\n000\r\n\r\n", b"hello"),
    ("chunked-empty-members", "Transfer-Encoding: ,chunked,", b"1\r\nx\r\n0\r\n\r\n", b"x"),
    (
        "chunked-extensions",
        "Transfer-Encoding: chunked",
        b'5;a=b;c="d;\\"e";f ; g = h\r\nhello\r\n0;last\r\n\r\n',
        b"hello",
    ),
]


@each_chop
@pytest.mark.parametrize(
    ("field", "body", "content"), [pytest.param(*row[1:], id=row[0]) for row in BODIES]
)
def test_bodies_are_framed(field: str, body: bytes, content: bytes, chop: Fragmenter) -> None:
    endpoint = server(chop)
    endpoint.receive(head("POST / HTTP/1.1", "Host: a", field) + body + GET)
    assert body_of(endpoint) == content
    assert ended(endpoint)
    assert len(requests(endpoint)) == 1
    assert statuses(answer(endpoint)) == [200]
    assert [request.method for request in requests(endpoint)] == ["POST", "GET"]


@each_chop
def test_trailers_are_read_without_the_forbidden_ones(chop: Fragmenter) -> None:
    """S29; RFC 9110 section 6.5.1."""
    endpoint = server(chop)
    endpoint.receive(
        head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked")
        + b"1\r\nx\r\n0\r\nX-Sum: 1\r\nContent-Length: 50\r\nHost: evil\r\nAuthorization: b\r\n"
        b"Transfer-Encoding: chunked\r\nContent-Type: t\r\nCookie: c\r\nX-Sum: 2\r\n\r\n"
    )
    end = endpoint.events[-1]
    assert end == EndOfMessage(1, (("X-Sum", "1"), ("X-Sum", "2")))
    assert requests(endpoint)[0].authority == "a"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE", "BREW"])
def test_content_is_framed_whatever_the_method(method: str) -> None:
    """S10: it never becomes a request of its own."""
    endpoint = server()
    endpoint.receive(head(f"{method} / HTTP/1.1", "Host: a", f"Content-Length: {len(GET)}") + GET)
    assert body_of(endpoint) == GET
    answer(endpoint)
    assert len(requests(endpoint)) == 1


def test_a_large_body_is_not_copied() -> None:
    endpoint = server()
    endpoint.acknowledges = False
    endpoint.receive(head("POST / HTTP/1.1", "Host: a", "Content-Length: 100000"))
    piece = b"x" * 50_000
    endpoint.receive(piece)
    data = endpoint.events[-1]
    assert isinstance(data, Data)
    # ``bytes(piece)`` in Endpoint returns the same object.
    assert data.data is piece
    assert data.credit == 50_000


# -- answers --------------------------------------------------------------------------


def test_a_complete_answer_gets_its_length_and_leaves_in_one_piece() -> None:
    endpoint = server()
    endpoint.receive(GET)
    endpoint.can_write = False
    endpoint.send(Response(1, 200, [("A", "b")]), Data(1, b"hello"), EndOfMessage(1))
    assert endpoint.connection.data_to_send() == (
        b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 5\r\n\r\nhello"
    )
    assert endpoint.connection.data_to_send() == b""


def test_a_length_that_is_given_is_kept() -> None:
    endpoint = server()
    endpoint.receive(GET)
    fields = [("Content-Length", "5"), ("A", "b")]
    endpoint.send(Response(1, 200, fields), Data(1, b"hello"), EndOfMessage(1))
    assert endpoint.take_sent() == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\nhello"


@pytest.mark.parametrize(
    ("version", "fields", "sent"),
    [
        (
            "1.1",
            [],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
        ),
        (
            "1.1",
            [("Transfer-Encoding", "chunked")],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
        ),
        ("1.1", [("content-length", "3")], b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc"),
        ("1.0", [], b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc"),
        (
            "1.0",
            [("Transfer-Encoding", "chunked")],
            b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc",
        ),
    ],
)
def test_a_streamed_answer_is_framed_for_its_reader(
    version: str, fields: list[tuple[str, str]], sent: bytes
) -> None:
    endpoint = server()
    endpoint.receive(head(f"GET / HTTP/{version}", "Host: a"))
    endpoint.send(Response(1, 200, fields))
    endpoint.send(Data(1, b"ab"))
    endpoint.send(Data(1, b""))
    endpoint.send(Data(1, b"c"), EndOfMessage(1))
    assert endpoint.take_sent() == sent


def test_an_http10_client_never_sees_transfer_encoding() -> None:
    for line in ("GET / HTTP/1.0", "HEAD / HTTP/1.0"):
        endpoint = server()
        endpoint.receive(head(line))
        fields = [("Transfer-Encoding", "chunked")]
        endpoint.send(Response(1, 200, fields), Data(1, b"x"), EndOfMessage(1))
        sent = endpoint.take_sent()
        assert b"Transfer-Encoding" not in sent
        assert b"\r\nContent-Length: 1\r\n" in sent


def test_trailers_make_an_answer_chunked() -> None:
    endpoint = server()
    endpoint.receive(GET)
    endpoint.send(Response(1, 200), Data(1, b"a"), EndOfMessage(1, [("X-Sum", "1")]))
    assert endpoint.take_sent() == (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n"
    )


def test_trailers_to_http10_are_dropped() -> None:
    endpoint = server()
    endpoint.receive(b"GET / HTTP/1.0\r\n\r\n")
    endpoint.send(Response(1, 200), Data(1, b"a"), EndOfMessage(1, [("X-Sum", "1")]))
    assert endpoint.take_sent() == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\na"


def test_an_answer_to_head_keeps_its_length_and_loses_its_body() -> None:
    endpoint = server()
    endpoint.receive(head("HEAD / HTTP/1.1", "Host: a"))
    assert answer(endpoint, 1, b"hello") == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    endpoint.receive(head("HEAD / HTTP/1.1", "Host: a"))
    endpoint.send(Response(3, 200, [("Content-Length", "9")]))
    endpoint.send(Data(3, b"123"), EndOfMessage(3))
    assert endpoint.take_sent() == b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
    endpoint.receive(GET)
    assert answer(endpoint, 5, b"hello").endswith(b"\r\n\r\nhello")


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize(
    "fields", [[], [("Content-Length", "0")], [("Transfer-Encoding", "chunked")]]
)
def test_statuses_without_content_have_no_framing_fields(
    status: int, fields: list[tuple[str, str]]
) -> None:
    endpoint = server()
    endpoint.receive(GET)
    endpoint.send(Response(1, status, [*fields, ("A", "b")]), EndOfMessage(1))
    line, _, rest = endpoint.take_sent().partition(b"\r\n")
    assert line.startswith(b"HTTP/1.1 %d " % status)
    assert rest == b"A: b\r\n\r\n"


def test_an_empty_answer_says_so() -> None:
    endpoint = server()
    endpoint.receive(GET)
    endpoint.send(Response(1, 404), EndOfMessage(1))
    assert endpoint.take_sent() == b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("status", "reason", "line"),
    [
        (200, "Fine", b"HTTP/1.1 200 Fine\r\n"),
        (200, "", b"HTTP/1.1 200 \r\n"),
        (299, None, b"HTTP/1.1 299 \r\n"),
        (200, "Schön", "HTTP/1.1 200 Schön\r\n".encode()),
    ],
)
def test_reason_phrases(status: int, reason: str | None, line: bytes) -> None:
    endpoint = server()
    endpoint.receive(GET)
    endpoint.send(Response(1, status, reason=reason), EndOfMessage(1))
    assert endpoint.take_sent().startswith(line)


# -- persistence ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "connection", "sent", "stays"),
    [
        ("1.1", None, None, True),
        ("1.1", "close", b"close", False),
        ("1.1", "x, Close", b"close", False),
        ("1.1", "keep-alive", None, True),
        ("1.0", None, b"close", False),
        ("1.0", "keep-alive", b"keep-alive", True),
        ("1.0", "Keep-Alive, close", b"close", False),
    ],
)
def test_who_keeps_the_connection(
    version: str, connection: str | None, sent: bytes | None, stays: bool
) -> None:
    """RFC 9112 section 9.3."""
    endpoint = server()
    fields = [] if connection is None else [f"Connection: {connection}"]
    for stream_id in (1, 3):
        endpoint.receive(head(f"GET / HTTP/{version}", "Host: a", *fields))
        octets = answer(endpoint, stream_id)
        if sent is None:
            assert b"Connection" not in octets
        else:
            assert b"\r\nConnection: %b\r\n" % sent in octets
        assert (endpoint.connection.wants_close is CloseAction.NONE) is stays
        if not stays:
            break
    assert endpoint.connection.state is (ConnectionState.OPEN if stays else ConnectionState.CLOSING)


def test_the_application_closes_with_a_field() -> None:
    endpoint = server()
    endpoint.receive(GET)
    endpoint.send(Response(1, 200, [("Connection", "close")]), Data(1, b"x"), EndOfMessage(1))
    assert endpoint.take_sent().count(b"close") == 1
    assert endpoint.connection.wants_close is CloseAction.WRITE_EOF
    endpoint.receive(GET)
    assert len(requests(endpoint)) == 1
    endpoint.receive_eof()
    assert closed(endpoint).reason is CloseReason.LOCAL
    assert endpoint.connection.wants_close is CloseAction.CLOSE


@each_chop
def test_pipelined_requests_surface_one_after_the_other(chop: Fragmenter) -> None:
    """S74; RFC 9112 section 9.3.2."""
    endpoint = server(chop)
    endpoint.receive(
        head("POST /1 HTTP/1.1", "Host: a", "Content-Length: 2")
        + b"ab"
        + head("GET /2 HTTP/1.1", "Host: a")
        + head("POST /3 HTTP/1.1", "Host: a", "Transfer-Encoding: chunked")
        + b"1\r\nc\r\n0\r\n\r\n"
        + head("GET /4 HTTP/1.1", "Host: a", "Connection: close")
        + head("GET /5 HTTP/1.1", "Host: a")
    )
    for number in range(1, 5):
        assert [request.target for request in requests(endpoint)] == [
            f"/{index}" for index in range(1, number + 1)
        ]
        assert endpoint.connection.open_streams == 1
        answer(endpoint, 2 * number - 1)
    assert endpoint.connection.open_streams == 0
    assert len(requests(endpoint)) == 4
    assert body_of(endpoint, 1) == b"ab"
    assert body_of(endpoint, 5) == b"c"


def test_many_requests_behind_a_slow_one_are_bounded_and_all_answered() -> None:
    """S75."""
    endpoint = server(settings=config(max_pipelined=1000))
    for _ in range(1000):
        endpoint.receive(GET)
    assert not endpoint.connection.wants_read
    for number in range(1000):
        assert endpoint.connection.open_streams == 1
        assert statuses(answer(endpoint, 2 * number + 1)) == [200]
    assert endpoint.connection.wants_read
    assert len(requests(endpoint)) == 1000


@each_chop
def test_nothing_behind_a_refused_pipelined_request_is_parsed(chop: Fragmenter) -> None:
    """S76."""
    endpoint = server(chop)
    endpoint.receive(GET + b"BAD\r\n\r\n" + GET)
    assert statuses(answer(endpoint)) == [200, 400]
    assert len(requests(endpoint)) == 1
    assert resets(endpoint) == []


@each_chop
def test_a_peer_that_half_closes_gets_its_answers(chop: Fragmenter) -> None:
    endpoint = server(chop)
    endpoint.receive(GET + GET)
    endpoint.receive_eof()
    assert endpoint.connection.wants_close is CloseAction.NONE
    assert statuses(answer(endpoint, 1)) == [200]
    assert endpoint.connection.wants_close is CloseAction.NONE
    assert statuses(answer(endpoint, 3)) == [200]
    assert endpoint.connection.wants_close is CloseAction.CLOSE
    assert closed(endpoint).reason is CloseReason.PEER


@pytest.mark.parametrize("octets", [b"G", GET[:-1], b"\r"])
def test_a_head_cut_short_is_answered(octets: bytes) -> None:
    endpoint = server()
    endpoint.receive(octets)
    endpoint.receive_eof()
    assert statuses(endpoint.take_sent()) == [400]
    assert isinstance(closed(endpoint).error, RemoteProtocolError)


def test_a_half_head_behind_an_exchange_and_eof() -> None:
    endpoint = server()
    endpoint.receive(GET + b"GET /")
    endpoint.receive_eof()
    assert statuses(answer(endpoint)) == [200, 400]
    assert endpoint.is_closed


def test_eof_on_an_idle_connection_closes_it() -> None:
    endpoint = server()
    endpoint.receive_eof()
    assert endpoint.take_sent() == b""
    assert closed(endpoint).reason is CloseReason.PEER
    assert closed(endpoint).error is None


@pytest.mark.parametrize(
    ("field", "body", "message"),
    [
        ("Content-Length: 10", b"hello", "5 of 10 octets"),
        ("Transfer-Encoding: chunked", b"5\r\nhello\r\n", "after 5 octets"),
        ("Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n", "trailer"),
    ],
)
def test_a_body_cut_short_is_an_error(field: str, body: bytes, message: str) -> None:
    """S30; RFC 9112 section 8."""
    endpoint = server()
    endpoint.receive(head("POST / HTTP/1.1", "Host: a", field) + body)
    endpoint.receive_eof()
    (reset,) = resets(endpoint)
    assert reset.initiator is Initiator.REMOTE
    assert message in str(reset.error)
    assert statuses(endpoint.take_sent()) == [400]
    assert endpoint.connection.wants_close is CloseAction.CLOSE


def test_a_response_until_close_that_is_cut_short_does_not_end_in_order() -> None:
    """An orderly close would say that it is complete (RFC 9112 section 8)."""
    endpoint = server()
    endpoint.receive(head("POST / HTTP/1.0", "Content-Length: 10") + b"hello")
    endpoint.send(Response(1, 200), Data(1, b"begun"))
    endpoint.receive_eof()
    assert endpoint.connection.wants_close is CloseAction.ABORT
    assert len(resets(endpoint)) == 1
    assert closed(endpoint).reason is CloseReason.PEER


# -- unread bodies ----------------------------------------------------------------------


def _answer_without_reading(size: int, drained: int) -> Endpoint:
    endpoint = server(settings=config(max_drain=1000))
    endpoint.receive(head("POST / HTTP/1.1", "Host: a", f"Content-Length: {size}"))
    answer(endpoint)
    endpoint.send(StreamReset(1, ErrorCode.NO_ERROR))
    endpoint.receive(b"x" * drained)
    return endpoint


def test_an_unread_body_is_drained_and_the_connection_used_again() -> None:
    """S9."""
    endpoint = _answer_without_reading(1000, 999)
    assert endpoint.connection.open_streams == 1
    endpoint.receive(b"x" + GET)
    assert [request.method for request in requests(endpoint)] == ["POST", "GET"]
    assert body_of(endpoint) == b""
    assert not ended(endpoint, 1)
    assert statuses(answer(endpoint, 3)) == [200]


def test_an_unread_body_that_is_too_large_closes() -> None:
    endpoint = server(settings=config(max_drain=1000))
    endpoint.receive(head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked"))
    assert b"Connection" not in answer(endpoint)
    endpoint.send(StreamReset(1, ErrorCode.NO_ERROR))
    endpoint.receive(b"1000\r\n" + b"x" * 1000)
    assert not endpoint.connection.wants_close
    endpoint.receive(b"x")
    assert endpoint.connection.wants_close is CloseAction.WRITE_EOF
    endpoint.receive(GET)
    assert len(requests(endpoint)) == 1
    endpoint.receive(b"x" * 1001)
    assert endpoint.connection.wants_close is CloseAction.CLOSE


def test_an_unread_body_that_will_be_too_large_closes_at_once() -> None:
    """RFC 9112 section 9.6: who is going to close says so."""
    endpoint = server(settings=config(max_drain=1000))
    endpoint.receive(head("POST / HTTP/1.1", "Host: a", "Content-Length: 1001"))
    assert b"\r\nConnection: close\r\n" in answer(endpoint)
    endpoint.send(StreamReset(1, ErrorCode.NO_ERROR))
    assert endpoint.connection.wants_close is CloseAction.WRITE_EOF


def test_an_answer_that_begins_before_the_body_is_read_keeps_the_connection() -> None:
    endpoint = server(settings=config(max_drain=1000))
    endpoint.receive(head("POST / HTTP/1.1", "Host: a", "Content-Length: 1001"))
    endpoint.send(Response(1, 200))
    assert b"Connection" not in endpoint.take_sent()
    endpoint.receive(b"x" * 1001)
    endpoint.send(Data(1, b"x" * 1001), EndOfMessage(1))
    endpoint.receive(GET)
    assert len(requests(endpoint)) == 2


def test_a_body_read_after_the_answer() -> None:
    endpoint = server()
    endpoint.receive(head("POST / HTTP/1.1", "Host: a", "Content-Length: 5") + b"he")
    answer(endpoint)
    endpoint.receive(b"llo" + GET)
    assert body_of(endpoint) == b"hello"
    assert len(requests(endpoint)) == 2


def test_an_unread_body_on_a_connection_that_closes_is_not_waited_for() -> None:
    endpoint = server()
    endpoint.receive(head("POST / HTTP/1.1", "Host: a", "Connection: close", "Content-Length: 5"))
    answer(endpoint)
    endpoint.send(StreamReset(1, ErrorCode.NO_ERROR))
    assert endpoint.connection.wants_close is CloseAction.WRITE_EOF


def test_giving_up_an_exchange_drops_the_connection() -> None:
    endpoint = server()
    endpoint.receive(GET)
    endpoint.send(Response(1, 200), Data(1, b"x"))
    endpoint.send(StreamReset(1, ErrorCode.INTERNAL_ERROR))
    assert endpoint.connection.wants_close is CloseAction.ABORT
    assert closed(endpoint).reason is CloseReason.LOCAL
    assert resets(endpoint) == []


def test_answer_and_reset_in_one_command() -> None:
    endpoint = server()
    endpoint.receive(head("POST / HTTP/1.1", "Host: a", "Content-Length: 5"))
    endpoint.send(
        Response(1, 413), Data(1, b"no"), EndOfMessage(1), StreamReset(1, ErrorCode.NO_ERROR)
    )
    assert statuses(endpoint.take_sent()) == [413]
    endpoint.receive(b"hello" + GET)
    assert len(requests(endpoint)) == 2


# -- 100 Continue -------------------------------------------------------------------------

EXPECT = head("POST / HTTP/1.1", "Host: a", "Content-Length: 5", "Expect: 100-Continue")


@each_chop
def test_100_continue_is_sent_when_the_application_wants_it(chop: Fragmenter) -> None:
    endpoint = server(chop)
    endpoint.receive(EXPECT)
    assert requests(endpoint)[0].expect_continue
    assert endpoint.take_sent() == b""
    endpoint.send(InformationalResponse(1, 100))
    assert endpoint.take_sent() == b"HTTP/1.1 100 Continue\r\n\r\n"
    endpoint.send(InformationalResponse(1, 100))
    assert endpoint.take_sent() == b""
    endpoint.receive(b"hello")
    assert body_of(endpoint) == b"hello"
    assert b"Connection" not in answer(endpoint)
    assert endpoint.connection.state is ConnectionState.OPEN


@pytest.mark.parametrize(
    "octets",
    [
        EXPECT + b"h",
        GET,
        head("POST / HTTP/1.0", "Content-Length: 5", "Expect: 100-continue"),
        head("POST / HTTP/1.1", "Host: a", "Content-Length: 0", "Expect: 100-continue"),
        head("POST / HTTP/1.1", "Host: a", "Content-Length: 5", "Expect: y 100-continue"),
        head("POST / HTTP/1.1", "Host: a", "Content-Length: 5", "Expect: foo"),
    ],
)
def test_100_continue_is_not_sent_when_nobody_waits(octets: bytes) -> None:
    """S84."""
    endpoint = server()
    endpoint.receive(octets)
    endpoint.send(InformationalResponse(1, 100))
    assert endpoint.take_sent() == b""


def test_a_final_answer_instead_of_100_closes() -> None:
    """RFC 9110 section 10.1.1: nobody knows whether the content comes."""
    endpoint = server()
    endpoint.receive(EXPECT)
    octets = answer(endpoint, status=401)
    assert b"\r\nConnection: close\r\n" in octets
    assert endpoint.connection.wants_close is CloseAction.WRITE_EOF
    endpoint.receive(b"hello" + GET)
    assert len(requests(endpoint)) == 1
    assert body_of(endpoint) == b""


def test_other_informational_responses() -> None:
    endpoint = server()
    endpoint.receive(GET)
    endpoint.send(InformationalResponse(1, 103, [("Link", "</a>"), ("Content-Length", "5")]))
    endpoint.send(InformationalResponse(1, 103))
    assert endpoint.take_sent() == (
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"
    )
    assert statuses(answer(endpoint)) == [200]


def test_http10_gets_no_informational_response() -> None:
    endpoint = server()
    endpoint.receive(b"GET / HTTP/1.0\r\n\r\n")
    endpoint.send(InformationalResponse(1, 103))
    assert endpoint.take_sent() == b""


# -- tunnels --------------------------------------------------------------------------------

UPGRADE = head(
    "GET /ws HTTP/1.1", "Host: a", "Connection: keep-alive, Upgrade", "Upgrade: WebSocket"
)


@each_chop
def test_an_accepted_upgrade_becomes_a_tunnel(chop: Fragmenter) -> None:
    endpoint = server(chop)
    endpoint.receive(UPGRADE + b"early")
    assert requests(endpoint)[0].protocol == "websocket"
    assert not ended(endpoint)
    endpoint.send(Accept(1, [("X", "y"), ("Upgrade", "other"), ("Content-Length", "5")]))
    assert endpoint.take_sent() == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"X: y\r\n\r\n"
    )
    endpoint.receive(b" late" + GET)
    assert body_of(endpoint) == b"early late" + GET
    count = len(endpoint.events)
    endpoint.connection.receive_data(b"", endpoint.clock.now)
    endpoint.drain()
    assert len(endpoint.events) == count
    endpoint.send(Data(1, b"down"))
    assert endpoint.take_sent() == b"down"
    endpoint.send(EndOfMessage(1))
    assert endpoint.connection.wants_close is CloseAction.WRITE_EOF
    endpoint.receive(b"!")
    endpoint.receive_eof()
    assert body_of(endpoint).endswith(b"!")
    assert ended(endpoint)
    assert closed(endpoint).error is None
    assert endpoint.connection.wants_close is CloseAction.CLOSE


def test_a_tunnel_that_the_peer_ends_first() -> None:
    endpoint = server()
    endpoint.receive(UPGRADE)
    endpoint.send(Accept(1))
    endpoint.receive_eof()
    assert ended(endpoint)
    assert not endpoint.is_closed
    endpoint.send(Data(1, b"bye"), EndOfMessage(1))
    assert endpoint.take_sent().endswith(b"bye")
    assert endpoint.is_closed


def test_eof_before_the_tunnel_is_decided() -> None:
    endpoint = server()
    endpoint.receive(UPGRADE + b"x")
    endpoint.receive_eof()
    endpoint.send(Accept(1))
    assert body_of(endpoint) == b"x"
    assert ended(endpoint)


@each_chop
def test_a_declined_upgrade_goes_on_with_http(chop: Fragmenter) -> None:
    """S11."""
    endpoint = server(chop)
    endpoint.receive(UPGRADE + GET * 40)
    answer(endpoint, 1, status=403)
    assert ended(endpoint)
    for number in range(1, 41):
        assert statuses(answer(endpoint, 2 * number + 1)) == [200]
    assert len(requests(endpoint)) == 41


def test_what_comes_behind_a_pending_upgrade_is_bounded() -> None:
    endpoint = server(settings=config(max_pipelined=100))
    endpoint.receive(UPGRADE)
    endpoint.receive(b"x" * 100)
    assert not endpoint.connection.wants_read
    endpoint.send(Accept(1))
    assert endpoint.connection.wants_read
    assert body_of(endpoint) == b"x" * 100


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(head("GET / HTTP/1.1", "Host: a", *fields), id=name)
        for name, fields in [
            ("S12-no-connection", ["Upgrade: websocket"]),
            ("S12-notupgrade", ["Upgrade: websocket", "Connection: notupgrade"]),
            (
                "S12-h2c",
                ["Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AA"],
            ),
            ("S12-unknown", ["Upgrade: totally-made-up/1.0", "Connection: Upgrade"]),
            ("S12-kelvin", ["Upgrade: webso\xe2\x84\xaaet", "Connection: Upgrade"]),
            ("S12-empty", ["Upgrade:", "Connection: Upgrade"]),
        ]
    ]
    + [
        pytest.param(
            head("GET / HTTP/1.0", "Host: a", "Upgrade: websocket", "Connection: Upgrade"),
            id="S12-http10",
        )
    ],
)
def test_an_upgrade_that_is_ignored(octets: bytes) -> None:
    endpoint = server(settings=config(upgrade_protocols=frozenset({"websocket", "h2c"})))
    endpoint.receive(octets)
    assert requests(endpoint)[0].protocol is None
    assert ended(endpoint)
    with pytest.raises(LocalProtocolError):
        endpoint.send(Accept(1))
    assert statuses(answer(endpoint)) == [200]


def test_the_first_upgrade_that_is_offered_is_taken() -> None:
    endpoint = server()
    endpoint.receive(
        head("GET / HTTP/1.1", "Host: a", "Upgrade: h2c, foo/2, websocket", "Connection: upgrade")
    )
    assert requests(endpoint)[0].protocol == "websocket"


@each_chop
@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("Content-Length: 4", b"body"),
        ("Transfer-Encoding: chunked", b"4\r\nbody\r\n0\r\n\r\n"),
        ("Content-Length: 24", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ],
)
def test_an_upgrade_with_content_is_an_ordinary_request(
    field: str, body: bytes, chop: Fragmenter
) -> None:
    """S11, S13; RFC 9110 section 7.8."""
    endpoint = server(chop)
    endpoint.receive(
        head("GET / HTTP/1.1", "Host: a", "Upgrade: websocket", "Connection: Upgrade", field)
        + body
        + GET
    )
    assert requests(endpoint)[0].protocol is None
    assert ended(endpoint)
    answer(endpoint)
    assert len(requests(endpoint)) == 2


@each_chop
def test_connect(chop: Fragmenter) -> None:
    endpoint = server(chop)
    endpoint.receive(head("CONNECT b:1 HTTP/1.1", "Host: b:1") + b"up")
    assert requests(endpoint)[0].protocol is None
    assert not ended(endpoint)
    with pytest.raises(LocalProtocolError, match="Accept"):
        endpoint.send(Response(1, 200), EndOfMessage(1))
    endpoint.send(Accept(1))
    assert endpoint.take_sent() == b"HTTP/1.1 200 OK\r\n\r\n"
    assert body_of(endpoint) == b"up"


def test_connect_declined() -> None:
    endpoint = server()
    endpoint.receive(head("CONNECT b:1 HTTP/1.1", "Host: b:1") + GET)
    answer(endpoint, status=405)
    assert ended(endpoint)
    assert len(requests(endpoint)) == 2


def test_connect_over_http10_closes_when_declined() -> None:
    endpoint = server()
    endpoint.receive(head("CONNECT b:1 HTTP/1.0"))
    assert b"Connection: close" in answer(endpoint, status=405)


# -- prior knowledge ------------------------------------------------------------------------

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@each_chop
def test_the_http2_preface_is_handed_over(chop: Fragmenter) -> None:
    endpoint = server(chop, config(detect_http2=True))
    endpoint.receive(PREFACE)
    assert endpoint.events == [PriorKnowledge(PREFACE)]
    assert endpoint.take_sent() == b""
    assert endpoint.connection.wants_close is CloseAction.NONE
    assert not endpoint.connection.wants_read
    assert endpoint.connection.next_timeout() is None


def test_what_follows_the_preface_is_handed_over_too() -> None:
    endpoint = server(settings=config(detect_http2=True))
    endpoint.receive(PREFACE[:5])
    endpoint.receive(PREFACE[5:] + b"frames")
    assert endpoint.events == [PriorKnowledge(PREFACE + b"frames")]


@each_chop
@pytest.mark.parametrize("octets", [PREFACE[:18] + b"XX\r\n\r\n", b"PRI * HTTP/2.1\r\n\r\n"])
def test_nearly_the_preface(octets: bytes, chop: Fragmenter) -> None:
    endpoint = server(chop, config(detect_http2=True))
    endpoint.receive(octets)
    assert statuses(endpoint.take_sent()) == [505]


@each_chop
@pytest.mark.parametrize(
    ("octets", "detect_http2", "expected"),
    [
        (b"INVALID CONNECTION PREFACE\r\n\r\n", True, []),
        (b"INVALID CONNECTION PREFACE\r\n\r\n", False, [400]),
        (b"GET / PREFACE\r\n\r\n", True, [400]),
        (b"GET index HTTP/1.1\r\n\r\n", True, [400]),
        (b"GET index http/1.1\r\n\r\n", True, [400]),
        (b"CONNECT a:1 PREFACE\r\n\r\n", True, [400]),
        (b"OPTIONS * PREFACE\r\n\r\n", True, [400]),
        (b"INVALID PREFACE\r\n\r\n", True, [400]),
    ],
)
def test_only_another_protocol_is_closed_without_an_answer(
    octets: bytes, detect_http2: bool, expected: list[int], chop: Fragmenter
) -> None:
    endpoint = server(chop, config(detect_http2=detect_http2))
    endpoint.receive(octets)
    assert statuses(endpoint.take_sent()) == expected
    assert endpoint.connection.wants_close is CloseAction.WRITE_EOF


def test_another_protocol_behind_a_request_is_answered() -> None:
    endpoint = server(settings=config(detect_http2=True))
    endpoint.receive(GET + b"INVALID CONNECTION PREFACE\r\n\r\n")
    assert statuses(answer(endpoint)) == [200, 400]


def test_the_preface_behind_a_request_is_refused() -> None:
    endpoint = server(settings=config(detect_http2=True))
    endpoint.receive(GET + PREFACE)
    assert statuses(answer(endpoint)) == [200, 505]


@each_chop
def test_methods_that_begin_like_the_preface(chop: Fragmenter) -> None:
    endpoint = server(chop, config(detect_http2=True))
    endpoint.receive(head("PROPFIND / HTTP/1.1", "Host: a") + head("PRI /x HTTP/1.1", "Host: a"))
    answer(endpoint)
    assert [request.method for request in requests(endpoint)] == ["PROPFIND", "PRI"]


# -- the end --------------------------------------------------------------------------------


def test_close_on_an_idle_connection() -> None:
    endpoint = server()
    endpoint.close()
    assert endpoint.connection.wants_close is CloseAction.CLOSE
    endpoint.receive(GET)
    assert requests(endpoint) == []
    assert closed(endpoint).reason is CloseReason.LOCAL


def test_close_lets_the_exchange_finish() -> None:
    endpoint = server()
    endpoint.receive(GET + GET)
    endpoint.close()
    endpoint.close()
    assert endpoint.connection.state is ConnectionState.DRAINING
    assert b"\r\nConnection: close\r\n" in answer(endpoint)
    assert len(requests(endpoint)) == 1
    assert endpoint.connection.wants_close is CloseAction.WRITE_EOF


def test_close_behind_the_head_of_an_answer() -> None:
    endpoint = server()
    endpoint.receive(GET)
    endpoint.send(Response(1, 200), Data(1, b"x"))
    endpoint.close()
    endpoint.send(EndOfMessage(1))
    assert endpoint.connection.wants_close is CloseAction.WRITE_EOF


@pytest.mark.parametrize("octets", [b"", GET])
def test_close_with_a_code_is_at_once(octets: bytes) -> None:
    endpoint = server()
    endpoint.receive(octets)
    endpoint.close(ErrorCode.NO_ERROR)
    assert endpoint.is_closed
    assert len(resets(endpoint)) == bool(octets)
    assert endpoint.connection.wants_close is (CloseAction.ABORT if octets else CloseAction.CLOSE)


@pytest.mark.parametrize("error", [None, ConnectionResetError("reset")])
def test_a_lost_transport_ends_the_exchange(error: Exception | None) -> None:
    endpoint = server()
    endpoint.receive(GET)
    endpoint.lose(error)
    (reset,) = resets(endpoint)
    assert reset.initiator is Initiator.REMOTE
    assert closed(endpoint).reason is CloseReason.LOST
    assert closed(endpoint).error is (error or reset.error)
    with pytest.raises(LocalProtocolError):
        answer(endpoint)


def test_a_lost_transport_on_an_idle_connection() -> None:
    endpoint = server()
    endpoint.lose()
    assert closed(endpoint).reason is CloseReason.PEER
    endpoint.lose()
    endpoint.receive(GET)
    endpoint.receive_eof()
    endpoint.handle_timeout()
    assert len(endpoint.events) == 1


def test_a_transport_lost_while_lingering_keeps_the_reason() -> None:
    endpoint = server()
    endpoint.receive(b"BAD\r\n\r\n")
    endpoint.lose(ConnectionResetError())
    assert closed(endpoint).reason is CloseReason.PROTOCOL_ERROR


def test_a_server_opens_no_streams() -> None:
    endpoint = server()
    assert endpoint.connection.available_streams == 0
    with pytest.raises(LocalProtocolError):
        endpoint.connection.next_stream_id()
    with pytest.raises(LocalProtocolError):
        endpoint.send(Request(1, "GET", "http", "a", "/", []), EndOfMessage(1))


def test_the_events_of_a_whole_exchange() -> None:
    endpoint = server()
    endpoint.receive(head("POST / HTTP/1.1", "Host: a", "Content-Length: 2") + b"ab")
    headers = (("Host", "a"), ("Content-Length", "2"))
    assert coalesce(endpoint.events) == [
        Request(1, "POST", "http", "a", "/", headers),
        Data(1, b"ab", 2),
        EndOfMessage(1),
    ]
