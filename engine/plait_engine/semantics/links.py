"""Link fields: what is related to a resource, and how (RFC 8288)."""

from __future__ import annotations

import re
from typing import Final

# RFC 8288 section 3; a quote that nothing closes reaches to the end, so the cost is linear.
_LINK: Final = re.compile(r'<([^<>]*+)>((?:[^,"]|"(?:[^"\\]|\\.)*+"?)*+)')
_LINK_PARAMETER: Final = re.compile(r';\s*([^\s=;"]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^;"]*)))?')


def parse_links(value: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return targets and parameters of a Link field (RFC 8288 section 3)."""
    return [
        (
            target,
            [
                (name, (quoted or plain).strip())
                for name, quoted, plain in _LINK_PARAMETER.findall(rest)
            ],
        )
        for target, rest in _LINK.findall(value)
    ]
