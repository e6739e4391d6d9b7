"""The smuggling cases of the Http11Probe list (see ``probe_case``)."""

from __future__ import annotations

from collections.abc import Sequence

from tests.engine.http1.probe_case import (
    FOLLOW_UP,
    FORGIVES,
    HOST,
    OK,
    REFUSAL,
    Answer,
    Case,
    Engine,
    Judge,
    Verdict,
    accepted,
    case,
    chunked,
    expect,
    get,
    head,
    is_safe,
    length,
    post,
    refuses_or_closes,
    stays_in_step,
)

SMUGGLED = get()
POISONED = b"0\r\n\r\n" + SMUGGLED


def coding(value: bytes) -> bytes:
    """A transfer coding beside a Content-Length that agrees with the content."""
    return post(b"Transfer-Encoding: " + value, b"Content-Length: 5")


def both(*fields: bytes, body: bytes = POISONED) -> bytes:
    """Return a POST; SIZE in ``fields`` is the size of its content."""
    size = b"%d" % len(body)
    return post(*[line.replace(b"SIZE", size) for line in fields], body=body)


def refused_chunk(
    name: str, body: bytes, judge: Judge = REFUSAL, *then: bytes, scored: bool = True
) -> Case:
    return case(name, chunked(body), judge, *then, engine=Engine.REFUSES_BODY, scored=scored)


def ignored_trailer(name: str, field: bytes) -> Case:
    return accepted(
        name,
        chunked(b"5\r\nhello\r\n0\r\n" + field + b"\r\n\r\n"),
        FORGIVES,
        b"hello",
        scored=False,
        warned="RFC 9110 section 6.5.1: such a trailer field is ignored",
    )


def _keeps_connection(answers: Sequence[Answer]) -> Verdict:
    if not answers[0].successful:
        return Verdict.FAIL
    return Verdict.PASS if answers[1].successful else Verdict.WARN


def _refuses_byte_behind(answers: Sequence[Answer]) -> Verdict:
    if is_safe(answers[0]):
        return Verdict.PASS
    return Verdict.WARN if answers[0].successful else Verdict.FAIL


LENGTHS: list[Case] = [
    case(
        "SMUG-DUPLICATE-CL", both(b"Content-Length: 5", b"Content-Length: 10", body=b"helloworld")
    ),
    case("SMUG-CL-LEADING-ZEROS", length(b"005"), FORGIVES),
    case("SMUG-CL-DOUBLE-ZERO", length(b"00", body=b""), FORGIVES),
    case("SMUG-CL-LEADING-ZEROS-OCTAL", length(b"0200", body=b"A" * 200), FORGIVES),
    case("SMUG-CL-NEGATIVE", length(b"-1", body=b"")),
    case("SMUG-CL-NEGATIVE-ZERO", length(b"-0", body=b"")),
    case("SMUG-CL-UNDERSCORE", length(b"1_0", body=b"helloworld")),
    case("SMUG-CL-OCTAL", length(b"0o5")),
    case("SMUG-CL-HEX-PREFIX", length(b"0x5")),
    case("SMUG-CL-INTERNAL-SPACE", length(b"1 0", body=b"hello12345")),
    case("SMUG-CL-COMMA-DIFFERENT", length(b"5, 10")),
    case("SMUG-CL-COMMA-SAME", length(b"5, 5"), FORGIVES, scored=False),
    case("SMUG-CL-COMMA-TRIPLE", length(b"5, 5, 5"), FORGIVES, scored=False),
    accepted(
        "SMUG-CL-TRAILING-SPACE",
        length(b"5 "),
        FORGIVES,
        b"hello",
        warned="RFC 9110 section 5.5: white space behind a value is no part of it",
    ),
    accepted(
        "SMUG-CL-EXTRA-LEADING-SP",
        length(b" 5"),
        FORGIVES,
        b"hello",
        warned="RFC 9110 section 5.5: white space before a value is no part of it",
    ),
]

