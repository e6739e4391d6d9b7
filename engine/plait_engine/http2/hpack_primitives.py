"""The parts that HPACK representations are made of (RFC 7541 sections 5 and 6).

A representation begins with one byte: its high bits say the kind, the rest is the prefix
of an integer.  Integers and string literals follow.

Limits: an integer ends at 2**32 - 1 and at 5 continuation bytes, leading zeros included
(section 5.1 asks for a limit).
"""

from __future__ import annotations

from plait_engine.headers import decode as decode_text
from plait_engine.headers import encode as encode_text

from . import huffman
from .errors import HPACKError

INDEXED = 0x80  # 6.1: an index of 7 bits
INCREMENTAL = 0x40  # 6.2.1: a literal that enters the table, name index of 6 bits
SIZE_UPDATE = 0x20  # 6.3: a size of 5 bits
NEVER_INDEXED = 0x10  # 6.2.3: a literal that no intermediary may index, 4 bits
NOT_INDEXED = 0x00  # 6.2.2: a literal that does not enter the table, 4 bits

HUFFMAN = 0x80  # 5.2: a string literal is Huffman-coded; its length has 7 bits
LONG_HUFFMAN = 0xFF  # the same; the length goes on in the next byte

MAX_INTEGER = 2**32 - 1
_MAX_CONTINUATIONS = 5


def encode_integer(value: int, prefix: int, kind: int) -> bytes:
    """Return ``value`` with a prefix of ``prefix`` bits in a byte of ``kind`` (section 5.1)."""
    limit = (1 << prefix) - 1
    if value < limit:
        return bytes((kind | value,))
    data = bytearray((kind | limit,))
    value -= limit
    while value >= 0x80:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)


_PLAIN_LENGTHS = [encode_integer(size, 7, 0) for size in range(127)]
_HUFFMAN_LENGTHS = [encode_integer(size, 7, HUFFMAN) for size in range(127)]


def decode_integer(block: bytes, pos: int, limit: int) -> tuple[int, int]:
    """Return an integer whose prefix was all 1s, ``limit``, and the position behind it.

    Raises HPACKError when it is cut short or too large (section 5.1).
    """
    value = limit
    data = block[pos : pos + _MAX_CONTINUATIONS]
    for count, byte in enumerate(data):
        value += (byte & 0x7F) << 7 * count
        if byte < 0x80 and value <= MAX_INTEGER:
            return value, pos + count + 1
    if len(data) < _MAX_CONTINUATIONS and value <= MAX_INTEGER:
        raise HPACKError("an integer is cut short")
    raise HPACKError("an integer is too large")


def encode_string(data: bytes) -> bytes:
    """Return a string literal, Huffman-coded when that is shorter (section 5.2)."""
    coded = huffman.encode(data)
    size = len(coded)
    if size < len(data):
        start = _HUFFMAN_LENGTHS[size] if size < 127 else encode_integer(size, 7, HUFFMAN)
        return start + coded
    return encode_integer(len(data), 7, 0) + data


def encode_plain_text(text: str) -> bytes:
    """Return a string literal of ``text`` that is not Huffman-coded.  Raises UnicodeEncodeError."""
    data = text.encode() if text.isascii() else encode_text(text)
    size = len(data)
    return (_PLAIN_LENGTHS[size] if size < 127 else encode_integer(size, 7, 0)) + data


def read_string(block: bytes, pos: int) -> tuple[str, int, int]:
    """Return the text of a string literal, its size in bytes, and the position behind it.

    Raises HPACKError when it is cut short, or no Huffman code.
    """
    if pos >= len(block):
        raise HPACKError("a field is cut short")
    first = block[pos]
    pos += 1
    length = first & 0x7F
    if length == 0x7F:
        length, pos = decode_integer(block, pos, 0x7F)
    end = pos + length
    if end > len(block):
        raise HPACKError("a string is longer than the block")
    data = block[pos:end]
    if first < HUFFMAN:
        return data.decode() if data.isascii() else decode_text(data), length, end
    text = huffman.decode(data)
    return text if text.isascii() else decode_text(text.encode("latin-1")), len(text), end
