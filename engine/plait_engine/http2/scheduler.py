"""What is queued to be sent, and which stream is next (RFC 9113 section 6.9, RFC 9218).

Strategy
--------
A body waits in the ``Outbound`` queue of its stream until the transport asks for bytes;
then the ``Scheduler`` says whose turn it is, one DATA frame at a time.  So a reset, a
priority or a window always acts on everything that has not left yet.

A stream is in the scheduler while it has bytes queued and its own window is open.  One that
waits for its window is not: it can neither take a turn nor hold a part of the connection's
window back from the others.  The connection's window is only taken when a frame is made.

The sender's window, case by case (RFC 9113 section 6.9):

1. DATA goes: the windows of the stream and of the connection shrink by its length.
2. WINDOW_UPDATE: the window grows; above 2**31 - 1 it is FLOW_CONTROL_ERROR (6.9.1).
3. The peer changes SETTINGS_INITIAL_WINDOW_SIZE: every stream's window moves by the
   difference; it may get negative, and nothing goes until it is positive again (6.9.2).
4. A body that ends with nothing queued needs no window: an empty DATA with END_STREAM goes
   at any time (6.9.1).

Priorities (RFC 9218)
---------------------
* Lower urgency (0 to 7, default 3) first, strictly (section 10).
* Within an urgency, streams that are not incremental are served one after the other in the
  order of their ids; incremental ones in turn, a frame each.  Where both are, they alternate,
  so that neither starves the other.

* The Priority field of a response overrides what the client asked for, member by member
  (section 8); a PRIORITY_UPDATE that comes later overrides both.

``parse_priority`` reads the Priority field, a Dictionary of RFC 8941.
"""

from __future__ import annotations

import re
from bisect import insort
from collections import deque
from typing import Final

from plait_engine.headers import Headers

DEFAULT_PRIORITY: Final = (3, False)
"""Urgency and incremental of a stream that says nothing (RFC 9218 sections 4.1, 4.2)."""

MIN_PROGRESS: Final = 1024
"""Bytes that must go within ``Timeouts.write`` to count as progress.

A peer that opens its window by a byte a minute would hold a response for ever.
"""

# RFC 8941 section 3: what may stand in a Dictionary.  Nothing here can match in two ways.
_KEY = r"[a-z*][a-z0-9_.*-]*+"
_ITEM = (
    r"(?:-?+[0-9]{1,12}+\.[0-9]{1,3}+(?![0-9])|-?+[0-9]{1,15}+(?![0-9.])"  # decimal, integer
    r'|"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*+"'  # string
    r"|[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*+"  # token
    r"|:[A-Za-z0-9+/=]*+:|\?[01])"  # bytes, boolean
)
_PARAMETERS = rf"(?:;\x20*+{_KEY}(?:={_ITEM})?+)*+"
_INNER_LIST = rf"\(\x20*+(?:{_ITEM}{_PARAMETERS}(?:\x20++|(?=\))))*+\)"
_match_member = re.compile(
    rf"({_KEY})(?:=({_ITEM}|{_INNER_LIST}))?+{_PARAMETERS}[ \t]*+(,[ \t]*+|\Z)"
).match
_is_urgency = re.compile(r"-?0+|0{0,14}[0-7]").fullmatch
_BOOLEANS: Final = {None: True, "?1": True, "?0": False}


def parse_priority(value: str, base: tuple[int, bool] = DEFAULT_PRIORITY) -> tuple[int, bool]:
    """Return urgency and incremental of a Priority field (RFC 9218 section 4).

    ``base``: what they are where the field does not say.

    ``value``: its lines, joined by commas.  One that is no Dictionary is ignored as a whole
    (RFC 8941 section 4.2); of a member that comes twice, the last counts (section 3.2); a
    value that is out of range or of another type is ignored (RFC 9218 section 4).
    """
    members: dict[str, str | None] = {}
    value = value.strip(" ")
    more = bool(value)
    position = 0
    while more:
        match = _match_member(value, position)
        if match is None:
            return base
        members[match[1]] = match[2]
        position = match.end()
        more = bool(match[3])
    urgency = members.get("u") or ""
    incremental = _BOOLEANS.get(members["i"], base[1]) if "i" in members else base[1]
    return int(urgency) if _is_urgency(urgency) else base[0], incremental


