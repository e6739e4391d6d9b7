"""Client tracing: what happens to a request, told to whoever wants to know.

A ``TraceConfig`` has a signal for each kind of event.  A session that is given some of them makes
a ``Trace`` of each for each request, with a context of its own, and awaits the receivers where
the events happen::

    request_start
      for each hop:
        dns_*, connection_create_start/end     a connection is opened for the request,
        connection_reuseconn                   or there was one;
        connection_queued_start/end            before that it may have waited for its turn
        request_headers_sent, request_chunk_sent ...
        request_redirect                       the next hop follows
    request_end, or request_exception          exactly one of them
    response_chunk_received                    whenever ``read()`` has the content

What a receiver raises, the request raises.  The fields of ``request_start`` may be changed: they
are sent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from aiosignal import Signal
from multidict import CIMultiDict
from yarl import URL

from plait_engine.policy.secrecy import show_fields, without_credentials

if TYPE_CHECKING:
    from .client import ClientSession
    from .client_reqrep import ClientResponse

__all__ = (
    "TraceConfig",
    "TraceConnectionCreateEndParams",
    "TraceConnectionCreateStartParams",
    "TraceConnectionQueuedEndParams",
    "TraceConnectionQueuedStartParams",
    "TraceConnectionReuseconnParams",
    "TraceDnsCacheHitParams",
    "TraceDnsCacheMissParams",
    "TraceDnsResolveHostEndParams",
    "TraceDnsResolveHostStartParams",
    "TraceRequestChunkSentParams",
    "TraceRequestEndParams",
    "TraceRequestExceptionParams",
    "TraceRequestHeadersSentParams",
    "TraceRequestRedirectParams",
    "TraceRequestStartParams",
    "TraceResponseChunkReceivedParams",
)

_Params = TypeVar("_Params")


class _WithFields:
    """Parameters whose repr shows no secrets: programs log them."""

    __slots__ = ()

    def __repr__(self) -> str:
        shown = []
        for field in fields(self):  # type: ignore[arg-type]  # of the subclasses
            value = getattr(self, field.name)
            is_url = field.name == "url"
            text = without_credentials(repr(value)) if is_url else show_fields(value)
            shown.append(f"{field.name}={text}")
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True, slots=True, repr=False)
class TraceRequestStartParams(_WithFields):
    """A request begins; what is put into ``headers`` is sent."""

    method: str
    url: URL
    headers: CIMultiDict[str]


@dataclass(frozen=True, slots=True)
class TraceRequestChunkSentParams:
    """A piece of the request's content was sent, before it was compressed."""

    method: str
    url: URL
    chunk: bytes


@dataclass(frozen=True, slots=True)
class TraceResponseChunkReceivedParams:
    """``response.read()`` has the content."""

    method: str
    url: URL
    chunk: bytes


@dataclass(frozen=True, slots=True, repr=False)
class TraceRequestEndParams(_WithFields):
    """The head of the final response came."""

    method: str
    url: URL
    headers: CIMultiDict[str]
    response: ClientResponse


@dataclass(frozen=True, slots=True, repr=False)
class TraceRequestExceptionParams(_WithFields):
    """The request raises ``exception``."""

    method: str
    url: URL
    headers: CIMultiDict[str]
    exception: BaseException


@dataclass(frozen=True, slots=True, repr=False)
class TraceRequestRedirectParams(_WithFields):
    """``response`` sends the request elsewhere."""

    method: str
    url: URL
    headers: CIMultiDict[str]
    response: ClientResponse


@dataclass(frozen=True, slots=True)
class TraceConnectionQueuedStartParams:
    """The request waits for its turn: the limits of the connector are reached."""


@dataclass(frozen=True, slots=True)
class TraceConnectionQueuedEndParams:
    """It is the request's turn."""


@dataclass(frozen=True, slots=True)
class TraceConnectionCreateStartParams:
    """A connection is being opened."""


@dataclass(frozen=True, slots=True)
class TraceConnectionCreateEndParams:
    """The connection is open."""


