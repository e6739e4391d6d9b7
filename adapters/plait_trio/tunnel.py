"""A connection whose server switched to another protocol (101, RFC 9110 section 7.8), on trio."""

from __future__ import annotations

from collections.abc import AsyncIterator

from plait_engine import Accept, Data, EndOfMessage, Headers

from .driver import Exchange


class Tunnel:
    """Bytes of the other protocol, both ways.

    It ends with the handler, or with the ``async with`` of the response.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def receive(self) -> AsyncIterator[bytes]:
        """Return what the peer sends, to its end.  That raises StreamError when it breaks off."""
        return self._exchange.receive()

    async def send(self, data: bytes) -> None:
        """Send bytes, and wait until the peer takes more.  Raises StreamError when it is gone."""
        await self._exchange.send(Data(self._exchange.stream_id, data))

    async def send_eof(self) -> None:
        """Send nothing more; the peer still may.  TLS says that only when both have ended."""
        await self._exchange.send(EndOfMessage(self._exchange.stream_id))


async def switch(exchange: Exchange, protocol: str, headers: Headers) -> Tunnel:
    """Switch the connection of a request, all of which was read, to ``protocol``.

    Raises LocalProtocolError when the request does not ask for that.
    """
    before = exchange.received_end, exchange.is_read
    # Before it is sent: the first bytes, and the end, may come at once.
    exchange.received_end = exchange.is_read = False
    try:
        await exchange.send(Accept(exchange.stream_id, headers, protocol))
    except BaseException:
        exchange.received_end, exchange.is_read = before
        raise
    exchange.switched = True
    return Tunnel(exchange)
