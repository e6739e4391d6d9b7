"""Frames of RFC 6455 section 5: their numbers and headers.

::

      0                   1                   2                   3
      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
     +-+-+-+-+-------+-+-------------+-------------------------------+
     |F|R|R|R| opcode|M| length (7)  | 16 bits if 126, 64 if 127 ... |
     +-+-+-+-+-------+-+-------------+-------------------------------+
     | masking key, 32 bits, if M    | payload ...                   |
     +-------------------------------+-------------------------------+
"""

from __future__ import annotations

import enum
from struct import Struct


class Opcode(enum.IntEnum):
    """What a frame is (RFC 6455 section 5.2); from 8 on, control frames."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class CloseCode(enum.IntEnum):
    """Why a connection is closed (RFC 6455 section 7.4.1 and the IANA registry)."""

    OK = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005
    """Never on the wire: the Close frame had no code."""
    ABNORMAL_CLOSURE = 1006
    """Never on the wire: there was no Close frame."""
    INVALID_TEXT = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014


FIN = 0x80
RSV1 = 0x40
RSV_BITS = 0x70
OPCODE_BITS = 0x0F
MASKED = 0x80
LENGTH_BITS = 0x7F

MAX_CONTROL_PAYLOAD = 125  # RFC 6455 section 5.5

_UNSENDABLE_CODES = frozenset({1004, CloseCode.NO_STATUS, CloseCode.ABNORMAL_CLOSURE, 1015})


def is_wire_close_code(code: int) -> bool:
    """Tell whether ``code`` may stand in a Close frame (RFC 6455 section 7.4).

    1000 to 1014 but for the reserved ones, 3000 to 3999 (registered) and 4000 to 4999
    (private).  1016 to 2999 are for later versions of the protocol.
    """
    return (1000 <= code <= 1014 or 3000 <= code <= 4999) and code not in _UNSENDABLE_CODES


_pack_length_16 = Struct(">BBH").pack
_pack_length_64 = Struct(">BBQ").pack


def frame_header(first_byte: int, length: int, mask_bit: int = 0) -> bytes:
    """Return the header of a frame, without the masking key.

    The length takes the fewest bytes possible (RFC 6455 section 5.2).
    """
    if length < 126:
        return bytes((first_byte, mask_bit | length))
    if length < 65536:
        return _pack_length_16(first_byte, mask_bit | 126, length)
    return _pack_length_64(first_byte, mask_bit | 127, length)