@dataclass(frozen=True, slots=True)
class TraceConnectionReuseconnParams:
    """The request goes to a connection that others opened."""


@dataclass(frozen=True, slots=True)
class TraceDnsResolveHostStartParams:
    """The resolver is asked for a host."""

    host: str


@dataclass(frozen=True, slots=True)
class TraceDnsResolveHostEndParams:
    """The resolver has answered."""

    host: str


@dataclass(frozen=True, slots=True)
class TraceDnsCacheHitParams:
    """The addresses of a host are known."""

    host: str


@dataclass(frozen=True, slots=True)
class TraceDnsCacheMissParams:
    """The addresses of a host are not known."""

    host: str


@dataclass(frozen=True, slots=True, repr=False)
class TraceRequestHeadersSentParams(_WithFields):
    """The head of the request was sent, with these fields."""

    method: str
    url: URL
    headers: CIMultiDict[str]


Receivers: TypeAlias = Signal["ClientSession", SimpleNamespace, _Params]
"""Coroutine functions that are called with the session, the context of the request and the
params; a list, and a decorator that adds to it."""


class TraceConfig:
    """Who hears of what, and what makes the context of each request.

    Args:
        trace_config_ctx_factory: is called with ``trace_request_ctx=``, the argument of the
            request; what it returns is the context, which all receivers of the request get.

    The signals cannot be changed any more when a session has the config.
    """

    def __init__(
        self,
        trace_config_ctx_factory: Callable[..., SimpleNamespace] = SimpleNamespace,
    ) -> None:
        self._trace_config_ctx_factory = trace_config_ctx_factory
        self._on_request_start: Receivers[TraceRequestStartParams] = Signal(self)
        self._on_request_chunk_sent: Receivers[TraceRequestChunkSentParams] = Signal(self)
        self._on_response_chunk_received: Receivers[TraceResponseChunkReceivedParams] = Signal(self)
        self._on_request_end: Receivers[TraceRequestEndParams] = Signal(self)
        self._on_request_exception: Receivers[TraceRequestExceptionParams] = Signal(self)
        self._on_request_redirect: Receivers[TraceRequestRedirectParams] = Signal(self)
        self._on_request_headers_sent: Receivers[TraceRequestHeadersSentParams] = Signal(self)
        self._on_connection_queued_start: Receivers[TraceConnectionQueuedStartParams] = Signal(self)
        self._on_connection_queued_end: Receivers[TraceConnectionQueuedEndParams] = Signal(self)
        self._on_connection_create_start: Receivers[TraceConnectionCreateStartParams] = Signal(self)
        self._on_connection_create_end: Receivers[TraceConnectionCreateEndParams] = Signal(self)
        self._on_connection_reuseconn: Receivers[TraceConnectionReuseconnParams] = Signal(self)
        self._on_dns_resolvehost_start: Receivers[TraceDnsResolveHostStartParams] = Signal(self)
        self._on_dns_resolvehost_end: Receivers[TraceDnsResolveHostEndParams] = Signal(self)
        self._on_dns_cache_hit: Receivers[TraceDnsCacheHitParams] = Signal(self)
        self._on_dns_cache_miss: Receivers[TraceDnsCacheMissParams] = Signal(self)
        self._signals: Final[tuple[Receivers[Any], ...]] = (
            self._on_request_start,
            self._on_request_chunk_sent,
            self._on_response_chunk_received,
            self._on_request_end,
            self._on_request_exception,
            self._on_request_redirect,
            self._on_request_headers_sent,
            self._on_connection_queued_start,
            self._on_connection_queued_end,
            self._on_connection_create_start,
            self._on_connection_create_end,
            self._on_connection_reuseconn,
            self._on_dns_resolvehost_start,
            self._on_dns_resolvehost_end,
            self._on_dns_cache_hit,
            self._on_dns_cache_miss,
        )

    def trace_config_ctx(self, trace_request_ctx: Any = None) -> SimpleNamespace:
        """Return the context of a request, made with the request's ``trace_request_ctx``."""
        return self._trace_config_ctx_factory(trace_request_ctx=trace_request_ctx)

    def freeze(self) -> None:
        """Let no receiver be added or removed any more."""
        for signal in self._signals:
            signal.freeze()

    @property
    def on_request_start(self) -> Receivers[TraceRequestStartParams]:
        """The request begins."""
        return self._on_request_start

    @property
    def on_request_chunk_sent(self) -> Receivers[TraceRequestChunkSentParams]:
        """A piece of content was sent."""
        return self._on_request_chunk_sent

    @property
    def on_response_chunk_received(self) -> Receivers[TraceResponseChunkReceivedParams]:
        """``read()`` has the content."""
        return self._on_response_chunk_received

    @property
    def on_request_end(self) -> Receivers[TraceRequestEndParams]:
        """The final response is there."""
        return self._on_request_end

    @property
    def on_request_exception(self) -> Receivers[TraceRequestExceptionParams]:
        """The request fails."""
        return self._on_request_exception

    @property
    def on_request_redirect(self) -> Receivers[TraceRequestRedirectParams]:
        """A response sends the request elsewhere."""
        return self._on_request_redirect

    @property
    def on_request_headers_sent(self) -> Receivers[TraceRequestHeadersSentParams]:
        """The head was sent."""
        return self._on_request_headers_sent

    @property
    def on_connection_queued_start(self) -> Receivers[TraceConnectionQueuedStartParams]:
        """The request waits for its turn."""
        return self._on_connection_queued_start

    @property
    def on_connection_queued_end(self) -> Receivers[TraceConnectionQueuedEndParams]:
        """It is its turn."""
        return self._on_connection_queued_end

    @property
    def on_connection_create_start(self) -> Receivers[TraceConnectionCreateStartParams]:
        """A connection is being opened."""
        return self._on_connection_create_start

    @property
    def on_connection_create_end(self) -> Receivers[TraceConnectionCreateEndParams]:
        """It is open."""
        return self._on_connection_create_end

    @property
    def on_connection_reuseconn(self) -> Receivers[TraceConnectionReuseconnParams]:
        """The request goes to a connection of others."""
        return self._on_connection_reuseconn

    @property
    def on_dns_resolvehost_start(self) -> Receivers[TraceDnsResolveHostStartParams]:
        """The resolver is asked."""
        return self._on_dns_resolvehost_start

    @property
    def on_dns_resolvehost_end(self) -> Receivers[TraceDnsResolveHostEndParams]:
        """The resolver has answered."""
        return self._on_dns_resolvehost_end

    @property
    def on_dns_cache_hit(self) -> Receivers[TraceDnsCacheHitParams]:
        """The addresses are known."""
        return self._on_dns_cache_hit

    @property
    def on_dns_cache_miss(self) -> Receivers[TraceDnsCacheMissParams]:
        """The addresses are not known."""
        return self._on_dns_cache_miss


