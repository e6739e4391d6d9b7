"""What may not be sent: LocalProtocolError, and then nothing changed and nothing is queued.

Every row is tried on a fresh connection; afterwards a good message goes out as if nothing
had been asked.
"""

from __future__ import annotations

from typing import Any

import pytest

from plait_engine import (
    Accept,
    Data,
    EndOfMessage,
    InformationalResponse,
    LocalProtocolError,
    Request,
    Response,
    StreamReset,
)
from plait_engine.events import Sendable
from plait_engine.testing import Endpoint
from tests.engine.http1.helpers import GET, answer, client, server, statuses

BAD_FIELDS = [
    *[(f"value-{byte:02x}", ("X", f"a{chr(byte)}b")) for byte in range(0x20) if byte != 9],
    ("value-7f", ("X", "a\x7fb")),
    ("value-injects", ("X", "a\r\nSet-Cookie: x")),
    ("value-injects-lf", ("X", "a\nY: b")),
    ("value-surrogate", ("X", "\ud800")),
    *[(f"name-{name!r}", (name, "a")) for name in ("", " ", "X Y", "X:", "X\r\nY", "é", "X\x00")],
]
bad_fields = pytest.mark.parametrize(
    "field", [pytest.param(field, id=name) for name, field in BAD_FIELDS]
)


def refused_by_server(*events: Sendable, request: bytes = GET) -> str:
    endpoint = server()
    endpoint.receive(request)
    message = _refused(endpoint, *events)
    assert statuses(answer(endpoint)) == [200]
    return message


def refused_by_client(*events: Sendable) -> str:
    endpoint = client()
    message = _refused(endpoint, *events)
    endpoint.send(Request(1, "GET", "http", "a", "/", ()), EndOfMessage(1))
    assert endpoint.take_sent() == GET
    return message


def _refused(endpoint: Endpoint, *events: Sendable) -> str:
    endpoint.take()
    with pytest.raises(LocalProtocolError) as caught:
        endpoint.send(*events)
    endpoint.drain()
    assert endpoint.take_sent() == b""
    assert endpoint.take() == []
    return str(caught.value)


def response(*fields: tuple[str, str], status: int = 200, reason: str | None = None) -> Response:
    return Response(1, status, fields, reason)


def request(
    *fields: tuple[str, str], method: str = "POST", target: str = "/", authority: str = "a"
) -> Request:
    return Request(1, method, "http", authority, target, fields)


# -- fields: S70, C4, C5 -------------------------------------------------------------------


@bad_fields
def test_bad_fields_of_a_response(field: tuple[str, str]) -> None:
    refused_by_server(response(field), Data(1, b"x"), EndOfMessage(1))
    refused_by_server(response(field))
    refused_by_server(InformationalResponse(1, 103, [field]))


@bad_fields
def test_bad_fields_of_a_request(field: tuple[str, str]) -> None:
    refused_by_client(request(field, method="GET"), EndOfMessage(1))
    refused_by_client(request(field))


@bad_fields
def test_bad_trailers(field: tuple[str, str]) -> None:
    """S73."""
    refused_by_server(response(), EndOfMessage(1, [field]))
    refused_by_client(request(), EndOfMessage(1, [field]))


@pytest.mark.parametrize(
    "name",
    ["Content-Length", "transfer-encoding", "Host", "Trailer", "Authorization", "Set-Cookie", "TE"],
)
def test_forbidden_trailers(name: str) -> None:
    """RFC 9110 section 6.5.1."""
    assert name.lower() in refused_by_server(response(), EndOfMessage(1, [(name, "1")]))


def test_characters_are_not_truncated() -> None:
    """S70: U+010A ends in the byte of LF; it is sent as UTF-8."""
    endpoint = server()
    endpoint.receive(GET)
    endpoint.send(response(("X", "\u010a\u560d"), ("Y", "\udcff")), EndOfMessage(1))
    assert b"X: \xc4\x8a\xe5\x98\x8d\r\nY: \xff\r\n" in endpoint.take_sent()


