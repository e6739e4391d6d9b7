"""One call of ``ClientSession.request``, through its redirects and retries.

What to do after a redirect and whether to try again are decisions of
``plait_engine.policy``; here they meet the session's connector, cookies and credentials.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http.cookies import Morsel
from typing import TYPE_CHECKING, Any, Final

from multidict import CIMultiDict
from yarl import URL

from plait.client_exceptions import (
    ClientConnectionError,
    ClientPayloadError,
    InvalidUrlRedirectClientError,
    NonHttpUrlClientError,
    NonHttpUrlRedirectClientError,
    ServerTimeoutError,
    TooManyRedirects,
)
from plait.client_reqrep import ClientRequest
from plait.client_response import ClientResponse
from plait.connector import BaseConnector, Connection
from plait.cookiejar import CookieJar, make_morsel
from plait.helpers import BasicAuth
from plait.payload import Payload
from plait.typedefs import LooseCookies, Query
from plait_engine import ErrorCode
from plait_engine import Request as RequestEvent
from plait_engine.policy.redirect import REDIRECTS, Origin, follow_redirect
from plait_engine.policy.retry import Failure, Retry, RetryPolicy

from .deadlines import RequestClock

if TYPE_CHECKING:
    from plait.client import ClientSession

HTTP_SCHEMES: Final = frozenset({"http", "https", ""})
"""Where redirects may lead."""


class Call:
    """One call of ``ClientSession.request``, through its redirects and retries."""

    __slots__ = (
        "auth",
        "clock",
        "cookies",
        "data",
        "headers",
        "history",
        "make_head",
        "method",
        "options",
        "payload",
        "session",
        "url",
    )

    def __init__(
        self,
        session: ClientSession,
        clock: RequestClock,
        method: str,
        url: URL,
        headers: CIMultiDict[str],
        data: Any,
        cookies: LooseCookies | None,
        auth: BasicAuth | None,
        options: dict[str, Any],
    ) -> None:
        self.session = session
        self.clock = clock
        self.method = method
        self.url = url
        self.headers = headers
        self.data = data
        self.cookies = cookies
        self.auth = auth
        self.options = options
        self.make_head: Callable[[RequestEvent, bool], RequestEvent] | None = None
        """Makes a request for a tunnel of a plain one; see ``ClientRequest.send_upgrade``."""
        self.history: list[ClientResponse] = []
        self.payload: Payload | None = None
        """The content, which is closed with the call."""

    async def run(self, params: Query, allow_redirects: bool, max_redirects: int) -> ClientResponse:
        """Return the final response."""
        if params:
            self.url = self.url.extend_query(params)
        self._choose_auth()
        try:
            while True:
                request = self._make_request()
                response = await self._send(request)
                try:
                    self._store_cookies(response)
                except BaseException:  # The jar may be anybody's.
                    response.close()
                    raise
                if not allow_redirects or response.status not in REDIRECTS:
                    break
                location = response.headers.get("Location") or response.headers.get("URI")
                if location is None:
                    break
                self.history.append(response)
                if max_redirects and len(self.history) >= max_redirects:
                    response.close()
                    raise TooManyRedirects(self.history[0].request_info, tuple(self.history))
                response.release()
                self._follow(request, response.status, location)
        except BaseException:
            if self.payload is not None:
                await self.payload.close()
            raise
        if self.payload is not None:
            if request.payload is None:
                await self.payload.close()  # A redirect dropped it.
            else:
                await request.close_body()
        if self.history:
            response._history = tuple(self.history)
        return response

    def _choose_auth(self) -> None:
        """Take the session's credentials, if they are for this origin."""
        session = self.session
        if (
            self.auth is None
            and session._default_auth is not None
            and not self.url.raw_user
            and (session._base_url is None or _origin(session._base_url) == _origin(self.url))
        ):
            self.auth = session._default_auth

    def _make_request(self) -> ClientRequest:
        session = self.session
        connector = session._connector
        if connector is None:
            raise RuntimeError("Session is closed")
        if self.url.scheme not in connector.allowed_protocol_schema_set:
            raise NonHttpUrlClientError(self.url)
        cookies = self._own_cookies() if self.cookies else None
        jar = session._cookie_jar
        if len(jar):
            found = jar.filter_cookies(self.url)
            if cookies:
                found.load(cookies)
            cookies = dict(found)
        request = session._request_class(
            self.method,
            self.url,
            headers=self.headers,
            data=self.data,
            cookies=cookies,
            auth=self.auth,
            version=session._version,
            loop=session._loop,
            response_class=session._response_class,
            session=session,
            clock=self.clock,
            **self.options,
        )
        if request.payload is not None:
            self.data = self.payload = request.payload  # The same for the next hop.
        return request

    def _own_cookies(self) -> dict[str, Any]:
        """Return the cookies of the call, without Morsels that are not for this URL."""
        cookies = self.cookies
        assert cookies is not None
        pairs = cookies.items() if isinstance(cookies, Mapping) else cookies
        if not self.session._cookie_jar.quote_cookie:
            pairs = [
                (name, make_morsel(name, value, value) if isinstance(value, str) else value)
                for name, value in pairs
            ]
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
        return len(jar.filter_cookies(self.url)) == 1

    async def _send(self, request: ClientRequest) -> ClientResponse:
        """Send ``request``, again if it is safe; return the response with its head."""
        policy = self.session._retry_policy
        while True:
            connector = self.session._connector
            if connector is None:
                raise RuntimeError("Session is closed")
            make_head = self.make_head
            if make_head is None:
                connection = await connector.connect(request, [], self.clock.timeout)
            else:
                connection = await connector.connect_websocket(request, [], self.clock.timeout)
            try:
                if make_head is None:
                    response = await request.send(connection)
                else:
                    response = await request.send_upgrade(connection, make_head)
                return await response.start(connection)
            except ClientConnectionError as error:
                connection.close()
                retry = self._retry(request, connection, error, policy, connector)
                if retry is None:
                    raise
            except BaseException:
                connection.close()
                raise
            request.is_sent_again = True
            policy = retry.policy
            if retry.delay:
                await self.clock.sleep(retry.delay, self.session._loop)

    def _retry(
        self,
        request: ClientRequest,
        connection: Connection,
        error: ClientConnectionError,
        policy: RetryPolicy,
        connector: BaseConnector,
    ) -> Retry | None:
        """Return how to try again, or ``None``."""
        if isinstance(error, ServerTimeoutError):
            return None
        exchange = connection.exchange
        driver = connection.driver
        if exchange is None and not driver.is_closing:
            # The peer lowered its limit just now: wait for another place.
            return Retry(policy, 0.0)
        payload = request.payload
        unprocessed = exchange is None or exchange.unprocessed
        if exchange is not None and exchange.reset_code == ErrorCode.HTTP_1_1_REQUIRED:
            if connector.http2 is True:
                raise ClientConnectionError(
                    "the server requires HTTP/1.1 (HTTP_1_1_REQUIRED), and http2=True forbids it"
                ) from error
            connector.require_http1(request.connection_key)
            unprocessed = True  # RFC 9113 section 7: it is to be sent over HTTP/1.1.
        return policy.after(
            Failure(
                method=request.method,
                reused=connection.reused,
                response_started=exchange is not None and exchange.started,
                unprocessed=unprocessed,
                connection=driver.engine.state,
                replayable=payload is None or payload.replayable,
            )
        )

    def _store_cookies(self, response: ClientResponse) -> None:
        values = response.headers.getall("Set-Cookie", None)
        if values:
            self.session._cookie_jar.update_cookies_from_headers(values, response.url)

    def _follow(self, request: ClientRequest, status: int, location: str) -> None:
        """Become the request that a redirect asks for."""
        try:
            there = URL(location, encoded=not self.session._requote_redirect_url)
        except ValueError as error:
            raise InvalidUrlRedirectClientError(
                location, "Server attempted redirecting to a location that does not look like a URL"
            ) from error
        if there.scheme not in HTTP_SCHEMES:
            raise NonHttpUrlRedirectClientError(location)
        try:
            rest = location.strip().partition(":")[2]
            if there.scheme == self.url.scheme and rest and not rest.startswith("//"):
                # "http:path", as RFC 3986 section 5.2.2 lets clients read it; with an empty
                # authority it stays invalid (RFC 9110 section 4.2.1).
                there = URL.build(
                    path=there.raw_path,
                    query_string=there.raw_query_string,
                    fragment=there.raw_fragment,
                    encoded=True,
                )
            if not there.scheme:
                there = self.url.join(there)
            if self.url.raw_fragment and not there.raw_fragment:
                there = there.with_fragment(self.url.fragment)
            there.origin()
        except ValueError as error:
            raise InvalidUrlRedirectClientError(there, "Invalid redirect URL origin") from error
        step = follow_redirect(
            status, request.method, self.headers.items(), _origin(self.url), _origin(there)
        )
        headers = CIMultiDict(step.headers)
        if not step.keeps_credentials:
            self.auth = None
            self.cookies = None
        if there.raw_user or there.raw_password:
            # Those of the redirect, then.
            self.auth = None
            headers.popall("Authorization", None)
        if step.keeps_content:
            payload = request.payload
            if payload is not None and not payload.replayable:
                raise ClientPayloadError(
                    "the redirect asks for the body again, which cannot be sent twice"
                )
        else:
            self.data = None
            self.options = {**self.options, "compress": None, "chunked": None, "expect100": False}
        self.method = step.method
        self.headers = headers
        self.url = there


def _origin(url: URL) -> Origin:
    return Origin(url.scheme, url.raw_host or "", url.port)
