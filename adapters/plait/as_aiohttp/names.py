"""Names in aiohttp's modules that are not for others, and that other libraries import.

They are in plait's modules only while plait stands in aiohttp's place.
"""

from __future__ import annotations

from typing import Final

from plait.calls.context import RequestContextManager, WSRequestContextManager
from plait.calls.timeouts import DEFAULT_TIMEOUT
from plait.web_response import StreamResponse

__all__ = ("NAMES",)

NAMES: Final[dict[str, dict[str, object]]] = {
    "abc": {"StreamResponse": StreamResponse},
    "client": {
        "DEFAULT_TIMEOUT": DEFAULT_TIMEOUT,
        "_RequestContextManager": RequestContextManager,
        "_WSRequestContextManager": WSRequestContextManager,
    },
}
"""The module -> its names -> what they are."""
