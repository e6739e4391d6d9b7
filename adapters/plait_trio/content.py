"""The content of a message that comes in, as an async iterator: as it came, or decoded.

Iterators, and no generators: trio warns of those that are left before their end.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

import trio

from plait_engine import Data, EndOfMessage
from plait_engine.content.body import EncodedBody
from plait_engine.content.codings import Decoder

if TYPE_CHECKING:
    from .driver import Exchange

PIECE: Final = 65536
"""Bytes that are decoded at once, at most."""


class Content:
    """The bytes of a body or tunnel; trailers are in those of the exchange at the end.

    A piece is acknowledged when the next is asked for.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._credit = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        exchange = self._exchange
        credit, self._credit = self._credit, 0
        exchange.acknowledge(credit)
        while not exchange.is_read:
            event = await exchange.next_event()
            if isinstance(event, Data):
                self._credit = event.credit
                return event.data
            if isinstance(event, EndOfMessage):
                exchange.trailers = event.trailers
                exchange.is_read = True
        raise StopAsyncIteration


class DecodedContent:
    """The bytes of a body without their coding.

    No more is decoded than somebody reads, however much a few bytes decode to.  Raises
    CodingError when they are not in that coding.
    """

    def __init__(self, encoded: AsyncIterator[bytes], decoder: Decoder) -> None:
        self._encoded = encoded
        self._body = EncodedBody(decoder, PIECE)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        body = self._body
        while not body.complete:
            await trio.lowlevel.checkpoint()  # A few bytes may decode for long.
            step = body.step()
            if step is not None and step[0]:
                return step[0]
            if step is None and not body.complete:
                await self._receive()
        raise StopAsyncIteration

    async def _receive(self) -> None:
        try:
            # The next piece acknowledges the one before, which is decoded by now.
            self._body.receive_data(await anext(self._encoded), 0)
        except StopAsyncIteration:
            self._body.receive_end()
