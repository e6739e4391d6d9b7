"""The parser of multipart bodies, and that of Content-Disposition.

Invariants:

* a body is parsed, or MultipartError is raised, and nothing else;
* the same bytes, whole and in pieces, give the same parts and the same outcome;
* events come in order: for each part a begin, content that is not empty, an end; the end of all
  is the last;
* the limits on parts and on their header fields hold;
* what was parsed, the encoder can encode, and it is parsed to the same parts;
* a name that Content-Disposition gives survives formatting.

Input: a byte of options (the bits below), cuts, the body.
"""

from __future__ import annotations

from collections.abc import Iterable

from fuzz.choices import Choices, Cuts
from fuzz.harness import check
from plait_engine import headers
from plait_engine.content.disposition import find_parameter, format_disposition, parse_disposition
from plait_engine.content.multipart import (
    PART_TAIL,
    MultipartEnd,
    MultipartError,
    MultipartLimits,
    MultipartParser,
    PartBegin,
    PartData,
    PartEnd,
    encode_end,
    encode_part_head,
)

FORM = 1
INSIDE = 2
"""The body begins inside of a part."""
LONG_BOUNDARY = 4
TIGHT = 8
"""Small limits."""

BOUNDARIES = "b", "-" * 20 + "0123456789"
LIMITS = MultipartLimits(parts=4, fields=3, field_line=20, header_section=40)

Part = tuple[headers.Headers, bytes]


def run(data: bytes) -> None:
    """Run one input."""
    choices = Choices(data)
    options = choices.byte()
    cuts = Cuts(choices)
    body = choices.rest()
    whole = _parse(options, [body])
    check(whole == _parse(options, cuts(body)), "parts do not depend on the cuts", whole)
    parts, outcome = whole
    for head, _ in parts:
        _check_disposition(head)
    if options & TIGHT:
        check(len(parts) <= LIMITS.parts, "the number of parts is limited", parts)  # type: ignore[operator]
        check(all(len(head) <= LIMITS.fields for head, _ in parts), "fields are limited", parts)
    if outcome == "complete":
        boundary = _boundary(options)
        copy = b"".join(encode_part_head(boundary, h) + c + PART_TAIL for h, c in parts)
        again = _parse(options & ~INSIDE, [copy + encode_end(boundary)])
        check(again == whole, "what was parsed survives encoding", whole, again)


def _boundary(options: int) -> str:
    return BOUNDARIES[bool(options & LONG_BOUNDARY)]


def _parse(options: int, pieces: Iterable[bytes]) -> tuple[list[Part], str]:
    """Return the parts, the last one perhaps not complete, and how it ended."""
    limits = LIMITS if options & TIGHT else MultipartLimits()
    is_form = bool(options & FORM)
    parts: list[Part] = []
    if options & INSIDE:
        parser = MultipartParser.inside_part(_boundary(options), is_form=is_form, limits=limits)
        parts.append(((), b""))
    else:
        parser = MultipartParser(_boundary(options), is_form=is_form, limits=limits)
    is_open = bool(parts)
    complete = False
    try:
        for piece in (*pieces, None):
            if piece is None:
                parser.receive_eof()
            else:
                parser.receive_data(piece)
            while (event := parser.next_event()) is not None:
                check(not complete, "nothing follows the end", event)
                check(is_open == isinstance(event, PartData | PartEnd), "events in order", event)
                if isinstance(event, PartBegin):
                    parts.append((event.headers, b""))
                    is_open = True
                elif isinstance(event, PartData):
                    check(event.data != b"", "content is not empty")
                    parts[-1] = parts[-1][0], parts[-1][1] + event.data
                elif isinstance(event, PartEnd):
                    is_open = False
                else:
                    check(isinstance(event, MultipartEnd), "no other event", event)
                    complete = True
    except MultipartError as error:
        return parts, type(error).__name__
    check(complete, "a body that is no error is complete", parts)
    return parts, "complete"


def _check_disposition(head: headers.Headers) -> None:
    read = parse_disposition(headers.get(head, "content-disposition"))
    for name in ("name", "filename"):
        value = find_parameter(read.parameters, name)
        if value is None or not value.isprintable():
            continue
        copy = parse_disposition(format_disposition("form-data", {"name": value}))
        check(find_parameter(copy.parameters, "name") == value, "a name survives", value, copy)