CODINGS: list[Case] = [
    case(
        "SMUG-CL-TE-BOTH",
        both(
            b"Content-Length: SIZE",
            b"Transfer-Encoding: chunked",
            body=b"D\r\nhello-bananas\r\n0\r\n\r\n",
        ),
        FORGIVES,
    ),
    case(
        "SMUG-CLTE-PIPELINE",
        both(b"Content-Length: 4", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        FORGIVES,
    ),
    case(
        "SMUG-TECL-PIPELINE",
        both(b"Transfer-Encoding: chunked", b"Content-Length: 30", body=b"0\r\n\r\n"),
        FORGIVES,
    ),
    case("SMUG-TE-XCHUNKED", coding(b"xchunked"), expect({400, 501})),
    case("SMUG-TE-TRAILING-SPACE", coding(b"chunked "), expect({400, 501}, warns=OK)),
    case("SMUG-TE-SP-BEFORE-COLON", post(b"Transfer-Encoding : chunked", b"Content-Length: 5")),
    case("SMUG-TE-DOUBLE-CHUNKED", coding(b"chunked, chunked"), FORGIVES),
    case("SMUG-TE-CASE-MISMATCH", coding(b"Chunked"), FORGIVES),
    case(
        "SMUG-TE-NOT-FINAL-CHUNKED",
        post(b"Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"),
    ),
    case("SMUG-TE-HTTP10", coding(b"chunked").replace(b"HTTP/1.1", b"HTTP/1.0")),
    case("SMUG-TE-EMPTY-VALUE", coding(b"")),
    case("SMUG-TE-LEADING-COMMA", coding(b", chunked"), FORGIVES),
    case("SMUG-TE-TRAILING-COMMA", coding(b"chunked,"), FORGIVES),
    case(
        "SMUG-TE-TAB-BEFORE-VALUE",
        post(b"Transfer-Encoding:\tchunked", b"Content-Length: 5"),
        FORGIVES,
        scored=False,
    ),
    case("SMUG-TE-DUPLICATE-HEADERS", coding(b"chunked\r\nTransfer-Encoding: identity")),
    case("SMUG-TE-VTAB", coding(b"\x0bchunked")),
    case("SMUG-TE-FORMFEED", coding(b"\x0cchunked")),
    case("SMUG-TE-NULL", coding(b"chunked\x00")),
    case("SMUG-TE-IDENTITY", coding(b"identity"), expect({400, 501})),
    case(
        "SMUG-TE-OBS-FOLD",
        post(b"Transfer-Encoding:\r\n chunked", b"Content-Length: 5"),
        expect({400}, warns=OK),
    ),
    case("SMUG-CHUNKED-WITH-PARAMS", coding(b"chunked;ext=val"), FORGIVES, scored=False),
    accepted(
        "SMUG-TRANSFER_ENCODING",
        post(b"Transfer_Encoding: chunked", b"Content-Length: 5"),
        FORGIVES,
        b"hello",
        scored=False,
        warned="RFC 9110 section 5.1: a field that nobody knows is ignored",
    ),
]

CHUNKS: list[Case] = [
    refused_chunk("SMUG-CHUNK-BARE-SEMICOLON", b"5;\r\nhello\r\n0\r\n\r\n"),
    refused_chunk("SMUG-CHUNK-EXT-INVALID-TOKEN", b"5;bad[=x\r\nhello\r\n0\r\n\r\n"),
    refused_chunk("SMUG-CHUNK-UNDERSCORE", b"1_0\r\nhello world!!!!!\r\n0\r\n\r\n"),
    refused_chunk("SMUG-CHUNK-HEX-PREFIX", b"0x5\r\nhello\r\n0\r\n\r\n"),
    refused_chunk("SMUG-CHUNK-SIZE-PLUS", b"+5\r\nhello\r\n0\r\n\r\n"),
    refused_chunk("SMUG-CHUNK-SIZE-TRAILING-OWS", b"5 \r\nhello\r\n0\r\n\r\n"),
    refused_chunk("SMUG-CHUNK-LEADING-SP", b" 5\r\nhello\r\n0\r\n\r\n"),
    refused_chunk("SMUG-CHUNK-MISSING-TRAILING-CRLF", b"5\r\nhello0\r\n\r\n"),
    refused_chunk("SMUG-CHUNK-EXT-LF", b"5;\nhello\r\n0\r\n\r\n", FORGIVES),
    refused_chunk("SMUG-CHUNK-SPILL", b"5\r\nhello!!\r\n0\r\n\r\n"),
    refused_chunk("SMUG-CHUNK-LF-TERM", b"5\r\nhello\n0\r\n\r\n", FORGIVES),
    refused_chunk("SMUG-CHUNK-EXT-CTRL", b"5;\x00ext\r\nhello\r\n0\r\n\r\n"),
    refused_chunk("SMUG-CHUNK-EXT-CR", b"5;a\rX\r\nhello\r\n0\r\n\r\n"),
    refused_chunk("SMUG-CHUNK-LF-TRAILER", b"5\r\nhello\r\n0\r\n\n", FORGIVES),
    refused_chunk("SMUG-CHUNK-NEGATIVE", b"-1\r\nhello\r\n0\r\n\r\n"),
    refused_chunk("SMUG-CHUNK-BARE-CR-TERM", b"5\rhello\r\n0\r\n\r\n"),
    refused_chunk("SMUG-CHUNK-INVALID-SIZE-DESYNC", b"+0\r\n\r\nX", refuses_or_closes, FOLLOW_UP),
    ignored_trailer("SMUG-TRAILER-CL", b"Content-Length: 50"),
    ignored_trailer("SMUG-TRAILER-TE", b"Transfer-Encoding: chunked"),
    ignored_trailer("SMUG-TRAILER-HOST", b"Host: evil.example.com"),
    ignored_trailer("SMUG-TRAILER-AUTH", b"Authorization: Bearer evil"),
    ignored_trailer("SMUG-TRAILER-CONTENT-TYPE", b"Content-Type: text/evil"),
]

AMBIGUOUS: list[Case] = [
    case(
        "SMUG-CLTE-CONN-CLOSE",
        both(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        refuses_or_closes,
        FOLLOW_UP,
    ),
    case(
        "SMUG-TECL-CONN-CLOSE",
        both(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n"),
        refuses_or_closes,
        FOLLOW_UP,
    ),
    case(
        "SMUG-CLTE-DESYNC",
        both(b"Content-Length: 6", b"Transfer-Encoding: chunked", body=b"0\r\n\r\nX"),
        refuses_or_closes,
        FOLLOW_UP,
    ),
    case(
        "SMUG-TECL-DESYNC",
        both(b"Transfer-Encoding: chunked", b"Content-Length: 30", body=b"0\r\n\r\nX"),
        refuses_or_closes,
        FOLLOW_UP,
    ),
    case(
        "SMUG-OPTIONS-TE-OBS-FOLD",
        head(b"OPTIONS / HTTP/1.1", b"Transfer-Encoding:\r\n chunked", b"Content-Length: 5")
        + b"hello",
        refuses_or_closes,
        FOLLOW_UP,
    ),
    case(
        "SMUG-CLTE-SMUGGLED-GET",
        both(b"Content-Length: SIZE", b"Transfer-Encoding: chunked"),
        refuses_or_closes,
    ),
    case(
        "SMUG-CLTE-SMUGGLED-GET-CL-PLUS",
        both(b"Content-Length: +SIZE", b"Transfer-Encoding: chunked"),
        refuses_or_closes,
    ),
    case(
        "SMUG-CLTE-SMUGGLED-GET-CL-NON-NUMERIC",
        both(b"Content-Length: SIZEx", b"Transfer-Encoding: chunked"),
        refuses_or_closes,
    ),
    case(
        "SMUG-CLTE-SMUGGLED-GET-TE-OBS-FOLD",
        both(b"Transfer-Encoding:\r\n chunked", b"Content-Length: SIZE"),
        refuses_or_closes,
    ),
    case(
        "SMUG-CLTE-SMUGGLED-GET-TE-TRAILING-SPACE",
        both(b"Content-Length: SIZE", b"Transfer-Encoding: chunked "),
        refuses_or_closes,
    ),
    case(
        "SMUG-CLTE-SMUGGLED-GET-TE-LEADING-COMMA",
        both(b"Content-Length: SIZE", b"Transfer-Encoding: , chunked"),
        refuses_or_closes,
    ),
    case(
        "SMUG-CLTE-SMUGGLED-GET-TE-CASE-MISMATCH",
        both(b"Content-Length: SIZE", b"Transfer-Encoding: Chunked"),
        refuses_or_closes,
    ),
    case(
        "SMUG-CLTE-SMUGGLED-HEAD",
        both(
            b"Content-Length: SIZE",
            b"Transfer-Encoding: chunked",
            body=POISONED.replace(b"GET", b"HEAD"),
        ),
        refuses_or_closes,
    ),
    case(
        "SMUG-TE-DUPLICATE-HEADERS-SMUGGLED-GET",
        both(
            b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", b"Content-Length: SIZE"
        ),
        refuses_or_closes,
    ),
    case(
        # Content-Length ends behind the size of the chunk; what follows is a request, whose
        # own content is the rest of the chunked coding.
        "SMUG-TECL-SMUGGLED-GET",
        both(
            b"Transfer-Encoding: chunked",
            b"Content-Length: 4",
            body=b"%x\r\n%b\r\n0\r\n\r\n"
            % (len(get(b"Content-Length: 7")), get(b"Content-Length: 7")),
        ),
        refuses_or_closes,
    ),
    case(
        "SMUG-DUPLICATE-CL-SMUGGLED-GET",
        both(b"Content-Length: 4", b"Content-Length: SIZE", body=b"PING" + SMUGGLED),
        refuses_or_closes,
    ),
]

UNREAD: list[Case] = [
    accepted("SMUG-PIPELINE-SAFE", get(), _keeps_connection, b"", FOLLOW_UP, scored=False),
    accepted(
        "SMUG-GET-CL-BODY-DESYNC",
        get(b"Content-Length: 5") + b"hello",
        stays_in_step,
        b"hello",
        FOLLOW_UP,
        scored=False,
    ),
    accepted(
        "SMUG-OPTIONS-CL-BODY-DESYNC",
        head(b"OPTIONS / HTTP/1.1", b"Content-Length: 5") + b"hello",
        stays_in_step,
        b"hello",
        FOLLOW_UP,
        scored=False,
    ),
    accepted(
        "SMUG-EXPECT-100-CL-DESYNC",
        length(b"5", b"Expect: 100-continue"),
        stays_in_step,
        b"hello",
        FOLLOW_UP,
        scored=False,
    ),
    accepted(
        # The content is the beginning of a request; the second step would complete it.
        "SMUG-GET-CL-PREFIX-DESYNC",
        get(b"Content-Length: %d" % len(b"GET / HTTP/1.1\r\n" + HOST))
        + b"GET / HTTP/1.1\r\n"
        + HOST,
        stays_in_step,
        b"GET / HTTP/1.1\r\n" + HOST,
        b"\r\n" + FOLLOW_UP,
        scored=False,
    ),
    case(
        "SMUG-CL0-BODY-POISON",
        length(b"0", body=b"X"),
        _refuses_byte_behind,
        FOLLOW_UP,
        engine=Engine.OTHER,
        scored=False,
        warned="RFC 9112 section 9.3.2: what follows a message is the next request",
    ),
    accepted(
        "SMUG-EXPECT-100-CL",
        length(b"5", b"Expect: 100-continue"),
        expect({100, 400}, warns=OK),
        b"hello",
        scored=False,
        warned="RFC 9110 section 10.1.1: no 100 is needed when content has come already",
    ),
    accepted(
        "SMUG-HEAD-CL-BODY",
        head(b"HEAD / HTTP/1.1", b"Content-Length: 5") + b"hello",
        FORGIVES,
        b"hello",
        scored=False,
        warned="RFC 9110 section 9.3.2: content of a HEAD has no meaning, but is allowed",
    ),
    accepted(
        "SMUG-OPTIONS-CL-BODY",
        head(b"OPTIONS / HTTP/1.1", b"Content-Length: 5") + b"hello",
        expect({400, 405}, warns=OK),
        b"hello",
        scored=False,
        warned="RFC 9110 section 9.3.7: an OPTIONS request may have content",
    ),
    accepted(
        "SMUG-ABSOLUTE-URI-HOST-MISMATCH",
        get(target=b"http://other.example.com/"),
        FORGIVES,
        scored=False,
        warned="RFC 9112 section 3.2.2: beside an absolute form, Host is ignored",
    ),
    case("SMUG-BARE-CR-HEADER-VALUE", length(b"5", b"X-Test: val\rue")),
    case("SMUG-MULTIPLE-HOST-COMMA", get(host=b"Host: localhost:8080, other.example.com\r\n")),
]

SMUGGLING = LENGTHS + CODINGS + CHUNKS + AMBIGUOUS + UNREAD
