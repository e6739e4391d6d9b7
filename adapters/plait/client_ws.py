"""The client's WebSocket, and what ``ClientSession.ws_connect`` does.

A handshake is a request like any other, with redirects, cookies and retries; only its head
is made by ``_Handshake``, once the connection is known, since it differs between HTTP/1.1
and HTTP/2 (RFC 8441).  The engine makes and checks it (``plait_engine.websocket``).
Everything after it is in ``websocket.base``.
"""

from __future__ import annotations

import asyncio
import math
import os
import ssl as ssl_module
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypedDict

from multidict import CIMultiDict

from plait_engine import EndOfMessage, RemoteProtocolError, Request, Role
from plait_engine.websocket import (
    Deflate,
    Negotiated,
    check_response,
    client_request,
)

from . import hdrs
from .calls.fields import field_pairs
from .calls.verification import Fingerprint, merge_ssl_params
from .client_exceptions import ServerTimeoutError, WSServerHandshakeError
from .helpers import _SENTINEL, BasicAuth, sentinel
from .http_websocket import WS_CLOSED_MESSAGE, WSCloseCode, WSMessage
from .typedefs import LooseHeaders, Query, StrOrURL
from .websocket.base import DEFLATE_LEVEL, DecodeText, WebSocketBase
from .websocket.exchange import Options, WebSocketExchange, open_websocket

if TYPE_CHECKING:
    from .client import ClientSession
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

    _conn: None = None
    """In aiohttp a connection with a queue of messages, which ccxt empties; here is no queue."""

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

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the transport knows under ``name``; ``default`` after the end."""
        return default if self.closed else super().get_extra_info(name, default)

    async def close(self, *, code: int = WSCloseCode.OK, message: bytes | str = b"") -> bool:
        """Close, and wait for the server's Close frame, as long as ``timeout.ws_close``.

        ``message`` is the reason, at most 123 bytes.  Returns false when it was closed
        before.  Raises LocalProtocolError for a code or reason that cannot be sent.
        """
        if self.closed and self._waiting:
            # The receive that the first close has interrupted: it is certain by now.
            self._interrupted = WS_CLOSED_MESSAGE
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
        if not self.closed:
            await self.close()
        return WS_CLOSED_MESSAGE

    def _lost_error(self, error: Exception) -> None:
        return None

    def _timeout_error(self, error: Exception) -> Exception:
        return ServerTimeoutError(str(error))


# -- the handshake ------------------------------------------------------------------

_OWN_FIELDS: Final = frozenset(
    {
        "connection",
        "upgrade",
        "sec-websocket-extensions",
        "sec-websocket-key",
        "sec-websocket-version",
    }
)
"""Fields that belong to the handshake: the caller's are left out."""


class _Handshake:
    """What is asked of the server; ``make_head`` and ``check`` go together."""

    def __init__(self, method: str, protocols: Iterable[str], deflate: Deflate | None) -> None:
        self._method = method
        self._protocols = tuple(protocols)
        self._deflate = deflate
        self._head: Request | None = None

    def make_head(self, plain: Request, http2: bool) -> Request:
        """Make the request of a plain one that has the target and the caller's fields."""
        fields = [field for field in plain.headers if field[0].lower() not in _OWN_FIELDS]
        head = client_request(
            plain.stream_id,
            scheme=plain.scheme,
            authority=plain.authority,
            target=plain.target,
            random=os.urandom,
            http2=http2,
            subprotocols=self._protocols,
            deflate=self._deflate,
            headers=fields,
        )
        self._head = head if http2 else replace(head, method=self._method)
        return self._head

    def check(self, response: ClientResponse) -> Negotiated:
        """Return what was agreed.  Raises WSServerHandshakeError."""
        exchange = response._exchange
        accepted = None if exchange is None else exchange.accepted
        if accepted is None or self._head is None:
            raise _handshake_error(response, "Invalid response status")
        try:
            return check_response(self._head, accepted, deflate=self._deflate)
        except RemoteProtocolError as error:
            raise _handshake_error(response, error.message) from error


def _handshake_error(response: ClientResponse, message: str) -> WSServerHandshakeError:
    return WSServerHandshakeError(
        response.request_info,
        response.history,
        message=message,
        status=response.status,
        headers=response.headers,
    )


class WSOptions(TypedDict, total=False):
    """The keywords of ``ws_connect`` but for ``decode_text``, which decides its type."""

    method: str
    protocols: Iterable[str]
    timeout: ClientWSTimeout | _SENTINEL | float | None
    receive_timeout: float | None
    autoclose: bool
    autoping: bool
    heartbeat: float | None
    auth: BasicAuth | None
    origin: str | None
    params: Query
    headers: LooseHeaders | None
    proxy: StrOrURL | None
    proxy_auth: BasicAuth | None
    ssl: ssl_module.SSLContext | bool | Fingerprint | None
    verify_ssl: bool | None
    fingerprint: bytes | None
    ssl_context: ssl_module.SSLContext | None
    server_hostname: str | None
    proxy_headers: LooseHeaders | None
    compress: int
    max_msg_size: int


