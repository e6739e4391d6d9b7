"""What the media type of a response says about its text (RFC 9110 section 8.3)."""

from __future__ import annotations

from plait.helpers import find_charset, parse_mimetype


def encoding_of(content_type: str) -> str | None:
    """Return the encoding that a Content-Type field means, or ``None``.

    It is the charset, if Python knows it, and UTF-8 for JSON (RFC 8259 section 8.1).
    """
    mimetype = parse_mimetype(content_type.lower())
    charset = mimetype.parameters.get("charset")
    known = find_charset(charset) if charset else None
    if known is None and mimetype.type == "application" and mimetype.subtype in {"json", "rdap"}:
        return "utf-8"
    return known


def is_expected_type(actual: str, expected: str) -> bool:
    """Compare media types; one of JSON, or that begins like one, matches every one of JSON."""
    if expected == "application/json":
        main, _, subtype = actual.partition("/")
        return main == "application" and (subtype.startswith("json") or "+json" in subtype)
    return expected in actual
