"""Link fields of a response (RFC 8288)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from multidict import MultiDict, MultiDictProxy
from yarl import URL

from plait_engine.semantics.links import parse_links


def read_links(base: URL, lines: Iterable[str]) -> MultiDictProxy[MultiDictProxy[str | URL]]:
    """Return the links by ``rel``, or else their target; each has its absolute ``url``."""
    links: MultiDict[MultiDictProxy[str | URL]] = MultiDict()
    for target, parameters in parse_links(", ".join(lines)):
        link: MultiDict[str | URL] = MultiDict(parameters)
        with contextlib.suppress(ValueError):
            link["url"] = base.join(URL(target))
            links.add(str(link.get("rel", target)), MultiDictProxy(link))
    return MultiDictProxy(links)
