"""Abstract base classes: the places where a program can put in its own parts."""

from __future__ import annotations

import asyncio
import logging
import socket
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Sequence, Sized
from http.cookies import BaseCookie, Morsel, SimpleCookie
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypedDict

from multidict import CIMultiDict
from yarl import URL

from .calls.cookies import parse_set_cookies
from .typedefs import LooseCookies

if TYPE_CHECKING:
    from .web_app import Application
    from .web_exceptions import HTTPException
    from .web_request import BaseRequest, Request
    from .web_response import StreamResponse


_NO_URL: Final = URL()


class AbstractRouter(ABC):
    """Finds the handler of a request."""

    def __init__(self) -> None:
        self._frozen = False

    def post_init(self, app: Application) -> None:  # noqa: B027  # optional to override
        """Called once, when the router becomes the router of ``app``."""

    @property
    def frozen(self) -> bool:
        """True when no route can be added any more."""
        return self._frozen

    def freeze(self) -> None:
        """Take no more routes."""
        self._frozen = True

    @abstractmethod
    async def resolve(self, request: Request) -> AbstractMatchInfo:
        """Return what ``request`` is matched by."""


class AbstractMatchInfo(ABC):
    """What a router found."""

    __slots__ = ()

    @property
    @abstractmethod
    def handler(self) -> Callable[[Request], Awaitable[StreamResponse]]:
        """The handler to run."""

    @property
    @abstractmethod
    def expect_handler(self) -> Callable[[Request], Awaitable[StreamResponse | None]]:
        """The handler for ``Expect: 100-continue``."""

    @property
    @abstractmethod
    def http_exception(self) -> HTTPException | None:
        """The error to answer with, when nothing matches."""

    @abstractmethod
    def get_info(self) -> dict[str, Any]:
        """Return a description of the route, of any shape."""

    @property
    @abstractmethod
    def apps(self) -> tuple[Application, ...]:
        """The applications on the way to the handler, the outermost first."""

    @abstractmethod
    def add_app(self, app: Application) -> None:
        """Put ``app`` around the others."""

    @abstractmethod
    def freeze(self) -> None:
        """Take no more applications."""


class AbstractView(ABC):
    """A class that handles requests; awaiting an instance gives the response."""

    def __init__(self, request: Request) -> None:
        self._request = request

    @property
    def request(self) -> Request:
        """The request."""
        return self._request

    @abstractmethod
    def __await__(self) -> Generator[None, None, StreamResponse]:
        """Run the handler."""


class ResolveResult(TypedDict):
    """An address that a name stands for, as ``socket.getaddrinfo`` describes one."""

    hostname: str
    host: str
    port: int
    family: int
    proto: int
    flags: int


class AbstractResolver(ABC):
    """Finds the addresses of a host."""

    @abstractmethod
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of ``host``.  Raises OSError when there are none."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of what the resolver holds."""


class AbstractCookieJar(Sized, Iterable["Morsel[str]"]):
    """Keeps the cookies of a session."""

    def __init__(self, *, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop

    @property
    @abstractmethod
    def unsafe(self) -> bool:
        """True when hosts that are IP addresses may set cookies."""

    @property
    @abstractmethod
    def quote_cookie(self) -> bool:
        """True when values are quoted by the rules of ``http.cookies``."""

    @property
    def treat_as_secure_origin(self) -> frozenset[URL]:
        """Origins that get Secure cookies over cleartext too: none."""
        return frozenset()

    @property
    @abstractmethod
    def cookies(self) -> MappingProxyType[tuple[str, str], SimpleCookie]:
        """What is stored, by domain and path."""

    @property
    @abstractmethod
    def host_only_cookies(self) -> frozenset[tuple[str, str, str]]:
        """Domain, path and name of cookies that go to no subdomain."""

    @abstractmethod
    def clear(self, predicate: Callable[[Morsel[str]], bool] | None = None) -> None:
        """Remove all cookies, or those for which ``predicate`` is true."""

    @abstractmethod
    def clear_domain(self, domain: str) -> None:
        """Remove the cookies of ``domain`` and its subdomains."""

    @abstractmethod
    def update_cookies(self, cookies: LooseCookies, response_url: URL = _NO_URL) -> None:
        """Store cookies, as if a response from ``response_url`` had set them."""

    def update_cookies_from_headers(self, headers: Sequence[str], response_url: URL) -> None:
        """Store the cookies of ``Set-Cookie`` values."""
        cookies = parse_set_cookies(headers)
        if cookies:
            self.update_cookies(cookies, response_url)

    @abstractmethod
    def filter_cookies(self, request_url: URL) -> BaseCookie[str]:
        """Return the cookies to send to ``request_url``."""

    @abstractmethod
    def __iter__(self) -> Iterator[Morsel[str]]: ...


class AbstractStreamWriter(ABC):
    """Takes a body piece by piece."""

    buffer_size: int = 0
    output_size: int = 0
    length: int | None = 0
    on_body_write: Callable[[int, int], None] | None = None

    @property
    def transport(self) -> asyncio.WriteTransport | None:
        """What carries the bytes; ``None`` when that is gone, or not known."""
        return None

    @abstractmethod
    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """Send ``chunk``; waits while the peer takes no more."""

    @abstractmethod
    async def write_eof(self, chunk: bytes = b"") -> None:
        """Send ``chunk`` and end the body."""

    @abstractmethod
    async def drain(self) -> None:
        """Wait until the stream takes more bytes."""

    @abstractmethod
    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        """Compress what follows."""

    @abstractmethod
    def enable_chunking(self) -> None:
        """Send the body without its length."""

    @abstractmethod
    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None:
        """Send the head of the message."""

    def send_headers(self) -> None:  # noqa: B027  # optional to override
        """See that the head is written now, if it waits for the body."""


class AbstractAccessLogger(ABC):
    """Writes a line for each request that was served."""

    __slots__ = ("log_format", "logger")

    def __init__(self, logger: logging.Logger, log_format: str) -> None:
        self.logger = logger
        self.log_format = log_format

    @abstractmethod
    def log(self, request: BaseRequest, response: StreamResponse, time: float) -> None:
        """Log one request; ``time`` is its duration in seconds."""

    @property
    def enabled(self) -> bool:
        """False when nothing would be written."""
        return True
