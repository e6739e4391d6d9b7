"""Requests as a handler sees them.

Strategy
--------
A request is a view of the engine's ``Request`` event and of its exchange: the header
multidict, the URL, the query, the cookies are made when somebody asks, because a handler
looks at few of them.  What most requests do not have is a default of the class.

Rules
-----
* ``headers`` has Host on every version; on HTTP/2 it comes from ``:authority`` (RFC 9113
  section 8.3.1), so that handlers need not know.
* A WebSocket over HTTP/2 (extended CONNECT, RFC 8441) reads as the GET that it is over
  HTTP/1.1, in ``method``, for the router, and in ``headers``: Connection and Upgrade are in
  them, since libraries look there for a WebSocket.
* The client is asked for the content (100 Continue) when the handler first waits for it.

For the other classes of the server, not for applications: ``_event`` is the engine's
event, ``_exchange`` the exchange.  A ``WebSocketResponse`` sends ``Accept`` on the exchange
and puts its own exchange in its place with ``ServerExchange.hand_over``.
"""

from __future__ import annotations

import asyncio
import json
import sys
import warnings
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack, cast

from multidict import CIMultiDict, CIMultiDictProxy, MultiDict, MultiDictProxy
from yarl import URL

from plait_engine import Headers
from plait_engine import Request as RequestEvent
from plait_engine.headers import encode
from plait_engine.routing import Params
from plait_engine.semantics.fields import named_upgrades
from plait_engine.semantics.forwarded import parse_forwarded

from . import hdrs
from .abc import AbstractStreamWriter
from .compression_utils import find_decoder
from .helpers import (
    _SENTINEL,
    ChainMapProxy,
    ETag,
    HeadersMixin,
    RequestKey,
    find_charset,
    parse_http_date,
    printable,
    reify,
    sentinel,
)
from .http import RawRequestMessage
from .http_writer import VERSIONS, HttpVersion, HttpVersion10
from .multipart import MultipartReader
from .parts.content import Readable
from .serving.blame import blame_peer
from .serving.fields import (
    parse_cookies,
    parse_etags,
    parse_query,
    parse_range,
)
from .serving.form import FileField, FormField, read_form
from .serving.keyed_state import KeyedState
from .serving.response_writer import ResponseWriter
from .streams import EMPTY_PAYLOAD, StreamReader
from .typedefs import JSONDecoder, LooseHeaders, RawHeaders, StrOrURL
from .web_exceptions import HTTPRequestEntityTooLarge, HTTPUnsupportedMediaType

if TYPE_CHECKING:
    from .serving.exchange import ServerExchange
    from .web_app import Application
    from .web_protocol import RequestHandler
    from .web_response import StreamResponse
    from .web_urldispatcher import ResourceRoute, UrlMappingMatchInfo

__all__ = ("BaseRequest", "FileField", "Request")


class _Changes(TypedDict, total=False):
    """The keywords of ``clone``."""

    method: str | _SENTINEL
    rel_url: StrOrURL | _SENTINEL
    headers: LooseHeaders | _SENTINEL
    scheme: str | _SENTINEL
    host: str | _SENTINEL
    remote: str | _SENTINEL
    client_max_size: int | _SENTINEL
    client_max_fields: int | _SENTINEL


