"""The known differences on HTTP/1.1; see ``rules`` for what a rule has to show."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass

from plait_engine.headers import FORBIDDEN_TRAILERS
from plait_engine.http1.fields import ONCE_IN_A_REQUEST
from plait_engine.testing import whole
from tests.engine.differential.harness import Message, Outcome
from tests.engine.differential.rules import Case, Rule, cut_short

# -- what native refused, and where -----------------------------------------------------------

# A refusal quotes the line that it refuses, which may look like a status line: without its end.
_statuses = re.compile(rb"HTTP/1\.1 ([0-9]{3}) [^\r\n]*\r\n").findall


def refusal(sent: bytes) -> int | None:
    """Return the status with which a server refused, of all that it sent."""
    statuses = [int(status) for status in _statuses(sent)]
    refusals = [status for status in statuses if status not in (101, 200, 404)]
    assert len(refusals) <= 1, statuses
    return refusals[-1] if refusals else None


@dataclass(frozen=True)
class Refused:
    """The bytes of a message up to the one at which native refused it.

    One of ``head`` and ``body`` is empty: the fault is in the other.
    """

    start: int
    """Where in all bytes that is."""
    head: bytes
    body: bytes


def refused(case: Case, *statuses: int) -> Refused | None:
    """Return what native refused; ``None`` unless that is all there is between the two.

    A server has answered with 400 (or one of ``statuses``), a client does not use the
    connection again.  What came before the message is what the reference sees in it; what came
    of the message, too.
    """
    native, trace = case.native, case.native_places.trace
    if not native.failed or native.refused not in (400, 0, *statuses) or trace.stopped is None:
        return None
    start = max([end for end in trace.ended.values() if end < trace.stopped], default=0)
    begun = max(trace.begun.values(), default=0)
    before = Outcome()
    if start:
        before = without_bad_trailers(case.run("reference", case.data[:start], whole))
    if before.failed or not cut_short(native, before, case.reference, begun > start):
        return None
    if begun > start:
        return Refused(begun, b"", case.data[begun : trace.stopped])
    head = case.data[start : trace.stopped].removeprefix(b"\r\n")
    last = _last_head(head)
    # A client may have got interim responses before.
    if last != head and native.refused:
        return None
    return Refused(trace.stopped - len(last), last, b"")


def _last_head(data: bytes) -> bytes:
    """Return the last of several heads, which an empty line ends."""
    ends = [match.end() for match in re.finditer(rb"\n\r?\n", data)]
    return data[([0] + [end for end in ends if end < len(data)])[-1] :]


def refusing(evidence: Callable[[Refused], bool]) -> Callable[[Case], bool]:
    """Native refused a message, at its first byte that shows ``evidence``."""

    def explains(case: Case) -> bool:
        found = refused(case)
        return found is not None and evidence(found)

    return explains


def field_lines(head: bytes) -> list[tuple[bytes, bytes]]:
    """Return the names, in lower case, and values of a head's field lines."""
    pairs = [line.partition(b":") for line in head.split(b"\n")[1:]]
    return [(name.lower(), value.strip()) for name, colon, value in pairs if colon]


def values_of(head: bytes, field: bytes) -> list[bytes]:
    return [value for name, value in field_lines(head) if name == field]


# -- evidence -------------------------------------------------------------------------------


def bare_lf(found: Refused) -> bool:
    """The last byte is LF, and no CR is before it."""
    return re.search(rb"(?<!\r)\n\Z", found.head or found.body) is not None


def fold(found: Refused) -> bool:
    """A whole section of fields has a folded line."""
    section = found.head or trailer_section(found.body)
    return section.endswith(b"\r\n\r\n") and re.search(rb"\n[ \t]", section) is not None


def trailer_section(body: bytes) -> bytes:
    """Return the size line of the last chunk of a body that ends behind it, and the trailers."""
    sizes = list(re.finditer(rb"(?:\A|\r\n)0+[ \t]*(?:;[^\n]*)?\r\n", body))
    return body[sizes[-1].start() :] if sizes else b""


def repeated_singleton(found: Refused) -> bool:
    """A whole section has a field that is no list twice, or a list of lengths."""
    section = found.head or trailer_section(found.body)
    names = [name for name, _ in field_lines(section)]
    repeated = [name for name in names if names.count(name) > 1]
    return section.endswith(b"\r\n\r\n") and (
        any(name.decode("latin-1") in ONCE_IN_A_REQUEST for name in repeated)
        or any(b"," in value for value in values_of(section, b"content-length"))
    )


