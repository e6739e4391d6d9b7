"""SETTINGS: what we announce, and what the peer said (RFC 9113 sections 6.5 and 7).

Strategy
--------
``announced`` makes the settings of our preface from the configuration; they never change
afterwards, so an acknowledgement is all that has to be waited for (section 6.5.3).
``PeerSettings`` holds the peer's values as plain attributes, with the initial values of
section 6.5.2 until it says otherwise, and checks each new one before it is applied.

Rules
-----
* Values come into force one after the other, in order (section 6.5.3).
* A client announces SETTINGS_ENABLE_PUSH = 0, and a server must not send 1 (section 6.5.2).
* A server announces SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441 section 3), which cannot be
  taken back, and SETTINGS_NO_RFC7540_PRIORITIES = 1 (RFC 9218 section 2.1), which cannot
  change after the first SETTINGS.
* Unknown settings are ignored.
"""

from __future__ import annotations

from collections.abc import Iterable

from plait_engine.config import Config
from plait_engine.connection import Role
from plait_engine.errors import ErrorCode, RemoteProtocolError

from . import frames

INITIAL_WINDOW = 65535
"""Every window before SETTINGS and WINDOW_UPDATE (RFC 9113 section 6.9.2)."""

ASSUMED_STREAMS = 100
"""How many streams may be open while SETTINGS_MAX_CONCURRENT_STREAMS is not known.

We open no more before the peer's SETTINGS came, and accept no more before the peer
acknowledged ours.  Section 6.5.2 asks peers not to set the limit below it.
"""


def announced(role: Role, config: Config) -> list[tuple[int, int]]:
    """Return the settings of our preface."""
    limits = config.limits
    settings = [
        (frames.SETTINGS_HEADER_TABLE_SIZE, limits.header_table_size),
        (frames.SETTINGS_INITIAL_WINDOW_SIZE, limits.stream_window),
        (frames.SETTINGS_MAX_FRAME_SIZE, limits.max_frame_size),
        (frames.SETTINGS_MAX_HEADER_LIST_SIZE, limits.max_header_list_size),
    ]
    if role is Role.CLIENT:
        settings.append((frames.SETTINGS_ENABLE_PUSH, 0))
        return settings
    settings.append((frames.SETTINGS_MAX_CONCURRENT_STREAMS, limits.max_concurrent_streams))
    if config.enable_connect_protocol:
        settings.append((frames.SETTINGS_ENABLE_CONNECT_PROTOCOL, 1))
    settings.append((frames.SETTINGS_NO_RFC7540_PRIORITIES, 1))
    return settings


