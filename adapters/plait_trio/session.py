"""A trio session: ``async with Session() as session: response = await session.get(url)``.

A session keeps connections and cookies, follows redirects, and sends a request again when it
is safe.  It decides nothing itself; each decision is a machine of ``plait_engine.policy``:

==================  ===================================================================
which connection    ``pool``, carried out by ``places``
which version       ``versions``: ALPN, prior knowledge, HTTP_1_1_REQUIRED
what to send next   ``call``: redirects (``redirect``), retries (``retry``), credentials
retries with pauses ``backoff``
cookies             ``cookie_store``
challenges          ``digest``
proxies             ``plait_engine.proxy``, carried out by ``dialing``
==================  ===================================================================

Times are trio's way: there is no timeout to set, but ``with trio.fail_after(10):`` around a
request holds for all of it, the wait for a connection and the body included.  A request that is
cancelled gives its place back.
"""

from __future__ import annotations

import os
import random
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Final, Self, Unpack

import trio
import yarl

from plait_engine import (
    Config,
    ConnectionClosed,
    Headers,
    LocalProtocolError,
    StreamReset,
    __version__,
)
from plait_engine.content.codings import DECODERS
from plait_engine.engines import EngineName
from plait_engine.headers import get, get_all
from plait_engine.policy.auth import encode_basic_credentials
from plait_engine.policy.backoff import Backoff, RetryBudget
from plait_engine.policy.call import Call, Step
from plait_engine.policy.cookie_store import CookieStore
from plait_engine.policy.cookies import parse_set_cookie
from plait_engine.policy.digest import DigestAuth
from plait_engine.policy.pool import Pool
from plait_engine.policy.retry import Attempt, RetryPolicy
from plait_engine.policy.stats import PoolStats
from plait_engine.policy.versions import Versions
from plait_engine.proxy.forward import without_authorization
from plait_engine.semantics.fields import offered_upgrades

from .call import URLS, HandshakeOptions, Outgoing, ProxyChoice, RedirectError, RequestOptions
from .client import (
    CLIENT_CONFIG,
    ClientResponse,
    InformationalCallback,
    parse_url,
    send_request,
    server_of,
    target_of,
)
from .dialing import ConnectError, Dialer, Proxy, Server, read_proxy
from .driver import StreamError, open_nursery
from .environment import ask_environment
from .places import Place, Places, Ticket
from .websocket import Handshake, WebSocket

DEFAULT_HEADERS: Final = (
    ("Accept", "*/*"),
    ("Accept-Encoding", ", ".join(name for name in DECODERS if not name.startswith("x-"))),
    ("User-Agent", f"plait_trio/{__version__}"),
)
"""The fields of a request, unless it or its session has others of these names."""


