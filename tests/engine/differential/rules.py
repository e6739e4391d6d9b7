"""The known differences between the native and the reference engine, each with its reason.

A rule explains a difference when its condition holds for the octets and the two outcomes.
Conditions are as narrow as they can be, for what a rule explains too generously is a bug
that nobody will see.  A difference that no rule explains fails the test.

``docs/reference.md`` lists the rules; ``test_rules.py`` holds the list and this table equal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass

from plait_engine.headers import FORBIDDEN_TRAILERS
from plait_engine.http1.heads import SINGLETON_FIELDS
from plait_engine.testing.frames import PREFACE
from tests.engine.differential.harness import Message, Outcome

Condition = Callable[[bytes, Outcome, Outcome], bool]


@dataclass(frozen=True)
class Rule:
    """A difference with a name, the text that decides, and why the two differ."""

    name: str
    section: str
    reason: str
    explains: Condition


def explanation(
    rules: Iterable[Rule], octets: bytes, native: Outcome, reference: Outcome
) -> Rule | None:
    """Return the first rule that explains how the outcomes differ, or ``None``."""
    for rule in rules:
        # Copies, since a condition may take away what it explains, to compare the rest.
        if rule.explains(octets, deepcopy(native), deepcopy(reference)):
            return rule
    return None


def compare(rules: Iterable[Rule], octets: bytes, native: Outcome, reference: Outcome) -> None:
    """Fail unless the outcomes are the same, or differ as a rule explains."""
    if native.same_as(reference):
        return
    message = (
        f"nothing explains this difference\nnative:    {native.comparable()}"
        f"\nreference: {reference.comparable()}"
    )
    if explanation(rules, octets, native, reference) is None:
        raise AssertionError(message)


# -- what conditions are made of ----------------------------------------------------------

_bare_lf = re.compile(rb"(?<!\r)\n").search
_fold = re.compile(rb"\n[ \t]+").search
_chunk_extension = re.compile(rb"[0-9A-Fa-f][ \t]*(;|[ \t]\r\n)").search
_long_chunk_size = re.compile(rb"[0-9A-Fa-f]{16,20}").search
_long_length = re.compile(rb"[0-9]{19,}").search


def strict(native: Outcome, reference: Outcome) -> bool:
    """Native refused, and until then both saw the same messages."""
    if not native.failed:
        return False
    shared = native.messages.keys() & reference.messages.keys()
    return native.messages.keys() == shared and all(
        is_prefix(native.messages[key], reference.messages[key]) for key in shared
    )


def is_prefix(shorter: Message, longer: Message) -> bool:
    """``shorter`` is the same message, cut short or whole."""
    if shorter.end == "complete":
        return shorter.comparable() == longer.comparable()
    # h2 tells joined cookies last.
    return shorter.head == longer.head and sorted(shorter.headers) == sorted(longer.headers)


def repeats_a_singleton(reference: Outcome) -> bool:
    """A message that the reference took has two lines of a field that is no list."""
    for message in reference.messages.values():
        names = [name for name, _ in message.headers]
        if any(names.count(name) > 1 for name in SINGLETON_FIELDS):
            return True
    return False


# h11 merges these before it says what it saw.
_two_lengths = re.compile(rb"content-length[ \t]*:.*\ncontent-length[ \t]*:", re.I | re.S).search
_listed_length = re.compile(rb"content-length[ \t]*:[^\n]*,", re.I).search


def trailers_filtered(octets: bytes, native: Outcome, reference: Outcome) -> bool:
    """The same, but for trailers that must not be there."""
    for message in reference.messages.values():
        message.trailers = [pair for pair in message.trailers if pair[0] not in FORBIDDEN_TRAILERS]
    return native.same_as(reference)


def asks_to_keep_http10(octets: bytes, native: Outcome, reference: Outcome) -> bool:
    """Native went on behind an HTTP/1.0 message where the reference stopped."""
    if b"HTTP/1.0" not in octets or b"keep-alive" not in octets.lower():
        return False
    keys = sorted(reference.messages)
    return (
        all(
            native.messages[key].comparable() == reference.messages[key].comparable()
            for key in keys
            if key in native.messages
        )
        and keys == sorted(native.messages)[: len(keys)]
    )


def only_the_status_differs(octets: bytes, native: Outcome, reference: Outcome) -> bool:
    reference.refused = native.refused
    return native.same_as(reference)


# -- HTTP/1.1: what a server receives ---------------------------------------------------------

REQUEST_RULES = (
    Rule(
        "bare-lf",
        "RFC 9112 section 2.2",
        "A recipient may take LF alone as the end of a line.  h11 does; native refuses it in"
        " requests, where two readings of the same octets are an attack.",
        lambda octets, native, reference: strict(native, reference) and bool(_bare_lf(octets)),
    ),
    Rule(
        "obs-fold",
        "RFC 9112 section 5.2",
        "A server must refuse a folded field line or replace the fold by spaces.  h11"
        " replaces, native refuses.",
        lambda octets, native, reference: strict(native, reference) and bool(_fold(octets)),
    ),
    Rule(
        "empty-line",
        "RFC 9112 section 2.2",
        "A server should ignore at least one empty line before a request.  Native ignores as"
        " many as ``max_empty_lines``, h11 none.",
        lambda octets, native, reference: (
            reference.failed and strict(reference, native) and has_empty_line(octets)
        ),
    ),
    Rule(
        "repeated-singleton",
        "RFC 9110 section 5.3",
        "A field that is no list must not have two lines.  Native refuses the request (400);"
        " h11 checks Host and Transfer-Encoding alone and merges equal Content-Lengths, which"
        " RFC 9112 section 6.3 allows.",
        lambda octets, native, reference: (
            strict(native, reference)
            and (
                repeats_a_singleton(reference)
                or bool(_two_lengths(octets))
                or bool(_listed_length(octets))
            )
        ),
    ),
    Rule(
        "chunk-extension",
        "RFC 9112 section 7.1.1",
        "h11 takes anything behind the semicolon of a chunk's size line, and white space before"
        " its end.  Native holds the grammar.",
        lambda octets, native, reference: (
            strict(native, reference) and bool(_chunk_extension(octets))
        ),
    ),
    Rule(
        "size-limits",
        "RFC 9112 section 7.1, RFC 9110 section 8.6",
        "A size must not overflow.  Native takes 16 hexadecimal digits below 2**63 and 18"
        " decimal ones, h11 20 of each.",
        lambda octets, native, reference: (
            strict(native, reference) and bool(_long_chunk_size(octets) or _long_length(octets))
        ),
    ),
    Rule(
        "trailer-fields",
        "RFC 9110 section 6.5.1",
        "Fields that must not be trailers are dropped by native; h11 hands them over.",
        trailers_filtered,
    ),
    Rule(
        "http10-keep-alive",
        "RFC 9112 section 9.3",
        "An HTTP/1.0 client may ask to keep the connection.  Native does, h11 never.",
        asks_to_keep_http10,
    ),
    Rule(
        "refusal-status",
        "RFC 9112 section 6.1",
        "Both refuse, with another status: h11 says 501 for every Transfer-Encoding that it"
        " does not take, native 400 for those that are broken.",
        lambda octets, native, reference: (
            {native.refused, reference.refused} == {400, 501}
            and b"transfer-encoding" in octets.lower()
            and only_the_status_differs(octets, native, reference)
        ),
    ),
)


def has_empty_line(octets: bytes) -> bool:
    """An empty line stands where a request line should: at the start, or behind a body."""
    return (
        octets.startswith((b"\r\n", b"\n"))
        or b"\r\n\r\n\r\n" in octets
        or bool(re.search(rb"\n\r\n[A-Z]", octets))
    )


# -- HTTP/1.1: what a client receives ---------------------------------------------------------


def http10_is_reused(octets: bytes, native: Outcome, reference: Outcome) -> bool:
    """Native keeps the connection, as the HTTP/1.0 response says, and may use it again, or
    find octets on it that nobody asked for.  The messages are the same."""
    if not (b"HTTP/1.0" in octets and b"keep-alive" in octets.lower()):
        return False
    reference.refused, reference.failed = native.refused, native.failed
    return native.same_as(reference)


def folded_the_same(octets: bytes, native: Outcome, reference: Outcome) -> bool:
    """The same, but for the white space where field lines were folded."""
    if not _fold(octets):
        return False
    for outcome in (native, reference):
        for message in outcome.messages.values():
            message.headers = [(name, " ".join(value.split())) for name, value in message.headers]
    return native.same_as(reference)


def unknown_coding(octets: bytes, native: Outcome, reference: Outcome) -> bool:
    """The last coding is not chunked: native reads to the end, the reference gives up."""
    return (
        reference.failed
        and not reference.messages
        and any(value.rpartition(b",")[2].strip() != b"chunked" for value in _codings(octets))
    )


def _behind_chunks(octets: bytes) -> bytes:
    """Return what stands behind the size line of a last chunk."""
    return octets.partition(b"\r\n0\r\n")[2]


def _codings(octets: bytes) -> list[bytes]:
    """Return the values of Transfer-Encoding, in lower case."""
    values: list[bytes] = re.findall(rb"\ntransfer-encoding:([^\r\n]*)", octets.lower())
    return [value.strip(b" \t") for value in values]


def _reason_with_controls(octets: bytes) -> bool:
    """A status line has control characters that h11 takes: all but NUL, DEL and white space."""
    return bool(re.search(rb"HTTP/1\.[01] [0-9]{3} [^\r\n]*[\x01-\x08\x0e-\x1b]", octets))


RESPONSE_RULES = (
    Rule(
        "reason-phrase",
        "RFC 9112 section 4",
        "A reason phrase has no control characters.  h11 takes most of them there, native none.",
        lambda octets, native, reference: (
            strict(native, reference) and _reason_with_controls(octets)
        ),
    ),
    Rule(
        "http10-keep-alive",
        "RFC 9112 section 9.3",
        "An HTTP/1.0 server may keep the connection.  Native uses it again, h11 never.",
        http10_is_reused,
    ),
    Rule(
        "obs-fold-space",
        "RFC 9112 section 5.2",
        "A client replaces a fold, with the white space around it, by spaces.  h11 keeps the"
        " white space in front of the line end.",
        folded_the_same,
    ),
    Rule(
        "trailer-lines",
        "RFC 9112 sections 5.2 and 7.1",
        "The lines of a chunked body end in CRLF and are not folded.  Native holds to that in"
        " both roles, for two readings of them are an attack; h11 takes LF alone and folds in a"
        " trailer section.",
        lambda octets, native, reference: (
            strict(native, reference)
            and b"chunked" in octets.lower()
            and bool(_bare_lf(_behind_chunks(octets)) or _fold(_behind_chunks(octets)))
        ),
    ),
    Rule(
        "unknown-coding",
        "RFC 9112 section 6.3, item 4",
        "A response whose last transfer coding is not chunked ends with the connection.  h11"
        " refuses every coding but chunked.",
        unknown_coding,
    ),
)


# -- HTTP/2 -----------------------------------------------------------------------------------


def frame_types(octets: bytes) -> set[int]:
    """Return the types of the frames in ``octets``, as far as they can be split."""
    types: set[int] = set()
    start = len(PREFACE)
    while start + 9 <= len(octets):
        types.add(octets[start + 3])
        start += 9 + int.from_bytes(octets[start : start + 3])
    return types


def kept_apart(native: Outcome, reference: Outcome) -> bool:
    """The reference gave up the connection where native gave up a stream and went on."""
    return (
        native.failed
        and reference.failed
        and all(
            key in native.messages and is_prefix(message, native.messages[key])
            for key, message in reference.messages.items()
        )
    )


def left_early(octets: bytes, native: Outcome, reference: Outcome) -> bool:
    """Native has fewer messages, the first ones of the reference's, and saw a GOAWAY."""
    return 0x7 in frame_types(octets) and all(
        key in reference.messages and is_prefix(message, reference.messages[key])
        for key, message in native.messages.items()
    )


