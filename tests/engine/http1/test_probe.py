"""The cases of the public Http11Probe list, as facts: what is sent, what must come back.

``REFUSED``: the engine answers with one of the statuses, and nothing behind is parsed.
``ACCEPTED``: the request reaches the application whole.  What the list asks of the answer
then is the application's (405 and Allow, Date, Content-Type, 501 for an unknown method, a
WebSocket version): those cases are here for the engine's part.

The list prefers a refusal in some cases that the RFCs decide otherwise, and warns about
the answer that the RFCs ask for.  They are in ``WARNED``, with the section.
"""

from __future__ import annotations

import pytest

from plait_engine import CloseAction, Data, EndOfMessage, InformationalResponse, Response
from plait_engine.testing import Fragmenter
from tests.engine.chops import CHOPS
from tests.engine.http1.helpers import (
    GET,
    POISON,
    answer,
    body_of,
    ended,
    requests,
    server,
    statuses,
)

HOST = b"Host: localhost:8080\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SMUGGLED = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
POISONED = b"0\r\n\r\n" + SMUGGLED
WEBSOCKET = (
    b"Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
)


def get(line: bytes = b"GET / HTTP/1.1", *fields: bytes, host: bytes = HOST) -> bytes:
    return line + b"\r\n" + host + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


def length(value: bytes, body: bytes = b"hello") -> bytes:
    return POST + b"Content-Length: " + value + b"\r\n\r\n" + body


def coding(value: bytes) -> bytes:
    return POST + b"Transfer-Encoding: " + value + b"\r\nContent-Length: 5\r\n\r\nhello"


def smuggle(*fields: bytes, body: bytes = POISONED) -> bytes:
    size = b"%d" % len(body)
    lines = b"".join(field.replace(b"SIZE", size) + b"\r\n" for field in fields)
    return POST + lines + b"\r\n" + body


