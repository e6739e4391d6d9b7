"""Methods of aiohttp's classes that are not for others, and that other libraries call or override.

They are in plait's classes only while plait stands in aiohttp's place.
"""

from __future__ import annotations

from typing import Final

from multidict import CIMultiDict

from plait.client import ClientSession
from plait.typedefs import LooseHeaders

__all__ = ("METHODS",)


def _prepare_headers(session: ClientSession, headers: LooseHeaders | None) -> CIMultiDict[str]:
    """Return the session's header fields with those of a request, which win by name."""
    return CIMultiDict(session._fields_of(headers))


METHODS: Final[dict[type, dict[str, object]]] = {
    ClientSession: {"_prepare_headers": _prepare_headers},
}
"""The class -> its methods by name."""
