"""The server's WebSocket: a response that becomes a conversation.

``prepare`` answers the handshake, which the engine checks (``plait_engine.websocket``), over
HTTP/1.1 and over HTTP/2 (RFC 8441) alike.  Everything after it is in ``websocket.base``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, overload

from multidict import CIMultiDict

from plait_engine import Accept, Role
from plait_engine.websocket import (
    Deflate,
    HandshakeRefused,
    Negotiated,
    accept_request,
)

from . import hdrs
from .abc import AbstractStreamWriter
from .client_exceptions import ClientConnectionResetError
from .helpers import rfc822_formatted_time
from .http import SERVER_SOFTWARE
from .http_websocket import (
    WS_CLOSED_MESSAGE,
    WS_CLOSING_MESSAGE,
    WSCloseCode,
    WSMessage,
    WSMsgType,
)
from .log import ws_logger
from .web_exceptions import (
    HTTPBadRequest,
    HTTPException,
    HTTPForbidden,
    HTTPMethodNotAllowed,
    HTTPUpgradeRequired,
)
from .web_request import BaseRequest
from .web_response import StreamResponse
from .websocket.base import DEFLATE_LEVEL, DecodeText, WebSocketBase
from .websocket.exchange import Options, open_websocket

__all__ = ("WSMsgType", "WebSocketReady", "WebSocketResponse")

MAX_RECEIVES_AFTER_CLOSE: Final = 5
"""The call of ``receive()`` on a closed WebSocket that raises, against endless loops."""

_SHOWN: Final = 200
"""Characters of what a client offers, in a log."""


class HandshakeUpgradeRequired(HTTPUpgradeRequired, HTTPBadRequest):
    """Another version of WebSocket is asked for: 426 (RFC 6455 section 4.4).

    aiohttp says 400 there, and programs catch that.
    """


@dataclass(frozen=True, slots=True)
class WebSocketReady:
    """Whether a request can become a WebSocket, and with which subprotocol."""

    ok: bool
    protocol: str | None

    def __bool__(self) -> bool:
        return self.ok


class WebSocketResponse(WebSocketBase[DecodeText], StreamResponse):
    """A WebSocket.  Return it from the handler; it is closed then, if it was not before.

    Args:
        timeout: seconds that ``close()`` waits for the client's Close frame.
        receive_timeout: seconds that ``receive()`` waits; ``None``: for ever.
        autoclose: answer the client's Close frame.
        autoping: answer pings, and do not report pings and pongs.
        heartbeat: seconds of silence after which the client is pinged; half as long it
            may take to answer.  ``None``: no heartbeat.
        protocols: the subprotocols that the handler speaks.
        compress: accept permessage-deflate.
        max_msg_size: bytes of a message, inflated; 0: no limit.
        writer_limit: for compatibility; ``send_*`` waits when the transport is full.
        decode_text: off gives TEXT as ``bytes``.
    """

    _conn_lost = 0
    _interrupted_code = WSCloseCode.OK

    @overload
    def __init__(
        self: WebSocketResponse[Literal[True]],
        *,
        timeout: float = ...,
        receive_timeout: float | None = ...,
        autoclose: bool = ...,
        autoping: bool = ...,
        heartbeat: float | None = ...,
        protocols: Iterable[str] = ...,
        compress: bool = ...,
        max_msg_size: int = ...,
        writer_limit: int = ...,
        decode_text: Literal[True] = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: WebSocketResponse[Literal[False]],
        *,
        timeout: float = ...,
        receive_timeout: float | None = ...,
        autoclose: bool = ...,
        autoping: bool = ...,
        heartbeat: float | None = ...,
        protocols: Iterable[str] = ...,
        compress: bool = ...,
        max_msg_size: int = ...,
        writer_limit: int = ...,
        decode_text: Literal[False],
    ) -> None: ...
    def __init__(
        self,
        *,
        timeout: float = 10.0,
        receive_timeout: float | None = None,
        autoclose: bool = True,
        autoping: bool = True,
        heartbeat: float | None = None,
        protocols: Iterable[str] = (),
        compress: bool = True,
        max_msg_size: int = 4 * 1024 * 1024,
        writer_limit: int = 256 * 1024,
        decode_text: bool = True,
    ) -> None:
        StreamResponse.__init__(self, status=101)
        self._receive_timeout = receive_timeout
        self._autoping = autoping
        self._protocols = tuple(protocols)
        self._compress: int | bool = compress
        self._options = Options(
            heartbeat=heartbeat,
            close_timeout=timeout,
            autoping=autoping,
            autoclose=autoclose,
            decode_text=decode_text,
            max_msg_size=max_msg_size,
        )
        self._ws_protocol: str | None = None

    # -- the handshake -------------------------------------------------------------------

    def can_prepare(self, request: BaseRequest) -> WebSocketReady:
        """Tell whether ``request`` is a handshake that ``prepare`` would accept."""
        if self._stream is not None:
            raise RuntimeError("Already started")
        try:
            _, negotiated = self._handshake(request)
        except HTTPException:
            return WebSocketReady(False, None)
        return WebSocketReady(True, negotiated.subprotocol)

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter:
        """Accept the handshake of ``request``, and return what writes to its stream; the methods
        of this class write frames.  Later calls return that only.

        Raises HTTPBadRequest, HTTPUpgradeRequired or HTTPMethodNotAllowed when it is none,
        ClientConnectionResetError when the client is gone.
        """
        if self._stream is not None:
            return request.writer
        accept, negotiated = self._handshake(request)
        self._warn_without_subprotocol(request, negotiated)
        headers = self.headers
        headers.update(accept.headers)
        for cookie in self._cookie_fields():
            headers.add(hdrs.SET_COOKIE, cookie)
        headers.setdefault(hdrs.DATE, rfc822_formatted_time())
        headers.setdefault(hdrs.SERVER, SERVER_SOFTWARE)
        self._req = request
        await request._prepare_hook(self)
        exchange = request._exchange
        driver = exchange.driver
        if driver.transport is None:
            raise ClientConnectionResetError("Cannot write to closing transport")
        stream = open_websocket(driver, exchange.stream_id, Role.SERVER, negotiated, self._options)
        stream.on_lost = exchange.client_left
        exchange.hand_over(stream)
        exchange.send(Accept(exchange.stream_id, tuple(headers.items())))
        self._status = 101  # Whatever it was set to before.
        self._ws_protocol = negotiated.subprotocol
        deflate = negotiated.deflate
        self._compress = 0 if deflate is None else deflate.server_max_window_bits
        self._open_stream(stream)
        return request.writer

    def _handshake(self, request: BaseRequest) -> tuple[Accept, Negotiated]:
        """Check the handshake.  Raises an HTTPException with what to answer."""
        try:
            return accept_request(
                request._event,
                subprotocols=self._protocols,
                deflate=Deflate(level=DEFLATE_LEVEL) if self._compress else None,
            )
        except HandshakeRefused as refused:
            raise _refusal(refused, request) from None

    def _warn_without_subprotocol(self, request: BaseRequest, negotiated: Negotiated) -> None:
        offered = request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL)
        if offered is not None and negotiated.subprotocol is None:
            ws_logger.warning(
                "%s: Client protocols %r don’t overlap server-known ones %r",  # noqa: RUF001  # aiohttp's
                request.remote,
                offered[:_SHOWN],
                self._protocols,
            )

    # -- state ---------------------------------------------------------------------------

    @property
    def prepared(self) -> bool:
        """True once the handshake is done."""
        return self._stream is not None

    @property
    def ws_protocol(self) -> str | None:
        """The subprotocol that was agreed on."""
        return self._ws_protocol

    @property
    def compress(self) -> int | bool:
        """Before ``prepare`` whether compression is accepted; then the bits of our window,
        0 without compression."""
        return self._compress

    # -- the end ---------------------------------------------------------------------------

    async def close(
        self, *, code: int = WSCloseCode.OK, message: bytes | str = b"", drain: bool = True
    ) -> bool:
        """Close, and wait for the client's Close frame, at most ``timeout`` seconds.

        ``message`` is the reason, at most 123 bytes.  Returns false when it was closed
        before.  Raises LocalProtocolError for a code or reason that cannot be sent.
        """
        return await self._close(code, message, drain)

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Raises RuntimeError: a WebSocket has no body."""
        raise RuntimeError("a WebSocket has no body to write to: use send_str() or send_bytes()")

    async def write_eof(self, data: bytes = b"") -> None:
        """Close, if it was not done before."""
        if self._eof_sent:
            return
        if self._stream is None:
            raise RuntimeError("the response is not prepared: await prepare(request) first")
        if not await self.close() and self._close_done is not None:
            # Another task closes: the handler's end must not cut its handshake short.
            await self._close_done.wait()
        self._eof_sent = True

    async def _receive_after_end(self) -> WSMessage:
        if not self.closed:
            return WS_CLOSING_MESSAGE
        self._conn_lost += 1
        if self._conn_lost >= MAX_RECEIVES_AFTER_CLOSE:
            raise RuntimeError("the WebSocket is closed, and was read again and again")
        return WS_CLOSED_MESSAGE

    def _lost_error(self, error: Exception) -> Exception:
        lost = ClientConnectionResetError("the client is gone")
        lost.__cause__ = error
        return lost

    def _timeout_error(self, error: Exception) -> Exception:
        return TimeoutError(str(error))


def _refusal(refused: HandshakeRefused, request: BaseRequest) -> HTTPException:
    """Return the answer to a request that is no handshake."""
    text = refused.message
    if refused.status_hint == 405:
        return HTTPMethodNotAllowed(request.method, ["GET"], text=text)
    kinds: dict[int, type[Any]] = {403: HTTPForbidden, 426: HandshakeUpgradeRequired}
    kind = kinds.get(refused.status_hint, HTTPBadRequest)
    made: HTTPException = kind(text=text, headers=CIMultiDict(refused.headers))
    return made
