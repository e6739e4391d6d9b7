"""The cases of the Http11Probe list that ask about what applications see and do: field
names, cookies, validators and WebSocket handshakes (see ``probe_case``)."""

from __future__ import annotations

from collections.abc import Sequence

from tests.engine.http1.probe_case import (
    NO_UPGRADE,
    OK,
    Answer,
    Case,
    Engine,
    Judge,
    Verdict,
    accepted,
    case,
    expect,
    get,
    head,
    post,
)


def _echoed(answer: Answer) -> list[tuple[bytes, bytes]]:
    """Return the fields that ``/echo`` saw, as it names them."""
    lines = [line.partition(b":") for line in answer.body.splitlines()]
    return [(name, value.strip()) for name, _, value in lines]


def drops(name: bytes, value: bytes, taken_for: bytes) -> Judge:
    """A field of a doubtful name is refused or dropped, at best handed on as it is."""

    def judge(answers: Sequence[Answer]) -> Verdict:
        answer = answers[0]
        if answer.status is None or answer.status >= 400:
            return Verdict.PASS
        if not answer.successful:
            return Verdict.FAIL
        names = [seen for seen, seen_value in _echoed(answer) if seen_value == value]
        if any(seen != name and seen.lower() == taken_for.lower() for seen in names):
            return Verdict.FAIL
        return Verdict.WARN if name in names else Verdict.PASS

    return judge


UNDERSCORE = 'RFC 9110 sections 5.1 and 5.6.2: "_" is a tchar, so this is a field of its own'

NORMALIZATION: list[Case] = [
    accepted(
        "NORM-UNDERSCORE-CL",
        post(b"Content-Length: 11", b"Content_Length: 99", body=b"hello world", target=b"/echo"),
        drops(b"Content_Length", b"99", b"Content-Length"),
        b"hello world",
        warned=UNDERSCORE,
    ),
    accepted(
        "NORM-UNDERSCORE-TE",
        post(
            b"Content-Length: 11",
            b"Transfer_Encoding: chunked",
            body=b"hello world",
            target=b"/echo",
        ),
        drops(b"Transfer_Encoding", b"chunked", b"Transfer-Encoding"),
        b"hello world",
        warned=UNDERSCORE,
    ),
    case(
        "NORM-SP-BEFORE-COLON-CL",
        post(b"Content-Length: 11", b"Content-Length : 5", body=b"hello world", target=b"/echo"),
        drops(b"Content-Length ", b"5", b"Content-Length"),
    ),
    case(
        "NORM-TAB-IN-NAME",
        post(b"Content-Length: 11", b"Content\tLength: 99", body=b"hello world", target=b"/echo"),
        drops(b"Content\tLength", b"99", b"Content-Length"),
    ),
    case(
        "NORM-CASE-TE",
        post(
            b"Content-Length: 11",
            b"TRANSFER-ENCODING: chunked",
            body=b"hello world",
            target=b"/echo",
        ),
        drops(b"TRANSFER-ENCODING", b"chunked", b"Transfer-Encoding"),
        scored=False,
    ),
]

CHUNKED_HELLO = b"B\r\nhello world\r\n0\r\n\r\n"

OTHER_EDITION: list[Case] = [
    # Editions of the list differ in these two: here the names stand without a
    # Content-Length, and the content is chunked.
    case(
        "NORM-UNDERSCORE-TE",
        post(b"Transfer_Encoding: chunked", body=CHUNKED_HELLO, target=b"/echo"),
        drops(b"Transfer_Encoding", b"chunked", b"Transfer-Encoding"),
        engine=Engine.OTHER,
        warned=UNDERSCORE,
    ),
    accepted(
        "NORM-CASE-TE",
        post(b"TRANSFER-ENCODING: chunked", body=CHUNKED_HELLO, target=b"/echo"),
        drops(b"TRANSFER-ENCODING", b"chunked", b"Transfer-Encoding"),
        b"hello world",
        scored=False,
        warned="RFC 9110 section 5.1: case does not matter; the application sees what was sent",
    ),
]


def shows(*parts: bytes, lacking: Verdict = Verdict.FAIL) -> Judge:
    def judge(answers: Sequence[Answer]) -> Verdict:
        if not answers[0].successful:
            return Verdict.FAIL
        return Verdict.PASS if all(part in answers[0].body for part in parts) else lacking

    return judge


def hides(*data: bytes) -> Judge:
    """Refused, or answered without the bytes."""

    def judge(answers: Sequence[Answer]) -> Verdict:
        if any(byte in answers[0].body for byte in data):
            return Verdict.FAIL
        return expect({400, *OK})(answers)

    return judge


def cookie(*values: bytes, target: bytes = b"/echo") -> bytes:
    return get(*[b"Cookie: " + value for value in values], target=target)


SURVIVES = expect({400, 431, *OK})

