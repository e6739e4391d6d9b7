"""The client's side of a connection: it tells the pool what becomes of the connection."""

from __future__ import annotations

import asyncio
from typing import Protocol

from plait.transport.driver import Driver
from plait_engine import (
    Config,
    ConnectionClosed,
    Draining,
    Event,
    Role,
    SettingsChanged,
    StreamsAvailable,
)
from plait_engine.engines import EngineName
from plait_engine.http2.frames import SETTINGS_ENABLE_CONNECT_PROTOCOL
from plait_engine.policy.interruption import explain_goaway
from plait_engine.proxy.forward import Forwarding


class Watcher(Protocol):
    """Who hears of a connection: ``places.Places``."""

    def on_streams_available(self, client: ClientConnection) -> None:
        """The engine takes another request, and took none before."""

    def on_changed(self, client: ClientConnection) -> None:
        """The engine takes another number of requests now."""

    def on_closed(self, client: ClientConnection) -> None:
        """The engine is done with the connection."""

    def on_lost(self, client: ClientConnection) -> None:
        """The transport is closed."""


class ClientConnection:
    """The client's side of a connection; ``number`` is what the pool calls it."""

    def __init__(
        self,
        watcher: Watcher,
        config: Config,
        transport: asyncio.Transport,
        *,
        loop: asyncio.AbstractEventLoop,
        protocol: str,
        engine: EngineName,
    ) -> None:
        self.driver: Driver = Driver(
            Role.CLIENT, config, transport, self, loop=loop, protocol=protocol, engine=engine
        )
        self.number = 0
        self.settings: asyncio.Future[None] = loop.create_future()
        """Done when the peer's first SETTINGS came, or nothing more will come."""
        self.extended_connect = False
        """The peer accepts extended CONNECT (RFC 8441)."""
        self.forwarding: Forwarding | None = None
        """At the other end is a proxy that forwards requests: how it wants them."""
        self.goaway_code = 0
        """Why the peer takes no more requests (RFC 9113 section 7)."""
        self._goaway = ""
        self._watcher = watcher
        self._peer = transport.get_extra_info("peername")

    @property
    def transport(self) -> asyncio.Transport | None:
        """What carries the bytes; ``None`` when it is gone."""
        return self.driver.transport

    @property
    def shared(self) -> bool:
        """True when many requests go over this connection at once."""
        return self.driver.shared

    def describe(self) -> str:
        """Say who the server is and what it speaks, for messages."""
        version = "HTTP/2" if self.shared else "HTTP/1.1"
        if self._goaway:
            version = f"{version}, GOAWAY: {self._goaway}"
        match self._peer:
            case (address, port, *_):
                return f"{address} port {port}, {version}"
            case str(path) if path:
                return f"{path}, {version}"
        return version

    def on_event(self, event: Event) -> None:
        """Take an event (see ``Listener``)."""
        if isinstance(event, StreamsAvailable):
            self._watcher.on_streams_available(self)
        elif isinstance(event, ConnectionClosed):
            self._settle()
            self._watcher.on_closed(self)
        elif isinstance(event, SettingsChanged):
            if SETTINGS_ENABLE_CONNECT_PROTOCOL in event.settings:
                self.extended_connect = event.settings[SETTINGS_ENABLE_CONNECT_PROTOCOL] == 1
            self._settle()
            self._watcher.on_changed(self)
        elif isinstance(event, Draining):
            self.goaway_code = event.code
            self._goaway = explain_goaway(event)
            self._watcher.on_changed(self)

    def on_batch_end(self) -> None:
        """All events of a batch were told (see ``Listener``)."""

    def on_eof(self) -> None:
        """The server sends nothing more."""

    def on_lost(self, error: Exception | None) -> None:
        """The transport is gone."""
        self._watcher.on_lost(self)

    def _settle(self) -> None:
        if not self.settings.done():
            self.settings.set_result(None)
