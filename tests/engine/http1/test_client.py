"""The client's side of an exchange: requests, responses, persistence, tunnels, the end."""

from __future__ import annotations

import pytest

from plait_engine import (
    Accept,
    CloseAction,
    CloseReason,
    ConnectionState,
    Data,
    Draining,
    EndOfMessage,
    ErrorCode,
    Headers,
    InformationalResponse,
    Initiator,
    LocalProtocolError,
    RemoteProtocolError,
    Request,
    Response,
    StreamReset,
    Writable,
)
from plait_engine.events import Sendable
from plait_engine.testing import Endpoint, Fragmenter, coalesce
from tests.engine.chops import CHOPS
from tests.engine.http1.helpers import (
    ask,
    body_of,
    client,
    closed,
    config,
    ended,
    resets,
    responses,
)

each_chop = pytest.mark.parametrize("chop", CHOPS)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def request(
    method: str = "GET",
    target: str = "/",
    headers: Headers = (),
    protocol: str | None = None,
) -> Request:
    return Request(1, method, "http", "a", target, headers, protocol)


# -- requests ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "octets"),
    [
        pytest.param(events, octets, id=name)
        for name, events, octets in [
            (
                "get",
                [request(target="/a?b", headers=[("X", "é")]), EndOfMessage(1)],
                "GET /a?b HTTP/1.1\r\nHost: a\r\nX: é\r\n\r\n".encode(),
            ),
            (
                "host-given",
                [request(headers=[("X", "y"), ("hOsT", "b")]), EndOfMessage(1)],
                b"GET / HTTP/1.1\r\nX: y\r\nhOsT: b\r\n\r\n",
            ),
            (
                "post-empty",
                [request("POST"), EndOfMessage(1)],
                b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            ),
            (
                "post-complete",
                [request("POST"), Data(1, b"he"), Data(1, b"llo"), EndOfMessage(1)],
                b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
            ),
            (
                "get-with-content",
                [request(), Data(1, b"hello"), EndOfMessage(1)],
                b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
            ),
            (
                "trailers",
                [request("PUT"), Data(1, b"a"), EndOfMessage(1, [("X", "y")])],
                b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"1\r\na\r\n0\r\nX: y\r\n\r\n",
            ),
            (
                "chunked-given",
                [request(headers=[("Transfer-Encoding", "chunked")]), EndOfMessage(1)],
                b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            ),
            (
                "absolute-form",
                [request(target="http://a/b"), EndOfMessage(1)],
                b"GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n",
            ),
            (
                "asterisk",
                [request("OPTIONS", "*"), EndOfMessage(1)],
                b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
            ),
            (
                "connect",
                [Request(1, "CONNECT", "http", "b:1", "b:1", [])],
                b"CONNECT b:1 HTTP/1.1\r\nHost: b:1\r\n\r\n",
            ),
            (
                "upgrade",
                [request(protocol="websocket")],
                b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            ),
            (
                "upgrade-given",
                [
                    request(
                        headers=[("Upgrade", "WebSocket"), ("Connection", "Upgrade")],
                        protocol="websocket",
                    )
                ],
                b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n",
            ),
        ]
    ],
)
def test_requests_are_written(events: list[Sendable], octets: bytes) -> None:
    endpoint = client()
    endpoint.send(*events)
    assert endpoint.take_sent() == octets


def test_a_request_is_streamed_in_chunks() -> None:
    endpoint = client()
    endpoint.send(request("POST"))
    endpoint.send(Data(1, b"hello"))
    endpoint.send(EndOfMessage(1))
    assert endpoint.take_sent() == (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    )


def test_a_request_of_known_length_is_streamed_as_it_is() -> None:
    endpoint = client()
    endpoint.send(request("POST", headers=[("content-length", "5")]))
    endpoint.send(Data(1, b"hel"))
    endpoint.send(Data(1, b"lo"), EndOfMessage(1))
    assert endpoint.take_sent().endswith(b"content-length: 5\r\n\r\nhello")


