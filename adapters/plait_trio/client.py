"""A connection of a trio client: ``open_connection(url)``, ``open_websocket(url)``.

A ``ClientConnection`` carries one request at a time on HTTP/1.1 and as many as the server
allows on HTTP/2.  Who wants redirects, cookies, retries and a pool of connections takes a
``session.Session``, which stands on the same functions.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, TypeAlias

import trio
import yarl

from plait_engine import (
    Accept,
    Config,
    ConnectionState,
    Data,
    EndOfMessage,
    Headers,
    InformationalResponse,
    Request,
    Response,
)
from plait_engine.content.codings import find_decoder
from plait_engine.engines import EngineName
from plait_engine.headers import get_all
from plait_engine.policy.client_config import CLIENT_LIMITS, PING_INTERVAL, client_timeouts
from plait_engine.policy.hosts import is_host, is_legacy_ipv4, unquote_zone, without_zone
from plait_engine.policy.secrecy import without_credentials
from plait_engine.policy.versions import Versions
from plait_engine.semantics.content import CONTINUE, SWITCHING_PROTOCOLS

from .content import DecodedContent
from .dialing import Dialer, Proxy, Server, read_proxy
from .driver import Driver, Exchange, StreamError, open_nursery
from .tunnel import Tunnel
from .websocket import Handshake, WebSocket, connect_websocket

SCHEMES = ("http", "https", "ws", "wss")

CLIENT_CONFIG: Final = Config(limits=CLIENT_LIMITS, timeouts=client_timeouts(PING_INTERVAL))
"""What a connection is configured with by default: it has no deadlines for requests, which are
the caller's, and asks a silent HTTP/2 server whether it lives."""


InformationalCallback: TypeAlias = Callable[[int, Headers], object]
"""Is told the status and the fields of an informational response, but of 100 Continue."""


class ClientResponse:
    """A response.

    ``url`` is where it came from, ``history`` what redirected there, the first first; of those
    the head is left.  ``body`` is there once it was read.

    ``tunnel`` is there when the server switched to another protocol (101), to which the request
    offered that by its fields Connection and Upgrade (RFC 9110 section 7.8); then there is no body.
    ``websocket`` is there when the request was the handshake of one, and was accepted.
    """

    def __init__(self, exchange: Exchange, head: Response, url: str = "") -> None:
        self.head = head
        self.url = url
        self.history: Sequence[ClientResponse] = ()
        self._exchange = exchange
        self._content: AsyncIterator[bytes] | None = None
        self._pieces: list[bytes] = []
        """What ``read`` has so far: it may be cancelled, and called again."""
        self._body: bytes | None = None
        self.tunnel: Tunnel | None = None
        self.websocket: WebSocket | None = None
        if head.status == SWITCHING_PROTOCOLS:
            self._body = b""
            self.tunnel = Tunnel(exchange)

    @property
    def status(self) -> int:
        """The status code."""
        return self.head.status

    @property
    def headers(self) -> Headers:
        """The fields: pairs of a name and a value."""
        return self.head.headers

    @property
    def http_version(self) -> str:
        """``"1.0"``, ``"1.1"`` or ``"2"``."""
        return self.head.http_version

    @property
    def body(self) -> bytes:
        """The whole body.  Raises RuntimeError before ``read``."""
        if self._body is None:
            raise RuntimeError("the body was not read yet: await response.read()")
        return self._body

    @property
    def trailers(self) -> Headers:
        """The trailer fields, once the body was read to its end."""
        return self._exchange.trailers

    def stream(self, *, decode: bool = True) -> AsyncIterator[bytes]:
        """Return the body as it comes, for ``async for``.

        ``decode``: without its Content-Encoding, if that is gzip or deflate (RFC 9110 section
        8.4.1); the first call decides.  No more is decoded than is read.  ``async for`` raises StreamError when the server
        broke the body off, ClosedResourceError behind the ``async with`` of the response, and
        ``plait_engine.content.codings.CodingError`` when the body is not in its coding.
        """
        if self._content is None:
            encoded = self._exchange.receive()
            codings = get_all(self.headers, "content-encoding") if decode else ()
            decoder = find_decoder(", ".join(codings))
            self._content = encoded if decoder is None else DecodedContent(encoded, decoder)
        return self._content

    async def read(self) -> bytes:
        """Return the whole body, or what ``stream`` left of it, decoded.

        Raises what ``stream`` raises.
        """
        if self._body is None:
            async for piece in self.stream():
                self._pieces.append(piece)
            self._body = b"".join(self._pieces)
            self._pieces.clear()
        return self._body