class BaseRequest(KeyedState, HeadersMixin):
    """A request; the server makes it.

    Args:
        event: the engine's event.
        exchange: where the content comes from and the response goes to.
        client_max_size: bytes of content that ``read`` and its like accept; 0: any.
        client_max_fields: fields of a form that ``post`` accepts, and parts that ``multipart``
            gives; 0 or less: any.
    """

    _key_type = RequestKey

    POST_METHODS: Final = frozenset(
        {hdrs.METH_PATCH, hdrs.METH_POST, hdrs.METH_PUT, hdrs.METH_TRACE, hdrs.METH_DELETE}
    )

    _read_bytes: bytes | None = None
    _post: MultiDictProxy[FormField] | None = None
    _payload_writer: AbstractStreamWriter | None = None
    """What writes the response, once somebody asked for it.  ``make_mocked_request`` puts one of
    its own here."""
    _prepare_apps: tuple[Application, ...] = ()
    """The applications with ``on_response_prepare`` on the way to the handler."""

    def __init__(
        self,
        event: RequestEvent,
        exchange: ServerExchange,
        client_max_size: int = 1048576,
        client_max_fields: int = 1000,
    ) -> None:
        self._event = event
        self._exchange = exchange
        self._client_max_size = client_max_size
        self._client_max_fields = client_max_fields
        self._cache: dict[str, Any] = {}

    def clone(
        self,
        *,
        method: str | _SENTINEL = sentinel,
        rel_url: StrOrURL | _SENTINEL = sentinel,
        headers: LooseHeaders | _SENTINEL = sentinel,
        scheme: str | _SENTINEL = sentinel,
        host: str | _SENTINEL = sentinel,
        remote: str | _SENTINEL = sentinel,
        client_max_size: int | _SENTINEL = sentinel,
        client_max_fields: int | _SENTINEL = sentinel,
    ) -> BaseRequest:
        """Return a request like this one, but for what is given.

        An absolute ``rel_url`` gives the host, too, unless ``host`` is given.  Raises
        RuntimeError once the content was read.
        """
        if self._read_bytes is not None:
            raise RuntimeError("the body of the request has been read: clone() comes before that")
        event = replace(self._event)
        if method is not sentinel:
            event.method, event.protocol = method, None
        if rel_url is not sentinel:
            url = URL(rel_url)
            if url.absolute:
                event.target = str(url.relative())
                host = url.host_port_subcomponent or "" if host is sentinel else host
            else:
                event.target = str(url)
        if headers is not sentinel:
            event.headers = tuple(CIMultiDict(headers).items())
        made = type(self)(
            event,
            self._exchange,
            client_max_size=self._client_max_size
            if client_max_size is sentinel
            else client_max_size,
            client_max_fields=(
                self._client_max_fields if client_max_fields is sentinel else client_max_fields
            ),
        )
        made._state = dict(self._storage)
        made._payload_writer = self._payload_writer
        if headers is not sentinel:  # These alone: nothing of the connection is among them.
            made._cache["headers"] = CIMultiDictProxy(CIMultiDict(event.headers))
        given = {"scheme": scheme, "host": host, "remote": remote}
        made._cache.update(
            {name: self._cache[name] for name in given if name in self._cache},
            **{name: value for name, value in given.items() if value is not sentinel},
        )
        return made

    # -- the connection -------------------------------------------------------------------

    @property
    def task(self) -> asyncio.Task[None]:
        """The task of the handler."""
        task = self._exchange.task
        assert task is not None
        return task

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Deprecated: the event loop."""
        warnings.warn("request.loop property is deprecated", DeprecationWarning, stacklevel=2)
        return self._exchange.driver.loop

    @property
    def protocol(self) -> RequestHandler:
        """The connection."""
        return self._exchange.handler

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport, or ``None`` when the client is gone."""
        return self._exchange.driver.transport

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # as asyncio types it
        """Return what the transport knows under ``name``."""
        return self._exchange.driver.get_extra_info(name, default)

    @reify
    def remote(self) -> str | None:
        """The address of the client, without port; ``None`` if that is not known.  On a Unix
        socket it is the path of the client's socket, mostly empty."""
        peername = self._exchange.handler.peername
        if isinstance(peername, tuple):
            return str(peername[0])
        return None if peername is None else str(peername)

    @reify
    def scheme(self) -> str:
        """``http`` or ``https``, what the transport is."""
        return self._exchange.driver.config.scheme

    @property
    def secure(self) -> bool:
        """Whether the scheme is https."""
        return self.scheme == "https"

    @reify
    def host(self) -> str:
        """The Host field; without one the address on which the connection came in.

        That is the path of a Unix socket, and "" if it is not known.
        """
        if self._event.authority:
            return self._event.authority
        sockname = self._exchange.handler.sockname
        if not isinstance(sockname, tuple):
            return sockname if isinstance(sockname, str) else ""
        address = str(sockname[0])
        return f"[{address}]" if ":" in address else address  # RFC 3986 section 3.2.2

    @property
    def keep_alive(self) -> bool:
        """Whether the connection lives on behind the response (RFC 9112 section 9.3)."""
        return self._event.keep_alive

    # -- the head ---------------------------------------------------------------------------

    @property
    def version(self) -> HttpVersion:
        """The HTTP version of the request."""
        return VERSIONS[self._event.http_version]

    @property
    def method(self) -> str:
        """The method; ``GET`` for a WebSocket over HTTP/2 (see the module)."""
        event = self._event
        if event.protocol is not None and event.method == hdrs.METH_CONNECT:
            return hdrs.METH_GET
        return event.method

    @reify
    def headers(self) -> CIMultiDictProxy[str]:
        """The header fields."""
        event = self._event
        headers = CIMultiDict(event.headers)
        if event.http_version == "2" and event.authority and hdrs.HOST not in headers:
            headers = CIMultiDict([("Host", event.authority), *event.headers])
        if event.http_version == "2" and event.protocol is not None:
            headers.update({"Connection": "Upgrade", "Upgrade": event.protocol})
        return CIMultiDictProxy(headers)

    @property
    def _headers(self) -> CIMultiDictProxy[str]:
        """The header fields, for ``HeadersMixin``."""
        return self.headers

    @property
    def message(self) -> RawRequestMessage:
        """Deprecated: the head as a tuple; the request has all of it."""
        warnings.warn("Request.message is deprecated", DeprecationWarning, stacklevel=2)
        return self._message

    @reify
    def _message(self) -> RawRequestMessage:
        """The head as a tuple; packages read it by this name of aiohttp."""
        headers, event = self.headers, self._event
        coding = ", ".join(headers.getall(hdrs.CONTENT_ENCODING, ())).lower()
        return RawRequestMessage(
            self.method,
            event.target,
            self.version,
            headers,
            self.raw_headers,
            should_close=not event.keep_alive,
            compression=coding if find_decoder(coding) else None,
            upgrade=event.protocol is not None or bool(named_upgrades(event.headers)),
            chunked=hdrs.TRANSFER_ENCODING in headers,
            url=self.rel_url,
        )

    @reify
    def raw_headers(self) -> RawHeaders:
        """The header fields as bytes."""
        return tuple((encode(name), encode(value)) for name, value in self.headers.items())

    @reify
    def rel_url(self) -> URL:
        """Path and query."""
        path, mark, query = self._event.target.partition("?")
        return URL.build(path=path, query_string=query if mark else "", encoded=True)

    @reify
    def url(self) -> URL:
        """The whole URL, by scheme and Host; of a Unix socket without a Host, by ``localhost``."""
        host = self.host
        if not host or "/" in host:  # That is the path of a socket.
            host = "localhost"
        return URL(f"{self.scheme}://{host}").join(self.rel_url)

    @property
    def path(self) -> str:
        """The path, percent-decoded."""
        return self.rel_url.path

    @property
    def path_qs(self) -> str:
        """Path and query, encoded."""
        return str(self.rel_url)

    @property
    def raw_path(self) -> str:
        """The target as it came."""
        return self._event.target

    @reify
    def query(self) -> MultiDictProxy[str]:
        """The parameters of the query."""
        return MultiDictProxy(MultiDict(parse_query(self._event.target.partition("?")[2])))

    @property
    def query_string(self) -> str:
        """The query, percent-decoded."""
        return self.rel_url.query_string

    @reify
    def cookies(self) -> Mapping[str, str]:
        """The cookies; pairs that cannot be read are left out."""
        # RFC 9113 section 8.2.3: HTTP/2 may send them in several fields.
        raw = "; ".join(self.headers.getall(hdrs.COOKIE, ()))
        return MappingProxyType(parse_cookies(raw))

    @reify
    def if_modified_since(self) -> datetime | None:
        """If-Modified-Since, or ``None``."""
        return parse_http_date(self.headers.get(hdrs.IF_MODIFIED_SINCE))

    @reify
    def if_unmodified_since(self) -> datetime | None:
        """If-Unmodified-Since, or ``None``."""
        return parse_http_date(self.headers.get(hdrs.IF_UNMODIFIED_SINCE))

    @reify
    def if_range(self) -> datetime | None:
        """If-Range, if it is a date."""
        return parse_http_date(self.headers.get(hdrs.IF_RANGE))

    @reify
    def if_match(self) -> tuple[ETag, ...] | None:
        """The entity tags of If-Match, or ``None``."""
        return self._etags(hdrs.IF_MATCH)

    @reify
    def if_none_match(self) -> tuple[ETag, ...] | None:
        """The entity tags of If-None-Match, or ``None``."""
        return self._etags(hdrs.IF_NONE_MATCH)

    def _etags(self, name: str) -> tuple[ETag, ...] | None:
        fields = self.headers.getall(name, ())
        return parse_etags(", ".join(fields)) if fields else None

    @reify
    def http_range(self) -> slice:
        """The bytes that Range asks for, all without one.  Raises ValueError for a range that
        cannot be read."""
        field = self.headers.get(hdrs.RANGE)
        if field is None:
            return slice(None, None, 1)
        try:
            return parse_range(field)
        except ValueError as error:
            blame_peer(error)
            raise

    @reify
    def forwarded(self) -> tuple[Mapping[str, str], ...]:
        """The elements of Forwarded (RFC 7239).  Only those of a proxy of yours can be trusted."""
        fields = self.headers.getall(hdrs.FORWARDED, ())
        return tuple(MappingProxyType(element) for element in parse_forwarded(fields))

    def _accepts_trailers(self) -> bool:
        """RFC 9110 section 10.1.4."""
        members = ",".join(self.headers.getall(hdrs.TE, ())).lower().split(",")
        return any(member.strip(" \t") == "trailers" for member in members)

    # -- the content ------------------------------------------------------------------------

    @property
    def client_max_size(self) -> int:
        """Bytes of content, decoded, that ``read`` and its like accept; 0: any."""
        return self._client_max_size

    @property
    def client_max_fields(self) -> int:
        """Fields of a form that ``post`` accepts, and parts that ``multipart`` gives; 0 or less:
        any."""
        return self._client_max_fields

    @property
    def content(self) -> StreamReader:
        """The content as a stream, decoded unless the server has ``auto_decompress=False``.  The
        header fields are as they came: Content-Encoding names what was undone, Content-Length is
        what was sent."""
        return self._exchange.content

    @property
    def body_exists(self) -> bool:
        """Whether the request has content, read or not."""
        return self.content is not EMPTY_PAYLOAD

    @property
    def can_read_body(self) -> bool:
        """Whether there is content left to read."""
        return not self.content.at_eof()

    @property
    def has_body(self) -> bool:
        """Deprecated: ``can_read_body``."""
        warnings.warn("Deprecated, use .can_read_body", DeprecationWarning, stacklevel=2)
        return self.can_read_body

    @property
    def trailers(self) -> CIMultiDictProxy[str]:
        """The trailer fields, once the content was read to its end."""
        return CIMultiDictProxy(CIMultiDict(self._exchange.trailers))

    async def read(self) -> bytes:
        """Return the content; it is kept for the next call.

        Raises HTTPRequestEntityTooLarge above ``client_max_size``, RequestPayloadError
        for content that breaks the protocol, or cannot be decoded (that one is answered 400),
        ClientConnectionResetError when the client is gone.
        """
        if self._read_bytes is None:
            data = self._exchange.take_content(self._client_max_size)
            if data is None:
                content = self.content
                if content.total_compressed_bytes is None:
                    # Before the client sends it, if it waits for 100 Continue.
                    self._check_size(self.content_length or 0)
                pieces = []
                size = 0
                try:
                    while piece := await content.readany():
                        pieces.append(piece)
                        size += len(piece)
                        self._check_size(size)
                except asyncio.CancelledError:
                    content._put_back(b"".join(pieces))  # For who reads after a timeout.
                    raise
                data = b"".join(pieces)
            self._read_bytes = data
        return self._read_bytes

    async def _finish_content(self) -> None:
        """Read what is left of the content: what follows is none of it."""
        if self.can_read_body:
            await self.read()
        elif self._read_bytes is None:
            self._read_bytes = b""

    def _check_size(self, size: int) -> None:
        limit = self._client_max_size
        if limit and size > limit:
            raise HTTPRequestEntityTooLarge(max_size=limit, actual_size=size)

    async def text(self) -> str:
        """Return the content as text, by its charset or UTF-8.

        Raises HTTPUnsupportedMediaType for an unknown charset, UnicodeError for content that
        cannot be decoded, and what ``read`` raises.  Such an error that the handler does not
        catch is answered 400.
        """
        data = await self.read()
        charset = self.charset
        name = "utf-8" if charset is None else find_charset(charset)
        if name is None:
            raise HTTPUnsupportedMediaType(text=f"unknown charset: {printable(charset or '')}")
        try:
            return data.decode(name)
        except UnicodeError as error:
            blame_peer(error)
            raise

    async def json(self, *, loads: JSONDecoder = json.loads) -> Any:
        """Return the content, decoded by ``loads``.

        Raises what ``loads`` and ``text`` raise.  A ValueError that the handler does not catch is
        answered 400.
        """
        text = await self.text()
        try:
            return loads(text)
        except (ValueError, RecursionError) as error:
            blame_peer(error)
            raise

    async def multipart(self) -> MultipartReader:
        """Return a reader of the parts of the content.

        Its parts can be read piece by piece without a limit; ``read`` and its like accept
        ``client_max_size`` bytes of a part.  It gives ``client_max_fields`` parts, and raises
        TooManyPartsError for more.  A MultipartError that the handler does not catch is answered
        with 400, that one with 413.

        Raises HTTPUnsupportedMediaType for content that is no multipart.
        """
        return self._multipart(self.content, self._client_max_fields)

    def _multipart(self, content: Readable, max_parts: int = 0) -> MultipartReader:
        if not self.content_type.startswith("multipart/"):
            raise HTTPUnsupportedMediaType(text="the content is no multipart")
        limits = self._exchange.driver.config.limits
        return MultipartReader(
            self.headers,
            content if self._read_bytes is None else _stream_of(self._read_bytes),
            client_max_size=self._client_max_size or sys.maxsize,
            max_field_size=limits.max_field_size,
            max_headers=limits.max_fields,
            max_size_error_cls=HTTPRequestEntityTooLarge,
            max_parts=max_parts if max_parts > 0 else None,
        )

    async def post(self) -> MultiDictProxy[FormField]:
        """Return the fields of a form; none for other methods and types.

        A field of a multipart form is a FileField if it has a file name, text if its type is
        text or not said, else bytes.

        Raises HTTPRequestEntityTooLarge for more than ``client_max_fields`` fields and for
        content above ``client_max_size``, HTTPUnsupportedMediaType for an unknown charset of an
        urlencoded form, MultipartError for content that is no form, and what ``read`` raises.
        """
        if self._post is None:
            fields = await read_form(self) if self.method in self.POST_METHODS else MultiDict()
            self._post = MultiDictProxy(fields)
        return self._post

    async def release(self) -> None:
        """Read what is left of the content and drop it."""
        content = self.content
        while await content.readany():
            pass

    # -- answering ----------------------------------------------------------------------------

    @property
    def writer(self) -> AbstractStreamWriter:
        """What writes the response; ``StreamResponse.prepare`` gives it a head."""
        writer = self._payload_writer
        if writer is None:
            writer = self._payload_writer = ResponseWriter(self._exchange)
        return writer

    async def send_informational(self, status: int, headers: LooseHeaders = ()) -> None:
        """Send a 1xx response ahead of the response, such as 103 Early Hints (RFC 8297).

        Nothing is sent to an HTTP/1.0 client, which knows no 1xx (RFC 9110 section 15.2).
        Raises LocalProtocolError for another status, or after the response began.
        """
        if self.version != HttpVersion10:
            fields: Headers = tuple(CIMultiDict(headers).items())
            self._exchange.inform(status, fields)

    async def _prepare_hook(self, response: StreamResponse) -> None:
        """Called when the head of ``response`` is made, before it is sent."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.method} {printable(self.path)} >"


def _stream_of(data: bytes) -> StreamReader:
    """Return a stream of content that was read already."""
    stream = StreamReader(None, len(data), loop=asyncio.get_running_loop())
    stream.feed_data(data)
    stream.feed_eof()
    return stream


class Request(BaseRequest):
    """A request to an ``Application``."""

    _match_info: UrlMappingMatchInfo | None = None
    # What the router found, until somebody asks for ``match_info``.
    _route: ResourceRoute
    _params: Params
    _apps: tuple[Application, ...] = ()

    @property
    def match_info(self) -> UrlMappingMatchInfo:
        """What the router found; a mapping of the path's variables."""
        match_info = self._match_info
        if match_info is None:
            match_info = self._match_info = self._route.match_info(self._params, self._apps)
        return match_info

    @property
    def app(self) -> Application:
        """The application whose handler or middleware runs."""
        match_info = self._match_info
        if match_info is None:
            return self._apps[-1]
        return match_info.current_app

    @property
    def config_dict(self) -> ChainMapProxy:
        """The keys of the application and of those around it, the innermost first."""
        apps = self.match_info.apps
        return ChainMapProxy(reversed(apps[: apps.index(self.app) + 1]))

    def clone(self, **changes: Unpack[_Changes]) -> Request:
        """Return a request like this one, but for ``changes`` (see ``BaseRequest``)."""
        made = cast("Request", super().clone(**changes))
        made._match_info = self.match_info
        made._prepare_apps = self._prepare_apps
        return made

    async def _prepare_hook(self, response: StreamResponse) -> None:
        for app in self._prepare_apps:
            await app.on_response_prepare.send(self, response)
