"""A trio client: ``await fetch(url)``, ``open_connection(url)``, ``open_websocket(url)``.

A ``ClientConnection`` carries one request at a time on HTTP/1.1 and as many as the server
allows on HTTP/2.  There is no pool here: a trio program that needs one can drive the
machine of ``plait_engine.policy.pool``.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final

import trio
import yarl

from plait_engine import (
    Config,
    ConnectionState,
    Data,
    EndOfMessage,
    Headers,
    InformationalResponse,
    Request,
    Response,
    Role,
    StreamReset,
)
from plait_engine.engines import EngineName
from plait_engine.headers import get
from plait_engine.policy.call import Call, Step
from plait_engine.policy.redirect import Origin
from plait_engine.policy.retry import Failure, RetryPolicy
from plait_engine.policy.versions import Versions

from .driver import Driver, Exchange, StreamError, open_nursery
from .transport import TrioStream
from .websocket import WebSocket, connect_websocket

SCHEMES = ("http", "https", "ws", "wss")


class TLSError(Exception):
    """The handshake of TLS with a server failed: its certificate is not trusted, for example.

    ``__cause__`` is the ``ssl.SSLError``.
    """

    def __init__(self, host: str, cause: BaseException | None) -> None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = f"its certificate is not trusted: {cause.verify_message}"
        else:
            reason = str(cause or "the connection was closed")
        super().__init__(f"no TLS with {host}: {reason}")


class RedirectError(Exception):
    """A redirect cannot be followed: it leads nowhere, or there are too many."""


@dataclass(slots=True)
class FetchResponse:
    """A whole response.  ``http_version`` is ``"1.0"``, ``"1.1"`` or ``"2"``.

    ``url`` is where it came from, after redirects.
    """

    status: int
    headers: Headers
    body: bytes
    trailers: Headers
    http_version: str
    url: str = ""


class ClientResponse:
    """A response whose body is still to be read."""

    def __init__(self, exchange: Exchange, head: Response) -> None:
        self.head = head
        self._exchange = exchange

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes.  Raises StreamError when the server broke it off."""
        async for chunk in self._exchange.receive():
            yield chunk

    async def read(self) -> bytes:
        """Return the whole body."""
        return b"".join([chunk async for chunk in self.stream()])

    @property
    def trailers(self) -> Headers:
        """The trailer fields, once the body was read to its end."""
        return self._exchange.trailers


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
    ) -> AsyncIterator[ClientResponse]:
        """Send a request; the body of the response is read inside the ``async with``.

        Raises StreamError when the connection breaks, LocalProtocolError when the request
        is not allowed now (on HTTP/1.1: while another is open).
        """
        driver = self._driver
        exchange = driver.open_exchange()
        stream_id = exchange.stream_id
        head = Request(stream_id, method, self._url.scheme, _authority(self._url), target, headers)
        try:
            async with open_nursery() as nursery:
                if not isinstance(body, bytes):
                    await exchange.send(head)
                    nursery.start_soon(_send_body, exchange, body)
                elif body:
                    await exchange.send(head, Data(stream_id, body), EndOfMessage(stream_id))
                else:
                    await exchange.send(head, EndOfMessage(stream_id))
                event = await exchange.next_event()
                while isinstance(event, InformationalResponse):
                    event = await exchange.next_event()
                assert isinstance(event, Response), event
                yield ClientResponse(exchange, event)
                nursery.cancel_scope.cancel()
        finally:
            driver.finish(exchange)

    async def open_websocket(self, target: str, subprotocols: Sequence[str] = ()) -> WebSocket:
        """Open a WebSocket on a stream of this connection (RFC 6455, RFC 8441).

        Raises RemoteProtocolError when the server does not accept it.
        """
        await self._driver.ready.wait()
        url = self._url
        return await connect_websocket(
            self._driver, url.scheme, _authority(url), target, subprotocols
        )


async def _send_body(exchange: Exchange, body: AsyncIterator[bytes]) -> None:
    with suppress(StreamError):  # Whoever reads the response hears of it.
        await exchange.send_body(body)
        await exchange.send(EndOfMessage(exchange.stream_id))


def _parse(url: str) -> yarl.URL:
    parsed = yarl.URL(url)
    if parsed.scheme not in SCHEMES or not parsed.host:
        raise ValueError(
            f"{url!r} is not the URL of a server with one of the schemes {', '.join(SCHEMES)}"
        )
    return parsed


def _authority(url: yarl.URL) -> str:
    return url.host_port_subcomponent or ""


