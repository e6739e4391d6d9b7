"""The server's side of an exchange: requests, bodies, answers."""

from __future__ import annotations

import pytest

from plait_engine import (
    Data,
    EndOfMessage,
    Response,
)
from plait_engine.testing import Fragmenter
from tests.engine.chops import CHOPS
from tests.engine.http1.helpers import (
    GET,
    answer,
    body_of,
    config,
    ended,
    head,
    requests,
    server,
    statuses,
)

each_chop = pytest.mark.parametrize("chop", CHOPS)


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
def test_fields_keep_their_order_spelling_and_bytes(chop: Fragmenter) -> None:
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