def repeated_trailer(found: Refused) -> bool:
    return not found.head and repeated_singleton(found)


def size_line(body: bytes) -> bytes:
    """Return the last line of a body, whole or not."""
    return body.removesuffix(b"\r\n").rpartition(b"\n")[2]


def chunk_extension(found: Refused) -> bool:
    """There is more in a chunk's size line than a size."""
    return re.match(rb"[0-9A-Fa-f]{1,20}(?:;|[ \t]+\Z)", size_line(found.body)) is not None


def large_size(found: Refused) -> bool:
    """A chunk or a body is larger than native can count, and h11 cannot be asked to refuse."""
    size = re.match(rb"[0-9A-Fa-f]{1,20}", size_line(found.body))
    if size is not None:
        return len(size[0]) > 16 or int(size[0], 16) >= 2**63
    lengths = values_of(found.head, b"content-length")
    return any(re.fullmatch(rb"[0-9]{19,20}", value) is not None for value in lengths)


def leading_zero(found: Refused) -> bool:
    lengths = values_of(found.head, b"content-length")
    return any(re.fullmatch(rb"0[0-9]+", value) is not None for value in lengths)


# -- requests ---------------------------------------------------------------------------------


def empty_line(case: Case) -> bool:
    """The reference refused an empty line where a request should begin; native went on."""
    places = case.reference_places.trace
    start = max(places.ended.values(), default=0)
    if not case.reference.failed or not case.data.startswith(b"\r\n", start):
        return False
    repaired = case.again(case.data[:start] + case.data[start + 2 :])
    return case.native.same_as(repaired.native) and repaired.is_settled


def kept_http10(case: Case) -> bool:
    """Native went on behind an HTTP/1.0 request, as on a new connection; the reference stopped."""
    before = case.reference.messages
    last = max(before, default=0)
    if case.reference.failed or not last or not asks_to_keep_http10(before[last]):
        return False
    rest = case.again(case.data[case.native_places.trace.ended.get(last, 0) :])
    expected = deepcopy(case.reference)
    expected.messages |= {last + key + 1: seen for key, seen in rest.native.messages.items()}
    expected.refused, expected.failed = rest.native.refused, rest.native.failed
    return case.native.same_as(expected) and rest.is_settled


def asks_to_keep_http10(message: Message) -> bool:
    options = ",".join(value for name, value in message.headers if name == "connection")
    tokens = [option.strip().lower() for option in options.split(",")]
    return message.head[-1] == "1.0" and "keep-alive" in tokens and "close" not in tokens


def other_status(case: Case) -> bool:
    """Both refused, the reference with 501 for the Transfer-Encoding.

    That is broken (400), or not all that is wrong: with a good one both say what native does.
    """
    found = refused(case, 505)
    if found is None or case.reference.refused != 501:
        return False
    same_status = deepcopy(case.reference)
    same_status.refused = case.native.refused
    section = case.data[found.start : case.reference_places.trace.stopped]
    section = section if found.head else trailer_section(section)
    return case.native.same_as(same_status) and (
        (case.native.refused == 400 and broken_coding(section)) or has_another_fault(case, section)
    )


def has_another_fault(case: Case, section: bytes) -> bool:
    stopped = case.reference_places.trace.stopped
    if not values_of(section, b"transfer-encoding"):
        return False
    good = re.sub(rb"(?i)(?<=\ntransfer-encoding:)[^\r\n]*", b"chunked", section, count=1)
    start = len(case.data[:stopped]) - len(section)
    again = case.again(case.data[:start] + good)
    return case.native.refused == again.native.refused and again.native.same_as(again.reference)


def broken_coding(head: bytes) -> bool:
    """Transfer-Encoding is not a list of codings with chunked at its end, or must not be there."""
    values = values_of(head, b"transfer-encoding")
    codings = [coding.strip(b" \t").lower() for coding in b",".join(values).split(b",")]
    codings = [coding for coding in codings if coding]
    return bool(values) and (
        len(values) > 1
        or not codings
        or b"chunked" in codings[:-1]
        or bool(values_of(head, b"content-length"))
        or b"HTTP/1.0" in head.partition(b"\n")[0]
    )


