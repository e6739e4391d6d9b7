"""The client's side of an exchange: requests and responses."""

from __future__ import annotations

import pytest

from plait_engine import (
    CloseAction,
    CloseReason,
    ConnectionState,
    Data,
    Draining,
    EndOfMessage,
    ErrorCode,
    InformationalResponse,
    LocalProtocolError,
    Request,
    Response,
    StreamReset,
    StreamsAvailable,
    Writable,
)
from plait_engine.events import Sendable
from plait_engine.testing import Fragmenter, coalesce
from tests.engine.chops import CHOPS
from tests.engine.http1.helpers import (
    ask,
    body_of,
    client,
    closed,
    config,
    ended,
    request,
    responses,
)

each_chop = pytest.mark.parametrize("chop", CHOPS)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


# -- requests ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "data"),
    [
        pytest.param(events, data, id=name)
        for name, events, data in [
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
def test_requests_are_written(events: list[Sendable], data: bytes) -> None:
    endpoint = client()
    endpoint.send(*events)
    assert endpoint.take_sent() == data


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
    # id, method, bytes, status, reason, body, whether the connection stays
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
    *(
        (
            f"C9-te-empty-cl-{order}",
            "GET",
            b"HTTP/1.1 200 OK\r\n" + lines + b"\r\nok",
            200,
            "OK",
            b"ok",
            False,
        )
        for order, lines in (
            ("behind", b"Content-Length: 2\r\nTransfer-Encoding: \r\n"),
            ("before", b"Transfer-Encoding:,\r\nContent-Length: 2\r\n"),
        )
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
    ("method", "data", "status", "reason", "body", "stays"),
    [pytest.param(*row[1:], id=row[0]) for row in RESPONSES],
)
def test_responses_are_framed(
    method: str, data: bytes, status: int, reason: str, body: bytes, stays: bool, chop: Fragmenter
) -> None:
    endpoint = client(chop)
    ask(endpoint, method)
    endpoint.receive(data)
    (response,) = responses(endpoint)
    assert (response.status, response.reason) == (status, reason)
    assert body_of(endpoint) == body
    assert ended(endpoint)
    draining = endpoint.recorder.of_type(Draining)
    if stays:
        assert draining == []
        assert endpoint.connection.available_streams == 1
        ask(endpoint, method)
        endpoint.receive(data)
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
    endpoint.receive(
        b"HTTP/1.1 200 OK\r\nX: a \r\n\t b\r\nY: 1\n c\n\td\n"
        b"Z: \r\n \r\n\t\r\n  \r\nW: e\r\n \r\n f\r\nContent-Length: 0\r\n\r\n"
    )
    assert list(responses(endpoint)[0].headers) == [
        ("X", "a b"),
        ("Y", "1 c d"),
        ("Z", ""),
        ("W", "e f"),
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
def test_content_codings_of_a_response_are_the_applications(chop: Fragmenter) -> None:
    """RFC 9110 section 8.4: a list, in one field line or in several; nothing is decoded here."""
    endpoint = client(chop)
    ask(endpoint)
    endpoint.receive(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\ncontent-encoding: gzip\r\n"
        b"Content-Length: 2\r\n\r\n\x1f\x8b"
    )
    assert responses(endpoint)[0].headers == (
        ("Content-Encoding", "br"),
        ("content-encoding", "gzip"),
        ("Content-Length", "2"),
    )
    assert body_of(endpoint) == b"\x1f\x8b"
    assert ended(endpoint)


@each_chop
def test_trailers(chop: Fragmenter) -> None:
    endpoint = client(chop)
    ask(endpoint)
    endpoint.receive(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\nSet-Cookie: a\r\n\r\n"
    )
    assert endpoint.events[-2:] == [EndOfMessage(1, (("X", "y"),)), StreamsAvailable()]


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
        StreamsAvailable(),
    ]


@each_chop
def test_a_response_that_nobody_wants_is_read_to_its_end(chop: Fragmenter) -> None:
    endpoint = client(chop)
    ask(endpoint)
    endpoint.send(StreamReset(1, ErrorCode.NO_ERROR))
    endpoint.receive(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK)
    assert endpoint.take() == [StreamsAvailable()]
    assert ask(endpoint) == 3
    endpoint.receive(OK)
    assert body_of(endpoint, 3) == b"ok"


def test_a_response_that_nobody_wants_and_goes_wrong() -> None:
    endpoint = client()
    ask(endpoint)
    endpoint.send(StreamReset(1, ErrorCode.NO_ERROR))
    endpoint.receive(b"no response\r\n\r\n")
    assert endpoint.events == [closed(endpoint)]
    assert closed(endpoint).reason is CloseReason.PROTOCOL_ERROR


def test_a_client_that_leaves_is_not_told_that_the_server_does() -> None:
    endpoint = client()
    ask(endpoint)
    endpoint.close()
    endpoint.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    response, end, last = endpoint.take()
    assert isinstance(response, Response)
    assert end == EndOfMessage(1)
    assert last == closed(endpoint)
    assert closed(endpoint).error is None


def test_content_that_was_held_may_fill_the_queue() -> None:
    endpoint = client(settings=config(write_high_water=10, write_low_water=5))
    endpoint.send(request("POST", headers=[("Expect", "100-continue")]), Data(1, b"x" * 100))
    endpoint.take()
    endpoint.can_write = False
    endpoint.receive(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert endpoint.take() == [InformationalResponse(1, 100)]
    endpoint.can_write = True
    endpoint.drain()
    assert endpoint.take() == [Writable(1)]
