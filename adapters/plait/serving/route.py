"""Routes: a method, its handler, and what the router says when it has found one.

A route belongs to a resource (see ``resource``); a ``SystemRoute`` belongs to none
and answers with an error.  A ``UrlMappingMatchInfo`` is a route with the variables of the
path and the applications around it: what ``request.match_info`` is.
"""

from __future__ import annotations

import abc
import inspect
import warnings
from collections.abc import Awaitable, Callable, Generator
from functools import wraps
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, cast

from yarl import URL

from plait import hdrs
from plait.abc import AbstractMatchInfo, AbstractView
from plait.helpers import printable
from plait.http_writer import HttpVersion10
from plait.typedefs import Handler
from plait.web_exceptions import HTTPException, HTTPExpectationFailed, HTTPMethodNotAllowed
from plait.web_response import StreamResponse
from plait_engine.routing import Params

from .misuse import MisuseTypeError

if TYPE_CHECKING:
    from plait.web_app import Application
    from plait.web_request import Request

    from .resource import AbstractResource

__all__ = (
    "AbstractRoute",
    "MatchInfoError",
    "ResourceRoute",
    "SystemRoute",
    "UrlMappingMatchInfo",
    "View",
)

ExpectHandler: TypeAlias = Callable[["Request"], Awaitable[StreamResponse | None]]


class AbstractRoute(abc.ABC):
    """A method and its handler.

    Raises TypeError for a handler that cannot be called, and for an ``expect_handler`` that
    is no coroutine function; such a handler is deprecated.
    """

    def __init__(
        self,
        method: str,
        handler: Handler | type[AbstractView],
        *,
        expect_handler: ExpectHandler | None = None,
        resource: AbstractResource | None = None,
    ) -> None:
        if expect_handler is not None and not inspect.iscoroutinefunction(expect_handler):
            raise MisuseTypeError(
                f"expect_handler must be a coroutine function, not {expect_handler!r}"
            )
        self._method = method
        self._handler = _as_handler(handler)
        self._expect_handler = expect_handler
        self._resource = resource

    @property
    def method(self) -> str:
        """The method, ``*`` for any."""
        return self._method

    @property
    def handler(self) -> Handler:
        """The handler; a view's is its class."""
        return self._handler

    @property
    @abc.abstractmethod
    def name(self) -> str | None:
        """The name of the resource."""

    @property
    def resource(self) -> AbstractResource | None:
        """The resource that the route belongs to."""
        return self._resource

    @abc.abstractmethod
    def get_info(self) -> dict[str, Any]:
        """Return a description of the path, of any shape."""

    @abc.abstractmethod
    def url_for(self, *args: str, **kwargs: str) -> URL:
        """Return the URL for these variables."""

    async def handle_expect_header(self, request: Request) -> StreamResponse | None:
        """Answer to ``Expect``: with a response, or ``None`` to go on."""
        if self._expect_handler is None:
            check_expectation(request)
            return None
        return await self._expect_handler(request)


def check_expectation(request: Request) -> None:
    """Refuse any expectation but 100-continue (RFC 9110 section 10.1.1).

    Raises HTTPExpectationFailed.
    """
    expect = request.headers.get(hdrs.EXPECT, "100-continue")
    if request.version != HttpVersion10 and expect.lower() != "100-continue":
        raise HTTPExpectationFailed(text=f"Unknown Expect: {printable(expect)}")


def _as_handler(handler: Handler | type[AbstractView]) -> Handler:
    """Return a function that takes a request and returns an awaitable."""
    if inspect.iscoroutinefunction(handler):
        return handler
    if isinstance(handler, type) and issubclass(handler, AbstractView):
        return cast("Handler", handler)  # Its instances are awaited.
    if not callable(handler):
        raise MisuseTypeError(f"Only async functions are allowed as web-handlers, got {handler!r}")
    if not inspect.iscoroutinefunction(getattr(handler, "__call__", None)):  # noqa: B004  # the method, not whether there is one
        warnings.warn(
            "Bare functions are deprecated, use async ones", DeprecationWarning, stacklevel=5
        )
    return _bare_handler(handler)


def _bare_handler(function: Callable[[Request], Any]) -> Handler:
    @wraps(function)
    async def handler(request: Request) -> StreamResponse:
        result = function(request)
        if inspect.isawaitable(result):
            result = await result
        assert isinstance(result, StreamResponse)
        return result

    return handler


