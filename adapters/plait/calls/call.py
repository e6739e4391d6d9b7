"""One call of ``ClientSession.request``: the machine of a call, carried out for a session.

What to do after a redirect and whether to try again is decided by the machine
(``plait_engine.policy.call``); here its steps meet the session's connector, cookie jar,
credentials, proxies and middlewares.  ``_send`` is one hop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from http.cookies import Morsel
from typing import TYPE_CHECKING, Any

from yarl import URL

from plait.client_exceptions import (
    ClientConnectionError,
    ClientPayloadError,
    ConnectionTimeoutError,
    NonHttpUrlClientError,
    ServerTimeoutError,
    TooManyRedirects,
)
from plait.client_middlewares import (
    ClientHandlerType,
    ClientMiddlewareType,
    build_client_middlewares,
)
from plait.cookiejar import CookieJar
from plait.hdrs import SET_COOKIE
from plait.helpers import BasicAuth
from plait.typedefs import LooseCookies
from plait_engine import Request as RequestEvent
from plait_engine.policy.call import FAIL, SEND, Call, Problem, Step
from plait_engine.policy.deadlines import Deadline
from plait_engine.policy.redirect import REDIRECTS
from plait_engine.policy.retry import Attempt
from plait_engine.proxy.login import PROXY_CHALLENGE

from .cookies import cookie_pairs, make_morsel
from .environment import NOTHING_SAID, ProxyChoice, ask_environment
from .errors import ConnectionClosedError
from .fields import FieldPairs, InformationalCallback
from .lease import Lease
from .request import ClientRequest
from .target import REQUOTED, VERBATIM, origin
from .timeouts import ClientClock, TotalWatch, error_of_deadline
from .traces import CallTrace
from .upload import Upload

if TYPE_CHECKING:
    from plait.client import ClientSession
    from plait.client_reqrep import ClientResponse
    from plait.connector import BaseConnector
    from plait.payload import Payload
    from plait.tracing import Trace


class ClientCall:
    """One call of ``ClientSession.request``, through its redirects and retries.

    ``url`` and ``headers`` are the first request's; ``options`` what ``ClientRequest`` takes
    for each.  ``max_redirects``: see ``Call``.  ``traced`` hears of each hop, ``upload`` of
    the content.
    """

    __slots__ = (
        "_environment",
        "_first_url",
        "auth",
        "clock",
        "cookies",
        "data",
        "history",
        "machine",
        "make_head",
        "middlewares",
        "on_informational",
        "options",
        "payload",
        "proxy",
        "read_until_eof",
        "session",
        "traced",
        "traces",
        "upload",
    )

    def __init__(
        self,
        session: ClientSession,
        clock: ClientClock,
        method: str,
        url: URL,
        headers: FieldPairs,
        data: Any,
        cookies: LooseCookies | None,
        auth: BasicAuth | None,
        max_redirects: int | None,
        options: dict[str, Any],
        make_head: Callable[[RequestEvent, bool], RequestEvent] | None,
        traced: CallTrace | None = None,
        middlewares: Sequence[ClientMiddlewareType] = (),
        upload: Upload | None = None,
        on_informational: InformationalCallback | None = None,
        read_until_eof: bool = True,
        proxy: ProxyChoice | None = None,
    ) -> None:
        self.session = session
        self.read_until_eof = read_until_eof
        self.upload = upload
        self.on_informational = on_informational
        self.proxy = proxy
        self._first_url = url
        self._environment = NOTHING_SAID
        self.middlewares = middlewares
        self.traced = traced
        self.traces: list[Trace] = [] if traced is None else traced.traces
        self.clock = clock
        self.machine: Call[URL] = Call(
            method.upper(),
            url,
            headers,
            REQUOTED if session._requote_redirect_url else VERBATIM,
            session._retry_policy,
            max_redirects,
        )
        self.data = data
        self.cookies = cookies
        if auth is None and session._default_auth is not None:
            auth = self._auth_of_session(url)
        self.auth = auth
        self.options = options
        self.make_head = make_head
        """Makes a request for a tunnel of a plain one; see ``ClientRequest.send_upgrade``."""
        self.history: list[ClientResponse] = []
        self.payload: Payload | None = None
        """The content, which is closed with the call."""

    async def run(self) -> ClientResponse:
        """Return the final response."""
        session_trusts_env = self.session._trust_env
        step = self.machine.start()
        request = None
        try:
            while step is SEND:
                if session_trusts_env:
                    await self._ask_environment()
                request = self._make_request()
                if self.middlewares:
                    send = build_client_middlewares(self._send_anew, self.middlewares)
                    response = await self._in_time(send, request)
                elif self.traces:
                    response = await self._in_time(self._send, request)
                else:
                    response = await self._send(request)
                step = self._after_response(request, response)
                if step is SEND and self.traced is not None:
                    await self.traced.redirect(request, response)
        except BaseException:
            self.machine.cancel()
            await self._close_content(None if request is None else request._body)
            raise
        assert request is not None
        try:
            if request._body is not None:
                await request.close_body()
            if self.payload is not None and self.payload is not request._body:
                await self.payload.close()  # A redirect dropped it, or a middleware replaced it.
        except BaseException:
            response.close()
            raise
        if self.history:
            response._history = tuple(self.history)
        return response

    async def _in_time(self, send: ClientHandlerType, request: ClientRequest) -> ClientResponse:
        """Send ``request``; what middlewares and traces wait for ends with ``total``, too.

        Who waits for a place or a response is told by the clock, and says more about it.
        """
        session = self.session
        watch = TotalWatch(self.clock, session._loop, session._now())
        try:
            response = await send(request)
        except BaseException as error:
            if watch.end() and isinstance(error, asyncio.CancelledError):
                raise error_of_deadline(self.clock, Deadline.TOTAL) from error
            raise
        watch.end()
        return response

    async def _ask_environment(self) -> None:
        """Ask the environment about the URL of the next hop."""
        machine = self.machine
        proxy, connector = self.proxy, self.session._connector
        self._environment = await ask_environment(
            machine.url,
            self._first_url,
            wants_proxy=(
                proxy is not None
                and proxy.proxy is None
                and connector is not None
                and connector._uses_proxies
            ),
            wants_auth=not (
                (self.auth is not None and machine.keeps_auth)
                or machine.url.raw_user
                or any(name.lower() == "authorization" for name, _ in machine.headers)
            ),
        )

    def _proxy_options(self, choice: ProxyChoice) -> dict[str, Any]:
        """Return what the next request is told about its proxy."""
        said = self._environment
        if choice.proxy is not None:
            return {
                "proxy": choice.proxy,
                "proxy_auth": choice.auth,
                "proxy_headers": choice.headers,
            }
        if said.proxy is None:
            return {}
        return {
            "proxy": said.proxy,
            "proxy_auth": said.proxy_auth or choice.auth,
            "proxy_headers": choice.headers,
        }

    async def _close_content(self, sent: Payload | None) -> None:
        """Close the content of the call, and ``sent``, which may be another one."""
        for payload in {self.payload, sent}:
            if payload is not None:
                await payload.close()

    def _auth_of_session(self, url: URL) -> BasicAuth | None:
        """Return the session's credentials, if they are for this origin."""
        session = self.session
        if not url.raw_user and (
            session._base_url is None or origin(session._base_url) == origin(url)
        ):
            return session._default_auth
        return None

    def _make_request(self) -> ClientRequest:
        """Return the request that the machine wants sent."""
        session = self.session
        machine = self.machine
        connector = session._connector
        if connector is None:
            raise ConnectionClosedError("Session is closed")
        url = machine.url
        if url.scheme not in connector.allowed_protocol_schema_set:
            raise NonHttpUrlClientError(url)
        if self.auth is not None and machine.keeps_auth and url.raw_user:
            raise ValueError("auth excludes a user name in the URL: give one of the two")
        cookies: Mapping[str, Any] | None = None
        if self.cookies and machine.keeps_cookies:
            cookies = self._own_cookies()
        jar = session._cookie_jar
        if type(jar) is not CookieJar or len(jar._store):  # Another one may count as it likes.
            found = jar.filter_cookies(url)
            if cookies:
                found.load(cookies)
            cookies = found
        options = self.options
        if self.proxy is not None:
            options = {**options, **self._proxy_options(self.proxy)}
        auth = (self.auth if machine.keeps_auth else None) or self._environment.auth
        request_class = session._request_class
        if request_class is ClientRequest and not options:
            request = ClientRequest(
                machine.method,
                url,
                machine.headers,
                self.data,
                cookies,
                auth,
                session._version,
                session._loop,
                session._response_class,
                session,
                self.clock,
                self.traces,
            )
        else:
            request = request_class(
                machine.method,
                url,
                headers=machine.headers,
                data=self.data,
                cookies=cookies,
                auth=auth,
                version=session._version,
                loop=session._loop,
                response_class=session._response_class,
                session=session,
                clock=self.clock,
                traces=self.traces,
                **options,
            )
        if not self.read_until_eof:
            request.read_until_eof = False
        if request._body is not None:
            self.data = self.payload = request._body  # The same for the next hop.
        return request

    def _own_cookies(self) -> dict[str, Any]:
        """Return the cookies of the call, without Morsels that are not for this URL."""
        cookies = self.cookies
        assert cookies is not None
        pairs = cookie_pairs(cookies)
        if not self.session._cookie_jar.quote_cookie:
            pairs = (
                (name, make_morsel(name, value, value) if isinstance(value, str) else value)
                for name, value in pairs
            )
        return {
            name: value
            for name, value in pairs
            if not isinstance(value, Morsel) or self._is_for_url(value)
        }

    def _is_for_url(self, morsel: Morsel[Any]) -> bool:
        """Tell whether the attributes of a cookie allow to send it to this URL."""
        jar = CookieJar(
            unsafe=True, treat_as_secure_origin=self.session._cookie_jar.treat_as_secure_origin
        )
        jar.update_cookies({morsel.key: morsel})
        return len(jar.filter_cookies(self.machine.url)) == 1

    async def _send_anew(self, request: ClientRequest) -> ClientResponse:
        """Send ``request`` for a middleware, which may do so several times."""
        if not _is_replayable(request):
            raise ClientPayloadError("The content cannot be sent twice; see update_body()")
        self.machine.begin_anew()
        return await self._send(request)

    async def _send(self, request: ClientRequest) -> ClientResponse:
        """Send ``request``, again if the machine says so; return the response with its head."""
        machine = self.machine
        is_challenged = False
        while True:
            connector = self.session._connector
            if connector is None:
                raise ConnectionClosedError("Session is closed")
            if self.upload is not None:
                request.upload_attempt = self.upload.begin()
            request.on_informational = self.on_informational
            make_head, timeout = self.make_head, self.clock.timeout
            try:
                if make_head is None:
                    lease = await connector.connect(request, self.traces, timeout)
                else:
                    lease = await connector.connect_websocket(request, self.traces, timeout)
            except TimeoutError as error:
                if not self._is_of_connector(error):
                    raise
                host = request.connection_key.origin
                raise ConnectionTimeoutError(f"Connection timeout to host {host}") from error
            try:
                if make_head is None:
                    response = await request.send(lease)
                else:
                    response = await request.send_upgrade(lease, make_head)
                response = await response.start(lease)
                if response.status != PROXY_CHALLENGE or is_challenged:
                    return response
                if not _answers_challenge(request, lease, response):
                    return response
                is_challenged = True
                response.release()
            except ClientConnectionError as error:
                lease.close()
                if self._after_failure(request, lease, error, connector) is not SEND:
                    raise
            except BaseException:
                lease.close()
                raise
            request.is_sent_again = True
            if machine.delay:
                await self._pause(machine.delay)

    def _is_of_connector(self, error: TimeoutError) -> bool:
        """Tell whether the connector, which may be a user's, gave up, and no deadline passed."""
        if isinstance(error, ClientConnectionError):
            return False
        return self.session._now() < self.clock.ends

    async def _pause(self, delay: float) -> None:
        """Wait between two attempts.  Raises TimeoutError when ``total`` passes."""
        loop = self.session._loop
        waiter: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(delay, _end, waiter)
        self.clock.begin_waiting(waiter, None, loop.time())
        try:
            await waiter
        finally:
            timer.cancel()
            self.clock.end_waiting()

    def _after_failure(
        self,
        request: ClientRequest,
        lease: Lease,
        error: ClientConnectionError,
        connector: BaseConnector,
    ) -> Step:
        """Tell the machine why ``request`` failed."""
        exchange = lease.exchange
        reset_code = None if exchange is None else exchange.reset_code
        if isinstance(error, ServerTimeoutError) and reset_code is None:
            return FAIL  # A deadline of the caller, and not of the connection.
        attempt = Attempt(
            method=request.method,
            begun=exchange is not None,
            reused=lease.reused,
            response_started=exchange is not None and exchange.started,
            unprocessed=exchange is not None and exchange.unprocessed,
            reset_code=reset_code,
            goaway_code=lease.client.goaway_code,
            connection=lease.driver.engine.state,
            replayable=_is_replayable(request),
        )
        if attempt.requires_http1:
            if connector.http2 is True:
                raise ClientConnectionError(
                    "the server requires HTTP/1.1 (HTTP_1_1_REQUIRED), and http2=True forbids it"
                ) from error
            connector.require_http1(request.connection_key)
        return self.machine.on_attempt(attempt)

    def _after_response(self, request: ClientRequest, response: ClientResponse) -> Step:
        """Keep the cookies of ``response``, and tell the machine that it came."""
        try:
            values = response.headers.getall(SET_COOKIE, None)
            if values:
                self.session._cookie_jar.update_cookies_from_headers(values, response.url)
        except BaseException:  # The jar may be anybody's.
            response.close()
            raise
        machine = self.machine
        status = response.status
        if status not in REDIRECTS or machine.max_redirects is None:
            return machine.on_response(status, None)
        location = response.headers.get("Location") or response.headers.get("URI")
        if location is not None:
            self.history.append(response)
            response.release()
        step = machine.on_response(status, location, replayable=_is_replayable(request))
        if machine.problem is Problem.TOO_MANY_REDIRECTS:
            message = f"{len(self.history)} redirects, and max_redirects is {machine.max_redirects}"
            raise TooManyRedirects(
                self.history[0].request_info, tuple(self.history), message=message
            )
        if machine.problem is Problem.CONTENT_IS_GONE:
            raise ClientPayloadError(machine.problem.value)
        if not machine.keeps_content:
            self.data = None
            self.options = {**self.options, "compress": None, "chunked": None, "expect100": False}
        return step


def _end(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():  # A deadline may have passed in the same turn of the loop.
        waiter.set_result(None)


def _answers_challenge(request: ClientRequest, lease: Lease, response: ClientResponse) -> bool:
    """Tell whether ``response`` comes from a proxy, and there is an answer to its challenge."""
    forwarding = lease.client.forwarding
    return (
        forwarding is not None
        and "Proxy-Authorization" not in request.headers
        and _is_replayable(request)
        and forwarding.on_challenge(
            response.headers.getall("Proxy-Authenticate", ()),
            has_content=request._body is not None,
        )
    )


def _is_replayable(request: ClientRequest) -> bool:
    payload = request._body
    return payload is None or payload.replayable
