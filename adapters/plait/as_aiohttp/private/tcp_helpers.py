"""``aiohttp.tcp_helpers``: options of the socket below a transport."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

__all__ = ("tcp_keepalive", "tcp_nodelay")


def tcp_keepalive(transport: asyncio.Transport) -> None:
    """Let the system ask from time to time whether the peer still is there (SO_KEEPALIVE)."""
    below = transport.get_extra_info("socket")
    if below is not None:
        below.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def tcp_nodelay(transport: asyncio.Transport, value: bool) -> None:
    """Send small pieces at once (TCP_NODELAY), or not; nothing happens to other sockets."""
    below = transport.get_extra_info("socket")
    if below is not None and below.family in {socket.AF_INET, socket.AF_INET6}:
        with suppress(OSError):  # It has been closed.
            below.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, bool(value))