class Session:
    """Requests over connections that are kept; see the module.

    Args:
        headers: sent with each request that has no such fields of its own, instead of those in
            ``DEFAULT_HEADERS`` (Accept, Accept-Encoding, User-Agent).
        cookies: where the cookies are; a store of the session's own by default.
        digest: a login and a password for servers that ask for digest authentication (RFC
            7616), at the origin of the first request and at what that says it protects.
        max_redirects: how many are one too many, 0 for no limit; ``None``: a response that
            redirects is returned.
        retry: which requests are sent again at once, since that does certainly no harm;
            ``RetryPolicy(stale=0, unprocessed=0)``: none.
        backoff: which requests are sent again after a pause, since they got no response, or one
            that says "not now"; ``Backoff()``: up to three times; ``None``: none.  A pause that
            the deadline of the scopes around it leaves no time for is not begun, and a budget
            bounds how many requests of a session are retries.
        limit: connections at once, 0 for no limit.
        limit_per_host: the same for one server.
        keep_alive: seconds for which an idle connection is kept; ``None``: for ever.
        max_age: seconds after which a connection takes no more requests, or a little earlier;
            ``None``: never.
        proxy: the URL of a proxy for all requests (http, https, socks4, socks4a, socks5,
            socks5h), perhaps with a login.
        trust_env: without ``proxy``, take what the environment names for each URL (``http_proxy``,
            ``https_proxy``, ``all_proxy``, ``no_proxy``); without other credentials, ``digest``
            included, those of a netrc file: the one that ``NETRC`` names, or that in the home
            directory.
        ssl_context: the system's trusted certificates by default.
        http2: ``None`` lets ALPN choose on TLS and speaks HTTP/1.1 on cleartext; ``True``
            means prior knowledge on cleartext and only h2 on TLS; ``False`` means HTTP/1.1.
        config: the limits and times of the engine; ``client.CLIENT_CONFIG`` by default.
        engine: ``"native"`` or ``"reference"``.
    """

    def __init__(
        self,
        *,
        headers: Headers = (),
        cookies: CookieStore | None = None,
        digest: tuple[str, str] | None = None,
        max_redirects: int | None = 10,
        retry: RetryPolicy | None = None,
        backoff: Backoff | None = None,
        limit: int = 100,
        limit_per_host: int = 0,
        keep_alive: float | None = 15.0,
        max_age: float | None = None,
        proxy: str | None = None,
        trust_env: bool = False,
        ssl_context: ssl.SSLContext | None = None,
        http2: bool | None = None,
        config: Config | None = None,
        engine: EngineName = "native",
    ) -> None:
        self.headers = headers
        self.cookies = CookieStore() if cookies is None else cookies
        self._digest = None if digest is None else DigestAuth(*digest, os.urandom)
        self.max_redirects = max_redirects
        self.retry = retry or RetryPolicy()
        self.backoff = backoff
        self._budget = RetryBudget()
        self.pool: Pool[Server, Ticket] = Pool(
            limit=limit,
            limit_per_host=limit_per_host,
            keep_alive=keep_alive,
            max_age=max_age,
            random=random.random,
        )
        """The pool's machine.  Its getters tell how many connections there are."""
        self._proxy = None if proxy is None else read_proxy(proxy)
        self._trust_env = trust_env
        self._versions: Versions[Server] = Versions(http2)
        self._config = config or CLIENT_CONFIG
        self._dialer = Dialer(self._versions, ssl_context, self._config, engine)
        self._stack = AsyncExitStack()
        self._places: Places | None = None

    async def __aenter__(self) -> Self:
        if self._places is not None:
            raise RuntimeError("a session is used once")
        nursery = await self._stack.enter_async_context(open_nursery())
        self._places = Places(self.pool, self._dialer.connect, nursery)
        nursery.start_soon(self._places.run)
        self._stack.callback(nursery.cancel_scope.cancel)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        assert self._places is not None
        await self._places.close(self._config.timeouts.close)
        return await self._stack.__aexit__(exc_type, exc, traceback)

    def stats(self) -> PoolStats:
        """Return how many connections and requests there are now, in all and of each host.

        ``session.stats().hosts["https://example.org:443"].open``, for instance.  Connections that
        are being closed do not count.
        """
        return PoolStats.of((server.origin, stats) for server, stats in self.pool.stats())

    # -- requests -------------------------------------------------------------------

    async def request(
        self, method: str, url: str, **options: Unpack[RequestOptions]
    ) -> ClientResponse:
        """Send a request and return the whole response; the arguments are those of ``stream``."""
        async with self.stream(method, url, **options) as response:
            await response.read()
        return response

    async def get(self, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        """GET ``url``; see ``request``."""
        return await self.request("GET", url, **options)

    async def head(self, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        """HEAD ``url``; see ``request``."""
        return await self.request("HEAD", url, **options)

    async def post(self, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        """POST to ``url``; see ``request``."""
        return await self.request("POST", url, **options)

    async def put(self, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        """PUT to ``url``; see ``request``."""
        return await self.request("PUT", url, **options)

    async def patch(self, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        """PATCH ``url``; see ``request``."""
        return await self.request("PATCH", url, **options)

    async def delete(self, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        """DELETE ``url``; see ``request``."""
        return await self.request("DELETE", url, **options)

    async def options(self, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        """OPTIONS for ``url``; see ``request``."""
        return await self.request("OPTIONS", url, **options)

    @asynccontextmanager
    async def stream(
        self, method: str, url: str, **options: Unpack[RequestOptions]
    ) -> AsyncIterator[ClientResponse]:
        """Send a request; the body of the response is read inside the ``async with``.

        What is not read of it is given up.  ``headers``: pairs of a name and a value.  ``body``:
        bytes, or an iterator, which is sent as it comes, and once: a request that has to be sent
        again fails.  ``auth``: a login and a password for the origin of ``url`` (RFC 7617).

        ``proxy``: the URL of a proxy for this request and what
        it is redirected to, instead of the session's and the environment's; ``""``: none.
        ``proxy_auth``: a login and a password for the proxy, whoever named it; ``proxy_headers``:
        fields for an HTTP proxy, all of them with CONNECT, and those named ``Proxy-...`` with a
        request that it forwards.  ``on_informational``: see ``ClientConnection.request``.

        Raises ValueError when ``url`` names no origin that speaks HTTP, ``proxy`` or the
        environment no proxy, for CONNECT, and for ``auth`` beside an Authorization field;
        ConnectError (an OSError) when the server cannot be reached, TLSError when the handshake of
        TLS fails, ProxyError when a proxy cannot be reached or gives no tunnel, RemoteProtocolError when the server switches protocols,
        RedirectError when a redirect cannot be followed, StreamError when the server broke
        off, PoolClosedError when the session is closed meanwhile, and LocalProtocolError for
        a request that cannot be sent.
        """
        async with self._carry_out(self._begin(method, url, **options)) as response:
            yield response

    @asynccontextmanager
    async def open_websocket(
        self, url: str, subprotocols: Sequence[str] = (), **options: Unpack[HandshakeOptions]
    ) -> AsyncIterator[WebSocket]:
        """Open a WebSocket to ``url`` (ws, wss, http or https); it ends with the ``async with``.

        That is a stream of an HTTP/2 connection that is open already and whose server accepts it
        (RFC 8441), or an HTTP/1.1 connection of its own; with ``http2=True`` always the former.
        The handshake is a request like others: with the fields, cookies, credentials and proxies
        of the session and of ``options``, and it is redirected.

        Raises what ``stream`` raises, and RemoteProtocolError when the server does not accept it.
        """
        outgoing = self._begin("GET", url, **options)
        outgoing.handshake = handshake = Handshake(subprotocols)
        async with self._carry_out(outgoing) as response:
            if response.websocket is None:
                handshake.check(response.head)
            assert response.websocket is not None
            async with response.websocket as websocket:
                yield websocket

    def _begin(
        self,
        method: str,
        url: str,
        *,
        headers: Headers = (),
        body: bytes | AsyncIterator[bytes] = b"",
        auth: tuple[str, str] | None = None,
        proxy: str | None = None,
        proxy_auth: tuple[str, str] | None = None,
        proxy_headers: Headers = (),
        on_informational: InformationalCallback | None = None,
    ) -> Outgoing:
        call = self._make_call(method, url, headers, auth)
        choice = ProxyChoice(proxy, proxy_auth, proxy_headers, self._proxy)
        return Outgoing(call, call.url, body, choice, on_informational)

    @asynccontextmanager
    async def _carry_out(self, outgoing: Outgoing) -> AsyncIterator[ClientResponse]:
        """Send the requests of a call, and give its response."""
        call = outgoing.call
        history: list[ClientResponse] = []
        step = call.start()
        async with AsyncExitStack() as kept:
            while step is Step.SEND:
                await trio.sleep(call.delay)
                if self.backoff is not None:
                    outgoing.begin_attempt(self.backoff, self._budget)
                async with AsyncExitStack() as hop:
                    try:
                        response, step = await self._send(outgoing, hop)
                    except (ConnectError, StreamError) as error:
                        if not outgoing.repeats_after_failure(error):
                            raise
                        response = None
                    if response is not None and step is Step.DONE:
                        kept.push_async_exit(hop.pop_all())
                    elif response is not None:
                        history.append(response)
                        outgoing.redirected()
            if call.problem is not None:
                raise RedirectError(call.problem.value)
            assert response is not None
            response.history = history
            yield response

    def _make_call(
        self, method: str, url: str, headers: Headers, auth: tuple[str, str] | None
    ) -> Call[yarl.URL]:
        fields = list(headers)
        for more in (self.headers, DEFAULT_HEADERS):
            own = {name.lower() for name, _ in fields}
            fields += [pair for pair in more if pair[0].lower() not in own]
        if auth is not None:
            if get(headers, "authorization") is not None:
                raise ValueError("auth and an Authorization field exclude each other")
            fields = [pair for pair in fields if pair[0].lower() != "authorization"]
            fields.append(("authorization", encode_basic_credentials(*auth)))
        return Call(
            method,
            parse_url(url),
            fields,
            URLS,
            retry=self.retry,
            max_redirects=self.max_redirects,
        )

    # -- one hop ----------------------------------------------------------------------

    async def _send(
        self, outgoing: Outgoing, hop: AsyncExitStack
    ) -> tuple[ClientResponse | None, Step]:
        """Send the next request of a call; its response lives as long as ``hop``."""
        if self._places is None:
            raise RuntimeError("use the session with async with")
        call = outgoing.call
        url = call.url
        if self._trust_env:
            outgoing.environment = await ask_environment(url, outgoing.first_url)
        proxy = outgoing.proxy.of_hop(outgoing.environment.proxy)
        server = self._choose_server(outgoing, proxy)
        may_share = self._versions.may_share(secure=server.secure, http1_only=server.http1_only)
        place = await hop.enter_async_context(
            self._places.place(server, may_share=may_share, again=call.is_sent_again)
        )
        if outgoing.handshake is not None and place.driver.engine.protocol == "h2":
            await place.driver.ready.wait()
            if not place.driver.extended_connect:
                if self._versions.http2 is True:
                    raise ConnectError(f"{server} accepts no WebSockets over HTTP/2 (RFC 8441)")
                outgoing.needs_http1 = True
                return None, Step.SEND
        try:
            exchange = place.begin()
        except LocalProtocolError as error:
            step = self._after_error(outgoing, place, server)
            if step is not Step.SEND:
                raise ConnectError(f"{server} closed the connection") from error
            return None, step
        fields = self._fields(outgoing)
        forwarding = place.driver.forwarding
        if proxy is not None and forwarding is None:
            fields = without_authorization(fields)
        try:
            response = await hop.enter_async_context(
                send_request(
                    exchange,
                    call.method,
                    url,
                    target_of(url),
                    fields,
                    outgoing.content,
                    outgoing.on_informational,
                    outgoing.handshake,
                )
            )
        except StreamError as error:
            step = self._after_error(outgoing, place, server, error.event)
            if step is not Step.SEND:
                raise
            return None, step
        if forwarding is not None and outgoing.answers_proxy(forwarding, response, fields):
            call.begin_anew()
            return None, Step.SEND
        self._keep_cookies(response, url)
        if self._is_to_be_answered(outgoing, response):
            call.begin_anew()
            return None, Step.SEND
        if outgoing.repeats_after_response(response):
            return None, Step.SEND
        location = get(response.headers, "location")
        replayable = outgoing.is_replayable
        return response, call.on_response(response.status, location, replayable=replayable)

    def _choose_server(self, outgoing: Outgoing, proxy: Proxy | None) -> Server:
        """Return who the next request is for, by which proxy and in which versions."""
        versions = self._versions
        opens_websocket = outgoing.handshake is not None
        server = server_of(outgoing.call.url, proxy, opaque=opens_websocket)
        may_choose = server.secure and versions.http2 is None
        if opens_websocket:
            # One that is open already tells whether its server accepts them (RFC 8441).
            may_share = not outgoing.needs_http1 and self.pool.has_place(server)
            needs_http1 = may_choose and not may_share
        else:
            # Later versions have no Upgrade (RFC 9113 section 8.6).
            needs_http1 = may_choose and bool(offered_upgrades(list(outgoing.call.headers)))
        if needs_http1 or versions.requires_http1(server):
            return server._replace(http1_only=True)
        return server

    def _after_error(
        self,
        outgoing: Outgoing,
        place: Place,
        server: Server,
        event: StreamReset | ConnectionClosed | None = None,
    ) -> Step:
        """Tell the call why its request failed; ``event``: how its stream ended, if it began."""
        exchange = place.exchange
        reset = event if isinstance(event, StreamReset) else None
        attempt = Attempt(
            method=outgoing.call.method,
            begun=exchange is not None,
            reused=place.reused,
            response_started=exchange is not None and exchange.started,
            unprocessed=reset is not None and reset.retryable,
            reset_code=None if reset is None else reset.code,
            goaway_code=place.driver.goaway_code,
            connection=place.driver.engine.state,
            replayable=outgoing.is_replayable,
        )
        if attempt.requires_http1:
            if self._versions.http2 is True:
                return Step.FAIL
            self._versions.require_http1(server)
        return outgoing.call.on_attempt(attempt)

    def _fields(self, outgoing: Outgoing) -> Headers:
        """Return the fields of the next request: those of the call, credentials, cookies."""
        call = outgoing.call
        url = call.url
        fields = list(call.headers)
        if URLS.has_credentials(url):
            value = encode_basic_credentials(url.user or "", url.password or "")
            fields = [pair for pair in fields if pair[0].lower() != "authorization"]
            fields.append(("authorization", value))
        digest = self._digest
        outgoing.answers = False
        outgoing.has_credentials = get(fields, "authorization") is not None
        login = outgoing.environment.login
        if outgoing.has_credentials:
            pass
        elif digest is None:
            if login is not None:
                fields.append(("authorization", encode_basic_credentials(*login)))
        elif digest.on_request(_bare(url)):
            content = outgoing.content if isinstance(outgoing.content, bytes) else b""
            answer = digest.authorize(call.method, target_of(url), content)
            if answer is not None:
                outgoing.answers = True
                fields.append(("authorization", answer))
        found = self.cookies.select(
            host=url.raw_host or "",
            path=url.raw_path,
            secure=server_of(url).secure,
            now=time.time(),
        )
        if found:
            # One field (RFC 6265bis section 5.8.4), with what the caller set before.
            values = [value for name, value in fields if name.lower() == "cookie"]
            values += [f"{cookie.name}={cookie.value}" for cookie in found]
            fields = [pair for pair in fields if pair[0].lower() != "cookie"]
            fields.append(("cookie", "; ".join(values)))
        return fields

    def _is_to_be_answered(self, outgoing: Outgoing, response: ClientResponse) -> bool:
        """Tell whether a response is a challenge that the request is to be sent again for."""
        digest = self._digest
        if (
            digest is None
            or response.status != 401
            or outgoing.has_credentials
            or outgoing.was_challenged
            or not outgoing.is_replayable
        ):
            return False
        outgoing.was_challenged = True
        challenges = get_all(response.headers, "www-authenticate")
        url = _bare(outgoing.call.url)
        return digest.on_challenge(challenges, url, answered=outgoing.answers)

    def _keep_cookies(self, response: ClientResponse, url: yarl.URL) -> None:
        for value in get_all(response.headers, "set-cookie"):
            cookie = parse_set_cookie(value)
            if cookie is not None:
                self.cookies.set(
                    cookie,
                    host=url.raw_host or "",
                    path=url.raw_path,
                    secure=server_of(url).secure,
                    now=time.time(),
                )


def _bare(url: yarl.URL) -> str:
    """Return the URL without credentials."""
    return str(url.with_user(None))


async def fetch(
    url: str,
    *,
    method: str = "GET",
    headers: Headers = (),
    body: bytes | AsyncIterator[bytes] = b"",
    max_redirects: int | None = 10,
    proxy: str | None = None,
    ssl_context: ssl.SSLContext | None = None,
    http2: bool | None = None,
    engine: EngineName = "native",
) -> ClientResponse:
    """Fetch ``url`` with a session of its own and return the whole response.

    The arguments are those of ``Session`` and ``Session.stream``, which say what is raised.
    """
    async with Session(
        max_redirects=max_redirects,
        proxy=proxy,
        ssl_context=ssl_context,
        http2=http2,
        engine=engine,
    ) as session:
        return await session.request(method, url, headers=headers, body=body)
