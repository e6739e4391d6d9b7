"""Requests that are refused: the known attacks on HTTP/1.1 servers, one row each.

A row is an id, the bytes, and the status of the refusal.  Every row runs whole, byte by
byte and at random cuts, with a request behind it that must get no answer.
"""

from __future__ import annotations

import pytest

from plait_engine import (
    CloseAction,
    CloseReason,
    Data,
    ErrorCode,
    Initiator,
    RemoteProtocolError,
    Response,
)
from plait_engine.testing import Fragmenter
from tests.engine.chops import CHOPS
from tests.engine.http1.helpers import POISON, answer, closed, requests, resets, server, statuses


def head(*lines: str | bytes, line: str | bytes = "POST / HTTP/1.1", host: bool = True) -> bytes:
    """Join a request line and field lines; ``str`` as Latin-1 bytes."""
    every = [line, *(["Host: a"] if host else []), *lines]
    data = [text.encode("latin-1") if isinstance(text, str) else text for text in every]
    return b"\r\n".join(data) + b"\r\n\r\n"


def request_line(line: str | bytes) -> bytes:
    return head(line=line)


def length(value: str | bytes) -> bytes:
    value = value.encode("latin-1") if isinstance(value, str) else value
    return head(b"Content-Length: " + value) + b"hello"


def coding(value: str | bytes, *more: str) -> bytes:
    value = value.encode("latin-1") if isinstance(value, str) else value
    return head(b"Transfer-Encoding: " + value, *more) + b"5\r\nhello\r\n0\r\n\r\n"


def field(line: str | bytes) -> bytes:
    return head(line, line="GET / HTTP/1.1")


def host(value: str) -> bytes:
    return head(f"Host: {value}", line="GET / HTTP/1.1", host=False)


