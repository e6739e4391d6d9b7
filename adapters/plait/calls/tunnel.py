"""Tunnels: a handshake with a proxy on a transport, which is then the transport of another.

The handshake itself is a machine of the engine (``plait_engine.proxy.handshake``).  Here it meets
asyncio.  Whoever takes the transport over must not miss a byte: what comes between two protocols
is held, in order, and given to the second one.
"""

from __future__ import annotations

import asyncio
from asyncio.sslproto import SSLProtocol
from contextlib import suppress
from inspect import signature
from typing import Any, Final, TypeAlias, cast

from plait.transport.stream import StreamProtocol
from plait_engine.proxy.handshake import HANDSHAKE_TIME, Handshake, HandshakeState, TunnelError

from .connection import ClientConnection

ClientProtocol: TypeAlias = StreamProtocol[ClientConnection]

_IS_ABORT_BROKEN: Final = "exc" not in signature(SSLProtocol._abort).parameters
"""``_abort`` takes no error, though ``_force_close`` of its transport gives it one (CPython before
3.13, gh-109534).  TLS inside of TLS calls that when it fails."""


class HeldTransport(asyncio.Protocol):
    """Holds what comes on a transport, until ``give_to`` says whose it is."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.held = bytearray()
        self._has_ended = False
        self._lost: tuple[Exception | None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.held += data
        self._note_change()

    def eof_received(self) -> bool:
        self._has_ended = True
        self._note_change()
        transport = self.transport
        # TLS cannot stay half-open; inside of a tunnel there is nothing else.
        return transport is not None and transport.get_extra_info("ssl_object") is None

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = (exc,)
        self._note_change()

    def _note_change(self) -> None:
        """Something came."""

    def abort(self) -> None:
        """Drop the connection."""
        if self.transport is not None:
            self.transport.abort()

    def give_to(self, protocol: ClientProtocol, transport: asyncio.Transport) -> None:
        """Give ``transport``, and what came on it, to ``protocol``."""
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if self.held:
            protocol.driver.receive_data(bytes(self.held))
        if self._lost is not None:
            protocol.connection_lost(self._lost[0])
        elif self._has_ended and not protocol.eof_received():
            transport.close()


class Tunnel(HeldTransport):
    """The connection to a proxy while ``handshake`` goes on, and the tunnel that it becomes."""

    def __init__(self, handshake: Handshake, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._handshake = handshake
        self._loop = loop
        self._answer: asyncio.Future[None] | None = None

    async def open(self) -> None:
        """Carry the handshake out.  Raises TunnelError, and what ``Handshake.start`` raises."""
        handshake = self._handshake
        answer = self._answer = self._loop.create_future()
        handshake.start(self._loop.time())
        self._note_change()
        try:
            async with asyncio.timeout(HANDSHAKE_TIME):
                await answer
        except TimeoutError:
            raise TunnelError(f"the proxy did not answer within {HANDSHAKE_TIME} s") from None
        if handshake.error is not None:
            raise handshake.error

    def _note_change(self) -> None:
        """Give what came to the handshake, and see what comes of it."""
        transport, handshake, answer = self.transport, self._handshake, self._answer
        if transport is None or answer is None or answer.done():
            return
        if self.held:
            data, self.held = bytes(self.held), bytearray()
            handshake.receive_data(data, self._loop.time())
        if self._has_ended or self._lost is not None:
            handshake.receive_eof(self._loop.time())
        if output := handshake.data_to_send():
            transport.write(output)
        if handshake.state is not HandshakeState.PENDING:
            if not transport.is_closing():
                transport.pause_reading()
            self.held += handshake.surplus
            answer.set_result(None)

    async def enter(self, protocol: ClientProtocol, **tls: Any) -> None:
        """Let ``protocol`` have the tunnel, or the TLS that is set up in it.

        ``tls``: what ``loop.start_tls`` takes.  Raises OSError, and TunnelError when bytes came
        that TLS did not ask for.
        """
        transport = self.transport
        assert transport is not None
        if not tls:
            self.give_to(protocol, transport)
            if not transport.is_closing():
                transport.resume_reading()
            return
        if self.held or self._lost is not None or self._has_ended:
            # A server waits for the client's hello, so the proxy sent it itself.
            raise TunnelError("the proxy sent something, or closed, before TLS began")
        inner = HeldTransport()
        if _IS_ABORT_BROKEN and transport.get_extra_info("ssl_object") is not None:
            with suppress(AttributeError):  # uvloop's has it right, and cannot be changed.
                transport._force_close = lambda exc: transport.abort()  # type: ignore[attr-defined]
        try:
            context, name = tls["ssl"], tls["server_hostname"]
            upper = await self._loop.start_tls(transport, inner, context, server_hostname=name)
        except TypeError as error:
            raise OSError(None, "this event loop cannot set TLS up inside of TLS") from error
        assert upper is not None
        inner.give_to(protocol, upper)
