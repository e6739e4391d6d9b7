"""A call of a trio session on its way: what it sends, by which proxy, and how often.

What to do after a redirect and whether to try again is decided by the machines of
``plait_engine.policy`` (``call``, ``backoff``); here they meet the errors and responses of trio.
"""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Final, TypedDict

import trio
import yarl

from plait_engine import Headers
from plait_engine.headers import get, get_all
from plait_engine.policy.backoff import Attempts, Backoff, RetryBudget
from plait_engine.policy.call import Call
from plait_engine.policy.redirect import Origin
from plait_engine.policy.secrecy import without_credentials
from plait_engine.proxy.forward import Forwarding, has_authorization
from plait_engine.proxy.login import PROXY_CHALLENGE

from .client import ClientResponse, InformationalCallback, parse_url
from .dialing import ConnectError, Proxy, ProxyError, TLSError, read_proxy
from .driver import StreamError
from .environment import NOTHING_SAID, Environment, origin_of
from .websocket import Handshake


class RedirectError(Exception):
    """A redirect cannot be followed: it leads nowhere, or there are too many."""


class HandshakeOptions(TypedDict, total=False):
    """The keywords of a request without a body; ``Session.stream`` explains them."""

    headers: Headers
    auth: tuple[str, str] | None
    proxy: str | None
    proxy_auth: tuple[str, str] | None
    proxy_headers: Headers
    on_informational: InformationalCallback | None


class RequestOptions(HandshakeOptions, total=False):
    """The keywords of a request; ``Session.stream`` explains them."""

    body: bytes | AsyncIterator[bytes]


class ProxyChoice:
    """By which proxy a call goes: its own, or the session's or the environment's."""

    def __init__(
        self,
        proxy: str | None,
        auth: tuple[str, str] | None,
        headers: Headers,
        of_session: Proxy | None,
    ) -> None:
        self._auth = auth
        self._headers = tuple(headers)
        self._proxy = of_session
        if proxy is not None:
            self._proxy = self._complete(read_proxy(proxy)) if proxy else None
        elif of_session is not None:
            self._proxy = self._complete(of_session)
        self.asks_environment = proxy is None and of_session is None

    def of_hop(self, said: Proxy | None) -> Proxy | None:
        """Return the proxy of the next request; ``said``: that of the environment."""
        if said is None or not self.asks_environment:
            return self._proxy
        return self._complete(said)

    def _complete(self, proxy: Proxy) -> Proxy:
        return replace(proxy, login=self._auth or proxy.login, fields=self._headers)


@dataclass
class Outgoing:
    """A call on its way: its machine, its body, and who it said it is."""

    call: Call[yarl.URL]
    first_url: yarl.URL
    body: bytes | AsyncIterator[bytes]
    proxy: ProxyChoice
    on_informational: InformationalCallback | None
    environment: Environment = NOTHING_SAID
    """What it says about the next request."""
    has_credentials: bool = False
    """The request has credentials that the caller gave."""
    answers: bool = False
    """The request answers a challenge."""
    was_challenged: bool = False
    handshake: Handshake | None = None
    """The call opens a WebSocket."""
    needs_http1: bool = False
    """The server accepts no WebSocket over HTTP/2."""
    attempts: Attempts | None = None
    """Those at the request, with pauses between them; each redirect begins anew."""
    proxy_challenged: yarl.URL | None = None
    """For which URL a proxy was answered."""

    @property
    def content(self) -> bytes | AsyncIterator[bytes]:
        """What the next request has of the body: a redirect may drop it."""
        return self.body if self.call.keeps_content else b""

    @property
    def is_replayable(self) -> bool:
        """Whether the content can be sent again."""
        return isinstance(self.content, bytes)

    def begin_attempt(self, policy: Backoff, budget: RetryBudget) -> None:
        """A request is sent, perhaps not for the first time."""
        if self.attempts is None:
            self.attempts = Attempts(
                policy,
                budget,
                self.call.method,
                trio.current_time(),
                trio.current_effective_deadline(),
            )

    def redirected(self) -> None:
        """The next request is another one."""
        self.attempts = None
        self.was_challenged = False

    def answers_proxy(
        self, forwarding: Forwarding, response: ClientResponse, fields: Headers
    ) -> bool:
        """Tell whether ``response`` is a proxy's challenge to which there is an answer."""
        url = self.call.url
        if (
            response.status != PROXY_CHALLENGE
            or self.proxy_challenged == url
            or not self.is_replayable
            or has_authorization(fields)
        ):
            return False
        self.proxy_challenged = url
        challenges = get_all(response.headers, "proxy-authenticate")
        return forwarding.on_challenge(challenges, has_content=bool(self.content))

    def repeats_after_response(self, response: ClientResponse) -> bool:
        """Tell whether the request is sent again for the status of its response."""
        if self.attempts is None or not self.is_replayable:
            return False
        return self._repeats(
            self.attempts.after_response(
                response.status,
                get(response.headers, "retry-after"),
                now=trio.current_time(),
                wall=time.time(),
                chance=random.random(),
            )
        )

    def repeats_after_failure(self, error: ConnectError | StreamError) -> bool:
        """Tell whether the request is sent again that failed with ``error``."""
        lasts = isinstance(error, TLSError) or (
            isinstance(error, ProxyError) and error.status is not None
        )
        if self.attempts is None or not self.is_replayable or lasts:
            return False
        pause = self.attempts.after_failure(
            unprocessed=isinstance(error, ConnectError) or error.unprocessed,
            now=trio.current_time(),
            chance=random.random(),
        )
        if pause is None:
            error.add_note(f"{self.call.method} is not sent again: {self.attempts.why}")
        return self._repeats(pause)

    def _repeats(self, pause: float | None) -> bool:
        if pause is None:
            return False
        self.call.begin_anew()
        self.call.delay = pause
        return True


class Urls:
    """What the machine of a call asks of URLs."""

    def join(self, url: yarl.URL, location: str) -> yarl.URL:
        try:
            there = yarl.URL(location)
            if there.scheme not in ("", "http", "https", url.scheme):
                raise ValueError("it leaves HTTP")
            if there.scheme and "://" in location and not there.raw_host:
                raise ValueError("it has no host (RFC 9110 section 4.2.1)")
            return parse_url(str(url.join(there)))
        except ValueError as error:
            shown = without_credentials(location)
            raise RedirectError(f"a redirect to {shown!r} leads nowhere: {error}") from error

    def origin(self, url: yarl.URL) -> Origin:
        return origin_of(url)

    def has_credentials(self, url: yarl.URL) -> bool:
        return url.raw_user is not None or url.raw_password is not None


URLS: Final = Urls()
