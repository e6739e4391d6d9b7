"""``aiohttp._websocket.writer``: frames to a transport of the caller's."""

from __future__ import annotations

import asyncio
import random as random_module
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from plait.client_exceptions import ClientConnectionResetError
from plait.websocket.base import DEFLATE_LEVEL
from plait_engine.websocket.deflate import Deflater
from plait_engine.websocket.frames import MAX_CONTROL_PAYLOAD, Opcode
from plait_engine.websocket.writer import MessageWriter

if TYPE_CHECKING:
    from plait.as_aiohttp.private.base_protocol import BaseProtocol

__all__ = ("WebSocketWriter",)

_HIGH_WATER: Final = 65536
_KEY_SIZE: Final = 4
_MEMORY_LEVEL: Final = 8


class WebSocketWriter:
    """Sends messages and control frames to ``transport``.

    Args:
        protocol: what knows whether the transport is full.
        use_mask: mask the frames, as a client must (RFC 6455 section 5.1).
        limit: bytes after which a sender waits for a transport that is full.
        random: where the masks come from.
        compress: the window, 9 to 15 bits, of permessage-deflate; 0: send messages as they are.
        notakeover: begin each message with an empty window.
    """

    def __init__(
        self,
        protocol: BaseProtocol,
        transport: asyncio.Transport,
        *,
        use_mask: bool = False,
        limit: int = _HIGH_WATER,
        random: random_module.Random | None = None,
        compress: int = 0,
        notakeover: bool = False,
    ) -> None:
        self.protocol = protocol
        self.transport = transport
        self.use_mask = use_mask
        self.compress = compress
        self.notakeover = notakeover
        self._limit = limit
        self._written = 0
        self._closing = False
        source = random or random_module.SystemRandom()
        self._random = _key_maker(source) if use_mask else None
        self._plain = self._make_writer(None)
        self._deflating = self._make_writer(self._make_deflater(compress)) if compress else None

    def _make_deflater(self, window_bits: int) -> Deflater:
        return Deflater(window_bits, not self.notakeover, DEFLATE_LEVEL, _MEMORY_LEVEL)

    def _make_writer(self, deflater: Deflater | None) -> MessageWriter:
        return MessageWriter(random=self._random, deflater=deflater, max_pending_pongs=1)

    async def send_frame(self, message: bytes, opcode: int, compress: int | None = None) -> None:
        """Send a frame with ``message`` as its payload.

        ``compress``: the window for this message alone.  Raises ClientConnectionResetError
        behind a Close frame, and for a transport that closes.
        """
        if (self._closing and opcode != Opcode.CLOSE) or self.transport.is_closing():
            raise ClientConnectionResetError("Cannot write to closing transport")
        writer = self._plain
        if opcode > Opcode.BINARY:
            writer.control(opcode, message)
        else:
            if compress:
                writer = self._make_writer(self._make_deflater(compress))
            elif self._deflating is not None:
                writer = self._deflating
            writer.message(opcode, bytes(message), True, None)
        while data := writer.data_to_send():
            self.transport.write(data)
            self._written += len(data)
        if self._written > self._limit:
            self._written = 0
            await self.protocol._drain_helper()

    async def close(self, code: int = 1000, message: bytes | str = b"") -> None:
        """Send a Close frame; ``message`` is the reason, 123 bytes at most."""
        reason = message.encode() if isinstance(message, str) else message
        try:
            payload = code.to_bytes(2) + reason
            await self.send_frame(payload[:MAX_CONTROL_PAYLOAD], Opcode.CLOSE)
        finally:
            self._closing = True


def _key_maker(source: random_module.Random) -> Callable[[int], bytes]:
    """Return what makes masking keys, each of one number of ``source``."""

    def make(size: int) -> bytes:
        return b"".join(
            source.getrandbits(8 * _KEY_SIZE).to_bytes(_KEY_SIZE) for _ in range(size // _KEY_SIZE)
        )

    return make