@pytest.mark.parametrize("reason", ["OK\rSet-Cookie: evil=1", "a\nb", "\x00", "\x7f", "\ud800"])
def test_bad_reason_phrases(reason: str) -> None:
    """S71."""
    refused_by_server(response(reason=reason), Data(1, b"x"), EndOfMessage(1))


@pytest.mark.parametrize(
    "fields", [[("Content-Length", 5)], [(b"X", b"y")], [("X", None)], [("X",)], ["X: y"], [1], 1]
)
def test_fields_that_are_no_pairs_of_text(fields: Any) -> None:
    refused_by_server(Response(1, 200, fields), Data(1, b"hello"), EndOfMessage(1))
    refused_by_client(Request(1, "GET", "http", "a", "/", fields), EndOfMessage(1))


def test_fields_may_be_lists() -> None:
    fields: Any = [["X", "y"]]
    endpoint = server()
    endpoint.receive(GET)
    endpoint.send(Response(1, 204, fields), EndOfMessage(1))
    assert endpoint.take_sent() == b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n"
    endpoint = client()
    endpoint.send(Request(1, "GET", "http", "a", "/", fields), EndOfMessage(1))
    assert endpoint.take_sent() == b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n"


# -- the request line: C1, C3, C4 -----------------------------------------------------------


@pytest.mark.parametrize("method", ["", " ", "GET / HTTP/1.1\r\nX: y", "G T", "GÉT", "GET\x00"])
def test_bad_methods(method: str) -> None:
    assert "method" in refused_by_client(request(method=method), EndOfMessage(1))