class ClientConnection:
    """A connection to one origin; made by ``open_connection``."""

    def __init__(self, driver: Driver, url: yarl.URL) -> None:
        self._driver = driver
        self._url = url

    @property
    def protocol(self) -> str:
        """``"http/1.1"`` or ``"h2"``."""
        return self._driver.engine.protocol

    @property
    def usable(self) -> bool:
        """True while another request may be sent."""
        return self._driver.engine.state is ConnectionState.OPEN

    @asynccontextmanager
    async def request(
        self,
        method: str,
        target: str,
        *,
        headers: Headers = (),
        body: bytes | AsyncIterator[bytes] = b"",
        on_informational: InformationalCallback | None = None,
    ) -> AsyncIterator[ClientResponse]:
        """Send a request; the body of the response is read inside the ``async with``.

        ``on_informational`` is called for each informational response, with its status and its
        fields: 103 Early Hints (RFC 8297), for instance.

        Raises StreamError when the connection breaks, LocalProtocolError when the request
        is not allowed now (on HTTP/1.1: while another is open), RemoteProtocolError when the
        server switches protocols, ValueError for CONNECT.
        """
        exchange = self._driver.open_exchange()
        url = self._url
        async with send_request(
            exchange, method, url, target, headers, body, on_informational
        ) as response:
            yield response

    async def open_websocket(
        self, target: str, subprotocols: Sequence[str] = (), headers: Headers = ()
    ) -> WebSocket:
        """Open a WebSocket on a stream of this connection (RFC 6455, RFC 8441).

        Raises RemoteProtocolError when the server does not accept it.
        """
        await self._driver.ready.wait()
        url = self._url
        return await connect_websocket(
            self._driver, _carrier(url), _authority(url), target, subprotocols, headers
        )


@asynccontextmanager
async def send_request(
    exchange: Exchange,
    method: str,
    url: yarl.URL,
    target: str,
    headers: Headers,
    body: bytes | AsyncIterator[bytes],
    on_informational: InformationalCallback | None = None,
    handshake: Handshake | None = None,
) -> AsyncIterator[ClientResponse]:
    """Send a request to the origin of ``url``, and end ``exchange`` with the ``async with``.

    ``handshake``: the request is that of a WebSocket, and has no body.

    Raises what ``ClientConnection.request`` raises.
    """
    stream_id = exchange.stream_id
    head = Request(stream_id, method, _carrier(url), _authority(url), target, headers)
    forwarding = exchange.driver.forwarding
    if forwarding is not None:
        head = forwarding.address(head, _authority(url))
    try:
        if method == "CONNECT":
            raise ValueError("CONNECT asks for a tunnel, which has no response to read")
        async with open_nursery() as nursery:
            if handshake is not None:
                await exchange.send(handshake.begin(head, exchange.driver))
            elif not isinstance(body, bytes):
                await exchange.send(head)
                nursery.start_soon(_send_body, exchange, body)
            elif body:
                await exchange.send(head, Data(stream_id, body), EndOfMessage(stream_id))
            else:
                await exchange.send(head, EndOfMessage(stream_id))
            event = await exchange.next_event()
            while isinstance(event, InformationalResponse):
                if on_informational is not None and event.status != CONTINUE:
                    on_informational(event.status, event.headers)
                event = await exchange.next_event()
            websocket = None
            if isinstance(event, Accept):
                if handshake is not None:
                    websocket = handshake.open(exchange, event)
                event = Response(stream_id, SWITCHING_PROTOCOLS, event.headers)
            assert isinstance(event, Response), event
            response = ClientResponse(exchange, event, f"{url.origin()}{target}")
            response.websocket = websocket
            yield response
            nursery.cancel_scope.cancel()
    finally:
        exchange.driver.finish(exchange)


async def _send_body(exchange: Exchange, body: AsyncIterator[bytes]) -> None:
    with suppress(StreamError):  # Whoever reads the response hears of it.
        await exchange.send_body(body)
        await exchange.send(EndOfMessage(exchange.stream_id))


