"""The cases of malformed input of the Http11Probe list (see ``probe_case``)."""

from __future__ import annotations

from tests.engine.http1.probe_case import (
    FORGIVES,
    HOST,
    OK,
    REFUSAL,
    Case,
    Engine,
    accepted,
    case,
    chunked,
    expect,
    get,
    head,
    length,
)

TOO_LARGE = expect({400, 431})
NO_TARGET = expect({400}, warns=range(200, 500))

# What .NET's Random(42).NextBytes gives.
GARBAGE = bytes.fromhex(
    "3e17ba96ae04cd3b99869e56f0adbf3a6fb74d2555175dcc6e8b0914579ab036"
    "cfd6280bb3c707dbaef270dc9505096e676be7f10d46d827baed2722fbb9e4fe"
    "d667871a85b386a8af727663a7813769819aadebb3bf2989fd0051c69fe4e0f5"
    "0e71052d7eefe9b3e53e429bcf758038b5bea0600bf84a173efd1d8462c009ca"
    "918154357b0aea92b1fa06747c8eb987801810e04480ea1527eeee80d2645125"
    "3577094e204bbdabd40dae11f2d59ab044950349af288611963f0d8c1b69c04c"
    "a8e03f05846b67345a650c36d1d82251543e3c3c6007750cf1f8b7e03d31906a"
    "4d61681296942bd82dcfef4a1c503fbe1dbc37dc2c83eba16a32148bb486f728"
)

MALFORMED: list[Case] = [
    case("MAL-BINARY-GARBAGE", GARBAGE),
    case("MAL-LONG-URL", get(target=b"/" + b"A" * 100_000), expect({400, 414, 431})),
    case("MAL-LONG-HEADER-VALUE", get(b"X-Big: " + b"B" * 100_000), TOO_LARGE),
    case("MAL-LONG-HEADER-NAME", get(b"A" * 100_000 + b": val"), TOO_LARGE),
    case("MAL-LONG-METHOD", head(b"A" * 100_000 + b" / HTTP/1.1")),
    case(
        "MAL-MANY-HEADERS", get(*[b"X-H-%d: value" % index for index in range(10_000)]), TOO_LARGE
    ),
    case("MAL-NUL-IN-URL", get(target=b"/\x00test")),
    case("MAL-NUL-IN-HEADER-VALUE", get(b"X-Test: val\x00ue")),
    case("MAL-CONTROL-CHARS-HEADER", get(b"X-Test: abc\x07\x08\x0bdef")),
    case("MAL-NON-ASCII-HEADER-NAME", get(b"X-T\xc3\xabst: value")),
    case("MAL-NON-ASCII-URL", get(target=b"/caf\xc3\xa9")),
    case("MAL-URL-OVERLONG-UTF8", get(target=b"/\xc0\xaf")),
    # RFC 3986 section 3.3: no pchar.  Some servers read it as "/".
    case("MAL-URL-BACKSLASH", get(target=b"/path\\file"), NO_TARGET),
    # The engine takes any byte that is percent-encoded (RFC 3986 section 2.1); the router
    # of ``web.Application`` refuses these (section 7.3).
    accepted("MAL-URL-PERCENT-NULL", get(target=b"/path%00.html"), NO_TARGET),
    accepted("MAL-URL-PERCENT-CRLF", get(target=b"/path%0d%0aX-Injected:%20true"), NO_TARGET),
    case("MAL-CL-OVERFLOW", length(b"9" * 20, body=b"")),
    case("MAL-CL-EMPTY", length(b"", body=b"")),
    accepted(
        "MAL-CL-TAB-BEFORE-VALUE",
        get().replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Length:\t5\r\n\r\nhello"),
        FORGIVES,
        b"hello",
        warned="RFC 9110 section 5.6.3: OWS is SP or HTAB, and section 5.5 excludes it",
    ),
    case(
        "MAL-CHUNK-SIZE-OVERFLOW",
        chunked(b"FFFFFFFFFFFFFFFF0\r\nhello\r\n0\r\n\r\n"),
        engine=Engine.REFUSES_BODY,
    ),
    case(
        "MAL-CHUNK-EXT-64K",
        chunked(b"5;ext=" + b"a" * 65_536 + b"\r\nhello\r\n0\r\n\r\n"),
        expect({400, 431}, warns=OK),
        engine=Engine.REFUSES_BODY,
    ),
    case("MAL-WHITESPACE-ONLY-LINE", b"   \r\n\r\n"),
    case("MAL-H2-PREFACE", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", expect({400, 505})),
    case(
        "MAL-INCOMPLETE-REQUEST",
        b"GET / HTTP/1.1\r\n" + HOST + b"X-Test: value",
        REFUSAL,
        engine=Engine.WAITS,
    ),
    case("MAL-EMPTY-REQUEST", b"", REFUSAL, engine=Engine.WAITS),
    case(
        "MAL-POST-CL-HUGE-NO-BODY",
        length(b"999999999", body=b""),
        expect({400, 413}),
        engine=Engine.WAITS,
    ),
    accepted(
        "MAL-RANGE-OVERLAPPING",
        get(b"Range: bytes=" + b",".join([b"0-"] * 1000)),
        expect((), warns={200, 206, 400, 416, 431}),
        scored=False,
        warned="no answer passes; RFC 9110 section 14.2 lets a server ignore Range",
    ),
]