def took_no_notice(octets: bytes, native: Outcome, reference: Outcome) -> bool:
    """The reference failed where there is a frame type that RFC 9113 does not have."""
    return (
        reference.failed
        and any(kind > 0x9 for kind in frame_types(octets))
        and all(
            key in native.messages and is_prefix(message, native.messages[key])
            for key, message in reference.messages.items()
        )
    )


def ends_in_a_frame(octets: bytes) -> bool:
    """The last frame in ``octets`` is not complete."""
    start = len(PREFACE)
    while start + 9 <= len(octets):
        start += 9 + int.from_bytes(octets[start : start + 3])
    return start != len(octets)


def judged_early(octets: bytes, native: Outcome, reference: Outcome) -> bool:
    """The reference saw by the header of a frame that it must fail; the rest never came."""
    return (
        reference.failed
        and not native.failed
        and ends_in_a_frame(octets)
        and native.comparable()[0] == reference.comparable()[0]
    )


HTTP2_RULES = (
    Rule(
        "incomplete-frame",
        "RFC 9113 section 4.1",
        "Native judges a frame when all of it came, but for its length, and what is cut off by"
        " the end of input not at all; the reference asks for SETTINGS by the first header.",
        judged_early,
    ),
    Rule(
        "extension-frames",
        "RFC 9113 section 5.5",
        "Frames of unknown types are ignored.  hyperframe knows ALTSVC and checks it.",
        took_no_notice,
    ),
    Rule(
        "goaway-ends-idle",
        "RFC 9113 section 6.8",
        "A peer that has sent GOAWAY opens no more streams.  Native closes the connection when"
        " its last stream ends (a server whose client is idle lets it close first, for"
        " `Timeouts.close`); the reference goes on reading.",
        left_early,
    ),
    Rule(
        "malformed-is-a-stream-error",
        "RFC 9113 section 8.1.1",
        "A malformed message is a stream error: native resets the stream and goes on.  h2"
        " raises after a part of the header block went into its table, so that the reference"
        " must end the connection.",
        lambda octets, native, reference: kept_apart(native, reference),
    ),
    Rule(
        "stricter-messages",
        "RFC 9113 sections 8.2 and 8.3",
        "Native refuses what h2 lets through: control characters in values, an authority or a"
        " path that no http URI has, a body that does not fit Content-Length at its end.",
        lambda octets, native, reference: strict(native, reference),
    ),
)