def spaced_extension(case: Case) -> bool:
    """The reference refused white space in front of a semicolon in a chunk's size line."""
    stopped = case.reference_places.trace.stopped
    before = case.data[:stopped]
    line = re.search(rb"(?<=\n)([0-9A-Fa-f]+)[ \t]+(;[^\n]*\n)\Z", before)
    if not case.reference.failed or line is None:
        return False
    again = case.again(before[: line.start()] + line[1] + line[2] + case.data[len(before) :])
    return case.native.same_as(again.native) and again.is_settled


def coding_in_trailers(case: Case) -> bool:
    """The reference refused a Transfer-Encoding in a trailer section, which native dropped."""
    before = case.data[: case.reference_places.trace.stopped]
    begun = [place for place in case.native_places.trace.begun.values() if place < len(before)]
    section = trailer_section(before[max(begun, default=0) :])
    if not (case.reference.failed and values_of(section, b"transfer-encoding")):
        return False
    kept = re.sub(rb"(?i)\ntransfer-encoding:[^\n]*(?=\n)", b"", section)
    again = case.again(before[: len(before) - len(section)] + kept + case.data[len(before) :])
    return case.native.same_as(again.native) and again.is_settled


# -- heads that one of the two reads in another way ---------------------------------------------


def heads(case: Case) -> list[tuple[int, int]]:
    """Return where the heads begin and end of which native told, and interim ones."""
    trace = case.native_places.trace
    found: list[tuple[int, int]] = []
    for begun in trace.begun.values():
        start = max([end for end in trace.ended.values() if end < begun], default=0)
        ends = [match.end() for match in re.finditer(rb"\n\r?\n", case.data[start:begun])]
        found += itertools.pairwise([start, *(start + end for end in ends)])
    return found


def edited(case: Case, edit: Callable[[bytes], bytes], *names: str) -> bool:
    """Native saw what it would have seen with its heads edited, but for some fields."""
    parts, last = [], 0
    for start, end in heads(case):
        parts += [case.data[last:start], edit(case.data[start:end])]
        last = end
    data = b"".join([*parts, case.data[last:]])
    if data == case.data:
        return False
    again = case.again(data)
    return without(names, case.native).same_as(without(names, again.native)) and again.is_settled


def plain_coding(head: bytes) -> bytes:
    """Write the codings in lower case, in one line, without empty members of the list."""
    codings = b",".join(values_of(head, b"transfer-encoding")).split(b",")
    plain = b", ".join(coding.strip(b" \t").lower() for coding in codings if coding.strip(b" \t"))
    first, *others = re.split(rb"(?i)(?<=\ntransfer-encoding:)[^\r\n]*", head)
    if not others:
        return head
    rest = re.sub(rb"(?i)\ntransfer-encoding:\r?(?=\n)", b"", b"".join(others))
    return first + b" " + plain + rest


def one_length(head: bytes) -> bytes:
    """Write equal lengths once."""
    values = b",".join(values_of(head, b"content-length")).split(b",")
    if len(values) < 2 or len({value.strip(b" \t") for value in values}) > 1:
        return head
    rest = re.sub(rb"(?i)\ncontent-length:[^\n]*(?=\n)", b"", head)
    return rest.replace(b"\n", b"\nContent-Length: " + values[0].strip(b" \t") + b"\r\n", 1)


def closing_if_suspect(head: bytes) -> bytes:
    """Close the connection where there is a Content-Length beside a Transfer-Encoding."""
    fields = [values_of(head, name) for name in (b"content-length", b"transfer-encoding")]
    return head.replace(b"\n", b"\nConnection: close\r\n", 1) if all(fields) else head


def filtered_trailers(case: Case) -> bool:
    """The reference has trailers that must not be there; but for these, nothing is new."""
    reference = without_bad_trailers(case.reference)
    return not reference.same_as(case.reference) and case.with_reference(reference).is_settled


def without_bad_trailers(outcome: Outcome) -> Outcome:
    """Return the outcome without fields that must not be trailers."""
    copy = deepcopy(outcome)
    for message in copy.messages.values():
        message.trailers = [pair for pair in message.trailers if pair[0] not in FORBIDDEN_TRAILERS]
    return copy


