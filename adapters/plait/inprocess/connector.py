"""A connector without sockets: its connections reach a server of the same loop in memory."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from plait.calls.connection import ClientConnection
from plait.client_exceptions import ClientConnectorError
from plait.connector import BaseConnector
from plait.transport.memory import MemoryTransport, connect

if TYPE_CHECKING:
    from plait.calls.lease import Ticket
    from plait.calls.timeouts import ClientTimeout
    from plait.tracing import Trace
    from plait.web_server import Server

_CLIENT_ADDRESS: Final = ("127.0.0.1", 0)
"""What ``request.remote`` tells: a handler may want an address."""


class MemoryConnector(BaseConnector):
    """Connects to one server, whatever host the URL names.

    Args:
        find_server: returns the server, or ``None`` while there is none: then connecting
            fails as if nobody listened.
        options: those of ``BaseConnector``.

    There is no TLS: ``https`` raises ClientConnectorError.
    """

    def __init__(
        self,
        find_server: Callable[[], Server | None],
        **options: Any,  # those of BaseConnector
    ) -> None:
        super().__init__(**options)
        self._find_server = find_server

    async def _create_connection(
        self, ticket: Ticket, traces: list[Trace], timeout: ClientTimeout
    ) -> ClientConnection:
        key = ticket.connection_key
        if key.is_ssl:
            raise ClientConnectorError(key, OSError(None, "there is no TLS in memory"))
        server = self._find_server()
        if server is None:
            number = errno.ECONNREFUSED
            raise ClientConnectorError(key, ConnectionRefusedError(number, os.strerror(number)))

        def client(transport: MemoryTransport) -> ClientConnection:
            protocol = self._versions.spoken(None, secure=False, http1_only=key.http1_only)
            return self.connection_made(key, transport, protocol)

        address = (key.host, key.port)
        made, _ = connect(
            client,
            server.connect,
            loop=asyncio.get_running_loop(),
            client_extra={"sockname": _CLIENT_ADDRESS, "peername": address},
            server_extra={"sockname": address, "peername": _CLIENT_ADDRESS},
        )
        return made
