"""The HPACK decoder.

Invariants:

* a block decodes, or raises HPACKError or HeaderListTooLarge, and nothing else;
* a list is within the limits on fields and bytes;
* a decoder that remembers no block gives the same lists as one that does;
* what was decoded, our encoder can encode and another decoder reads it back, on one
  connection from block to block.

Input: table size (a byte, times 64), then steps: a size (a byte) and a block of it; the
size 255 sets the table size of SETTINGS (a byte, times 64), 254 repeats the last block.
"""

from __future__ import annotations

from fuzz.choices import Choices
from fuzz.harness import check
from plait_engine import headers
from plait_engine.http2.hpack import Decoder, Encoder, HeaderListTooLarge, HPACKError

MAX_LIST_SIZE = 2048
MAX_FIELDS = 32
SET_TABLE_SIZE = 255
REPEAT = 254


def run(data: bytes) -> None:
    """Run one input."""
    choices = Choices(data)
    size = choices.byte() * 64
    decoder, forgetful = _decoder(size), _decoder(size)
    encoder, reader = Encoder(), _decoder(4096)
    block = b""
    while not choices.exhausted:
        step = choices.byte()
        if step == SET_TABLE_SIZE:
            decoder.max_table_size = forgetful.max_table_size = choices.byte() * 64
            continue
        if step != REPEAT:
            block = choices.data(step)
        try:
            fields = _decode(decoder, block)
        except HPACKError:
            return
        forgetful.max_table_size = forgetful.max_table_size  # which drops what it remembers
        check(fields == _decode(forgetful, block), "remembering blocks changes nothing", block)
        if fields is not None:
            _check_limits(fields)
            copy = reader.decode(encoder.encode(fields))
            check(copy == fields, "what was decoded survives encoding", fields, copy)


def _decoder(size: int) -> Decoder:
    return Decoder(max_table_size=size, max_header_list_size=MAX_LIST_SIZE, max_fields=MAX_FIELDS)


def _decode(decoder: Decoder, block: bytes) -> list[tuple[str, str]] | None:
    try:
        return decoder.decode(block)
    except HeaderListTooLarge:
        return None


def _check_limits(fields: list[tuple[str, str]]) -> None:
    size = sum(
        len(headers.encode(name)) + len(headers.encode(value)) + 32 for name, value in fields
    )
    check(len(fields) <= MAX_FIELDS, "a list has max_fields at most", fields)
    check(size <= MAX_LIST_SIZE, "a list has max_header_list_size bytes at most", fields)