HEADS: list[tuple[str, bytes, int]] = [
    # Framing (RFC 9112 section 6)
    ("S1-cl-te", head("Content-Length: 4", "Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
    ("S1-te-cl", head("Transfer-Encoding: chunked", "Content-Length: 4") + b"0\r\n\r\n", 400),
    ("S2-chunked-identity-lines", coding("chunked", "Transfer-Encoding: identity"), 400),
    ("S2-chunked-chunked-lines", coding("chunked", "Transfer-Encoding: chunked"), 400),
    ("S2-chunked-identity", coding("chunked, identity"), 400),
    ("S2-chunked-gzip", coding("chunked, gzip"), 400),
    ("S2-identity-chunked", coding("identity, chunked"), 501),
    ("S2-chunked-twice", coding("chunked, chunked"), 400),
    ("S3-xchunked", coding("xchunked"), 501),
    ("S3-chunkedfoo", coding("chunkedfoo"), 501),
    ("S3-parameter", coding("chunked;q=1"), 501),
    ("S3-quoted", coding('"chunked"'), 501),
    ("S3-vt", coding("\x0bchunked"), 400),
    ("S3-ff", coding("\x0cchunked"), 400),
    ("S3-nul", coding("chunked\x00"), 400),
    ("S3-nbsp", coding("\xa0chunked"), 501),
    ("S3-nel", coding("\x85chunked"), 501),
    ("S3-empty", coding(""), 400),
    ("S3-comma-only", coding(","), 400),
    ("S3-leading-comma-cl", coding(", chunked", "Content-Length: 5"), 400),
    ("S3-long-s", coding("chun\u017fed".encode()), 501),
    ("S3-kelvin", coding("chun\u212aed".encode()), 501),
    ("S3-name-space", head("Transfer-Encoding : chunked"), 400),
    ("S3-name-utf8", head("T\u00ebE: chunked".encode()), 400),
    ("S4-unknown", coding("blegh"), 501),
    ("S5-http10", head("Transfer-Encoding: chunked", line="POST / HTTP/1.0"), 400),
    (
        "S5-http10-keep-alive",
        head("Transfer-Encoding: chunked", "Connection: keep-alive", line="POST / HTTP/1.0"),
        400,
    ),
    ("S6-differ", head("Content-Length: 5", "Content-Length: 10") + b"hello", 400),
    ("S6-same", head("Content-Length: 5", "Content-Length: 5") + b"hello", 400),
    ("S6-empty-first", head("Content-Length:", "Content-Length: 5") + b"hello", 400),
    ("S6-list-same", length("5, 5"), 400),
    ("S6-list-differ", length("5, 10"), 400),
    *[
        (f"S7-{value!r}", length(value), 400)
        for value in (
            "+5",
            "-5",
            "-0",
            "1_0",
            "0x5",
            "0o5",
            "1 0",
            "5x",
            "5.0",
            "1e1",
            " ",
            "",
            "010",
            "00",
            "005",
            "\x0b5",
        )
    ],
    ("S7-arabic", length("\u0665".encode()), 400),
    ("S7-full-width", length("\uff15".encode()), 400),
    ("S8-twenty-digits", length("9" * 20), 400),
    ("S8-8000-digits", length("9" * 8000), 400),
    ("S15-preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    # Request line and fields (RFC 9112 sections 2, 3 and 5)
    ("S40-lf", b"GET / HTTP/1.1\nHost: a\n\n", 400),
    ("S40-lf-first-line", b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    ("S40-lf-field", b"GET / HTTP/1.1\r\nHost: a\nX: 2\r\n\r\n", 400),
    ("S40-lf-empty-line", b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
    ("S40-lf-without-fields", b"GET / HTTP/1.0\r\n\n", 400),
    ("S40-cr-field", b"GET / HTTP/1.1\r\nHost: a\rX: 2\r\n\r\n", 400),
    ("S40-cr-first-line", b"GET / HTTP/1.1\rHost: a\r\n\r\n", 400),
    ("S40-cr-only", b"GET / HTTP/1.1\rHost: a\r\rx", 400),
    ("S41-cr-hides-field", field("X-Abc: \rxTransfer-Encoding: chunked"), 400),
    ("S41-cr-hides-end", b"GET / HTTP/1.1\r\nHost: a\r\n\rZGET /evil HTTP/1.1\r\n\r\n", 400),
    *[
        (f"S42-value-{byte:02x}", field(b"X: a%cb" % byte), 400)
        for byte in [*range(0x09), *range(0x0A, 0x20), 0x7F]
    ],
    *[(f"S42-name-{byte:02x}", field(b"X%cY: a" % byte), 400) for byte in [*range(0x20), 0x7F]],
    *[(f"S43-{space!r}", field(f"X{space}: a"), 400) for space in (" ", "\t", "\xa0", "\x85")],
    ("S44-space-first", b"GET / HTTP/1.1\r\n Content-Length: 5\r\nHost: a\r\n\r\n", 400),
    ("S44-blank-first", b"GET / HTTP/1.1\r\n \r\nHost: a\r\n\r\n", 400),
    ("S45-fold", field("X: a\r\n b"), 400),
    ("S45-fold-te", head("Transfer-Encoding:\r\n chunked"), 400),
    ("S45-fold-name", head("Transfer-\r\nEncoding: chunked"), 400),
    ("S46-empty-name", field(": x"), 400),
    ("S46-only-colon", field(":"), 400),
    ("S46-no-colon", field("NoColon"), 400),
    *[
        (f"S47-{char!r}", field(f"X{char}Y: a".encode("latin-1")), 400)
        for char in '"(),/;<=>?@[\\]{} \x80\xff'
    ],
    ("S47-full-width", field("\uff28ost: a".encode()), 400),
    ("S49-long-bad", field(b"Bad: " + b"x" * 8000 + b"\x10"), 400),
    ("S53-host-differ", head("Host: b", line="GET / HTTP/1.1"), 400),
    ("S53-host-same", head("Host: a", line="GET / HTTP/1.1"), 400),
    *[
        (f"S53-{name}", head(f"{name}: a", f"{name}: b", line="GET / HTTP/1.1"), 400)
        for name in ("Content-Type", "User-Agent", "Authorization", "Max-Forwards", "ETag")
    ],
    ("S54-missing", b"GET / HTTP/1.1\r\n\r\n", 400),
    ("S54-missing-others", b"GET / HTTP/1.1\r\nX: 1\r\n\r\n", 400),
    *[
        (f"S54-{value}", host(value), 400)
        for value in (
            "",
            "a, b",
            "a,b",
            "a/b",
            "u@a",
            "a?x",
            "a#",
            "a b",
            "a:99999",
            "a:x",
            "[::1",
            "<h1>",
            "a\\b",
            "[::1]x",
            "[.]",
            "[1:2]",
            "%zz",
            "h\xf6st",
        )
    ],
    ("S54-http10-invalid", head("Host: a/b", line="GET / HTTP/1.0", host=False), 400),
    ("S55-userinfo", request_line("GET http://u@a/ HTTP/1.1"), 400),
    ("S55-no-host", request_line("GET http:///x HTTP/1.1"), 400),
    ("S55-scheme", request_line("GET ftp://a/ HTTP/1.1"), 400),
    *[
        (f"S56-{target}", request_line(f"GET {target} HTTP/1.1"), 400)
        for target in ("foo", "*", "a:1", "", "/a b", "/\x00", "/caf\xc3\xa9", "/p?#f", "#")
    ],
    ("S56-connect-path", request_line("CONNECT / HTTP/1.1"), 400),
    ("S56-connect-no-port", request_line("CONNECT a HTTP/1.1"), 400),
    ("S56-connect-empty-port", request_line("CONNECT a: HTTP/1.1"), 400),
    ("S56-connect-big-port", request_line("CONNECT a:65536 HTTP/1.1"), 400),
    ("S56-connect-star", request_line("CONNECT * HTTP/1.1"), 400),
    ("S56-connect-content", head("Content-Length: 5", line="CONNECT a:1 HTTP/1.1") + b"hello", 400),
    ("S56-no-target", request_line("GET HTTP/1.1"), 400),
    *[
        (f"S57-{version!r}", request_line(f"GET / {version}"), status)
        for version, status in (
            ("HTTP/1.32", 400),
            ("HTTP/1.", 400),
            ("HTTP/1", 400),
            ("http/1.1", 400),
            ("HTTP/01.1", 400),
            ("HTTP/1.1 ", 400),
            ("HTTP/ 1.1", 400),
            ("HTTP/1.1x", 400),
            ("HTTP/2.0", 505),
            ("HTTP/9.9", 505),
            ("HTTP/0.9", 505),
            ("HTP/1.1", 400),
        )
    ],
    ("S57-http09", b"GET /\r\n\r\n", 400),
    ("S57-method-chars", request_line('G=":<>(e) / HTTP/1.1'), 400),
    ("S57-method-tab", request_line("G\tT / HTTP/1.1"), 400),
    ("S57-method-100k", b"A" * 100_000 + b" / HTTP/1.1\r\n\r\n", 400),
    ("S58-tab", request_line("GET\t/ HTTP/1.1"), 400),
    ("S58-two-spaces", request_line("GET  / HTTP/1.1"), 400),
    ("S58-two-spaces-version", request_line("GET /  HTTP/1.1"), 400),
    ("S58-trailing-space", request_line("GET / HTTP/1.1 "), 400),
    ("S59-controls", b"\x00\x01GET / HTTP/1.1\r\n\r\n", 400),
    ("S59-spaces", b"   \r\n\r\n", 400),
    ("S59-two-empty-lines", b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("S59-empty-lines", b"\r\n" * 10_000, 400),
    ("S59-lf", b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("S59-cr", b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("S60-em-space", request_line("GET\u2003/ HTTP/1.1".encode()), 400),
    ("S60-arabic-digit", request_line("GET / HTTP/\u0661.1".encode()), 400),
    ("S62-client-hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)), 400),
]


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize(
    ("data", "status"), [pytest.param(data, status, id=name) for name, data, status in HEADS]
)
def test_a_bad_head_is_refused(data: bytes, status: int, chop: Fragmenter) -> None:
    endpoint = server(chop)
    endpoint.receive(data)
    endpoint.receive(POISON)
    sent = endpoint.take_sent()
    assert statuses(sent) == [status]
    assert b"\r\nConnection: close\r\n" in sent
    assert b"\r\nX-Content-Type-Options: nosniff\r\n" in sent
    assert requests(endpoint) == []
    assert endpoint.connection.wants_close is CloseAction.WRITE_EOF
    endpoint.receive_eof()
    assert endpoint.take_sent() == b""
    event = closed(endpoint)
    assert event.reason is CloseReason.PROTOCOL_ERROR
    assert isinstance(event.error, RemoteProtocolError)
    assert event.error.status_hint == status
    assert endpoint.connection.wants_close is CloseAction.CLOSE


CHUNKS: list[tuple[str, bytes]] = [
    # Chunk sizes (RFC 9112 section 7.1)
    *[
        (f"S20-{size!r}", size + b"\r\nhello\r\n0\r\n\r\n")
        for size in (
            b"0x5",
            b"+5",
            b"-1",
            b"5_0",
            b" 5",
            b"5 ",
            b"5\t",
            b"\x0b5",
            b"",
            b"5\x00",
            b"5g",
            "\u0665".encode(),
        )
    ],
    ("S21-16-f", b"F" * 16 + b"\r\nhello"),
    ("S21-17-digits", b"F" * 16 + b"0\r\nhello"),
    ("S21-leading-zeros", b"0" * 8000 + b"5\r\nhello\r\n0\r\n\r\n"),
    ("S22-no-crlf", b"5\r\nhelloXX0\r\n\r\n"),
    ("S22-lf", b"5\r\nhello\n0\r\n\r\n"),
    ("S22-missing", b"5\r\nhello0\r\n\r\n"),
    ("S22-spill", b"5\r\nhello!!\r\n0\r\n\r\n"),
    ("S22-last", b"0\r\nX:POST / HTTP/1.1\r\nHost\r\n\r\n"),
    ("S23-lf-ext", b"5;\nx\r\nhello\r\n0\r\n\r\n"),
    ("S23-lf-size", b"5\nhello\r\n0\r\n\r\n"),
    ("S23-cr-ext", b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
    ("S23-cr-size", b"5\rX\nhello\r\n0\r\n\r\n"),
    ("S23-cr-cr", b"2\r\r;a\r\nhi\r\n0\r\n\r\n"),
    ("S23-lf-last", b"0\n\r\n"),
    ("S23-lf-trailer-end", b"0\r\n\n"),
    ("S24-empty-ext", b"5;\r\nhello\r\n0\r\n\r\n"),
    ("S24-bad-token", b"5;bad[=x\r\nhello\r\n0\r\n\r\n"),
    ("S24-nul", b"5;\x00e\r\nhello\r\n0\r\n\r\n"),
    ("S24-unterminated", b'5;a="unterminated\r\nhello\r\n0\r\n\r\n'),
    ("S24-no-value", b"5;a=\r\nhello\r\n0\r\n\r\n"),
    ("S25-64k-line", b"5;ext=" + b"a" * 65536 + b"\r\nhello\r\n0\r\n\r\n"),
    ("S25-many", (b"1;e=" + b"a" * 8000 + b"\r\nx\r\n") * 4 + b"0\r\n\r\n"),
    ("S27-no-colon", b"0\r\nX y\r\n\r\n"),
    ("S27-fold", b"0\r\nX: y\r\n z\r\n\r\n"),
    ("S27-lf", b"0\r\nX: y\n\r\n"),
    ("S27-request", b"0\r\nGET /evil HTTP/1.1\r\n\r\n"),
    ("S31-short", b"5\r\nhel\r\n0\r\n\r\n"),
    ("S31-invalid", b"INVALID\r\nGET / HTTP/1.1\r\n\r\n"),
]
TRAILER_LIMITS: list[tuple[str, bytes]] = [
    ("S28-many", b"0\r\n" + b"X: y\r\n" * 100_000 + b"\r\n"),
    ("S28-large", b"0\r\nX: " + b"y" * 1_048_576 + b"\r\n\r\n"),
]


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize(
    ("data", "status"),
    [
        *[pytest.param(data, 400, id=name) for name, data in CHUNKS],
        *[pytest.param(data, 431, id=name) for name, data in TRAILER_LIMITS],
    ],
)
def test_a_bad_body_is_refused(data: bytes, status: int, chop: Fragmenter) -> None:
    endpoint = server(chop)
    endpoint.receive(head("Transfer-Encoding: chunked"))
    endpoint.receive(data)
    endpoint.receive(POISON)
    sent = endpoint.take_sent()
    assert statuses(sent) == [status]
    assert b"\r\nConnection: close\r\n" in sent
    assert [request.target for request in requests(endpoint)] == ["/"]
    (reset,) = resets(endpoint)
    assert reset.initiator is Initiator.LOCAL
    assert reset.code == ErrorCode.PROTOCOL_ERROR
    assert reset.error is not None
    endpoint.receive_eof()
    assert closed(endpoint).error is reset.error


def test_the_byte_behind_a_chunked_body_is_refused_as_the_next_request() -> None:
    """S32."""
    endpoint = server()
    endpoint.receive(head("Transfer-Encoding: chunked") + b"0\r\n\r\n\x00")
    assert statuses(answer(endpoint)) == [200, 400]


def test_a_refusal_repeats_nothing_of_the_request() -> None:
    """S65: neither the answer nor the message of the error."""
    endpoint = server()
    endpoint.receive(b"GET /<script>alert(1)</script>\x1b[2J HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"script" not in endpoint.take_sent()
    endpoint.receive_eof()
    assert "script" not in str(closed(endpoint).error)


def test_a_refusal_to_head_has_no_body() -> None:
    endpoint = server()
    endpoint.receive(head("Transfer-Encoding: chunked", line="HEAD / HTTP/1.1") + b"x\r\n")
    assert endpoint.take_sent().endswith(b"\r\n\r\n")
    endpoint = server()
    endpoint.receive(head("X : y", line="HEAD / HTTP/1.1"))
    assert endpoint.take_sent().endswith(b"\r\n\r\n")


def test_a_refusal_behind_head_has_its_body() -> None:
    """The method of the last request says nothing about this one."""
    for data in (b"BAD\r\n\r\n", b"x" * 9000, b"GET / HTTP/1.1\r\n\r\n"):
        endpoint = server()
        endpoint.receive(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + data)
        assert answer(endpoint).endswith(b"\n")
        assert not endpoint.sent.endswith(b"\r\n")


def test_a_bad_body_behind_a_begun_response_cuts_it_short() -> None:
    endpoint = server()
    endpoint.receive(head("Transfer-Encoding: chunked"))
    endpoint.send(Response(1, 200), Data(1, b"begun"))
    endpoint.take_sent()
    endpoint.receive(b"x\r\n")
    assert endpoint.take_sent() == b""
    assert len(resets(endpoint)) == 1
    assert endpoint.connection.wants_close is CloseAction.WRITE_EOF