COOKIES: list[Case] = [
    accepted("COOK-ECHO", cookie(b"foo=bar"), shows(b"Cookie:"), scored=False),
    case("COOK-OVERSIZED", cookie(b"big=" + b"A" * 65_536), SURVIVES, scored=False),
    accepted("COOK-EMPTY", cookie(b""), SURVIVES, scored=False),
    case("COOK-NUL", cookie(b"foo=\x00bar"), hides(b"\x00"), scored=False),
    case(
        "COOK-CONTROL-CHARS",
        cookie(b"foo=\x01\x02\x03"),
        hides(b"\x01", b"\x02", b"\x03"),
        scored=False,
    ),
    case(
        "COOK-MANY-PAIRS",
        cookie(b"; ".join([b"k%d=v%d" % (index, index) for index in range(1000)])),
        SURVIVES,
        scored=False,
    ),
    accepted("COOK-MALFORMED", cookie(b"===;;;"), SURVIVES, scored=False),
    accepted(
        "COOK-MULTI-HEADER",
        cookie(b"a=1", b"b=2"),
        shows(b"a=1", b"b=2", lacking=Verdict.WARN),
        scored=False,
    ),
    accepted(
        "COOK-PARSED-BASIC", cookie(b"foo=bar", target=b"/cookie"), shows(b"foo=bar"), scored=False
    ),
    accepted(
        "COOK-PARSED-MULTI",
        cookie(b"a=1; b=2; c=3", target=b"/cookie"),
        shows(b"a=1", b"b=2", b"c=3"),
        scored=False,
    ),
    accepted("COOK-PARSED-EMPTY-VAL", cookie(b"foo=", target=b"/cookie"), SURVIVES, scored=False),
    accepted(
        "COOK-PARSED-SPECIAL",
        cookie(b"a=hello world; b=x=y", target=b"/cookie"),
        SURVIVES,
        scored=False,
    ),
]

NO_VALIDATORS = "the application sends no validators (RFC 9110 section 8.8: it may)"


def validated(validator: str, *, passes: int = 304, kept: bool = False) -> Judge:
    """The conditional request of the second step gets the status ``passes``."""

    def judge(answers: Sequence[Answer]) -> Verdict:
        first, second = answers
        if not first.successful or second.status not in (304, *OK):
            return Verdict.FAIL
        if validator and validator not in first.headers:
            return Verdict.WARN
        if second.status != passes or (kept and validator not in second.headers):
            return Verdict.WARN
        return Verdict.PASS

    return judge


def conditional(
    name: str, judge: Judge, line: str, validator: str = "", *, warned: str = NO_VALIDATORS
) -> Case:
    """Ask twice, the second time with ``line``, in which {} is the validator of the first."""

    def second(first: Answer) -> bytes:
        tag = first.headers.get(validator, '"none"')
        return get(line.format(tag, bare=tag.removeprefix("W/").strip('"')).encode())

    return accepted(
        name, get(b"Connection: keep-alive"), judge, b"", second, scored=False, warned=warned
    )


CAPABILITIES: list[Case] = [
    conditional("CAP-ETAG-304", validated("etag"), "If-None-Match: {}", "etag"),
    conditional(
        "CAP-LAST-MODIFIED-304",
        validated("last-modified"),
        "If-Modified-Since: {}",
        "last-modified",
    ),
    conditional("CAP-ETAG-IN-304", validated("etag", kept=True), "If-None-Match: {}", "etag"),
    conditional(
        "CAP-INM-PRECEDENCE",
        validated("etag"),
        "If-None-Match: {}\r\nIf-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT",
        "etag",
    ),
    conditional("CAP-INM-WILDCARD", validated(""), "If-None-Match: *"),
    conditional(
        "CAP-IMS-FUTURE",
        validated("", passes=200),
        "If-Modified-Since: Thu, 01 Jan 2099 00:00:00 GMT",
        warned="",
    ),
    conditional(
        "CAP-IMS-INVALID", validated("", passes=200), "If-Modified-Since: not-a-date", warned=""
    ),
    conditional("CAP-INM-UNQUOTED", validated("etag", passes=200), "If-None-Match: {bare}", "etag"),
    conditional("CAP-ETAG-WEAK", validated("etag"), "If-None-Match: W/{}", "etag"),
]

HANDSHAKE = (
    b"Upgrade: websocket",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    b"Sec-WebSocket-Version: 13",
)
UPGRADE = b"Connection: Upgrade"

WEBSOCKETS: list[Case] = [
    case(
        "WS-UPGRADE-POST",
        post(UPGRADE, *HANDSHAKE, body=b""),
        NO_UPGRADE,
        engine=Engine.OTHER,
    ),
    accepted("WS-UPGRADE-MISSING-CONN", get(*HANDSHAKE), NO_UPGRADE),
    accepted("WS-UPGRADE-UNKNOWN", get(UPGRADE, b"Upgrade: totally-made-up/1.0"), NO_UPGRADE),
    case(
        "WS-UPGRADE-INVALID-VER",
        get(UPGRADE, *HANDSHAKE[:-1], b"Sec-WebSocket-Version: 99"),
        expect([s for s in range(200, 600) if s not in OK], warns=OK),
        engine=Engine.OTHER,
    ),
    accepted("WS-UPGRADE-HTTP10", head(b"GET / HTTP/1.0", UPGRADE, *HANDSHAKE), NO_UPGRADE),
]

APPLICATION = NORMALIZATION + COOKIES + CAPABILITIES + WEBSOCKETS