class UrlMappingMatchInfo(dict[str, str], AbstractMatchInfo):
    """What the router found: the path's variables, the route, and the applications."""

    __slots__ = ("_apps", "_current_app", "_frozen", "_route")

    def __init__(self, match_dict: dict[str, str], route: AbstractRoute) -> None:
        super().__init__(match_dict)
        self._route = route
        self._apps: list[Application] = []
        self._current_app: Application | None = None
        self._frozen = False

    @property
    def handler(self) -> Handler:
        """The handler of the route."""
        return self._route.handler

    @property
    def route(self) -> AbstractRoute:
        """The route."""
        return self._route

    @property
    def expect_handler(self) -> ExpectHandler:
        """What answers to ``Expect``."""
        return self._route.handle_expect_header

    @property
    def http_exception(self) -> HTTPException | None:
        """The error to answer with, when nothing matches."""
        return None

    def get_info(self) -> dict[str, Any]:
        """Return a description of the route's path."""
        return self._route.get_info()

    @property
    def apps(self) -> tuple[Application, ...]:
        """The applications on the way to the handler, the outermost first."""
        return tuple(self._apps)

    def add_app(self, app: Application) -> None:
        """Put ``app`` around the others.  Raises RuntimeError when frozen."""
        if self._frozen:
            raise RuntimeError("the match is frozen: its applications cannot change")
        if self._current_app is None:
            self._current_app = app
        self._apps.insert(0, app)

    @property
    def current_app(self) -> Application:
        """The application whose code runs now."""
        assert self._current_app is not None
        return self._current_app

    @current_app.setter
    def current_app(self, app: Application) -> None:
        if app not in self._apps:
            raise RuntimeError(f"{app!r} is none of the applications of this match: {self._apps!r}")
        self._current_app = app

    def freeze(self) -> None:
        """Take no more applications."""
        self._frozen = True

    def __repr__(self) -> str:
        return f"<MatchInfo {super().__repr__()}: {self._route}>"


class MatchInfoError(UrlMappingMatchInfo):
    """What the router found is an error."""

    __slots__ = ("_exception",)

    def __init__(self, http_exception: HTTPException) -> None:
        self._exception = http_exception
        super().__init__({}, SystemRoute(http_exception))

    @property
    def http_exception(self) -> HTTPException | None:
        """The error to answer with."""
        return self._exception

    def __repr__(self) -> str:
        return f"<MatchInfoError {self._exception.status}: {self._exception.reason}>"


class SystemRoute(AbstractRoute):
    """Answers with an error."""

    def __init__(self, http_exception: HTTPException) -> None:
        super().__init__(hdrs.METH_ANY, self._handle)
        self._http_exception = http_exception

    async def _handle(self, request: Request) -> NoReturn:
        raise self._http_exception

    @property
    def name(self) -> str | None:
        """It has none."""
        return None

    @property
    def status(self) -> int:
        """The status of the error."""
        return self._http_exception.status

    @property
    def reason(self) -> str:
        """The reason phrase of the error."""
        return self._http_exception.reason

    def url_for(self, *args: str, **kwargs: str) -> URL:
        """It has none: raises RuntimeError."""
        raise RuntimeError("a system route answers errors: it has no URL")

    def get_info(self) -> dict[str, Any]:
        """Return the error."""
        return {"http_exception": self._http_exception}

    def __repr__(self) -> str:
        return f"<SystemRoute {self.status}: {self.reason}>"


class ResourceRoute(AbstractRoute):
    """A route of a resource."""

    _chain: Callable[[Request], Awaitable[StreamResponse]] | None = None
    """The handler inside the middlewares of the applications, once it was composed."""
    _prepare_apps: tuple[Application, ...] = ()
    """Those of the applications that have ``on_response_prepare``."""

    def __init__(
        self,
        method: str,
        handler: Handler | type[AbstractView],
        resource: AbstractResource,
        *,
        expect_handler: ExpectHandler | None = None,
    ) -> None:
        super().__init__(method, handler, expect_handler=expect_handler, resource=resource)

    @property
    def name(self) -> str | None:
        """The name of the resource."""
        return None if self._resource is None else self._resource.name

    def url_for(self, *args: str, **kwargs: str) -> URL:
        """Return the URL for these variables."""
        assert self._resource is not None
        return self._resource.url_for(*args, **kwargs)

    def get_info(self) -> dict[str, Any]:
        """Return a description of the resource."""
        assert self._resource is not None
        return self._resource.get_info()

    def match_info(self, params: Params, apps: tuple[Application, ...]) -> UrlMappingMatchInfo:
        """Return the match of this route inside ``apps``, the outermost first."""
        match_info = UrlMappingMatchInfo(params, self)
        match_info._apps = list(apps)
        match_info._current_app = apps[-1]
        match_info._frozen = True
        return match_info

    def __repr__(self) -> str:
        return f"<ResourceRoute [{self.method}] {self._resource} -> {self.handler!r}"


class View(AbstractView):
    """A class with a method for each HTTP method: ``async def get(self)``.

    Raises HTTPMethodNotAllowed for a method that it does not have.
    """

    def __await__(self) -> Generator[Any, None, StreamResponse]:
        return self._iter().__await__()

    async def _iter(self) -> StreamResponse:
        """Answer the request.  Libraries that give arguments to methods override it."""
        method = self.request.method
        handler = getattr(self, method.lower(), None) if method in hdrs.METH_ALL else None
        if handler is None:
            self._raise_allowed_methods()
        response = await handler()
        assert isinstance(response, StreamResponse)
        return response

    def _raise_allowed_methods(self) -> NoReturn:
        allowed = {name for name in hdrs.METH_ALL if hasattr(self, name.lower())}
        raise HTTPMethodNotAllowed(self.request.method, allowed)
