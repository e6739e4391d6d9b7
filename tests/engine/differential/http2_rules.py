"""The known differences on HTTP/2; see ``rules`` for what a rule has to show."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

from plait_engine.testing.frames import PREFACE, Flag, FrameType
from tests.engine.differential.harness import Message, Outcome
from tests.engine.differential.http1_rules import TRAILER_FIELDS, without
from tests.engine.differential.http2_faults import (
    Fault,
    Fields,
    Piece,
    faults,
    pieces,
    repaired,
    reworded,
    same_authority,
    whole_frames,
)
from tests.engine.differential.rules import Case, Rule, is_same

ALTSVC = 0xA
ENABLE_CONNECT_PROTOCOL = 0x8
NO_RFC7540_PRIORITIES = 0x9


def no_settings_yet(case: Case) -> bool:
    """The only frame is not complete and is not SETTINGS; the reference did not wait for it."""
    start = len(PREFACE) if case.data.startswith(PREFACE) else 0
    header = case.data[start : start + 9]
    is_settings = header[3:4] == bytes((FrameType.SETTINGS,)) and not header[4] & Flag.ACK
    return (
        len(header) == 9
        and not is_settings
        and not list(whole_frames(case.data))
        and case.reference.same_as(Outcome(failed=True))
        and case.native.same_as(Outcome())
    )


def ignored_altsvc(case: Case) -> bool:
    """Native saw what it would have seen without the ALTSVC frames."""
    frames = list(whole_frames(case.data))
    kept = [frame for frame in frames if frame.kind != ALTSVC]
    if frames == kept:
        return False
    data, last = b"", 0
    for frame in frames:
        data += case.data[last : frame.start if frame.kind == ALTSVC else frame.end]
        last = frame.end
    again = case.again(data + case.data[last:])
    return case.native.same_as(again.native) and again.is_settled


def reserved_bits(case: Case) -> bool:
    """Native saw what it would have seen without the reserved bits of WINDOW_UPDATE frames."""
    data = bytearray(case.data)
    for frame in whole_frames(case.data):
        if frame.kind == FrameType.WINDOW_UPDATE and frame.payload:
            data[frame.start + 9] &= 0x7F
    if data == case.data:
        return False
    again = case.again(bytes(data))
    return case.native.same_as(again.native) and again.is_settled


def ending_at(evidence: Callable[[Piece, Case], bool]) -> Callable[[Case], bool]:
    """Native ended the connection at a frame that shows ``evidence``; the reference went on."""

    def explains(case: Case) -> bool:
        stopped = case.native_places.trace.stopped
        for frame in whole_frames(case.data):
            if frame.end == stopped and evidence(frame, case):
                again = case.again(case.data[: frame.start])
                return case.native.failed and _same_messages(case, again) and again.is_settled
        return False

    return explains


def wrong_priority_update(frame: Piece, case: Case) -> bool:
    """RFC 9218 section 7.1: from a client, on stream 0, for a stream that a client may open."""
    target = int.from_bytes(frame.payload[:4], "big")
    of_client = case.data.startswith(PREFACE)
    return frame.kind == FrameType.PRIORITY_UPDATE and (
        not of_client or bool(frame.stream_id) or len(frame.payload) < 4 or target % 2 == 0
    )


def behind_the_end(frame: Piece, case: Case) -> bool:
    """DATA or HEADERS, and the peer has ended the stream, or skipped it (section 5.1.1)."""
    before = list(pieces(case.data[: frame.start]))
    opened = {piece.stream_id for piece in before if piece.kind == FrameType.HEADERS}
    is_skipped = frame.stream_id not in opened and 0 < frame.stream_id < max(opened, default=0)
    return frame.kind in (FrameType.DATA, FrameType.HEADERS) and (
        is_skipped or any(ends(piece, frame.stream_id) for piece in before)
    )


def ends(piece: Piece, stream_id: int) -> bool:
    """Whether the stream ends by this: its end, or a reset."""
    return piece.stream_id == stream_id and (
        piece.ends_stream or piece.kind == FrameType.RST_STREAM
    )


def wrong_settings(frame: Piece, case: Case) -> bool:
    """A setting that h2 does not know the values of, or a change of one that must stay."""
    if frame.kind != FrameType.SETTINGS:
        return False
    before: dict[int, int] = {}
    for other in whole_frames(case.data[: frame.start]):
        if other.kind == FrameType.SETTINGS:
            before |= settings_of(other)
    now = settings_of(frame)
    connect, priorities = ENABLE_CONNECT_PROTOCOL, NO_RFC7540_PRIORITIES
    return (before.get(connect) == 1 and now.get(connect) == 0) or (
        priorities in now
        and (now[priorities] > 1 or before.get(priorities, now[priorities]) != now[priorities])
    )


def settings_of(frame: Piece) -> dict[int, int]:
    payload = frame.payload
    return {
        int.from_bytes(payload[start : start + 2], "big"): int.from_bytes(
            payload[start + 2 : start + 6], "big"
        )
        for start in range(0, len(payload), 6)
    }


def _same_messages(case: Case, again: Case) -> bool:
    """The messages are those of fewer bytes; one may be cut short by this side or by the end
    of input."""
    return (
        case.native.refused is None
        and case.native.messages.keys() == again.native.messages.keys()
        and all(
            is_same(_anyhow(message), _anyhow(again.native.messages[key]))
            for key, message in case.native.messages.items()
        )
    )


def _anyhow(message: Message) -> Message:
    copy = deepcopy(message)
    copy.end = "complete" if message.end == "complete" else "reset"
    return copy


# -- errors of one stream -------------------------------------------------------------------


def _kept_apart(case: Case, fault: Fault) -> bool:
    """Native reset the stream of the fault, and all else is as if the peer had done so."""
    stream_id = fault.piece.stream_id
    again = case.again(repaired(case.data, fault))
    message = case.native.messages.get(stream_id)
    ended = case.native_places.trace.ended.get(stream_id)
    was_complete = (ended is not None and ended <= fault.piece.start) or fault.is_unused
    # An error behind the end of the message is told only if the stream is still known.
    failed = {True, again.native.failed} if was_complete else {True}
    return (
        case.native.failed in ({again.native.failed} if fault.is_unused else failed)
        and (message is None or message.end == "reset" or was_complete)
        and _others(case.native, stream_id).same_as(_others(again.native, stream_id))
        and again.is_settled
    )


def _others(outcome: Outcome, stream_id: int) -> Outcome:
    """Return the outcome for the other streams."""
    messages = {key: message for key, message in outcome.messages.items() if key != stream_id}
    return Outcome(messages, outcome.refused)


def _ended_all(case: Case, *, is_message: bool) -> bool:
    """The reference ended the connection at an error of one stream, which native kept apart.

    Or at a frame that came on the stream behind it, which native ignored.
    """
    stopped = case.reference_places.trace.stopped
    streams = {
        piece.stream_id
        for piece in pieces(case.data)
        if piece.end == stopped and piece.kind in (FrameType.DATA, FrameType.HEADERS)
    }
    return any(
        fault.is_message is is_message
        and (fault.piece.end == stopped or fault.piece.stream_id in streams)
        and case.reference.failed
        and _kept_apart(case, fault)
        for fault in faults(case.data)
    )


# -- fields that one of the two does not look at -----------------------------------------------


def read_as(case: Case, change: Callable[[Fields], Fields], *names: str) -> bool:
    """Native saw what it would have seen with the fields changed, but for those themselves."""
    data = reworded(case.data, change)
    if data == reworded(case.data, lambda fields: fields):
        return False
    again = case.again(data)
    return without(names, case.native).same_as(without(names, again.native)) and again.is_settled


def one_authority(fields: Fields) -> Fields:
    """Make Host what the authority is, where it means the same."""
    authority = dict(fields).get(b":authority")
    if authority is None:
        return fields
    return [
        (name, authority if name == b"host" and same_authority(value, fields) else value)
        for name, value in fields
    ]


def tunnel_without_length(fields: Fields) -> Fields:
    """Take Content-Length out of a request for a tunnel."""
    is_tunnel = dict(fields).get(b":method") == b"CONNECT"
    return [pair for pair in fields if not (is_tunnel and pair[0] == b"content-length")]


LET_THROUGH = frozenset(
    {"authority", "path", "scheme", "status", "method", "host"}
    | {"length of the content", "content where there is none", "content-length", "CONNECT"}
)
"""What h2 does not look at, or not at the end of a message."""


def stricter(case: Case) -> bool:
    """The reference took a message that is malformed; native reset its stream."""
    return any(
        fault.what in LET_THROUGH
        and fault.is_message
        and _reference_took(case, fault.piece.stream_id)
        and _kept_apart(case, fault)
        for fault in faults(case.data)
    )


def _reference_took(case: Case, stream_id: int) -> bool:
    taken = case.reference.messages.get(stream_id)
    seen = case.native.messages.get(stream_id)
    return taken is not None and (seen is None or not is_same(taken, seen))


HTTP2_RULES = (
    Rule(
        "incomplete-frame",
        "RFC 9113 section 3.4",
        "Native judges a frame when all of it came, but for its length, and what is cut off by"
        " the end of input not at all; the reference asks for SETTINGS by the first header.",
        no_settings_yet,
    ),
    Rule(
        "extension-frames",
        "RFC 9113 section 5.5",
        "Frames of unknown types are ignored.  hyperframe knows ALTSVC and checks it.",
        ignored_altsvc,
    ),
    Rule(
        "reserved-bit",
        "RFC 9113 section 6.9",
        "The reserved bit of WINDOW_UPDATE is ignored.  hyperframe takes it for a part of the"
        " increment.",
        reserved_bits,
    ),
    Rule(
        "priority-update",
        "RFC 9218 section 7.1",
        "PRIORITY_UPDATE comes from a client, on stream 0, for a stream that it may open.  All"
        " else is a connection error for native; h2 does not know the frame.",
        ending_at(wrong_priority_update),
    ),
    Rule(
        "behind-the-end",
        "RFC 9113 section 5.1",
        "DATA or HEADERS on a stream that the peer has ended, reset or skipped may be a"
        " connection error.  It is for native; h2 answers DATA with RST_STREAM and goes on.",
        ending_at(behind_the_end),
    ),
    Rule(
        "settings-values",
        "RFC 8441 section 3, RFC 9218 section 2.1",
        "SETTINGS_ENABLE_CONNECT_PROTOCOL must not go back to 0, and"
        " SETTINGS_NO_RFC7540_PRIORITIES is 0 or 1 and stays.  Native ends the connection"
        " otherwise; h2 does not check.",
        ending_at(wrong_settings),
    ),
    Rule(
        "malformed-is-a-stream-error",
        "RFC 9113 section 8.1.1",
        "A malformed message is a stream error: native resets the stream and goes on.  h2"
        " raises after a part of the header block went into its table, so that the reference"
        " must end the connection.",
        lambda case: _ended_all(case, is_message=True),
    ),
    Rule(
        "stream-errors",
        "RFC 9113 section 5.4.1",
        "An endpoint may treat a stream error as a connection error.  h2 does for a frame on a"
        " stream whose end has come, an increment of 0 or too much, a PRIORITY of the wrong"
        " size, and a stream that depends on itself; native resets the stream.",
        lambda case: _ended_all(case, is_message=False),
    ),
    Rule(
        "stricter-messages",
        "RFC 9113 sections 8.2 and 8.3",
        "Native refuses what h2 lets through: an authority, a path, a scheme, a method or a status that HTTP has not, a host that is not the"
        " authority, CONNECT without :authority, content in a 204 or 304, a body that does not"
        " fit Content-Length at its end.",
        stricter,
    ),
    Rule(
        "host-authority",
        "RFC 9110 section 4.2.3",
        "Host and :authority are the same if only their case or the scheme's default port"
        " differ.  h2 compares bytes.",
        lambda case: read_as(case, one_authority, "host"),
    ),
    Rule(
        "tunnel-length",
        "RFC 9110 section 9.3.6",
        "A request for a tunnel has no content, so native does not hold its DATA to a"
        " Content-Length; h2 does.",
        lambda case: read_as(case, tunnel_without_length, "content-length"),
    ),
    TRAILER_FIELDS,
)