BODY_RULES = (
    Rule(
        "chunk-extension",
        "RFC 9112 section 7.1.1",
        "h11 takes anything behind the semicolon of a chunk's size line, and white space before"
        " its end.  Native holds the grammar.",
        refusing(chunk_extension),
    ),
    Rule(
        "size-limits",
        "RFC 9112 section 7.1, RFC 9110 section 8.6",
        "A size must not overflow.  Native takes 16 hexadecimal digits below 2**63 and 18"
        " decimal ones, h11 20 of each.",
        refusing(large_size),
    ),
)

SHARED_RULES = (
    Rule(
        "chunk-extension-space",
        "RFC 9112 section 7.1.1",
        "White space may stand in front of a chunk extension's semicolon.  h11 takes none.",
        spaced_extension,
    ),
    Rule(
        "coding-in-trailers",
        "RFC 9110 section 6.5.1",
        "A Transfer-Encoding in a trailer section means nothing and is dropped by native; h11"
        " refuses it.",
        coding_in_trailers,
    ),
    Rule(
        "coding-spelling",
        "RFC 9112 section 7, RFC 9110 section 5.6.1",
        "Names of codings have no case, and empty members of a list are ignored.  h11 tells them"
        " in lower case and takes no list.",
        lambda case: edited(case, plain_coding, "transfer-encoding"),
    ),
)

TRAILER_FIELDS = Rule(
    "trailer-fields",
    "RFC 9110 section 6.5.1",
    "Fields that must not be trailers are dropped by native; the reference hands them over.",
    filtered_trailers,
)

REQUEST_RULES = (
    Rule(
        "bare-lf",
        "RFC 9112 section 2.2",
        "A recipient may take LF alone as the end of a line.  h11 does; native refuses it in"
        " requests, where two readings of the same bytes are an attack.",
        refusing(bare_lf),
    ),
    Rule(
        "obs-fold",
        "RFC 9112 section 5.2",
        "A server must refuse a folded field line or replace the fold by spaces.  h11"
        " replaces, native refuses.",
        refusing(fold),
    ),
    Rule(
        "empty-line",
        "RFC 9112 section 2.2",
        "A server should ignore at least one empty line before a request.  Native ignores as"
        " many as ``max_empty_lines``, h11 none.",
        empty_line,
    ),
    Rule(
        "repeated-singleton",
        "RFC 9110 section 5.3",
        "A field that is no list must not have two lines.  Native refuses the request (400);"
        " h11 checks Host and Transfer-Encoding alone and merges equal Content-Lengths, which"
        " RFC 9112 section 6.3 allows.",
        refusing(repeated_singleton),
    ),
    Rule(
        "leading-zeros",
        "RFC 9110 section 8.6",
        "Content-Length is decimal.  Native refuses one of several digits that begins with 0 in"
        " a request, since some recipients read it as octal; h11 takes it.",
        refusing(leading_zero),
    ),
    *BODY_RULES,
    *SHARED_RULES,
    TRAILER_FIELDS,
    Rule(
        "http10-keep-alive",
        "RFC 9112 section 9.3",
        "An HTTP/1.0 client may ask to keep the connection.  Native does, h11 never.",
        kept_http10,
    ),
    Rule(
        "refusal-status",
        "RFC 9112 section 6.1",
        "Both refuse, with another status: h11 says 501 for every Transfer-Encoding that it"
        " does not take, native 400 for those that are broken and where more is wrong.",
        other_status,
    ),
)


# -- responses --------------------------------------------------------------------------------


def reused_http10(case: Case) -> bool:
    """Native keeps the connection, as the HTTP/1.0 response says, so bytes behind it are wrong.

    The messages are the same; the reference closes.
    """
    message = case.native.messages.get(1)
    end = case.native_places.trace.ended.get(1)
    if message is None or end is None or not asks_to_keep_http10(message):
        return False
    expected = deepcopy(case.reference)
    expected.failed = end < len(case.data)
    expected.refused = int(not expected.failed)
    return not case.reference.failed and case.native.same_as(expected)


def unfold(head: bytes) -> bytes:
    """Replace each fold by a space."""
    return re.sub(rb"[ \t]*\r?\n[ \t]+", b" ", head)


def _has_no_body(case: Case, head: bytes) -> bool:
    """Framing says nothing about this one (RFC 9112 section 6.3, items 1 and 2)."""
    answer = case.native.messages.get(1)
    is_bodiless = answer is not None and answer.end == "complete" and not answer.content
    return is_bodiless or re.match(rb"[^ ]* 1", head) is not None or _is_tunnel(answer)


