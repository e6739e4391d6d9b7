"""The compliance cases of the Http11Probe list (see ``probe_case``)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tests.engine.http1.probe_case import (
    FORGIVES,
    FORGIVES_400,
    HOST,
    OK,
    ONLY_400,
    PREFERS_400,
    REFUSAL,
    Answer,
    Case,
    Engine,
    Verdict,
    accepted,
    case,
    chunked,
    echoes,
    expect,
    get,
    has_field,
    head,
    length,
    post,
    succeeds_and_closes,
)


def _has_no_body(answers: Sequence[Answer]) -> Verdict:
    good = answers[0].successful and not answers[0].body
    return Verdict.PASS if good else Verdict.FAIL


def _has_no_length(answers: Sequence[Answer]) -> Verdict:
    answer = answers[0]
    if answer.status == 204:
        return Verdict.FAIL if "content-length" in answer.headers else Verdict.PASS
    return Verdict.PASS if answer.status == 405 else Verdict.WARN


def _has_fixed_date(answers: Sequence[Answer]) -> Verdict:
    """RFC 9110 section 5.6.7: IMF-fixdate."""
    date = answers[0].headers.get("date", "")
    fixed = re.fullmatch(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", date)
    return Verdict.PASS if fixed else Verdict.WARN


def _ignores_range(answers: Sequence[Answer]) -> Verdict:
    good = answers[0].successful and answers[0].status != 206
    return Verdict.PASS if good else Verdict.FAIL


def _keeps_secrets(answers: Sequence[Answer]) -> Verdict:
    if answers[0].successful and b"secret-token-123" in answers[0].body:
        return Verdict.WARN
    return expect({405, 501, *OK})(answers)


NO_1XX = expect(range(200, 600))
NOT_ALLOWED = expect({405, 501}, warns=OK)

MESSAGES: list[Case] = [
    accepted("COMP-BASELINE", get()),
    case("RFC9112-2.2-BARE-LF-REQUEST-LINE", b"GET / HTTP/1.1\n" + HOST + b"\r\n", FORGIVES),
    case(
        "RFC9112-2.2-BARE-LF-HEADER",
        get(host=HOST.replace(b"\r\n", b"\nX-Test: value\r\n")),
        FORGIVES,
    ),
    case("RFC9112-5.1-OBS-FOLD", get(b"X-Test: value\r\n continued"), ONLY_400),
    case("RFC9110-5.6.2-SP-BEFORE-COLON", get(b"X-Test : value"), ONLY_400),
    case("RFC9112-3-MULTI-SP-REQUEST-LINE", head(b"GET  / HTTP/1.1"), FORGIVES_400),
    case("RFC9112-7.1-MISSING-HOST", get(host=b""), ONLY_400),
    case(
        "RFC9112-2.3-INVALID-VERSION",
        head(b"GET / HTTP/9.9"),
        expect({400, 505}, silence=Verdict.WARN),
    ),
    case("RFC9112-5-EMPTY-HEADER-NAME", get(b": empty-name")),
    case("RFC9112-3-CR-ONLY-LINE-ENDING", b"GET / HTTP/1.1\r" + HOST + b"\r\n", PREFERS_400),
    case("RFC9112-3-MISSING-TARGET", head(b"GET HTTP/1.1"), PREFERS_400),
    case(
        "RFC9112-3.2-FRAGMENT-IN-TARGET",
        get(target=b"/path#frag"),
        expect({400}, warns={404, *OK}, silence=Verdict.WARN),
    ),
    case("RFC9112-2.3-HTTP09-REQUEST", b"GET /\r\n"),
    case("RFC9112-5-INVALID-HEADER-NAME", get(b"Bad[Name: value")),
    case("RFC9112-5-HEADER-NO-COLON", get(b"NoColonHere")),
    case("RFC9110-5.4-DUPLICATE-HOST", get(b"Host: other.example.com"), ONLY_400),
    case("RFC9112-6.1-CL-NON-NUMERIC", length(b"abc", body=b"")),
    case("RFC9112-6.1-CL-PLUS-SIGN", length(b"+5")),
    case("COMP-WHITESPACE-BEFORE-HEADERS", get(host=b" \r\n" + HOST)),
    case("COMP-DUPLICATE-HOST-SAME", get(HOST[:-2]), ONLY_400),
    case("COMP-HOST-WITH-USERINFO", get(host=b"Host: user@localhost:8080\r\n")),
    case("COMP-HOST-WITH-PATH", get(host=b"Host: localhost:8080/path\r\n")),
    case("COMP-HOST-EMPTY-VALUE", get(host=b"Host: \r\n")),
    case("COMP-ASTERISK-WITH-GET", get(target=b"*"), PREFERS_400),
    accepted(
        "COMP-OPTIONS-STAR",
        head(b"OPTIONS * HTTP/1.1"),
        expect({405, *OK}, silence=Verdict.WARN),
    ),
    case("COMP-UNKNOWN-TE-501", post(b"Transfer-Encoding: gzip", body=b""), expect({400, 501})),
    case("COMP-LEADING-CRLF", b"\r\n\r\n" + get(), FORGIVES_400),
    accepted(
        "COMP-ABSOLUTE-FORM",
        get(target=b"http://localhost:8080/"),
        expect(OK, warns={400}, silence=Verdict.WARN),
        scored=False,
    ),
    accepted(
        "COMP-METHOD-CASE",
        head(b"get / HTTP/1.1"),
        expect({400, 405, 501}, warns=OK, silence=Verdict.WARN),
    ),
    case("COMP-REQUEST-LINE-TAB", head(b"GET\t/ HTTP/1.1"), FORGIVES_400),
    case("COMP-VERSION-MISSING-MINOR", head(b"GET / HTTP/1"), PREFERS_400),
    case("COMP-VERSION-LEADING-ZEROS", head(b"GET / HTTP/01.01"), PREFERS_400),
    case("COMP-VERSION-WHITESPACE", head(b"GET / HTTP/ 1.1"), PREFERS_400),
    case("COMP-VERSION-CASE", head(b"GET / http/1.1"), PREFERS_400),
    accepted(
        "COMP-LONG-URL-OK",
        get(target=b"/" + b"a" * 7900),
        expect([s for s in range(100, 600) if s != 414], silence=Verdict.WARN),
    ),
    case("COMP-SPACE-IN-TARGET", get(target=b"/pa th"), PREFERS_400),
    case(
        "COMP-DUPLICATE-CT",
        length(b"5", b"Content-Type: text/plain", b"Content-Type: text/html"),
        FORGIVES,
    ),
]

CONTENT: list[Case] = [
    accepted("COMP-POST-CL-BODY", length(b"5"), echoes(b"hello"), b"hello"),
    accepted("COMP-POST-CL-ZERO", length(b"0", body=b"")),
    accepted("COMP-POST-NO-CL-NO-TE", post(body=b"")),
    case("COMP-POST-CL-UNDERSEND", length(b"10"), REFUSAL, engine=Engine.WAITS),
    accepted("COMP-CHUNKED-BODY", chunked(b"5\r\nhello\r\n0\r\n\r\n"), echoes(b"hello"), b"hello"),
    accepted(
        "COMP-CHUNKED-MULTI",
        chunked(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"),
        echoes(b"hello world"),
        b"hello world",
    ),
    accepted("COMP-CHUNKED-EMPTY", chunked(b"0\r\n\r\n")),
    case("COMP-CHUNKED-NO-FINAL", chunked(b"5\r\nhello\r\n"), REFUSAL, engine=Engine.WAITS),
    accepted(
        "COMP-CHUNKED-EXTENSION",
        chunked(b"5;ext=value\r\nhello\r\n0\r\n\r\n"),
        echoes(b"hello"),
        b"hello",
    ),
    accepted(
        "COMP-CHUNKED-TRAILER-VALID",
        chunked(b"5\r\nhello\r\n0\r\nX-Checksum: abc\r\n\r\n"),
        echoes(b"hello"),
        b"hello",
    ),
    accepted(
        "COMP-CHUNKED-HEX-UPPERCASE",
        chunked(b"A\r\nhelloworld\r\n0\r\n\r\n"),
        echoes(b"helloworld"),
        b"helloworld",
    ),
    accepted("COMP-RANGE-POST", length(b"5", b"Range: bytes=0-10"), _ignores_range, b"hello"),
    accepted(
        "COMP-POST-UNSUPPORTED-CT",
        length(b"5", b"Content-Type: application/x-nonsense"),
        expect({415, *OK}),
        b"hello",
        scored=False,
    ),
    accepted(
        "COMP-GET-WITH-CL-BODY",
        get(b"Content-Length: 5") + b"hello",
        FORGIVES,
        b"hello",
        scored=False,
        warned="RFC 9110 section 9.3.1: content of a GET has no meaning, but is allowed",
    ),
]

SEMANTICS: list[Case] = [
    case(
        "COMP-METHOD-CONNECT",
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n",
        expect({400, 405, 501}),
        engine=Engine.OTHER,
    ),
    accepted("COMP-EXPECT-UNKNOWN", get(b"Expect: 200-ok"), expect({417}, warns=OK)),
    accepted("COMP-METHOD-TRACE", head(b"TRACE / HTTP/1.1"), NOT_ALLOWED, scored=False),
    accepted(
        "COMP-TRACE-WITH-BODY",
        head(b"TRACE / HTTP/1.1", b"Content-Length: 5") + b"hello",
        expect({400, 405, 501}, warns=OK),
        b"hello",
        scored=False,
    ),
    accepted(
        "COMP-TRACE-SENSITIVE",
        head(b"TRACE / HTTP/1.1", b"Authorization: Bearer secret-token-123"),
        _keeps_secrets,
        scored=False,
    ),
    accepted("COMP-CONNECTION-CLOSE", get(b"Connection: close"), succeeds_and_closes),
    accepted("COMP-HTTP10-DEFAULT-CLOSE", head(b"GET / HTTP/1.0"), succeeds_and_closes),
    accepted(
        "COMP-HTTP10-NO-HOST",
        head(b"GET / HTTP/1.0", host=b""),
        FORGIVES,
        scored=False,
        warned="RFC 9112 section 3.2: only HTTP/1.1 asks for Host",
    ),
    accepted(
        "COMP-HTTP12-VERSION",
        head(b"GET / HTTP/1.2"),
        expect((), warns={505, *OK}),
        scored=False,
        warned="no answer passes; RFC 9110 section 2.5 asks for the one of HTTP/1.1",
    ),
    accepted("COMP-HEAD-NO-BODY", head(b"HEAD / HTTP/1.1"), _has_no_body),
    accepted("COMP-UNKNOWN-METHOD", head(b"FOOBAR / HTTP/1.1"), expect({400, 405, 501}, warns=OK)),
    accepted(
        "COMP-405-ALLOW",
        head(b"DELETE / HTTP/1.1"),
        has_field("allow", {405}, lacking=Verdict.FAIL),
    ),
    accepted("COMP-DATE-HEADER", get(), has_field("date", lacking=Verdict.FAIL)),
    accepted("COMP-DATE-FORMAT", get(), _has_fixed_date, scored=False),
    case(
        "COMP-NO-1XX-HTTP10",
        head(b"POST / HTTP/1.0", b"Expect: 100-continue", b"Content-Length: 5") + b"hello",
        NO_1XX,
        engine=Engine.OTHER,
    ),
    accepted("COMP-NO-CL-IN-204", head(b"OPTIONS / HTTP/1.1"), _has_no_length),
    accepted(
        "COMP-OPTIONS-ALLOW",
        head(b"OPTIONS / HTTP/1.1"),
        has_field("allow", passes={405}, lacking=Verdict.WARN),
    ),
    accepted("COMP-CONTENT-TYPE", get(), has_field("content-type", lacking=Verdict.WARN)),
    accepted(
        "COMP-RANGE-INVALID",
        get(b"Range: bytes=abc-xyz"),
        expect({416, *OK}),
        scored=False,
    ),
    accepted(
        "COMP-ACCEPT-NONSENSE",
        get(b"Accept: application/x-nonsense"),
        expect({406}, warns=OK),
        scored=False,
        warned="RFC 9110 section 12.5.1: a server may disregard Accept; the application's choice",
    ),
]

COMPLIANCE = MESSAGES + CONTENT + SEMANTICS