@pytest.mark.parametrize(
    "target", ["", "/a b", "/\r\nX: y", "/\n", "/\x00", "/\x7f", "/é", "/\u010a", "/a#b"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_bad_targets(method: str, target: str) -> None:
    assert "target" in refused_by_client(request(method=method, target=target), EndOfMessage(1))


@pytest.mark.parametrize(
    "authority", ["a\r\nX: y", "a b", "\x00", "é", "u@a", "a/b", "a,b", ":1", "[::1", "a:x"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_bad_authorities(method: str, authority: str) -> None:
    message = refused_by_client(request(method=method, authority=authority), EndOfMessage(1))
    assert "authority" in message


@pytest.mark.parametrize("target", ["/", "*", "a", "a:", "http://a/"])
def test_bad_targets_of_connect(target: str) -> None:
    refused_by_client(Request(1, "CONNECT", "http", "a:1", target, ()))


def test_bad_protocols() -> None:
    refused_by_client(Request(1, "GET", "http", "a", "/", (), protocol="a\r\nb"))
    refused_by_client(Request(1, "CONNECT", "http", "a:1", "a:1", (), protocol="websocket"))


# -- framing: S72, C6 -------------------------------------------------------------------------

FRAMINGS = [
    ("two-lengths", [("Content-Length", "5"), ("content-length", "5")]),
    ("length-and-chunked", [("Content-Length", "5"), ("Transfer-Encoding", "chunked")]),
    ("chunked-and-length", [("transfer-encoding", "chunked"), ("Content-length", "5")]),
    ("gzip", [("Transfer-Encoding", "gzip, chunked")]),
    ("identity", [("Transfer-Encoding", "identity")]),
    ("no-coding", [("Transfer-Encoding", "")]),
    *[
        (f"length-{value!r}", [("Content-Length", value)])
        for value in ("", "-1", "+5", "5x", "5, 5", "\u0665", "9" * 20)
    ],
]


@pytest.mark.parametrize("fields", [pytest.param(fields, id=name) for name, fields in FRAMINGS])
def test_bad_framing(fields: list[tuple[str, str]]) -> None:
    body = (Data(1, b"hello"), EndOfMessage(1))
    refused_by_server(response(*fields), *body)
    refused_by_client(request(*fields), *body)


@pytest.mark.parametrize(
    ("body", "message"), [(b"1234", "1 bytes"), (b"", "5 bytes"), (b"123456", "longer")]
)
def test_a_body_of_another_length(body: bytes, message: str) -> None:
    events = (Data(1, body), EndOfMessage(1))
    assert message in refused_by_server(response(("Content-Length", "5")), *events)
    assert message in refused_by_client(request(("Content-Length", "5")), *events)


def test_a_streamed_body_of_another_length() -> None:
    endpoint = server()
    endpoint.receive(GET)
    endpoint.send(response(("Content-Length", "5")), Data(1, b"123"))
    endpoint.take_sent()
    assert "longer" in _refused(endpoint, Data(1, b"45"), Data(1, b"6"))
    assert "2 bytes" in _refused(endpoint, EndOfMessage(1))
    endpoint.send(Data(1, b"45"), EndOfMessage(1))
    assert endpoint.take_sent() == b"45"


@pytest.mark.parametrize(
    ("status", "length"), [(204, b""), (205, b"Content-Length: 0\r\n"), (304, b"")]
)
def test_content_where_there_is_none_is_dropped(status: int, length: bytes) -> None:
    endpoint = server()
    endpoint.receive(GET)
    endpoint.send(response(status=status), Data(1, b"x"), EndOfMessage(1))
    head, _, rest = endpoint.take_sent().partition(b"\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert rest == length + b"\r\n"


def test_trailers_behind_a_length() -> None:
    fields = ("Content-Length", "1")
    refused_by_server(response(fields), Data(1, b"x"), EndOfMessage(1, [("X", "y")]))
    refused_by_server(response(status=204), EndOfMessage(1, [("X", "y")]))


class Disguised(str):
    """A str that formats itself as something else."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        return "another\r\nX-Line: of its own"


def test_a_subclass_of_str_is_sent_as_the_characters_that_it_has() -> None:
    endpoint = server()
    endpoint.receive(GET)
    endpoint.send(response((Disguised("X-A"), Disguised("a"))), EndOfMessage(1))
    assert b"\r\nX-A: a\r\n" in endpoint.take_sent()
    endpoint = client()
    endpoint.send(
        Request(1, Disguised("GET"), "http", Disguised("a"), Disguised("/"), ()), EndOfMessage(1)
    )
    assert endpoint.take_sent() == b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    endpoint = client()
    endpoint.send(Request(1, Disguised("POST"), "http", Disguised("a"), Disguised("/"), ()))
    assert endpoint.take_sent().startswith(b"POST / HTTP/1.1\r\nHost: a\r\n")


def test_two_hosts() -> None:
    refused_by_client(request(("Host", "a"), ("host", "b"), method="GET"), EndOfMessage(1))


# -- order ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "events",
    [
        [Data(1, b"x")],
        [EndOfMessage(1)],
        [Response(1, 200), Response(1, 200)],
        [Response(1, 200), EndOfMessage(1), Data(1, b"x")],
        [Response(1, 200), EndOfMessage(1), EndOfMessage(1)],
        [Response(1, 200), InformationalResponse(1, 103)],
        [Response(1, 100)],
        [Response(1, 101)],
        [Response(1, 99)],
        [Response(1, 1000)],
        [InformationalResponse(1, 101)],
        [InformationalResponse(1, 200)],
        [Accept(1)],
        [Request(1, "GET", "http", "a", "/", ())],
        [Response(3, 200), EndOfMessage(3)],
        [Response(1, 200), EndOfMessage(3)],
        [Response(1, 200), Data(1, b"x"), EndOfMessage(3)],
        [Response(1, 200), StreamReset(1), EndOfMessage(1)],
    ],
)
def test_events_out_of_order_on_a_server(events: list[Sendable]) -> None:
    refused_by_server(*events)


@pytest.mark.parametrize(
    "events",
    [
        [Data(1, b"x")],
        [EndOfMessage(1)],
        [Response(1, 200)],
        [Accept(1)],
        [InformationalResponse(1, 100)],
        [request(method="GET"), request(method="GET")],
        [request(method="GET"), EndOfMessage(1), EndOfMessage(1)],
        [request(method="GET"), EndOfMessage(3)],
        [request(method="GET"), Data(3, b"x")],
        [Request(3, "GET", "http", "a", "/", ()), EndOfMessage(3)],
        [Request(2, "GET", "http", "a", "/", ()), EndOfMessage(2)],
        [Request(1, "GET", "http", "a", "/", (), "websocket"), EndOfMessage(1)],
        [Request(1, "GET", "http", "a", "/", (), "websocket"), Data(1, b"x")],
        [Request(1, "CONNECT", "http", "a:1", "a:1", (("Content-Length", "5"),))],
        [request(method="GET"), StreamReset(1), EndOfMessage(1)],
    ],
)
def test_events_out_of_order_on_a_client(events: list[Sendable]) -> None:
    refused_by_client(*events)


def test_a_client_does_not_answer() -> None:
    endpoint = client()
    endpoint.send(request())
    endpoint.take_sent()
    for event in (Response(1, 200), Accept(1), InformationalResponse(1, 100)):
        assert "client" in _refused(endpoint, event)


def test_sending_nothing_does_nothing() -> None:
    for endpoint in (server(), client()):
        endpoint.send()
        assert endpoint.take_sent() == b""


def test_a_reset_of_a_stream_that_has_ended_does_nothing() -> None:
    endpoint = server()
    endpoint.receive(GET)
    answer(endpoint)
    endpoint.send(StreamReset(1))
    endpoint.receive(GET)
    assert statuses(answer(endpoint, 3)) == [200]


@pytest.mark.parametrize("endpoint", [server(), client()])
def test_http1_has_no_ping(endpoint: Endpoint) -> None:
    with pytest.raises(LocalProtocolError):
        endpoint.ping(b"12345678")


# -- reserve -------------------------------------------------------------------------------------


def _reserve(endpoint: Endpoint, stream_id: int, size: int) -> None:
    endpoint.connection.reserve(stream_id, size, endpoint.clock.now)


def test_bytes_that_the_adapter_writes_itself_are_counted() -> None:
    endpoint = server()
    endpoint.receive(GET)
    endpoint.send(response(("Content-Length", "10")), Data(1, b"12"))
    endpoint.take_sent()
    _reserve(endpoint, 1, 5)
    with pytest.raises(LocalProtocolError, match="longer"):
        _reserve(endpoint, 1, 4)
    with pytest.raises(LocalProtocolError, match="3 bytes"):
        endpoint.send(EndOfMessage(1))
    endpoint.send(Data(1, b"9"))
    _reserve(endpoint, 1, 2)
    endpoint.send(EndOfMessage(1))
    assert endpoint.take_sent() == b"9"
    endpoint.receive(GET)
    assert statuses(answer(endpoint, 3)) == [200]


@pytest.mark.parametrize(
    ("asked", "head"),
    [
        (GET, Response(1, 200)),
        (GET, Response(1, 204)),
        (b"GET / HTTP/1.0\r\n\r\n", Response(1, 200)),
        (b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", Response(1, 200, [("Content-Length", "5")])),
        (GET, None),
    ],
)
def test_only_a_body_of_known_length_can_be_reserved(asked: bytes, head: Response | None) -> None:
    endpoint = server()
    endpoint.receive(asked)
    if head is not None:
        endpoint.send(head)
    for stream_id in (1, 3):
        with pytest.raises(LocalProtocolError):
            _reserve(endpoint, stream_id, 1)


def test_a_client_reserves_too_but_not_before_100() -> None:
    endpoint = client()
    endpoint.send(request(("Content-Length", "5"), ("Expect", "100-continue")))
    with pytest.raises(LocalProtocolError, match="100 Continue"):
        _reserve(endpoint, 1, 5)
    endpoint.receive(b"HTTP/1.1 100 Continue\r\n\r\n")
    _reserve(endpoint, 1, 5)
    endpoint.send(EndOfMessage(1))
    endpoint.receive(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert endpoint.connection.available_streams == 1


def test_a_lost_stream_reserves_nothing() -> None:
    endpoint = server()
    endpoint.receive(GET)
    endpoint.send(response(("Content-Length", "10")))
    endpoint.lose(ConnectionResetError())
    with pytest.raises(LocalProtocolError):
        _reserve(endpoint, 1, 5)