async def ws_connect(
    session: ClientSession,
    url: StrOrURL,
    *,
    method: str = hdrs.METH_GET,
    protocols: Iterable[str] = (),
    timeout: ClientWSTimeout | _SENTINEL | float | None = sentinel,
    receive_timeout: float | None = None,
    autoclose: bool = True,
    autoping: bool = True,
    heartbeat: float | None = None,
    auth: BasicAuth | None = None,
    origin: str | None = None,
    params: Query = None,
    headers: LooseHeaders | None = None,
    proxy: StrOrURL | None = None,
    proxy_auth: BasicAuth | None = None,
    ssl: ssl_module.SSLContext | bool | Fingerprint | None = True,
    verify_ssl: bool | None = None,
    fingerprint: bytes | None = None,
    ssl_context: ssl_module.SSLContext | None = None,
    server_hostname: str | None = None,
    proxy_headers: LooseHeaders | None = None,
    compress: int = 0,
    max_msg_size: int = 4 * 1024 * 1024,
    decode_text: bool = True,
) -> ClientWebSocketResponse[bool]:
    """Open a WebSocket; ``ClientSession.ws_connect`` is the way to it.

    Args:
        method: of the request; over HTTP/2 it is always CONNECT.
        protocols: the subprotocols to offer, the best first.
        timeout: how long ``receive()`` and ``close()`` wait; a number (deprecated) is for
            ``close()``.
        receive_timeout: deprecated: use ``timeout``.
        autoclose: answer the server's Close frame.
        autoping: answer pings, and do not report pings and pongs.
        heartbeat: seconds of silence after which the server is pinged; half as long it
            may take to answer.  ``None``: no heartbeat.
        origin: the value of Origin.
        compress: offer permessage-deflate, with that many bits (9 to 15) for the server's
            window; 0: do not.
        max_msg_size: bytes of a message, inflated; 0: no limit.
        decode_text: off gives TEXT as ``bytes``.

    The others are those of ``ClientSession.request``.  Raises WSServerHandshakeError when
    the server does not accept, and what ``request`` raises.
    """
    if compress and not 9 <= compress <= 15:
        raise ValueError(f"compress must be 0, or 9 to 15, not {compress}")
    if ssl is None:
        warnings.warn("ssl=None is deprecated, please use ssl=True", DeprecationWarning, 3)
        ssl = True
    deflate = Deflate(server_max_window_bits=compress, level=DEFLATE_LEVEL) if compress else None
    handshake = _Handshake(method, protocols, deflate)
    fields: CIMultiDict[str] = CIMultiDict(field_pairs(headers))
    if origin is not None:
        fields[hdrs.ORIGIN] = origin
    response = await session._request(
        method,
        url,
        params=params,
        headers=fields,
        auth=auth,
        proxy=proxy,
        proxy_auth=proxy_auth,
        ssl=merge_ssl_params(ssl, verify_ssl, ssl_context, fingerprint),
        server_hostname=server_hostname,
        proxy_headers=proxy_headers,
        make_head=handshake.make_head,
    )
    try:
        negotiated = handshake.check(response)
        ws_timeout = _as_ws_timeout(timeout, receive_timeout)
        exchange = response._exchange
        assert exchange is not None
        driver = exchange.driver
        options = Options(
            heartbeat=heartbeat,
            close_timeout=math.inf if ws_timeout.ws_close is None else ws_timeout.ws_close,
            autoping=autoping,
            autoclose=autoclose,
            decode_text=decode_text,
            max_msg_size=max_msg_size,
        )
        stream = open_websocket(driver, exchange.stream_id, Role.CLIENT, negotiated, options)
        stream.on_finished = exchange.abandon
        for piece in exchange.hand_over(stream):
            stream.receive(piece, 0)
        if isinstance(exchange.exception, Exception):
            stream.lose(exchange.exception)
        elif exchange.ended:
            stream.on_end(EndOfMessage(exchange.stream_id))
    except BaseException:
        response.close()
        raise
    return session._ws_response_class(
        stream,
        stream,
        negotiated.subprotocol,
        response,
        ws_timeout,
        autoclose,
        autoping,
        driver.loop,
        heartbeat=heartbeat,
        compress=0 if negotiated.deflate is None else negotiated.deflate.client_max_window_bits,
        client_notakeover=(
            negotiated.deflate is not None and negotiated.deflate.client_no_context_takeover
        ),
    )


def _as_ws_timeout(
    timeout: ClientWSTimeout | _SENTINEL | float | None, receive_timeout: float | None
) -> ClientWSTimeout:
    """Return the timeouts that the arguments mean, the deprecated ones too."""
    if timeout is sentinel:
        result = DEFAULT_WS_CLIENT_TIMEOUT
    elif isinstance(timeout, ClientWSTimeout):
        result = timeout
    else:
        warnings.warn(
            "parameter 'timeout' of type 'float' is deprecated, please use"
            " 'timeout=ClientWSTimeout(ws_close=...)'",
            DeprecationWarning,
            stacklevel=3,
        )
        result = ClientWSTimeout(ws_close=timeout)
    if receive_timeout is not None:
        warnings.warn(
            "float parameter 'receive_timeout' is deprecated, please use parameter"
            " 'timeout=ClientWSTimeout(ws_receive=...)'",
            DeprecationWarning,
            stacklevel=3,
        )
        result = replace(result, ws_receive=receive_timeout)
    return result