class PeerSettings:
    """The settings of the peer that are in force.

    SETTINGS_ENABLE_PUSH is checked and not kept, because we never push; nor is
    SETTINGS_MAX_HEADER_LIST_SIZE, which is advisory (section 6.5.2): a tiny one must not
    make every response fail.
    """

    __slots__ = (
        "_is_first",
        "_max_push",
        "enable_connect_protocol",
        "header_table_size",
        "initial_window_size",
        "max_concurrent_streams",
        "max_frame_size",
        "no_rfc7540_priorities",
    )

    def __init__(self, role: Role) -> None:
        """``role``: ours."""
        self.header_table_size = 4096
        self.initial_window_size = INITIAL_WINDOW
        self.max_concurrent_streams = ASSUMED_STREAMS
        self.max_frame_size = frames.MIN_MAX_FRAME_SIZE
        self.enable_connect_protocol = 0
        self.no_rfc7540_priorities = 0
        self._is_first = True
        self._max_push = 0 if role is Role.CLIENT else 1

    def apply(self, entries: Iterable[tuple[int, int]]) -> dict[int, int]:
        """Put one SETTINGS frame into force and return it as a table.

        Raises RemoteProtocolError of connection scope for a value that is not allowed.
        """
        if self._is_first:
            self.max_concurrent_streams = frames.MAX_STREAM_ID  # unlimited unless it says so
        changes: dict[int, int] = {}
        for identifier, value in entries:
            rule = _RULES.get(identifier)
            if rule is None:
                continue
            name, low, high, code = rule
            if identifier == frames.SETTINGS_ENABLE_PUSH:
                high = self._max_push
            if not low <= value <= high:
                raise RemoteProtocolError(f"{name} is {value}", code=code)
            changes[identifier] = value
        self._check_fixed(changes)
        get = changes.get
        self.header_table_size = get(frames.SETTINGS_HEADER_TABLE_SIZE, self.header_table_size)
        self.initial_window_size = get(
            frames.SETTINGS_INITIAL_WINDOW_SIZE, self.initial_window_size
        )
        self.max_concurrent_streams = get(
            frames.SETTINGS_MAX_CONCURRENT_STREAMS, self.max_concurrent_streams
        )
        self.max_frame_size = get(frames.SETTINGS_MAX_FRAME_SIZE, self.max_frame_size)
        self.enable_connect_protocol = get(
            frames.SETTINGS_ENABLE_CONNECT_PROTOCOL, self.enable_connect_protocol
        )
        self.no_rfc7540_priorities = get(
            frames.SETTINGS_NO_RFC7540_PRIORITIES, self.no_rfc7540_priorities
        )
        self._is_first = False
        return changes

    def _check_fixed(self, changes: dict[int, int]) -> None:
        """Refuse to change what cannot be changed (RFC 8441 section 3, RFC 9218 section 2.1)."""
        connect = changes.get(frames.SETTINGS_ENABLE_CONNECT_PROTOCOL)
        if connect == 0 and self.enable_connect_protocol:
            raise RemoteProtocolError("SETTINGS_ENABLE_CONNECT_PROTOCOL was taken back")
        priorities = changes.get(frames.SETTINGS_NO_RFC7540_PRIORITIES)
        if not self._is_first and priorities not in (None, self.no_rfc7540_priorities):
            raise RemoteProtocolError("SETTINGS_NO_RFC7540_PRIORITIES changed")


_ANY = 2**32 - 1
_PROTOCOL_ERROR = ErrorCode.PROTOCOL_ERROR

# Name, least and greatest value, and the error for any other (RFC 9113 section 6.5.2).
_RULES: dict[int, tuple[str, int, int, ErrorCode]] = {
    frames.SETTINGS_HEADER_TABLE_SIZE: ("SETTINGS_HEADER_TABLE_SIZE", 0, _ANY, _PROTOCOL_ERROR),
    frames.SETTINGS_ENABLE_PUSH: ("SETTINGS_ENABLE_PUSH", 0, 1, _PROTOCOL_ERROR),
    frames.SETTINGS_MAX_CONCURRENT_STREAMS: (
        "SETTINGS_MAX_CONCURRENT_STREAMS",
        0,
        _ANY,
        _PROTOCOL_ERROR,
    ),
    frames.SETTINGS_INITIAL_WINDOW_SIZE: (
        "SETTINGS_INITIAL_WINDOW_SIZE",
        0,
        frames.MAX_WINDOW,
        ErrorCode.FLOW_CONTROL_ERROR,
    ),
    frames.SETTINGS_MAX_FRAME_SIZE: (
        "SETTINGS_MAX_FRAME_SIZE",
        frames.MIN_MAX_FRAME_SIZE,
        frames.MAX_MAX_FRAME_SIZE,
        _PROTOCOL_ERROR,
    ),
    frames.SETTINGS_MAX_HEADER_LIST_SIZE: (
        "SETTINGS_MAX_HEADER_LIST_SIZE",
        0,
        _ANY,
        _PROTOCOL_ERROR,
    ),
    frames.SETTINGS_ENABLE_CONNECT_PROTOCOL: (
        "SETTINGS_ENABLE_CONNECT_PROTOCOL",
        0,
        1,
        _PROTOCOL_ERROR,
    ),
    frames.SETTINGS_NO_RFC7540_PRIORITIES: (
        "SETTINGS_NO_RFC7540_PRIORITIES",
        0,
        1,
        _PROTOCOL_ERROR,
    ),
}
