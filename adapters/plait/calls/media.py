"""What a response says about its content: type, text, and what it is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from plait.helpers import find_charset, parse_mimetype
from plait.multipart import content_disposition_filename, parse_content_disposition


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
    """Tell whether ``actual`` is the media type that is expected.

    ``application/json`` stands for all types of JSON, such as ``application/problem+json``.
    """
    if expected == "application/json":
        main, _, subtype = actual.partition("/")
        return main == "application" and (subtype.startswith("json") or "+json" in subtype)
    return expected in actual


@dataclass(frozen=True)
class ContentDisposition:
    """How to treat the content (RFC 6266).

    ``filename`` is as the server sent it, and no path: do not open a file by it.
    """

    type: str | None
    parameters: Mapping[str, str]
    filename: str | None


def read_content_disposition(field: str | None) -> ContentDisposition | None:
    """Return what a Content-Disposition field says; warns if it breaks the grammar."""
    if field is None:
        return None
    kind, parameters = parse_content_disposition(field)
    return ContentDisposition(
        kind, MappingProxyType(parameters), content_disposition_filename(parameters)
    )
