"""``aiohttp._websocket.models``: the vocabulary of ``aiohttp.http_websocket``."""

from __future__ import annotations

from typing import Final

from plait.http_websocket import *  # noqa: F403  # the same vocabulary
from plait.http_websocket import __all__ as _vocabulary

__all__ = ("WS_DEFLATE_TRAILING", *_vocabulary)

WS_DEFLATE_TRAILING: Final = b"\x00\x00\xff\xff"
"""What a compressed message leaves out at its end (RFC 7692 section 7.2.1)."""
