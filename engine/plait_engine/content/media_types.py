"""Content-Type: the media type and its parameters (RFC 9110 section 8.3).

Rules
-----
* Parameters stand behind semicolons that are not quoted, each a token or a quoted string; of two
  with the same name the first counts.  White space around them is skipped.
* What is no media type reads as ``application/octet-stream``: a recipient may also examine the
  data (section 8.3), and guessing is how content becomes a script.
* A charset that is a token ends where a list or a quote begins: some clients write
  ``utf-8,text/html``.
* The cost is linear in the length of the field.  ``email.message`` reads the same, but an
  unbalanced quote costs it the square.
"""

from __future__ import annotations

import re
from typing import Final

# RFC 9110 section 5.6.6: what stands between two semicolons that are not quoted.
_parameters: Final = re.compile(r'((?:[^;"]|"(?:[^"\\]|\\.)*+"?)*+)(?:;|\Z)', re.DOTALL).findall


def parse_content_type(field: str) -> tuple[str, str | None]:
    """Return the media type, in lower case, and its charset or ``None``."""
    kind = _parameters(field)[0].strip().lower()
    if kind.count("/") != 1:
        kind = "application/octet-stream"
    charset = _find(field, "charset")
    if charset is None:
        return kind, None
    if not charset.startswith('"'):
        return kind, re.split("[,\"']", charset, maxsplit=1)[0].rstrip() or None
    return kind, _unquote(charset) or None


def find_media_parameter(field: str, name: str) -> str | None:
    """Return a parameter of a media type by its name in lower case, or ``None``."""
    value = _find(field, name)
    return None if value is None else _unquote(value)


def _find(field: str, name: str) -> str | None:
    """Return what stands behind ``name=``."""
    for parameter in _parameters(field)[1:]:
        key, mark, value = parameter.partition("=")
        if mark and key.strip().lower() == name:
            return str(value.strip())
    return None


def _unquote(value: str) -> str:
    """Return what a quoted string says (RFC 9110 section 5.6.4), or the token."""
    if len(value) < 2 or not value.startswith('"') or not value.endswith('"'):
        return value
    return re.sub(r"\\(.)", r"\1", value[1:-1])