def _is_tunnel(answer: Message | None) -> bool:
    return answer is not None and answer.head == ("accept",)


FRAMING_FIELDS = ("transfer-encoding", "content-length", "connection")


def unknown_coding(case: Case) -> bool:
    """The reference refused a head for its codings, of which the last is not chunked, or which
    do not matter.

    Native took it as if it had neither codings nor a length; the connection is not used again
    where there was a length, too, or in HTTP/1.0 (RFC 9112 section 6.1).
    """
    stopped = case.reference_places.trace.stopped
    if not case.reference.failed or case.reference.messages or stopped is None:
        return False
    head = _last_head(case.data[:stopped])
    codings = b",".join(values_of(head, b"transfer-encoding")).split(b",")
    codings = [coding.strip(b" \t").lower() for coding in codings if coding.strip(b" \t")]
    if not values_of(head, b"transfer-encoding"):
        return False
    if codings[-1:] == [b"chunked"] and not _has_no_body(case, head):
        return False
    lines = re.sub(rb"(?i)\n(?:transfer-encoding|content-length):[^\n]*(?=\n)", b"", head)
    if values_of(head, b"content-length") or head.startswith(b"HTTP/1.0"):
        lines = lines.replace(b"\n", b"\nConnection: close\r\n", 1)
    start = stopped - len(head)
    again = case.again(case.data[:start] + lines + case.data[stopped:])
    return (
        without(FRAMING_FIELDS, case.native).same_as(without(FRAMING_FIELDS, again.native))
        and again.is_settled
    )


def without(names: Iterable[str], outcome: Outcome) -> Outcome:
    """Return the outcome with some fields left out."""
    copy = deepcopy(outcome)
    for message in copy.messages.values():
        message.headers = [pair for pair in message.headers if pair[0] not in names]
        message.informational = [
            (status, tuple(pair for pair in headers if pair[0] not in names))
            for status, headers in message.informational
        ]
    return copy


def in_trailers(found: Refused) -> bool:
    """A line of a trailer section ends in LF alone, or a whole one has a fold."""
    return bool(trailer_section(found.body)) and (bare_lf(found) or fold(found))


RESPONSE_RULES = (
    Rule(
        "http10-keep-alive",
        "RFC 9112 section 9.3",
        "An HTTP/1.0 server may keep the connection.  Native uses it again, h11 never.",
        reused_http10,
    ),
    Rule(
        "obs-fold-space",
        "RFC 9112 section 5.2",
        "A client replaces a fold, with the white space around it, by spaces.  h11 keeps the"
        " white space in front of the line end.",
        lambda case: edited(case, unfold),
    ),
    Rule(
        "trailer-lines",
        "RFC 9112 sections 5.2 and 7.1",
        "The lines of a chunked body end in CRLF and are not folded.  Native holds to that in"
        " both roles, for two readings of them are an attack; h11 takes LF alone and folds in a"
        " trailer section.",
        refusing(in_trailers),
    ),
    *BODY_RULES,
    *SHARED_RULES,
    TRAILER_FIELDS,
    Rule(
        "repeated-trailer",
        "RFC 9110 section 5.3",
        "A field that is no list must not have two lines.  Native refuses that in a trailer"
        " section, in both roles; h11 takes it.",
        refusing(repeated_trailer),
    ),
    Rule(
        "equal-lengths",
        "RFC 9112 section 6.3, item 5",
        "A client takes a Content-Length that says the same more than once.  h11 tells it once,"
        " native as it came.",
        lambda case: edited(case, one_length, "content-length"),
    ),
    Rule(
        "unknown-coding",
        "RFC 9112 section 6.3, item 4",
        "A response whose last transfer coding is not chunked ends with the connection; one that"
        " has no body ends with its head, whatever it says.  h11 refuses every coding but"
        " chunked.",
        unknown_coding,
    ),
    Rule(
        "suspect-framing",
        "RFC 9112 section 6.3, item 3",
        "A response with Transfer-Encoding and Content-Length may be an attack, so native does"
        " not use its connection again, even if it has no body; h11 does.",
        lambda case: edited(case, closing_if_suspect, "connection"),
    ),
)