def parse_url(url: str) -> yarl.URL:
    """Return the URL of a server.  Raises ValueError, before any name is looked up."""
    parsed = yarl.URL(url)
    host = parsed.raw_host
    if parsed.scheme not in SCHEMES or not host:
        raise ValueError(
            f"{without_credentials(url)!r} is not the URL of a server"
            f" with one of the schemes {', '.join(SCHEMES)}"
        )
    if is_legacy_ipv4(host) or not is_host(host.removesuffix(".")):
        raise ValueError(
            f"the host of {without_credentials(url)!r} is neither a name nor an address"
        )
    if ":" in (parsed.user or ""):
        raise ValueError("a login must not have a colon (RFC 7617 section 2)")
    return parsed


def server_of(url: yarl.URL, proxy: Proxy | None = None, *, opaque: bool = False) -> Server:
    """Return who answers for ``url``, and by which proxy.

    ``opaque``: a proxy could not forward what is said (RFC 6455 section 4.1: a WebSocket asks it
    for a tunnel, even in cleartext).
    """
    host = unquote_zone((url.raw_host or "").removesuffix("."))
    port = url.explicit_port
    secure = url.scheme in ("https", "wss")
    port = (443 if secure else 80) if port is None else port
    opaque = opaque and proxy is not None and not secure  # A secure one has a tunnel anyway.
    return Server(host, port, secure, proxy=proxy, opaque=opaque)


def target_of(url: yarl.URL) -> str:
    """Return what a request says of ``url`` (RFC 9112 section 3.2.1)."""
    return url.raw_path_qs or "/"


def _carrier(url: yarl.URL) -> str:
    """Return the scheme in a request: a WebSocket has that of what carries it."""
    return "https" if url.scheme in ("https", "wss") else "http"


def _authority(url: yarl.URL) -> str:
    return without_zone(url.host_port_subcomponent or "")


@asynccontextmanager
async def open_connection(
    url: str,
    *,
    proxy: str | None = None,
    ssl_context: ssl.SSLContext | None = None,
    http2: bool | None = None,
    config: Config | None = None,
    engine: EngineName = "native",
) -> AsyncIterator[ClientConnection]:
    """Connect to the origin of ``url`` and close when the ``async with`` ends.

    ``proxy``: the URL of a proxy (http, https, socks4, socks4a, socks5, socks5h), perhaps with a
    login.  ``http2``: ``None`` lets ALPN choose on TLS and speaks HTTP/1.1 on cleartext; ``True``
    means prior knowledge on cleartext and only h2 on TLS; ``False`` means HTTP/1.1.
    ``config``: ``CLIENT_CONFIG`` by default.

    Raises ValueError when ``url`` names no origin that speaks HTTP, or ``proxy`` no proxy;
    ConnectError (an OSError) when it cannot be reached, TLSError when the handshake of TLS fails,
    ProxyError when the proxy cannot be reached or gives no tunnel.
    """
    parsed = parse_url(url)
    server = server_of(parsed, None if proxy is None else read_proxy(proxy))
    dialer = Dialer(Versions(http2), ssl_context, config or CLIENT_CONFIG, engine)
    async with _connected(dialer, server, parsed) as connection:
        yield connection


@asynccontextmanager
async def _connected(
    dialer: Dialer, server: Server, url: yarl.URL
) -> AsyncIterator[ClientConnection]:
    driver = await dialer.connect(server)
    async with open_nursery() as nursery:
        nursery.start_soon(driver.run)
        try:
            yield ClientConnection(driver, url)
        finally:
            driver.close()
            with trio.move_on_after(driver.config.timeouts.close, shield=True):
                await driver.closed.wait()
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_websocket(
    url: str,
    *,
    subprotocols: Sequence[str] = (),
    headers: Headers = (),
    proxy: str | None = None,
    ssl_context: ssl.SSLContext | None = None,
    http2: bool | None = False,
    engine: EngineName = "native",
) -> AsyncIterator[WebSocket]:
    """Connect a WebSocket to ``url`` (ws, wss, http or https).

    ``headers``: further fields of the handshake.  ``proxy`` and ``http2``: as for
    ``open_connection``; over HTTP/2 the server must announce RFC 8441.  Raises what ``open_connection`` and ``ClientConnection.open_websocket`` raise.
    """
    parsed = parse_url(url)
    server = server_of(parsed, None if proxy is None else read_proxy(proxy), opaque=True)
    dialer = Dialer(Versions(http2), ssl_context, CLIENT_CONFIG, engine)
    async with _connected(dialer, server, parsed) as connection:
        websocket = await connection.open_websocket(target_of(parsed), subprotocols, headers)
        async with websocket:
            yield websocket