BAD_REQUEST = {400}
REFUSED: list[tuple[str, bytes, set[int]]] = [
    # Compliance
    ("RFC9112-2.2-BARE-LF-REQUEST-LINE", b"GET / HTTP/1.1\n" + HOST + b"\r\n", BAD_REQUEST),
    ("RFC9112-2.2-BARE-LF-HEADER", get(host=b"Host: a\nX-Test: value\r\n"), BAD_REQUEST),
    ("RFC9112-5.1-OBS-FOLD", get(b"GET / HTTP/1.1", b"X-Test: value\r\n continued"), BAD_REQUEST),
    ("RFC9110-5.6.2-SP-BEFORE-COLON", get(b"GET / HTTP/1.1", b"X-Test : value"), BAD_REQUEST),
    ("RFC9112-3-MULTI-SP-REQUEST-LINE", get(b"GET  / HTTP/1.1"), BAD_REQUEST),
    ("RFC9112-7.1-MISSING-HOST", get(host=b""), BAD_REQUEST),
    ("RFC9112-2.3-INVALID-VERSION", get(b"GET / HTTP/9.9"), {400, 505}),
    ("RFC9112-5-EMPTY-HEADER-NAME", get(b"GET / HTTP/1.1", b": empty-name"), BAD_REQUEST),
    ("RFC9112-3-CR-ONLY-LINE-ENDING", b"GET / HTTP/1.1\r" + HOST + b"\r\n", BAD_REQUEST),
    ("RFC9112-3-MISSING-TARGET", get(b"GET HTTP/1.1"), BAD_REQUEST),
    ("RFC9112-3.2-FRAGMENT-IN-TARGET", get(b"GET /path#frag HTTP/1.1"), BAD_REQUEST),
    ("RFC9112-2.3-HTTP09-REQUEST", b"GET /\r\n", BAD_REQUEST),
    ("RFC9112-5-INVALID-HEADER-NAME", get(b"GET / HTTP/1.1", b"Bad[Name: value"), BAD_REQUEST),
    ("RFC9112-5-HEADER-NO-COLON", get(b"GET / HTTP/1.1", b"NoColonHere"), BAD_REQUEST),
    ("RFC9110-5.4-DUPLICATE-HOST", get(b"GET / HTTP/1.1", b"Host: other.example.com"), BAD_REQUEST),
    ("RFC9112-6.1-CL-NON-NUMERIC", length(b"abc", b""), BAD_REQUEST),
    ("RFC9112-6.1-CL-PLUS-SIGN", length(b"+5"), BAD_REQUEST),
    ("COMP-WHITESPACE-BEFORE-HEADERS", b"GET / HTTP/1.1\r\n \r\n" + HOST + b"\r\n", BAD_REQUEST),
    ("COMP-DUPLICATE-HOST-SAME", get(b"GET / HTTP/1.1", HOST[:-2]), BAD_REQUEST),
    ("COMP-HOST-WITH-USERINFO", get(host=b"Host: user@localhost:8080\r\n"), BAD_REQUEST),
    ("COMP-HOST-WITH-PATH", get(host=b"Host: localhost:8080/path\r\n"), BAD_REQUEST),
    ("COMP-HOST-EMPTY-VALUE", get(host=b"Host: \r\n"), BAD_REQUEST),
    ("COMP-ASTERISK-WITH-GET", get(b"GET * HTTP/1.1"), BAD_REQUEST),
    ("COMP-UNKNOWN-TE-501", POST + b"Transfer-Encoding: gzip\r\n\r\n", {400, 501}),
    ("COMP-LEADING-CRLF", b"\r\n\r\n" + get(), BAD_REQUEST),
    ("COMP-REQUEST-LINE-TAB", get(b"GET\t/ HTTP/1.1"), BAD_REQUEST),
    ("COMP-VERSION-MISSING-MINOR", get(b"GET / HTTP/1"), BAD_REQUEST),
    ("COMP-VERSION-LEADING-ZEROS", get(b"GET / HTTP/01.01"), BAD_REQUEST),
    ("COMP-VERSION-WHITESPACE", get(b"GET / HTTP/ 1.1"), BAD_REQUEST),
    ("COMP-VERSION-CASE", get(b"GET / http/1.1"), BAD_REQUEST),
    ("COMP-SPACE-IN-TARGET", get(b"GET /pa th HTTP/1.1"), BAD_REQUEST),
    (
        "COMP-DUPLICATE-CT",
        POST
        + b"Content-Length: 5\r\nContent-Type: text/plain\r\nContent-Type: text/html\r\n\r\nhello",
        BAD_REQUEST,
    ),
    # Smuggling: both framings
    ("SMUG-CL-TE-BOTH", smuggle(b"Content-Length: 6", b"Transfer-Encoding: chunked"), BAD_REQUEST),
    (
        "SMUG-CLTE-PIPELINE",
        smuggle(b"Content-Length: 4", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        BAD_REQUEST,
    ),
    (
        "SMUG-TECL-PIPELINE",
        smuggle(b"Transfer-Encoding: chunked", b"Content-Length: 30", body=b"0\r\n\r\n"),
        BAD_REQUEST,
    ),
    (
        "SMUG-CLTE-CONN-CLOSE",
        smuggle(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        BAD_REQUEST,
    ),
    (
        "SMUG-TECL-CONN-CLOSE",
        smuggle(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n"),
        BAD_REQUEST,
    ),
    (
        "SMUG-CLTE-DESYNC",
        smuggle(b"Content-Length: 6", b"Transfer-Encoding: chunked", body=b"0\r\n\r\nX"),
        BAD_REQUEST,
    ),
    (
        "SMUG-TECL-DESYNC",
        smuggle(b"Transfer-Encoding: chunked", b"Content-Length: 30", body=b"0\r\n\r\nX"),
        BAD_REQUEST,
    ),
    (
        "SMUG-CLTE-SMUGGLED-GET",
        smuggle(b"Content-Length: SIZE", b"Transfer-Encoding: chunked"),
        BAD_REQUEST,
    ),
    (
        "SMUG-CLTE-SMUGGLED-GET-CL-PLUS",
        smuggle(b"Content-Length: +SIZE", b"Transfer-Encoding: chunked"),
        BAD_REQUEST,
    ),
    (
        "SMUG-CLTE-SMUGGLED-GET-CL-NON-NUMERIC",
        smuggle(b"Content-Length: SIZEx", b"Transfer-Encoding: chunked"),
        BAD_REQUEST,
    ),
    (
        "SMUG-CLTE-SMUGGLED-GET-TE-OBS-FOLD",
        smuggle(b"Transfer-Encoding:\r\n chunked", b"Content-Length: SIZE"),
        BAD_REQUEST,
    ),
    (
        "SMUG-CLTE-SMUGGLED-GET-TE-TRAILING-SPACE",
        smuggle(b"Transfer-Encoding: chunked ", b"Content-Length: SIZE"),
        BAD_REQUEST,
    ),
    (
        "SMUG-CLTE-SMUGGLED-GET-TE-LEADING-COMMA",
        smuggle(b"Transfer-Encoding: , chunked", b"Content-Length: SIZE"),
        BAD_REQUEST,
    ),
    (
        "SMUG-CLTE-SMUGGLED-GET-TE-CASE-MISMATCH",
        smuggle(b"Transfer-Encoding: Chunked", b"Content-Length: SIZE"),
        BAD_REQUEST,
    ),
    (
        "SMUG-CLTE-SMUGGLED-HEAD",
        smuggle(
            b"Content-Length: SIZE",
            b"Transfer-Encoding: chunked",
            body=POISONED.replace(b"GET", b"HEAD"),
        ),
        BAD_REQUEST,
    ),
    (
        "SMUG-TE-DUPLICATE-HEADERS-SMUGGLED-GET",
        smuggle(
            b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", b"Content-Length: SIZE"
        ),
        BAD_REQUEST,
    ),
    (
        "SMUG-TECL-SMUGGLED-GET",
        smuggle(
            b"Transfer-Encoding: chunked",
            b"Content-Length: 4",
            body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED),
        ),
        BAD_REQUEST,
    ),
    (
        "SMUG-DUPLICATE-CL-SMUGGLED-GET",
        smuggle(b"Content-Length: 4", b"Content-Length: SIZE", body=b"PING" + SMUGGLED),
        BAD_REQUEST,
    ),
    (
        "SMUG-OPTIONS-TE-OBS-FOLD",
        coding(b"\r\n chunked").replace(b"POST", b"OPTIONS"),
        {400, 405},
    ),
    # Smuggling: Content-Length
    (
        "SMUG-DUPLICATE-CL",
        smuggle(b"Content-Length: 5", b"Content-Length: 10", body=b"hello"),
        BAD_REQUEST,
    ),
    ("SMUG-CL-LEADING-ZEROS", length(b"005"), BAD_REQUEST),
    ("SMUG-CL-DOUBLE-ZERO", length(b"00", b""), BAD_REQUEST),
    ("SMUG-CL-LEADING-ZEROS-OCTAL", length(b"0200", b"A" * 200), BAD_REQUEST),
    ("SMUG-CL-NEGATIVE", length(b"-1", b""), BAD_REQUEST),
    ("SMUG-CL-NEGATIVE-ZERO", length(b"-0", b""), BAD_REQUEST),
    ("SMUG-CL-UNDERSCORE", length(b"1_0", b"helloworld"), BAD_REQUEST),
    ("SMUG-CL-OCTAL", length(b"0o5"), BAD_REQUEST),
    ("SMUG-CL-HEX-PREFIX", length(b"0x5"), BAD_REQUEST),
    ("SMUG-CL-INTERNAL-SPACE", length(b"1 0", b"hello12345"), BAD_REQUEST),
    ("SMUG-CL-COMMA-DIFFERENT", length(b"5, 10"), BAD_REQUEST),
    ("SMUG-CL-COMMA-SAME", length(b"5, 5"), BAD_REQUEST),
    ("SMUG-CL-COMMA-TRIPLE", length(b"5, 5, 5"), BAD_REQUEST),
    # Smuggling: Transfer-Encoding
    ("SMUG-TE-XCHUNKED", coding(b"xchunked"), BAD_REQUEST),
    ("SMUG-TE-TRAILING-SPACE", coding(b"chunked "), BAD_REQUEST),
    (
        "SMUG-TE-SP-BEFORE-COLON",
        smuggle(b"Transfer-Encoding : chunked", b"Content-Length: 5", body=b"hello"),
        BAD_REQUEST,
    ),
    ("SMUG-TE-DOUBLE-CHUNKED", coding(b"chunked, chunked"), BAD_REQUEST),
    ("SMUG-TE-CASE-MISMATCH", coding(b"Chunked"), BAD_REQUEST),
    (
        "SMUG-TE-NOT-FINAL-CHUNKED",
        POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        BAD_REQUEST,
    ),
    ("SMUG-TE-HTTP10", coding(b"chunked").replace(b"HTTP/1.1", b"HTTP/1.0"), BAD_REQUEST),
    ("SMUG-TE-EMPTY-VALUE", coding(b""), BAD_REQUEST),
    ("SMUG-TE-LEADING-COMMA", coding(b", chunked"), BAD_REQUEST),
    ("SMUG-TE-TRAILING-COMMA", coding(b"chunked,"), BAD_REQUEST),
    ("SMUG-TE-TAB-BEFORE-VALUE", coding(b"\tchunked"), BAD_REQUEST),
    ("SMUG-TE-DUPLICATE-HEADERS", coding(b"chunked\r\nTransfer-Encoding: identity"), BAD_REQUEST),
    ("SMUG-TE-VTAB", coding(b"\x0bchunked"), BAD_REQUEST),
    ("SMUG-TE-FORMFEED", coding(b"\x0cchunked"), BAD_REQUEST),
    ("SMUG-TE-NULL", coding(b"chunked\x00"), BAD_REQUEST),
    ("SMUG-TE-IDENTITY", coding(b"identity"), {400, 501}),
    ("SMUG-TE-OBS-FOLD", coding(b"\r\n chunked"), BAD_REQUEST),
    ("SMUG-CHUNKED-WITH-PARAMS", coding(b"chunked;ext=val"), BAD_REQUEST),
    # Smuggling: others
    (
        "SMUG-BARE-CR-HEADER-VALUE",
        smuggle(b"Content-Length: 5", b"X-Test: val\rue", body=b"hello"),
        BAD_REQUEST,
    ),
    (
        "SMUG-MULTIPLE-HOST-COMMA",
        get(host=b"Host: localhost:8080, other.example.com\r\n"),
        BAD_REQUEST,
    ),
    # Malformed input
    ("MAL-BINARY-GARBAGE", bytes((index * 167 + 13) & 0xFF for index in range(256)), BAD_REQUEST),
    ("MAL-LONG-URL", get(b"GET /" + b"A" * 100_000 + b" HTTP/1.1"), {400, 414, 431}),
    ("MAL-LONG-HEADER-VALUE", get(b"GET / HTTP/1.1", b"X-Big: " + b"B" * 100_000), {400, 431}),
    ("MAL-LONG-HEADER-NAME", get(b"GET / HTTP/1.1", b"A" * 100_000 + b": val"), {400, 431}),
    ("MAL-LONG-METHOD", get(b"A" * 100_000 + b" / HTTP/1.1"), BAD_REQUEST),
    (
        "MAL-MANY-HEADERS",
        get(b"GET / HTTP/1.1", *[b"X-H-%d: value" % index for index in range(10_000)]),
        {400, 431},
    ),
    ("MAL-NUL-IN-URL", get(b"GET /\x00test HTTP/1.1"), BAD_REQUEST),
    ("MAL-NUL-IN-HEADER-VALUE", get(b"GET / HTTP/1.1", b"X-Test: val\x00ue"), BAD_REQUEST),
    (
        "MAL-CONTROL-CHARS-HEADER",
        get(b"GET / HTTP/1.1", b"X-Test: abc\x07\x08\x0bdef"),
        BAD_REQUEST,
    ),
    ("MAL-NON-ASCII-HEADER-NAME", get(b"GET / HTTP/1.1", b"X-T\xc3\xabst: value"), BAD_REQUEST),
    ("MAL-NON-ASCII-URL", get(b"GET /caf\xc3\xa9 HTTP/1.1"), BAD_REQUEST),
    ("MAL-URL-OVERLONG-UTF8", get(b"GET /\xc0\xaf HTTP/1.1"), BAD_REQUEST),
    ("MAL-CL-OVERFLOW", length(b"99999999999999999999", b""), BAD_REQUEST),
    ("MAL-CL-EMPTY", length(b"", b""), BAD_REQUEST),
    ("MAL-WHITESPACE-ONLY-LINE", b"   \r\n\r\n", BAD_REQUEST),
    ("MAL-H2-PREFACE", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505}),
    # Normalization
    (
        "NORM-SP-BEFORE-COLON-CL",
        smuggle(b"Content-Length: 11", b"Content-Length : 5", body=b"hello world"),
        BAD_REQUEST,
    ),
    (
        "NORM-TAB-IN-NAME",
        smuggle(b"Content-Length: 11", b"Content\tLength: 99", body=b"hello world"),
        BAD_REQUEST,
    ),
    # Cookies
    ("COOK-NUL", get(b"GET / HTTP/1.1", b"Cookie: a=\x00b"), BAD_REQUEST),
    ("COOK-CONTROL-CHARS", get(b"GET / HTTP/1.1", b"Cookie: a=\x01\x02\x03"), BAD_REQUEST),
    ("COOK-OVERSIZED", get(b"GET / HTTP/1.1", b"Cookie: big=" + b"A" * 65536), {400, 431}),
]

REFUSED_BODIES: list[tuple[str, bytes]] = [
    ("SMUG-CHUNK-BARE-SEMICOLON", b"5;\r\nhello\r\n0\r\n\r\n"),
    ("SMUG-CHUNK-EXT-INVALID-TOKEN", b"5;bad[=x\r\nhello\r\n0\r\n\r\n"),
    ("SMUG-CHUNK-UNDERSCORE", b"1_0\r\nhello world!!!!!\r\n0\r\n\r\n"),
    ("SMUG-CHUNK-HEX-PREFIX", b"0x5\r\nhello\r\n0\r\n\r\n"),
    ("SMUG-CHUNK-SIZE-PLUS", b"+5\r\nhello\r\n0\r\n\r\n"),
    ("SMUG-CHUNK-SIZE-TRAILING-OWS", b"5 \r\nhello\r\n0\r\n\r\n"),
    ("SMUG-CHUNK-LEADING-SP", b" 5\r\nhello\r\n0\r\n\r\n"),
    ("SMUG-CHUNK-MISSING-TRAILING-CRLF", b"5\r\nhello0\r\n\r\n"),
    ("SMUG-CHUNK-EXT-LF", b"5;\nhello\r\n0\r\n\r\n"),
    ("SMUG-CHUNK-SPILL", b"5\r\nhello!!\r\n0\r\n\r\n"),
    ("SMUG-CHUNK-LF-TERM", b"5\r\nhello\n0\r\n\r\n"),
    ("SMUG-CHUNK-EXT-CTRL", b"5;\x00ext\r\nhello\r\n0\r\n\r\n"),
    ("SMUG-CHUNK-EXT-CR", b"5;a\rX\r\nhello\r\n0\r\n\r\n"),
    ("SMUG-CHUNK-LF-TRAILER", b"5\r\nhello\r\n0\r\n\n"),
    ("SMUG-CHUNK-NEGATIVE", b"-1\r\nhello\r\n0\r\n\r\n"),
    ("SMUG-CHUNK-BARE-CR-TERM", b"5\rhello\r\n0\r\n\r\n"),
    ("SMUG-CHUNK-INVALID-SIZE-DESYNC", b"+0\r\n\r\nX"),
    ("MAL-CHUNK-SIZE-OVERFLOW", b"FFFFFFFFFFFFFFFF0\r\nhello\r\n0\r\n\r\n"),
    ("MAL-CHUNK-EXT-64K", b"5;ext=" + b"a" * 65_536 + b"\r\nhello\r\n0\r\n\r\n"),
]

ACCEPTED: list[tuple[str, bytes, bytes]] = [
    ("COMP-BASELINE", get(), b""),
    ("COMP-OPTIONS-STAR", get(b"OPTIONS * HTTP/1.1"), b""),
    ("COMP-ABSOLUTE-FORM", get(b"GET http://localhost:8080/ HTTP/1.1"), b""),
    ("COMP-METHOD-CASE", get(b"get / HTTP/1.1"), b""),
    ("COMP-UNKNOWN-METHOD", get(b"FOOBAR / HTTP/1.1"), b""),
    ("COMP-405-ALLOW", get(b"DELETE / HTTP/1.1"), b""),
    ("COMP-OPTIONS-ALLOW", get(b"OPTIONS / HTTP/1.1"), b""),
    ("COMP-EXPECT-UNKNOWN", get(b"GET / HTTP/1.1", b"Expect: 200-ok"), b""),
    ("COMP-METHOD-TRACE", get(b"TRACE / HTTP/1.1"), b""),
    ("COMP-HTTP10-NO-HOST", get(b"GET / HTTP/1.0", host=b""), b""),
    ("COMP-HTTP12-VERSION", get(b"GET / HTTP/1.2"), b""),
    ("COMP-LONG-URL-OK", get(b"GET /" + b"a" * 7900 + b" HTTP/1.1"), b""),
    ("COMP-POST-CL-BODY", length(b"5"), b"hello"),
    ("COMP-POST-CL-ZERO", length(b"0", b""), b""),
    ("COMP-POST-NO-CL-NO-TE", POST + b"\r\n", b""),
    ("COMP-CHUNKED-BODY", CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    ("COMP-CHUNKED-MULTI", CHUNKED + b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", b"hello world"),
    ("COMP-CHUNKED-EMPTY", CHUNKED + b"0\r\n\r\n", b""),
    ("COMP-CHUNKED-EXTENSION", CHUNKED + b"5;ext=value\r\nhello\r\n0\r\n\r\n", b"hello"),
    (
        "COMP-CHUNKED-TRAILER-VALID",
        CHUNKED + b"5\r\nhello\r\n0\r\nX-Checksum: abc\r\n\r\n",
        b"hello",
    ),
    ("COMP-CHUNKED-HEX-UPPERCASE", CHUNKED + b"A\r\nhelloworld\r\n0\r\n\r\n", b"helloworld"),
    ("COMP-RANGE-POST", length(b"5\r\nRange: bytes=0-10"), b"hello"),
    ("COMP-GET-WITH-CL-BODY", length(b"5").replace(b"POST", b"GET"), b"hello"),
    ("SMUG-HEAD-CL-BODY", length(b"5").replace(b"POST", b"HEAD"), b"hello"),
    ("SMUG-OPTIONS-CL-BODY", length(b"5").replace(b"POST", b"OPTIONS"), b"hello"),
    ("SMUG-EXPECT-100-CL", length(b"5\r\nExpect: 100-continue"), b"hello"),
    ("SMUG-TRANSFER_ENCODING", length(b"5\r\nTransfer_Encoding: chunked"), b"hello"),
    ("SMUG-TRAILER-CL", CHUNKED + b"5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n", b"hello"),
    (
        "SMUG-TRAILER-TE",
        CHUNKED + b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"hello",
    ),
    ("SMUG-TRAILER-HOST", CHUNKED + b"5\r\nhello\r\n0\r\nHost: evil.example.com\r\n\r\n", b"hello"),
    (
        "SMUG-TRAILER-AUTH",
        CHUNKED + b"5\r\nhello\r\n0\r\nAuthorization: Bearer evil\r\n\r\n",
        b"hello",
    ),
    (
        "SMUG-TRAILER-CONTENT-TYPE",
        CHUNKED + b"5\r\nhello\r\n0\r\nContent-Type: t/e\r\n\r\n",
        b"hello",
    ),
    ("SMUG-ABSOLUTE-URI-HOST-MISMATCH", get(b"GET http://other.example.com/ HTTP/1.1"), b""),
    ("SMUG-PIPELINE-SAFE", get(), b""),
    ("MAL-URL-BACKSLASH", get(b"GET /path\\file HTTP/1.1"), b""),
    ("NORM-CASE-TE", POST + b"TRANSFER-ENCODING: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", b"x"),
    ("WS-UPGRADE-MISSING-CONN", get(b"GET / HTTP/1.1", WEBSOCKET[:-2]), b""),
    (
        "WS-UPGRADE-UNKNOWN",
        get(b"GET / HTTP/1.1", b"Connection: Upgrade", b"Upgrade: totally-made-up/1.0"),
        b"",
    ),
    ("WS-UPGRADE-HTTP10", get(b"GET / HTTP/1.0", b"Connection: Upgrade", WEBSOCKET[:-2]), b""),
]

WARNED: list[tuple[str, bytes, bytes]] = [
    # RFC 9110 section 5.5: white space around a value is no part of it.
    ("SMUG-CL-TRAILING-SPACE", length(b"5 "), b"hello"),
    ("SMUG-CL-EXTRA-LEADING-SP", length(b" 5"), b"hello"),
    # RFC 9110 section 5.6.3: OWS is SP or HTAB.
    ("MAL-CL-TAB-BEFORE-VALUE", POST + b"Content-Length:\t5\r\n\r\nhello", b"hello"),
    # RFC 3986 section 2.1: any octet may be percent-encoded.
    ("MAL-URL-PERCENT-NULL", get(b"GET /path%00.html HTTP/1.1"), b""),
    ("MAL-URL-PERCENT-CRLF", get(b"GET /path%0d%0aX-Injected:%20true HTTP/1.1"), b""),
    # RFC 9110 section 5.6.2: "_" is a tchar, so these are fields of their own.
    (
        "NORM-UNDERSCORE-CL",
        smuggle(b"Content-Length: 11", b"Content_Length: 99", body=b"hello world"),
        b"hello world",
    ),
    ("NORM-UNDERSCORE-TE", POST + b"Transfer_Encoding: chunked\r\n\r\n", b""),
]

each_chop = pytest.mark.parametrize("chop", CHOPS)


@each_chop
@pytest.mark.parametrize(
    ("octets", "allowed"), [pytest.param(*row[1:], id=row[0]) for row in REFUSED]
)
def test_refused(octets: bytes, allowed: set[int], chop: Fragmenter) -> None:
    endpoint = server(chop)
    endpoint.receive(octets)
    endpoint.receive(POISON)
    (status,) = statuses(endpoint.take_sent())
    assert status in allowed
    assert requests(endpoint) == []
    assert endpoint.connection.wants_close


@each_chop
@pytest.mark.parametrize("body", [pytest.param(body, id=name) for name, body in REFUSED_BODIES])
def test_refused_body(body: bytes, chop: Fragmenter) -> None:
    endpoint = server(chop)
    endpoint.receive(CHUNKED + body)
    endpoint.receive(POISON)
    assert statuses(endpoint.take_sent()) == [400]
    assert len(requests(endpoint)) == 1
    assert not ended(endpoint)


@each_chop
@pytest.mark.parametrize(
    ("octets", "body"), [pytest.param(*row[1:], id=row[0]) for row in ACCEPTED + WARNED]
)
def test_accepted(octets: bytes, body: bytes, chop: Fragmenter) -> None:
    endpoint = server(chop)
    endpoint.receive(octets + GET)
    (request,) = requests(endpoint)
    assert request.protocol is None
    assert body_of(endpoint) == body
    assert ended(endpoint)
    assert statuses(answer(endpoint)) == [200]
    stays = request.http_version != "1.0"
    assert len(requests(endpoint)) == (2 if stays else 1)


@each_chop
def test_the_desync_sequences_stay_in_step(chop: Fragmenter) -> None:
    """SMUG-GET-CL-BODY-DESYNC, SMUG-OPTIONS-CL-BODY-DESYNC, SMUG-EXPECT-100-CL-DESYNC,
    SMUG-GET-CL-PREFIX-DESYNC."""
    prefix = b"GET / HTTP/1.1\r\n" + HOST
    for octets in (
        length(b"5").replace(b"POST", b"GET"),
        length(b"5").replace(b"POST", b"OPTIONS"),
        length(b"5\r\nExpect: 100-continue"),
        get(b"GET / HTTP/1.1", b"Content-Length: %d" % len(prefix)) + prefix,
    ):
        endpoint = server(chop)
        endpoint.receive(octets)
        assert statuses(answer(endpoint)) == [200]
        endpoint.receive(b"\r\n" + GET)
        assert statuses(answer(endpoint, 3)) == [200]
        assert len(requests(endpoint)) == 2


def test_an_octet_behind_content_length_0_is_the_next_request() -> None:
    """SMUG-CL0-BODY-POISON."""
    endpoint = server()
    endpoint.receive(length(b"0", b"X"))
    assert statuses(answer(endpoint)) == [200]
    endpoint.receive(b"\x00" + GET)
    assert statuses(endpoint.take_sent()) == [400]


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(length(b"10"), id="COMP-POST-CL-UNDERSEND"),
        pytest.param(CHUNKED + b"5\r\nhello\r\n", id="COMP-CHUNKED-NO-FINAL"),
        pytest.param(length(b"999999999", b""), id="MAL-POST-CL-HUGE-NO-BODY"),
        pytest.param(b"GET / HTTP/1.1\r\n" + HOST + b"X-Test: value", id="MAL-INCOMPLETE-REQUEST"),
        pytest.param(b"", id="MAL-EMPTY-REQUEST"),
    ],
)
def test_incomplete(octets: bytes) -> None:
    endpoint = server()
    endpoint.receive(octets)
    assert not ended(endpoint)
    assert endpoint.take_sent() == b""
    endpoint.clock.now += 60
    endpoint.handle_timeout()
    assert statuses(endpoint.take_sent()) == ([408] if octets else [])
    assert endpoint.connection.wants_close


def test_connection_close_is_done() -> None:
    """COMP-CONNECTION-CLOSE, COMP-HTTP10-DEFAULT-CLOSE."""
    for octets in (get(b"GET / HTTP/1.1", b"Connection: close"), get(b"GET / HTTP/1.0")):
        endpoint = server()
        endpoint.receive(octets)
        answer(endpoint)
        assert endpoint.connection.wants_close is CloseAction.WRITE_EOF


def test_answers_without_content() -> None:
    """COMP-HEAD-NO-BODY, COMP-NO-CL-IN-204, COMP-NO-1XX-HTTP10."""
    endpoint = server()
    endpoint.receive(get(b"HEAD / HTTP/1.1"))
    assert answer(endpoint).endswith(b"\r\n\r\n")
    endpoint.receive(get(b"OPTIONS / HTTP/1.1"))
    endpoint.send(Response(3, 204, [("Content-Length", "0")]), EndOfMessage(3))
    assert b"Content-Length" not in endpoint.take_sent()

    endpoint = server()
    endpoint.receive(length(b"5\r\nExpect: 100-continue").replace(b"HTTP/1.1", b"HTTP/1.0"))
    endpoint.send(InformationalResponse(1, 100))
    assert endpoint.take_sent() == b""
    endpoint.send(Response(1, 200), Data(1, b"x"), EndOfMessage(1))
    assert statuses(endpoint.take_sent()) == [200]


def test_what_the_application_decides_reaches_it() -> None:
    """COMP-METHOD-CONNECT, WS-UPGRADE-POST, WS-UPGRADE-INVALID-VER."""
    for octets, protocol in (
        (b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n", None),
        (get(b"POST / HTTP/1.1", b"Connection: Upgrade", WEBSOCKET[:-2]), "websocket"),
        (get(b"GET / HTTP/1.1", b"Connection: Upgrade", WEBSOCKET[:-4] + b"99"), "websocket"),
    ):
        endpoint = server()
        endpoint.receive(octets)
        assert requests(endpoint)[0].protocol == protocol
        assert statuses(answer(endpoint, status=400)) == [400]
