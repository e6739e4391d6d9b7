"""The client's side of responses that are wrong, or come before the request is complete."""

from __future__ import annotations

import pytest

from plait_engine import (
    CloseAction,
    CloseReason,
    Data,
    EndOfMessage,
    ErrorCode,
    Initiator,
    RemoteProtocolError,
    StreamReset,
)
from plait_engine.testing import Endpoint, Fragmenter
from tests.engine.chops import CHOPS
from tests.engine.http1.helpers import (
    ask,
    body_of,
    client,
    closed,
    config,
    ended,
    request,
    resets,
    responses,
)

each_chop = pytest.mark.parametrize("chop", CHOPS)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


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
    ("C9-gzip-length", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: gzip\r\n\r\n"),
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
@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in BAD])
def test_a_bad_response_ends_the_connection(data: bytes, chop: Fragmenter) -> None:
    endpoint = client(chop)
    ask(endpoint)
    endpoint.receive(data)
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
    "data",
    [
        pytest.param(OK + OK, id="C10-second-response"),
        pytest.param(OK + b"x", id="C10-surplus"),
        pytest.param(b"HTTP/1.1 204 No\r\n\r\nx", id="C9-bodiless-surplus"),
        pytest.param(CHUNKED + b"0\r\n\r\nx", id="C10-behind-chunks"),
        pytest.param(OK + b"HTTP/1.1 100 Continue\r\n\r\n", id="C10-late-100"),
    ],
)
@each_chop
def test_surplus_bytes_end_the_connection(data: bytes, chop: Fragmenter) -> None:
    endpoint = client(chop)
    ask(endpoint)
    endpoint.receive(data)
    assert ended(endpoint)
    assert len(responses(endpoint)) == 1
    assert closed(endpoint).reason is CloseReason.PROTOCOL_ERROR
    assert endpoint.connection.available_streams == 0


def test_bytes_before_any_request_end_the_connection() -> None:
    endpoint = client()
    endpoint.receive(OK)
    assert closed(endpoint).reason is CloseReason.PROTOCOL_ERROR
    assert resets(endpoint) == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "before a response", id="C16-nothing"),
        pytest.param(b"HTTP/1.1 200", "response head", id="C16-head"),
        pytest.param(b"HTTP/1.1 103 \r\n\r\n", "before a response", id="C16-after-103"),
        pytest.param(OK[:-1], "1 of 2 bytes", id="C16-length"),
        pytest.param(CHUNKED + b"5\r\nhel", "after 3 bytes", id="C16-chunk"),
        pytest.param(CHUNKED + b"5\r\nhello\r\n", "after 5 bytes", id="C16-last-chunk"),
    ],
)
def test_a_response_cut_short_is_an_error(data: bytes, message: str) -> None:
    endpoint = client()
    ask(endpoint)
    endpoint.receive(data)
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
