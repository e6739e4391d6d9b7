"""A lease: one place on a connection, from the pool's assignment to the end of the request.

The place is the whole connection on HTTP/1.1 and one stream of it on HTTP/2.  A lease has
one owner at a time, and the owner gives it back: first the call that asked for it, and from
``begin`` on the exchange of its request.  So whatever is raised or cancelled on the way,
``close`` is the one thing to call.  Users know it as ``connector.Connection``.

A lease that nobody has any more and nobody gave back (a program may call ``connector.connect``
itself) gives itself back, with a ResourceWarning.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from plait.client_exceptions import ClientConnectionResetError

from .connection import ClientConnection
from .target import ConnectionKey
from .timeouts import DEFAULT_TIMEOUT, ClientClock, ClientTimeout
from .traces import PlaceTrace

if TYPE_CHECKING:
    from .exchange import ClientExchange


@dataclass(slots=True, eq=False)
class Ticket:
    """What the pool knows a waiting request by: what it needs, and how long it waits."""

    connection_key: ConnectionKey
    clock: ClientClock | None = None
    timeout: ClientTimeout = DEFAULT_TIMEOUT
    again: bool = False
    """A connection took the request before, and nothing came of it."""
    trace: PlaceTrace | None = None
    has_opened: bool = False
    """A connection was opened for it: it waits for that, not in the queue of the pool."""
    proxy_headers: Mapping[str, str] | None = None
    """The fields for the proxy; the key knows their hash."""

    def __str__(self) -> str:
        key = self.connection_key
        by = "" if key.proxy is None else f" by the proxy {key.proxy.host}:{key.proxy.port}"
        return f"{key.host}:{key.port}{by}"


class Lender(Protocol):
    """To whom places are given back: ``places.Places``."""

    def begin(self, client: ClientConnection) -> None:
        """A request begins on ``client``."""

    def release(self, client: ClientConnection, *, begun: bool) -> None:
        """A place on ``client`` is free; ``begun``: a request had begun on it."""


class Lease:
    """A place on a connection, for one request; see the module.

    Args:
        connector: to whom the place is given back.
        key: what the connection is good for.
        protocol: the client's side of the connection.
        loop: the event loop of the connection.
        reused: a request was done before on the connection, which may be stale.
    """

    __slots__ = (
        "_begun",
        "_callbacks",
        "_lender",
        "_loop",
        "_released",
        "client",
        "driver",
        "exchange",
        "key",
        "reused",
    )

    def __init__(
        self,
        connector: Lender,
        key: ConnectionKey,
        protocol: ClientConnection,
        loop: asyncio.AbstractEventLoop,
        reused: bool = False,
    ) -> None:
        self._lender = connector
        self._loop = loop
        self._released = False
        self._begun = False
        self._callbacks: list[Callable[[], object]] | None = None
        self.key = key
        self.client = protocol
        self.driver = protocol.driver
        self.reused = reused
        self.exchange: ClientExchange | None = None

    def __repr__(self) -> str:
        return f"<Connection {self.key.host}:{self.key.port} {self.driver.engine.protocol}>"

    def __del__(self, _warn: Any = warnings.warn) -> None:
        if self._released or self._loop.is_closed():
            return
        _warn(f"Unclosed connection {self!r}", ResourceWarning, source=self)
        context = {"message": "Unclosed connection", "client_connection": self}
        self._loop.call_exception_handler(context)
        self.close()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Deprecated: the loop of the connection."""
        warnings.warn("Connection.loop is deprecated", DeprecationWarning, stacklevel=2)
        return self._loop

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport; on HTTP/2, other requests use it too."""
        return self.driver.transport

    @property
    def protocol(self) -> ClientConnection | None:
        """The client's side of the connection, until the place is given back."""
        return None if self._released else self.client

    @property
    def closed(self) -> bool:
        """True when the place was given back or the connection is gone."""
        return self._released or self.driver.transport is None

    def add_callback(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` when the place is given back; what it raises goes to the loop."""
        if self._callbacks is None:
            self._callbacks = []
        self._callbacks.append(callback)

    async def drain(self) -> None:
        """Wait until ``transport`` takes more bytes.  (plait's own.)

        For who writes to it, behind a switch of protocols.  Raises ClientConnectionResetError
        when the connection is gone.
        """
        if not self.closed:
            await self.driver.wait_writable()
        if self.closed:
            raise ClientConnectionResetError("Connection lost")

    def begin(self) -> int:
        """Return the id of the stream for the request, which is sent to the engine next.

        Raises LocalProtocolError when the place is gone: the peer lowered its limit, or ends
        the connection.
        """
        stream_id = self.driver.engine.next_stream_id()
        self._begun = True
        self._lender.begin(self.client)
        return stream_id

    def release(self) -> None:
        """Give the place back."""
        if not self._released:
            self._released = True
            self._lender.release(self.client, begun=self._begun)
            for callback in self._callbacks or ():
                self._tell(callback)

    def _tell(self, callback: Callable[[], object]) -> None:
        try:
            callback()
        except Exception as error:
            message = "A callback of a connection failed"
            self._loop.call_exception_handler(
                {"message": message, "exception": error, "client_connection": self}
            )

    def close(self) -> None:
        """Give the place back and end the exchange on it, if one has begun.

        On HTTP/1.1 that ends the connection, unless the exchange was complete.
        """
        if self.exchange is not None:
            self.exchange.abandon()
        self.release()