@asynccontextmanager
async def open_connection(
    url: str,
    *,
    ssl_context: ssl.SSLContext | None = None,
    http2: bool | None = None,
    config: Config | None = None,
    engine: EngineName = "native",
) -> AsyncIterator[ClientConnection]:
    """Connect to the origin of ``url`` and close when the ``async with`` ends.

    ``http2``: ``None`` lets ALPN choose on TLS and speaks HTTP/1.1 on cleartext; ``True``
    means prior knowledge on cleartext and only h2 on TLS; ``False`` means HTTP/1.1.

    Raises ValueError when ``url`` names no origin that speaks HTTP, OSError when it cannot be
    reached, TLSError when the handshake of TLS fails.
    """
    parsed = _parse(url)
    secure = parsed.scheme in ("https", "wss")
    config = replace(config or Config(), scheme="https" if secure else "http")
    host = parsed.host or ""
    async with AsyncExitStack() as stack:
        transport = await trio.open_tcp_stream(host, parsed.port or 80)
        stack.push_async_callback(trio.aclose_forcefully, transport)
        stream: TrioStream = transport
        versions: Versions[None] = Versions(http2)
        negotiated = None
        if secure:
            context = ssl_context or ssl.create_default_context()
            offers = versions.offers()
            context.set_alpn_protocols(list(offers))
            stream = trio.SSLStream(transport, context, server_hostname=host, https_compatible=True)
            try:
                await stream.do_handshake()
            except trio.BrokenResourceError as error:
                raise TLSError(f"{host}:{parsed.port}", error.__cause__) from error.__cause__
            negotiated = stream.selected_alpn_protocol()
            if (negotiated or "http/1.1") not in offers:
                raise TLSError(
                    f"{host}:{parsed.port}", ssl.SSLError(f"the server does not speak {offers[0]}")
                )
        protocol = versions.spoken(negotiated, secure=secure)
        driver = Driver(stream, Role.CLIENT, config, protocol=protocol, engine=engine)
        nursery = await stack.enter_async_context(open_nursery())
        nursery.start_soon(driver.run)
        try:
            yield ClientConnection(driver, parsed)
        finally:
            driver.close()
            with trio.move_on_after(config.timeouts.close, shield=True):
                await driver.closed.wait()
            nursery.cancel_scope.cancel()


async def fetch(
    url: str,
    *,
    method: str = "GET",
    headers: Headers = (),
    body: bytes | AsyncIterator[bytes] = b"",
    max_redirects: int | None = 10,
    ssl_context: ssl.SSLContext | None = None,
    http2: bool | None = None,
    engine: EngineName = "native",
) -> FetchResponse:
    """Fetch ``url`` and return the whole response, each request on a connection of its own.

    Redirects are followed, and requests that the server refused are sent again (see
    ``plait_engine.policy.call``).  ``max_redirects``: how many are one too many, 0 for no
    limit; ``None``: a response that redirects is returned.

    Raises what ``open_connection`` raises, StreamError when the connection breaks, and
    RedirectError when a redirect cannot be followed.
    """
    call = Call(
        method, _parse(url), headers, _URLS, retry=RetryPolicy(), max_redirects=max_redirects
    )
    replayable = isinstance(body, bytes)
    step = call.start()
    while step is Step.SEND:
        await trio.sleep(call.delay)
        content = body if call.keeps_content else b""
        try:
            response = await _fetch_once(call, content, ssl_context, http2, engine)
        except StreamError as error:
            step = call.on_failure(_failure(call.method, error, replayable))
            if step is not Step.SEND:
                raise
        else:
            location = get(response.headers, "location")
            step = call.on_response(response.status, location, replayable=replayable)
    if call.problem is not None:
        raise RedirectError(call.problem.value)
    return response


async def _fetch_once(
    call: Call[yarl.URL],
    body: bytes | AsyncIterator[bytes],
    ssl_context: ssl.SSLContext | None,
    http2: bool | None,
    engine: EngineName,
) -> FetchResponse:
    """Send the request that ``call`` wants sent."""
    url = str(call.url)
    target = str(call.url.relative().with_fragment(None)) or "/"
    async with (
        open_connection(url, ssl_context=ssl_context, http2=http2, engine=engine) as connection,
        connection.request(call.method, target, headers=list(call.headers), body=body) as response,
    ):
        content = await response.read()
        head = response.head
        return FetchResponse(
            head.status, head.headers, content, response.trailers, head.http_version, url
        )


def _failure(method: str, error: StreamError, replayable: bool) -> Failure:
    return Failure(
        method=method,
        reused=False,
        response_started=False,
        unprocessed=isinstance(error.event, StreamReset) and error.event.retryable,
        connection=ConnectionState.OPEN,  # So that there are pauses between the attempts.
        replayable=replayable,
    )


class _Urls:
    """What the machine of a call asks of URLs."""

    def join(self, url: yarl.URL, location: str) -> yarl.URL:
        try:
            return _parse(str(url.join(yarl.URL(location))))
        except ValueError as error:
            raise RedirectError(f"a redirect to {location!r} leads nowhere: {error}") from error

    def origin(self, url: yarl.URL) -> Origin:
        return Origin(url.scheme, url.raw_host or "", url.port)

    def has_credentials(self, url: yarl.URL) -> bool:
        return url.raw_user is not None or url.raw_password is not None


_URLS: Final = _Urls()


@asynccontextmanager
async def open_websocket(
    url: str,
    *,
    subprotocols: Sequence[str] = (),
    ssl_context: ssl.SSLContext | None = None,
    http2: bool | None = False,
    engine: EngineName = "native",
) -> AsyncIterator[WebSocket]:
    """Connect a WebSocket to ``url`` (ws, wss, http or https).

    ``http2``: as for ``open_connection``; over HTTP/2 the server must announce RFC 8441.
    """
    parsed = _parse(url)
    origin = parsed.with_scheme({"ws": "http", "wss": "https"}.get(parsed.scheme, parsed.scheme))
    target = str(parsed.relative().with_fragment(None)) or "/"
    async with open_connection(
        str(origin), ssl_context=ssl_context, http2=http2, engine=engine
    ) as connection:
        websocket = await connection.open_websocket(target, subprotocols)
        async with websocket:
            yield websocket