class Trace:
    """One config's view of one request.

    ``trace_config_ctx``: the context of the request.  Each method awaits the receivers of its
    signal; a signal that nobody receives costs nothing.
    """

    def __init__(
        self,
        session: ClientSession,
        trace_config: TraceConfig,
        trace_config_ctx: SimpleNamespace,
    ) -> None:
        self._session = session
        self._trace_config = trace_config
        self._trace_config_ctx = trace_config_ctx

    async def send_request_start(self, method: str, url: URL, headers: CIMultiDict[str]) -> None:
        """The request begins."""
        signal = self._trace_config._on_request_start
        if signal:
            await signal.send(
                self._session, self._trace_config_ctx, TraceRequestStartParams(method, url, headers)
            )

    async def send_request_chunk_sent(self, method: str, url: URL, chunk: bytes) -> None:
        """A piece of content was sent."""
        signal = self._trace_config._on_request_chunk_sent
        if signal:
            await signal.send(
                self._session,
                self._trace_config_ctx,
                TraceRequestChunkSentParams(method, url, chunk),
            )

    async def send_response_chunk_received(self, method: str, url: URL, chunk: bytes) -> None:
        """``read()`` has the content."""
        signal = self._trace_config._on_response_chunk_received
        if signal:
            await signal.send(
                self._session,
                self._trace_config_ctx,
                TraceResponseChunkReceivedParams(method, url, chunk),
            )

    async def send_request_end(
        self, method: str, url: URL, headers: CIMultiDict[str], response: ClientResponse
    ) -> None:
        """The final response is there."""
        signal = self._trace_config._on_request_end
        if signal:
            await signal.send(
                self._session,
                self._trace_config_ctx,
                TraceRequestEndParams(method, url, headers, response),
            )

    async def send_request_exception(
        self, method: str, url: URL, headers: CIMultiDict[str], exception: BaseException
    ) -> None:
        """The request fails."""
        signal = self._trace_config._on_request_exception
        if signal:
            await signal.send(
                self._session,
                self._trace_config_ctx,
                TraceRequestExceptionParams(method, url, headers, exception),
            )

    async def send_request_redirect(
        self, method: str, url: URL, headers: CIMultiDict[str], response: ClientResponse
    ) -> None:
        """A response sends the request elsewhere."""
        signal = self._trace_config._on_request_redirect
        if signal:
            await signal.send(
                self._session,
                self._trace_config_ctx,
                TraceRequestRedirectParams(method, url, headers, response),
            )

    async def send_request_headers(self, method: str, url: URL, headers: CIMultiDict[str]) -> None:
        """The head was sent."""
        signal = self._trace_config._on_request_headers_sent
        if signal:
            await signal.send(
                self._session,
                self._trace_config_ctx,
                TraceRequestHeadersSentParams(method, url, headers),
            )

    async def send_connection_queued_start(self) -> None:
        """The request waits for its turn."""
        signal = self._trace_config._on_connection_queued_start
        if signal:
            await signal.send(
                self._session, self._trace_config_ctx, TraceConnectionQueuedStartParams()
            )

    async def send_connection_queued_end(self) -> None:
        """It is its turn."""
        signal = self._trace_config._on_connection_queued_end
        if signal:
            await signal.send(
                self._session, self._trace_config_ctx, TraceConnectionQueuedEndParams()
            )

    async def send_connection_create_start(self) -> None:
        """A connection is being opened."""
        signal = self._trace_config._on_connection_create_start
        if signal:
            await signal.send(
                self._session, self._trace_config_ctx, TraceConnectionCreateStartParams()
            )

    async def send_connection_create_end(self) -> None:
        """It is open."""
        signal = self._trace_config._on_connection_create_end
        if signal:
            await signal.send(
                self._session, self._trace_config_ctx, TraceConnectionCreateEndParams()
            )

    async def send_connection_reuseconn(self) -> None:
        """The request goes to a connection of others."""
        signal = self._trace_config._on_connection_reuseconn
        if signal:
            await signal.send(
                self._session, self._trace_config_ctx, TraceConnectionReuseconnParams()
            )

    async def send_dns_resolvehost_start(self, host: str) -> None:
        """The resolver is asked."""
        signal = self._trace_config._on_dns_resolvehost_start
        if signal:
            await signal.send(
                self._session, self._trace_config_ctx, TraceDnsResolveHostStartParams(host)
            )

    async def send_dns_resolvehost_end(self, host: str) -> None:
        """The resolver has answered."""
        signal = self._trace_config._on_dns_resolvehost_end
        if signal:
            await signal.send(
                self._session, self._trace_config_ctx, TraceDnsResolveHostEndParams(host)
            )

    async def send_dns_cache_hit(self, host: str) -> None:
        """The addresses are known."""
        signal = self._trace_config._on_dns_cache_hit
        if signal:
            await signal.send(self._session, self._trace_config_ctx, TraceDnsCacheHitParams(host))

    async def send_dns_cache_miss(self, host: str) -> None:
        """The addresses are not known."""
        signal = self._trace_config._on_dns_cache_miss
        if signal:
            await signal.send(self._session, self._trace_config_ctx, TraceDnsCacheMissParams(host))
