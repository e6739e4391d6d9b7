"""A trio server: ``await serve(handler, port=8080)``.

A handler is ``async def handler(request: ServerRequest) -> ServerResponse``.  It may
instead take a WebSocket with ``await request.accept_websocket()`` and return ``None``.
Each request runs in a task of its own; an exception becomes a 500.  On TLS the protocol is
chosen by ALPN; on cleartext HTTP/1.1 and HTTP/2 with prior knowledge share the port.
"""

from __future__ import annotations

import ssl
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import trio

from plait_engine import (
    Config,
    Data,
    EndOfMessage,
    Headers,
    InformationalResponse,
    Request,
    Response,
    Role,
)
from plait_engine.engines import ALPN_PROTOCOLS, EngineName
from plait_engine.websocket import HandshakeRefused

from .driver import Driver, Exchange, StreamError
from .transport import TrioStream
from .tunnel import Tunnel, switch
from .websocket import WebSocket, accept_websocket


@dataclass(slots=True)
class ServerResponse:
    """What a handler answers.  ``body`` is bytes, or an async iterable of bytes to stream."""

    status: int = 200
    headers: Headers = ()
    body: bytes | AsyncIterator[bytes] = b""
    trailers: Headers = ()


class ServerRequest:
    """A request: its head is ``head`` (a ``plait_engine.Request``), its body is read here."""

    def __init__(self, exchange: Exchange, head: Request) -> None:
        self.head = head
        self._exchange = exchange
        self._continued = not head.expect_continue
        self._responding = False
        self._pieces: list[bytes] = []
        """What ``read`` has so far: it may be cancelled, and called again."""
        self._websocket: WebSocket | None = None
        self._switched = False

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes; sends 100 Continue first if the client waits for it."""
        if self.head.protocol is not None or self.head.method == "CONNECT":
            return  # A request for a tunnel has no content.
        if not self._continued and not self._responding:
            self._continued = True
            await self._exchange.send(InformationalResponse(self._exchange.stream_id, 100))
        async for chunk in self._exchange.receive():
            yield chunk

    async def read(self) -> bytes:
        """Return the whole body.  Raises StreamError when the client broke it off."""
        async for piece in self.stream():
            self._pieces.append(piece)
        return b"".join(self._pieces)

    async def accept_websocket(self, subprotocols: Sequence[str] = ()) -> WebSocket:
        """Accept the WebSocket handshake (RFC 6455, RFC 8441) and return the connection.

        Raises plait_engine.websocket.HandshakeRefused when the request is no valid
        handshake; an unhandled one becomes the answer that it names.
        """
        self._websocket = await accept_websocket(self._exchange, self.head, subprotocols)
        return self._websocket

    async def respond(self, response: ServerResponse) -> None:
        """Send the response (the server's call, with what the handler returned)."""
        stream_id = self._exchange.stream_id
        if self.head.method == "CONNECT" and 200 <= response.status < 300:
            # 2xx would open the tunnel, and the handler did not take it (RFC 8441 section 4).
            response = ServerResponse(501)
        self._responding = True  # Who waited for 100 Continue has a better answer now.
        head = Response(stream_id, response.status, response.headers)
        end = EndOfMessage(stream_id, response.trailers)
        if isinstance(response.body, bytes):
            await self._exchange.send(head, Data(stream_id, response.body), end)
            return
        await self._exchange.send(head)
        await self._exchange.send_body(response.body)
        await self._exchange.send(end)

    async def switch_protocols(self, protocol: str, headers: Headers = ()) -> Tunnel:
        """Answer 101: the connection carries ``protocol`` from now on (RFC 9110 section 7.8).

        What is left of the body is read before, and dropped.  Raises LocalProtocolError when the
        request does not offer to switch to that protocol, as over HTTP/2.
        """
        await self.read()
        tunnel = await switch(self._exchange, protocol, headers)
        self._switched = True
        return tunnel

    @property
    def responded(self) -> bool:
        """True when a WebSocket or a switch of protocols was accepted: no response can follow."""
        return self._websocket is not None or self._switched


Handler: TypeAlias = Callable[[ServerRequest], Awaitable[ServerResponse | None]]


async def serve(
    handler: Handler,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    ssl_context: ssl.SSLContext | None = None,
    config: Config | None = None,
    engine: EngineName = "native",
    task_status: trio.TaskStatus[list[trio.SocketListener]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled.

    With ``nursery.start`` returns the listeners, from which the port can be read.
    ``ssl_context`` gets the ALPN protocols h2 and http/1.1.
    """
    config = config or Config()
    scheme = "http" if ssl_context is None else "https"
    config = replace(config, scheme=scheme, detect_http2=ssl_context is None)
    if ssl_context is not None:
        ssl_context.set_alpn_protocols(list(ALPN_PROTOCOLS))
    serve_one = partial(_serve_stream, handler, config, ssl_context, engine)
    await trio.serve_tcp(serve_one, port, host=host, task_status=task_status)


async def _serve_stream(
    handler: Handler,
    config: Config,
    ssl_context: ssl.SSLContext | None,
    engine: EngineName,
    transport: trio.SocketStream,
) -> None:
    stream: TrioStream = transport
    if ssl_context is not None:
        stream = trio.SSLStream(transport, ssl_context, server_side=True, https_compatible=True)
        try:
            with trio.fail_after(config.timeouts.head or 30.0):
                await stream.do_handshake()
        except (trio.BrokenResourceError, trio.TooSlowError):
            await trio.aclose_forcefully(transport)
            return
    on_request = partial(_handle, handler)
    await Driver(stream, Role.SERVER, config, on_request=on_request, engine=engine).run()


async def _handle(handler: Handler, exchange: Exchange, head: Request) -> None:
    """Run the handler for one request and send what it returns."""
    request = ServerRequest(exchange, head)
    try:
        response = await _answer(handler, request)
        if response is not None and not request.responded:
            await request.respond(response)
    except StreamError:
        pass  # The client is gone; nobody is left to tell.
    except Exception:
        traceback.print_exc(file=sys.stderr)  # In the body, so the stream is cut short.
    finally:
        exchange.driver.finish(exchange)


async def _answer(handler: Handler, request: ServerRequest) -> ServerResponse | None:
    """Return what the handler returned; its failures become responses."""
    try:
        response = await handler(request)
    except StreamError:
        raise
    except HandshakeRefused as refusal:
        return ServerResponse(refusal.status_hint, refusal.headers, refusal.message.encode())
    except Exception:
        traceback.print_exc(file=sys.stderr)
        response = None
    if response is None and not request.responded:
        return ServerResponse(500, [("Content-Type", "text/plain")], b"500 Internal Server Error")
    return response
