"""Request targets in origin form, the same on the wire of every version.

RFC 9112 section 3.2.1, RFC 9113 section 8.3.1: origin-form = absolute-path [ "?" query ], of
visible ASCII without "#", since a fragment is never sent.  A path has no "\\", which is no
pchar (RFC 3986 section 3.3) and which some recipients read as "/"; browsers send it in queries.
"""

from __future__ import annotations

import re
from typing import Final

PATH_CHARS: Final = r"\x21\x22\x24-\x3e\x40-\x5b\x5d-\x7e"
"""Of a path: the inside of a character class."""

QUERY: Final = r"(?:\?[\x21\x22\x24-\x7e]*+)?+"
"""An optional query, as a regular expression."""

is_origin_form = re.compile(rf"/[{PATH_CHARS}]*+{QUERY}").fullmatch
"""Match if the whole string is a target in origin form."""