class Outbound:
    """The sending half of a stream that has, or had, something to wait for.

    ``window``: what the peer allows, may be negative; ``widest_window``: its maximum so far.
    ``queued``: bytes in ``pieces``, of which the first begins at ``offset``.  ``ended``: the message is complete, ``trailers``
    included.  ``is_full``: the application was told to wait.  ``is_held``: nothing goes for
    now (100-continue).  ``progress_at``: when the stream last made progress, and
    ``progress``: what went since then, less than ``MIN_PROGRESS``.
    """

    __slots__ = (
        "ended",
        "is_full",
        "is_held",
        "offset",
        "pieces",
        "priority",
        "progress",
        "progress_at",
        "queued",
        "stream_id",
        "trailers",
        "widest_window",
        "window",
    )

    def __init__(self, stream_id: int, window: int, priority: tuple[int, bool]) -> None:
        self.stream_id = stream_id
        self.window = self.widest_window = window
        self.priority = priority
        self.pieces: deque[bytes] = deque()
        self.offset = 0
        self.queued = 0
        self.ended = False
        self.trailers: Headers = ()
        self.is_full = False
        self.is_held = False
        self.progress_at = 0.0
        self.progress = 0

    def append(self, data: bytes, now: float) -> None:
        """Queue ``data``, which is not empty."""
        if not self.queued:
            self.progress_at = now
            self.progress = 0
        self.pieces.append(data)
        self.queued += len(data)

    def take(self, size: int, parts: list[bytes | memoryview], now: float) -> None:
        """Move ``size`` bytes, which are queued, to ``parts``; whole pieces uncopied."""
        self.queued -= size
        self.window -= size
        self.progress += size
        if self.progress >= MIN_PROGRESS:
            self.progress = 0
            self.progress_at = now
        pieces = self.pieces
        offset = self.offset
        while size:
            piece = pieces[0]
            left = len(piece) - offset
            if left > size:
                parts.append(memoryview(piece)[offset : offset + size])
                offset += size
                break
            parts.append(memoryview(piece)[offset:] if offset else piece)
            pieces.popleft()
            offset = 0
            size -= left
        self.offset = offset

    def clear(self) -> None:
        """Drop everything that is queued."""
        self.pieces.clear()
        self.offset = self.queued = 0


class _Level:
    """The streams of one urgency that can send."""

    __slots__ = ("incremental", "sequential", "was_incremental")

    def __init__(self) -> None:
        self.sequential: list[int] = []  # in order of the ids
        self.incremental: deque[int] = deque()  # in order of their turns
        self.was_incremental = False


class Scheduler:
    """The streams that can send now, in the order of RFC 9218.

    ``ready``: those streams, by id.
    """

    __slots__ = ("_levels", "ready")

    def __init__(self) -> None:
        self.ready: dict[int, Outbound] = {}
        self._levels: list[_Level | None] = [None] * 8  # by urgency, made when needed

    def update(self, outbound: Outbound) -> None:
        """Put a stream in or take it out, by whether it can send."""
        can_send = outbound.queued > 0 and outbound.window > 0 and not outbound.is_held
        if can_send == (outbound.stream_id in self.ready):
            return
        if can_send:
            self._add(outbound)
        else:
            self.remove(outbound)

    def set_priority(self, outbound: Outbound, priority: tuple[int, bool]) -> None:
        """Change the priority of a stream, wherever it is."""
        is_ready = outbound.stream_id in self.ready
        if is_ready:
            self.remove(outbound)
        outbound.priority = priority
        if is_ready:
            self._add(outbound)

    def _add(self, outbound: Outbound) -> None:
        self.ready[outbound.stream_id] = outbound
        urgency, incremental = outbound.priority
        level = self._levels[urgency]
        if level is None:
            level = self._levels[urgency] = _Level()
        if incremental:
            level.incremental.append(outbound.stream_id)
        else:
            insort(level.sequential, outbound.stream_id)

    def remove(self, outbound: Outbound) -> None:
        """Take a stream out, if it is in."""
        if self.ready.pop(outbound.stream_id, None) is None:
            return
        urgency, incremental = outbound.priority
        level = self._levels[urgency]
        assert level is not None
        if incremental:
            level.incremental.remove(outbound.stream_id)
        else:
            level.sequential.remove(outbound.stream_id)

    def next(self) -> Outbound | None:
        """Return the stream whose turn it is, and end its turn."""
        for level in self._levels:
            if level is None:
                continue
            sequential, incremental = level.sequential, level.incremental
            if incremental and not (sequential and level.was_incremental):
                level.was_incremental = True
                stream_id = incremental[0]
                incremental.rotate(-1)
                return self.ready[stream_id]
            if sequential:
                level.was_incremental = False
                return self.ready[sequential[0]]
        return None
