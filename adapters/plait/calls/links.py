"""Link fields of a response (RFC 8288)."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from typing import Final

from multidict import MultiDict, MultiDictProxy
from yarl import URL


def read_links(base: URL, lines: Iterable[str]) -> MultiDictProxy[MultiDictProxy[str | URL]]:
    """Return the links by ``rel``, or else their target; each has its absolute ``url``."""
    links: MultiDict[MultiDictProxy[str | URL]] = MultiDict()
    for target, parameters in _parse_links(", ".join(lines)):
        link: MultiDict[str | URL] = MultiDict(parameters)
        with contextlib.suppress(ValueError):
            link["url"] = base.join(URL(target))
            links.add(str(link.get("rel", target)), MultiDictProxy(link))
    return MultiDictProxy(links)


# RFC 8288 section 3; a quote that nothing closes reaches to the end, so the cost is linear.
_LINK: Final = re.compile(r'<([^<>]*+)>((?:[^,"]|"(?:[^"\\]|\\.)*+"?)*+)')
_LINK_PARAMETER: Final = re.compile(r';\s*([^\s=;"]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^;"]*)))?')


def _parse_links(value: str) -> list[tuple[str, list[tuple[str, str]]]]:
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
