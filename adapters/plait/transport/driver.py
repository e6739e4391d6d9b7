"""asyncio's driver: the law of the contract, and the exchanges of a connection.

``Driver`` is the engine's driver (``plait_engine.driver``, which has the rules), scheduled by
an asyncio loop.  It stands over any ``Transport``: asyncio's own (``stream``), one in memory
(``memory``), a tunnel through another.  To what it belongs, a connection of the server or of
the client, it tells all that comes, and keeps the table of the ``Exchange``s that hear what
concerns one stream (``plait_engine.streams``).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

import plait_engine.driver
from plait_engine import Config, Event, Role, create_connection
from plait_engine.driver import Listener
from plait_engine.engines import EngineName

from .exchange import Exchange


class Owner(Listener, Protocol):
    """To what a driver belongs: the server's or the client's side of a connection.

    Its ``on_event`` gives what concerns one stream, and ``Driver.exchanges``, to
    ``plait_engine.streams.dispatch``.
    """

    driver: Driver

    def on_eof(self) -> None:
        """The peer sends nothing more; the events of that were told."""

    def on_lost(self, error: Exception | None) -> None:
        """The transport is gone; the last event was told."""


class _Nobody:
    """Hears nothing any more."""

    driver: Driver

    def on_event(self, event: Event) -> None:
        pass

    def on_batch_end(self) -> None:
        pass

    def on_eof(self) -> None:
        pass

    def on_lost(self, error: Exception | None) -> None:
        pass


_NOBODY: Final = _Nobody()


class Driver(plait_engine.driver.Driver):
    """Drives an engine and tells what comes of it.  Call ``start`` when ``owner`` can hear.

    Args:
        role: the side of the connection.
        config: the engine's configuration; ``scheme``, ``half_close`` and ``detect_http2``
            say what the transport is.
        transport: what carries the bytes; it is up.
        owner: to what it belongs.
        protocol: ``"http/1.1"`` or ``"h2"``.
        engine: ``"native"`` or ``"reference"``.
    """

    __slots__ = ("__weakref__", "_lost", "engine_name", "exchanges", "loop", "lost")

    # It is this, whatever carries the bytes: ``web.Request.transport`` shows it to users.
    transport: asyncio.Transport | None
    listener: Owner

    def __init__(
        self,
        role: Role,
        config: Config,
        transport: asyncio.Transport,
        owner: Owner,
        *,
        loop: asyncio.AbstractEventLoop,
        protocol: str = "http/1.1",
        engine: EngineName = "native",
    ) -> None:
        connection = create_connection(role, protocol, config, engine=engine)
        super().__init__(connection, transport, owner, loop, http2=engine)
        self.clock = clock_of(loop)
        below = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None)
        if below is not None:
            # asyncio's transport of TLS does not tell that the one below it has failed.
            self._has_failed = lambda: transport.is_closing() or below.is_closing()
        self.loop = loop
        self.engine_name: EngineName = engine
        self.exchanges: dict[int, Exchange] = {}
        """Who hears the events of which stream."""
        self.lost: Exception | None = None
        """The error with which the transport was lost."""
        self._lost: asyncio.Future[None] | None = None

    def receive_eof(self) -> None:
        super().receive_eof()
        self.listener.on_eof()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = error
        super().connection_lost(error)
        owner, self.listener = self.listener, _NOBODY  # No cycle is left behind.
        owner.on_lost(error)
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)

    async def wait_closed(self) -> None:
        """Wait until the transport is gone."""
        if self.transport is not None:
            if self._lost is None:
                self._lost = self.loop.create_future()
            await asyncio.shield(self._lost)

    def forget(self, exchange: Exchange) -> None:
        """Hear no more events of this exchange."""
        if self.exchanges.get(exchange.stream_id) is exchange:
            del self.exchanges[exchange.stream_id]

    # -- getters ----------------------------------------------------------------

    @property
    def config(self) -> Config:
        """The engine's configuration."""
        return self.engine.config

    @property
    def tls(self) -> bool:
        """True when the connection is secure."""
        return self.engine.config.scheme == "https"

    @property
    def shared(self) -> bool:
        """True when the connection carries many exchanges at once."""
        return self.engine.protocol == "h2"

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the transport knows under ``name`` (``asyncio.BaseTransport``)."""
        return default if self.transport is None else self.transport.get_extra_info(name, default)


def clock_of(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """Return ``loop.time``, or what asyncio's own method of that name calls."""
    if getattr(type(loop), "time", None) is asyncio.BaseEventLoop.time:
        return time.monotonic
    return loop.time
