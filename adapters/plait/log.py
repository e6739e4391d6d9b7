"""The loggers, under aiohttp's names."""

from __future__ import annotations

import logging
from typing import Final

__all__ = (
    "access_logger",
    "client_logger",
    "internal_logger",
    "server_logger",
    "web_logger",
    "ws_logger",
)

access_logger: Final = logging.getLogger("plait.access")
client_logger: Final = logging.getLogger("plait.client")
internal_logger: Final = logging.getLogger("plait.internal")
server_logger: Final = logging.getLogger("plait.server")
web_logger: Final = logging.getLogger("plait.web")
ws_logger: Final = logging.getLogger("plait.websocket")