def test_get_alone_has_no_content() -> None:
    endpoint = client()
    endpoint.send(request())
    with pytest.raises(LocalProtocolError, match="no body"):
        endpoint.send(Data(1, b"x"))
    endpoint.send(EndOfMessage(1))
    assert endpoint.take_sent() == b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def test_one_request_at_a_time() -> None:
    endpoint = client()
    connection = endpoint.connection
    assert connection.available_streams == 1
    for stream_id in (1, 3, 5):
        assert connection.next_stream_id() == stream_id
        ask(endpoint)
        assert connection.available_streams == 0
        assert connection.open_streams == 1
        with pytest.raises(LocalProtocolError):
            connection.next_stream_id()
        with pytest.raises(LocalProtocolError):
            endpoint.send(
                Request(stream_id + 2, "GET", "http", "a", "/", []), EndOfMessage(stream_id + 2)
            )
        endpoint.receive(OK)
        assert connection.available_streams == 1
        assert connection.open_streams == 0
    assert [response.stream_id for response in responses(endpoint)] == [1, 3, 5]


# -- responses ----------------------------------------------------------------------------

RESPONSES = [
    # id, method, octets, status, reason, body, whether the connection stays
    ("length", "GET", OK, 200, "OK", b"ok", True),
    ("length-zero", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "OK", b"", True),
    (
        "length-repeated",
        "GET",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2, 02\r\n\r\n"[:-7]
        + b"2\r\n\r\nok",
        200,
        "OK",
        b"ok",
        True,
    ),
    (
        "length-zeros",
        "GET",
        b"HTTP/1.1 200 OK\r\nContent-Length: 002\r\n\r\nok",
        200,
        "OK",
        b"ok",
        True,
    ),
    (
        "chunked",
        "GET",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        200,
        "OK",
        b"ok",
        True,
    ),
    ("no-reason", "GET", b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, "", b"", True),
    ("empty-reason", "GET", b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", 200, "", b"", True),
    ("odd-status", "GET", b"HTTP/1.1 799 Odd\r\nContent-Length: 0\r\n\r\n", 799, "Odd", b"", True),
    ("head", "HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 200, "OK", b"", True),
    (
        "head-chunked",
        "HEAD",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        200,
        "OK",
        b"",
        True,
    ),
    ("204", "GET", b"HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\n", 204, "No", b"", True),
    ("304", "GET", b"HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n", 304, "No", b"", True),
    ("lf", "GET", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, "OK", b"ok", True),
    ("lf-mixed", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 2\n\r\nok", 200, "OK", b"ok", True),
    (
        "lf-body-like-head",
        "GET",
        b"HTTP/1.1 200 OK\nContent-Length: 4\n\n\r\n\r\n",
        200,
        "OK",
        b"\r\n\r\n",
        True,
    ),
    (
        "close",
        "GET",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        200,
        "OK",
        b"ok",
        False,
    ),
    ("http10", "GET", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "OK", b"ok", False),
    (
        "http10-keep-alive",
        "GET",
        b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok",
        200,
        "OK",
        b"ok",
        True,
    ),
    (
        "C9-te-cl",
        "GET",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        200,
        "OK",
        b"ok",
        False,
    ),
    (
        "C9-te-http10",
        "GET",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        200,
        "OK",
        b"ok",
        False,
    ),
]


@each_chop
@pytest.mark.parametrize(
    ("method", "octets", "status", "reason", "body", "stays"),
    [pytest.param(*row[1:], id=row[0]) for row in RESPONSES],
)
def test_responses_are_framed(
    method: str, octets: bytes, status: int, reason: str, body: bytes, stays: bool, chop: Fragmenter
) -> None:
    endpoint = client(chop)
    ask(endpoint, method)
    endpoint.receive(octets)
    (response,) = responses(endpoint)
    assert (response.status, response.reason) == (status, reason)
    assert body_of(endpoint) == body
    assert ended(endpoint)
    draining = endpoint.recorder.of_type(Draining)
    if stays:
        assert draining == []
        assert endpoint.connection.available_streams == 1
        ask(endpoint, method)
        endpoint.receive(octets)
        assert len(responses(endpoint)) == 2
    else:
        assert draining == [Draining(1)]
        assert endpoint.connection.available_streams == 0
        assert endpoint.connection.wants_close is CloseAction.CLOSE
        assert closed(endpoint).reason is CloseReason.PEER
        assert closed(endpoint).error is None


@each_chop
@pytest.mark.parametrize(
    "fields", [b"", b"Transfer-Encoding: gzip\r\n", b"Transfer-Encoding: chunked, identity\r\n"]
)
def test_a_body_until_close(fields: bytes, chop: Fragmenter) -> None:
    """RFC 9112 section 6.3, items 4 and 8."""
    endpoint = client(chop)
    ask(endpoint)
    endpoint.receive(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\nall of it")
    assert not ended(endpoint)
    assert endpoint.connection.state is ConnectionState.DRAINING
    endpoint.receive_eof()
    assert body_of(endpoint) == b"all of it"
    assert ended(endpoint)
    assert closed(endpoint).error is None


@each_chop
def test_folded_lines_are_unfolded(chop: Fragmenter) -> None:
    """RFC 9112 section 5.2."""
    endpoint = client(chop)
    ask(endpoint)
    endpoint.receive(b"HTTP/1.1 200 OK\r\nX: a \r\n\t b\r\nY: 1\n c\nContent-Length: 0\r\n\r\n")
    assert list(responses(endpoint)[0].headers) == [
        ("X", "a b"),
        ("Y", "1 c"),
        ("Content-Length", "0"),
    ]


def test_a_response_may_repeat_fields() -> None:
    """S53: the server's strictness is not the client's."""
    endpoint = client()
    ask(endpoint)
    endpoint.receive(
        b"HTTP/1.1 200 OK\r\nContent-Type: a\r\nContent-Type: b\r\nContent-Length: 0\r\n\r\n"
    )
    assert ended(endpoint)


@each_chop
def test_trailers(chop: Fragmenter) -> None:
    endpoint = client(chop)
    ask(endpoint)
    endpoint.receive(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\nSet-Cookie: a\r\n\r\n"
    )
    assert endpoint.events[-1] == EndOfMessage(1, (("X", "y"),))


@each_chop
def test_informational_responses_come_first(chop: Fragmenter) -> None:
    endpoint = client(chop)
    ask(endpoint)
    endpoint.receive(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 \r\n\r\n"
        b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n" + OK
    )
    assert coalesce(endpoint.events) == [
        InformationalResponse(1, 103, (("Link", "</a>"),)),
        InformationalResponse(1, 102),
        InformationalResponse(1, 100, (("Content-Length", "5"),)),
        Response(1, 200, (("Content-Length", "2"),), "OK"),
        Data(1, b"ok", 2),
        EndOfMessage(1),
    ]


# -- bad responses ----------------------------------------------------------------------------

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BAD = [
    ("C7-0-cr", CHUNKED + b"0\rX"),
    ("C7-cr", CHUNKED + b"5\r\nhello\rX"),
    ("C7-xy", CHUNKED + b"5\r\nhelloXY"),
    ("C7-cr-in-data-end", CHUNKED + b"1\r\nA\rB"),
    ("C7-underscore", CHUNKED + b"0_2e\r\n"),
    ("C7-space", CHUNKED + b"2 \r\nok\r\n0\r\n\r\n"),
    ("C8-nul", b"HTTP/1.1 200 OK\r\nFoo: abc\x00def\r\n\r\n"),
    ("C8-bell", b"HTTP/1.1 200 OK\r\nFoo: a\x07\r\n\r\n"),
    ("C8-cr", b"HTTP/1.1 200 OK\r\nFoo: a\rb\r\n\r\n"),
    ("C8-reason", b"HTTP/1.1 200 O\x00K\r\n\r\n"),
    ("C8-name", b"HTTP/1.1 200 OK\r\nF oo: a\r\n\r\n"),
    ("C8-space-before-colon", b"HTTP/1.1 200 OK\r\nFoo : a\r\n\r\n"),
    ("C8-no-colon", b"HTTP/1.1 200 OK\r\nFoo\r\n\r\n"),
    ("C8-space-first-fold", b"HTTP/1.1 200 OK\r\n Foo: a\r\n b\r\n\r\n"),
    ("C8-space-first", b"HTTP/1.1 200 OK\r\n Foo: a\r\n\r\n"),
    ("C9-lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"),
    ("C9-length-list", b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok"),
    ("C9-length-x", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nok"),
    ("C9-length-minus", b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok"),
    ("C9-length-empty", b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok"),
    ("C9-length-huge", b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 20 + b"\r\n\r\nok"),
    ("C9-gzip-chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
    ("C12-101", b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
    ("C12-103-flood", b"HTTP/1.1 103 \r\n\r\n" * 101),
    ("C13-status-line", b"HTTP/1.1 200 " + b"x" * 9000),
    ("C13-field", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 9000),
    ("C13-fields", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200),
    ("C13-section", b"HTTP/1.1 200 OK\r\n" + (b"X: " + b"y" * 8000 + b"\r\n") * 10),
    ("C13-chunk-line", CHUNKED + b"5;" + b"x" * 9000),
    ("C13-chunk-digits", CHUNKED + b"0" * 9000),
    ("garbage", b"SSH-2.0-OpenSSH\r\n\r\n"),
    ("http2", b"HTTP/2 200 OK\r\n\r\n"),
    ("status-2-digits", b"HTTP/1.1 20 OK\r\n\r\n"),
    ("status-4-digits", b"HTTP/1.1 2000 OK\r\n\r\n"),
    ("status-0xx", b"HTTP/1.1 099 OK\r\n\r\n"),
    ("lower-case", b"http/1.1 200 OK\r\n\r\n"),
    ("empty-line-first", b"\r\nHTTP/1.1 200 OK\r\n\r\n"),
    ("empty-line-first-lf", b"\nHTTP/1.1 200 OK\r\n\r\n"),
]


@each_chop
@pytest.mark.parametrize("octets", [pytest.param(octets, id=name) for name, octets in BAD])
def test_a_bad_response_ends_the_connection(octets: bytes, chop: Fragmenter) -> None:
    endpoint = client(chop)
    ask(endpoint)
    endpoint.receive(octets)
    endpoint.receive(OK)
    (reset,) = resets(endpoint)
    assert reset.initiator is Initiator.LOCAL
    assert isinstance(reset.error, RemoteProtocolError)
    assert not reset.retryable
    assert not ended(endpoint)
    assert closed(endpoint).reason is CloseReason.PROTOCOL_ERROR
    assert closed(endpoint).error is reset.error
    assert endpoint.connection.wants_close is CloseAction.CLOSE
    assert len(endpoint.take_sent().split(b"\r\n\r\n")) == 2


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(OK + OK, id="C10-second-response"),
        pytest.param(OK + b"x", id="C10-surplus"),
        pytest.param(b"HTTP/1.1 204 No\r\n\r\nx", id="C9-bodiless-surplus"),
        pytest.param(CHUNKED + b"0\r\n\r\nx", id="C10-behind-chunks"),
        pytest.param(OK + b"HTTP/1.1 100 Continue\r\n\r\n", id="C10-late-100"),
    ],
)
@each_chop
def test_surplus_octets_end_the_connection(octets: bytes, chop: Fragmenter) -> None:
    endpoint = client(chop)
    ask(endpoint)
    endpoint.receive(octets)
    assert ended(endpoint)
    assert len(responses(endpoint)) == 1
    assert closed(endpoint).reason is CloseReason.PROTOCOL_ERROR
    assert endpoint.connection.available_streams == 0


def test_octets_before_any_request_end_the_connection() -> None:
    endpoint = client()
    endpoint.receive(OK)
    assert closed(endpoint).reason is CloseReason.PROTOCOL_ERROR
    assert resets(endpoint) == []


@pytest.mark.parametrize(
    ("octets", "message"),
    [
        pytest.param(b"", "before a response", id="C16-nothing"),
        pytest.param(b"HTTP/1.1 200", "response head", id="C16-head"),
        pytest.param(b"HTTP/1.1 103 \r\n\r\n", "before a response", id="C16-after-103"),
        pytest.param(OK[:-1], "1 of 2 octets", id="C16-length"),
        pytest.param(CHUNKED + b"5\r\nhel", "after 3 octets", id="C16-chunk"),
        pytest.param(CHUNKED + b"5\r\nhello\r\n", "after 5 octets", id="C16-last-chunk"),
    ],
)
def test_a_response_cut_short_is_an_error(octets: bytes, message: str) -> None:
    endpoint = client()
    ask(endpoint)
    endpoint.receive(octets)
    endpoint.receive_eof()
    (reset,) = resets(endpoint)
    assert reset.initiator is Initiator.REMOTE
    assert message in str(reset.error)
    assert closed(endpoint).reason is CloseReason.PEER
    assert closed(endpoint).error is reset.error


def test_a_lost_transport_in_a_body_until_close_is_an_error() -> None:
    endpoint = client()
    ask(endpoint)
    endpoint.receive(b"HTTP/1.1 200 OK\r\n\r\nhalf")
    endpoint.lose(ConnectionResetError())
    assert len(resets(endpoint)) == 1
    assert closed(endpoint).reason is CloseReason.LOST


def test_eof_on_an_idle_connection() -> None:
    endpoint = client()
    endpoint.receive_eof()
    assert closed(endpoint).reason is CloseReason.PEER
    assert closed(endpoint).error is None
    assert endpoint.connection.available_streams == 0


# -- the request is not over yet ----------------------------------------------------------------


def _upload(endpoint: Endpoint) -> None:
    endpoint.send(request("POST", headers=[("Content-Length", "10")]))
    endpoint.send(Data(1, b"hello"))
    endpoint.take_sent()


def test_an_early_answer_that_keeps_the_connection() -> None:
    endpoint = client()
    _upload(endpoint)
    endpoint.receive(OK)
    assert ended(endpoint)
    assert endpoint.connection.available_streams == 0
    endpoint.send(Data(1, b"world"), EndOfMessage(1))
    assert endpoint.take_sent() == b"world"
    assert endpoint.connection.available_streams == 1


@pytest.mark.parametrize("eof", [False, True])
def test_an_early_answer_that_closes_says_that_the_rest_is_not_wanted(eof: bool) -> None:
    endpoint = client()
    _upload(endpoint)
    if eof:
        endpoint.receive(OK)
        endpoint.receive_eof()
    else:
        endpoint.receive(b"HTTP/1.1 413 Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    assert ended(endpoint)
    (reset,) = resets(endpoint)
    assert reset == StreamReset(1, ErrorCode.NO_ERROR, Initiator.REMOTE)
    assert closed(endpoint).reason is CloseReason.PEER
    assert closed(endpoint).error is None


def test_an_unwanted_response_is_drained() -> None:
    endpoint = client()
    ask(endpoint)
    endpoint.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
    endpoint.send(StreamReset(1, ErrorCode.NO_ERROR))
    endpoint.receive(b"cd")
    assert body_of(endpoint) == b"ab"
    assert not ended(endpoint)
    assert endpoint.connection.available_streams == 1


def test_an_unwanted_response_that_is_large_closes() -> None:
    endpoint = client(settings=config(max_drain=10))
    ask(endpoint)
    endpoint.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n")
    endpoint.send(StreamReset(1, ErrorCode.NO_ERROR))
    endpoint.receive(b"x" * 11)
    assert endpoint.connection.wants_close is CloseAction.CLOSE
    assert endpoint.is_closed


def test_an_unwanted_response_until_close_closes() -> None:
    endpoint = client()
    ask(endpoint)
    endpoint.receive(b"HTTP/1.1 200 OK\r\n\r\n")
    endpoint.send(StreamReset(1, ErrorCode.NO_ERROR))
    assert endpoint.is_closed


def test_giving_up_a_request_drops_the_connection() -> None:
    endpoint = client()
    ask(endpoint)
    endpoint.send(StreamReset(1))
    assert endpoint.connection.wants_close is CloseAction.ABORT
    assert closed(endpoint).reason is CloseReason.LOCAL
    assert resets(endpoint) == []


# -- 100 Continue ---------------------------------------------------------------------------------


def _expect(endpoint: Endpoint, *body: Sendable) -> None:
    fields = [("Expect", "100-continue"), ("Content-Length", "5")]
    endpoint.send(request("POST", headers=fields), *body)


HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"


@each_chop
def test_content_waits_for_100(chop: Fragmenter) -> None:
    endpoint = client(chop)
    _expect(endpoint)
    assert endpoint.connection.send_capacity(1) == 0
    endpoint.send(Data(1, b"hello"))
    assert endpoint.take_sent() == HEAD
    endpoint.receive(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert endpoint.take() == [InformationalResponse(1, 100), Writable(1)]
    assert endpoint.take_sent() == b"hello"
    assert endpoint.connection.send_capacity(1) > 0
    endpoint.send(EndOfMessage(1))
    endpoint.receive(OK)
    assert endpoint.connection.available_streams == 1


def test_a_complete_message_waits_for_100_too() -> None:
    endpoint = client()
    _expect(endpoint, Data(1, b"hello"), EndOfMessage(1))
    assert endpoint.take_sent() == HEAD
    endpoint.receive(b"HTTP/1.1 103 \r\n\r\n")
    assert endpoint.take_sent() == b""
    endpoint.receive(b"HTTP/1.1 100 \r\n\r\n")
    assert endpoint.take_sent() == b"hello"


def test_the_client_does_not_wait_for_ever() -> None:
    endpoint = client()
    _expect(endpoint)
    endpoint.send(Data(1, b"hello"))
    deadline = endpoint.connection.next_timeout()
    assert deadline == endpoint.clock.now + 1.0
    endpoint.take_sent()
    endpoint.clock.now = deadline
    endpoint.handle_timeout()
    assert endpoint.take() == [Writable(1)]
    assert endpoint.take_sent() == b"hello"
    endpoint.send(EndOfMessage(1))
    endpoint.receive(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)
    assert ended(endpoint)


def test_a_final_response_instead_of_100_drops_the_content() -> None:
    """C11; RFC 9110 section 10.1.1."""
    endpoint = client()
    _expect(endpoint)
    endpoint.send(Data(1, b"hel"))
    endpoint.take_sent()
    endpoint.receive(b"HTTP/1.1 417 No\r\nContent-Length: 10\r\n\r\n")
    assert Writable(1) in endpoint.take()
    endpoint.send(Data(1, b"lo"), EndOfMessage(1))
    assert endpoint.take_sent() == b""
    endpoint.receive(b"0123456789")
    assert ended(endpoint)
    assert endpoint.connection.wants_close is CloseAction.CLOSE
    assert resets(endpoint) == []


@pytest.mark.parametrize("more", [[], [("Content-Length", "0")]])
def test_expect_without_content_waits_for_nothing(more: list[tuple[str, str]]) -> None:
    endpoint = client()
    endpoint.send(request(headers=[("Expect", "100-continue"), *more]), EndOfMessage(1))
    assert endpoint.connection.next_timeout() is None
    endpoint.receive(OK)
    assert endpoint.connection.available_streams == 1


# -- tunnels --------------------------------------------------------------------------------------

SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nconnection: Upgrade\r\n\r\n"


@each_chop
def test_an_accepted_upgrade_becomes_a_tunnel(chop: Fragmenter) -> None:
    endpoint = client(chop)
    endpoint.send(request(protocol="websocket"))
    assert endpoint.connection.send_capacity(1) == 0
    with pytest.raises(LocalProtocolError):
        endpoint.send(Data(1, b"too early"))
    endpoint.take_sent()
    endpoint.receive(SWITCH + b"down")
    events = coalesce(endpoint.events)
    assert events == [
        Accept(1, (("upgrade", "WebSocket"), ("connection", "Upgrade"))),
        Data(1, b"down", 4),
    ]
    endpoint.send(Data(1, b"up"))
    assert endpoint.take_sent() == b"up"
    endpoint.receive_eof()
    assert ended(endpoint)
    assert not endpoint.is_closed
    endpoint.send(EndOfMessage(1))
    assert endpoint.is_closed


@each_chop
def test_a_declined_upgrade_leaves_the_connection(chop: Fragmenter) -> None:
    endpoint = client(chop)
    endpoint.send(request(protocol="websocket"))
    endpoint.receive(OK)
    assert ended(endpoint)
    assert endpoint.connection.available_streams == 1


@pytest.mark.parametrize(
    "octets",
    [
        SWITCH.replace(b"WebSocket", b"other"),
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
)
def test_a_switch_to_something_else_is_an_error(octets: bytes) -> None:
    """C12."""
    endpoint = client()
    endpoint.send(request(protocol="websocket"))
    endpoint.receive(octets)
    assert len(resets(endpoint)) == 1


def test_200_does_not_switch() -> None:
    """C12: only 101 enters the upgrade."""
    endpoint = client()
    endpoint.send(request(protocol="websocket"))
    endpoint.receive(SWITCH.replace(b"101", b"200"))
    assert endpoint.recorder.of_type(Accept) == []
    assert len(responses(endpoint)) == 1


@each_chop
def test_connect(chop: Fragmenter) -> None:
    """C9: 2xx to CONNECT is a tunnel whatever its fields say."""
    endpoint = client(chop)
    endpoint.send(Request(1, "CONNECT", "http", "b:1", "b:1", []))
    endpoint.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntunnel")
    assert isinstance(endpoint.events[0], Accept)
    assert body_of(endpoint) == b"tunnel"
    endpoint.send(EndOfMessage(1))
    assert endpoint.connection.wants_close is CloseAction.WRITE_EOF


def test_connect_declined() -> None:
    endpoint = client()
    endpoint.send(Request(1, "CONNECT", "http", "b:1", "b:1", []))
    endpoint.receive(b"HTTP/1.1 407 Auth\r\nContent-Length: 2\r\n\r\nno")
    assert responses(endpoint)[0].status == 407
    assert endpoint.connection.available_streams == 1


# -- the end --------------------------------------------------------------------------------------


def test_close_on_an_idle_connection() -> None:
    endpoint = client()
    endpoint.close()
    assert endpoint.connection.wants_close is CloseAction.CLOSE
    assert closed(endpoint).reason is CloseReason.LOCAL


def test_close_lets_the_exchange_finish() -> None:
    endpoint = client()
    ask(endpoint)
    endpoint.close()
    assert endpoint.connection.state is ConnectionState.DRAINING
    endpoint.receive(OK)
    assert ended(endpoint)
    assert closed(endpoint).reason is CloseReason.LOCAL


def test_close_with_a_code_is_at_once() -> None:
    endpoint = client()
    ask(endpoint)
    endpoint.close(ErrorCode.CANCEL)
    (reset,) = resets(endpoint)
    assert (reset.code, reset.initiator) == (ErrorCode.CANCEL, Initiator.LOCAL)
    assert endpoint.connection.wants_close is CloseAction.ABORT


def test_a_request_that_closes_is_the_last() -> None:
    endpoint = client()
    ask(endpoint, Connection="close")
    endpoint.receive(OK)
    assert closed(endpoint).reason is CloseReason.LOCAL


def test_a_closed_connection_takes_no_request() -> None:
    endpoint = client()
    endpoint.close()
    with pytest.raises(LocalProtocolError):
        endpoint.connection.next_stream_id()
    with pytest.raises(LocalProtocolError):
        endpoint.send(request(), EndOfMessage(1))
    endpoint.acknowledge(1, 5)
    endpoint.close()
    assert len(endpoint.events) == 1
