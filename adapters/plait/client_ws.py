"""The client's WebSocket, and what ``ClientSession.ws_connect`` does with a response.

``handshake_headers`` and ``open_websocket`` stand before and behind the request; the engine
makes and checks the handshake (``plait_engine.websocket``), over HTTP/1.1 and over HTTP/2
(RFC 8441) alike.  Everything after it is in ``websocket_base``.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from .client_exceptions import ServerTimeoutError
from .http_websocket import WS_CLOSED_MESSAGE, WSCloseCode, WSMessage
from .websocket_base import DecodeText, WebSocketBase
from .websocket_exchange import WebSocketExchange

if TYPE_CHECKING:
    from .client_reqrep import ClientResponse

__all__ = ("ClientWSTimeout", "ClientWebSocketResponse")


@dataclass(frozen=True, slots=True)
class ClientWSTimeout:
    """Seconds that ``receive()`` waits, and ``close()`` for the server; ``None``: for ever."""

    ws_receive: float | None = None
    ws_close: float | None = None


DEFAULT_WS_CLIENT_TIMEOUT: Final = ClientWSTimeout(ws_receive=None, ws_close=10.0)


class ClientWebSocketResponse(WebSocketBase[DecodeText]):
    """A WebSocket to a server; ``ClientSession.ws_connect`` makes it.

    Args:
        reader, writer: the stream, twice.
        protocol: the subprotocol that was agreed on.
        response: the answer to the handshake.
        timeout: how long ``receive()`` and ``close()`` wait.
        autoclose: answer the server's Close frame.
        autoping: do not report pings and pongs.
        heartbeat: seconds of silence after which the server is pinged.
        compress: bits of our window, 0 without compression.
        client_notakeover: whether each message is compressed by itself.
    """

    def __init__(
        self,
        reader: WebSocketExchange,
        writer: WebSocketExchange,
        protocol: str | None,
        response: ClientResponse,
        timeout: ClientWSTimeout,
        autoclose: bool,
        autoping: bool,
        loop: asyncio.AbstractEventLoop,
        *,
        heartbeat: float | None = None,
        compress: int = 0,
        client_notakeover: bool = False,
    ) -> None:
        self._response = response
        self._protocol = protocol
        self._timeout = timeout
        self._receive_timeout = timeout.ws_receive
        self._autoclose = autoclose
        self._autoping = autoping
        self._compress = compress
        self._client_notakeover = client_notakeover
        self._open_stream(reader)

    @property
    def protocol(self) -> str | None:
        """The subprotocol that was agreed on."""
        return self._protocol

    @property
    def compress(self) -> int:
        """Bits of our compression window; 0 without compression."""
        return self._compress

    @property
    def client_notakeover(self) -> bool:
        """Whether each of our messages is compressed by itself."""
        return self._client_notakeover

    async def close(self, *, code: int = WSCloseCode.OK, message: bytes | str = b"") -> bool:
        """Close, and wait for the server's Close frame, as long as ``timeout.ws_close``.

        ``message`` is the reason, at most 123 octets.  Returns false when it was closed
        before.  Raises LocalProtocolError for a code or reason that cannot be sent.
        """
        return await self._close(code, message, drain=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.close()

    async def _receive_after_end(self) -> WSMessage:
        if not self._closed:
            await self.close()
        return WS_CLOSED_MESSAGE

    def _lost_error(self, error: Exception) -> None:
        return None

    def _timeout_error(self, error: Exception) -> Exception:
        return ServerTimeoutError(str(error))
