"""The application: routes, middlewares, signals and shared state."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import warnings
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
)
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast, overload

from aiosignal import Signal
from frozenlist import FrozenList

from plait_engine.routing import NoMatch, decode_path, is_dangerous

from .abc import AbstractAccessLogger
from .helpers import AppKey, BaseKey
from .log import web_logger
from .serving.keyed_state import KeyedState
from .typedefs import Handler, Middleware
from .web_log import AccessLogger
from .web_middlewares import compose, warn_of_old_style
from .web_request import Request
from .web_response import StreamResponse
from .web_routedef import AbstractRouteDef
from .web_server import Server
from .web_urldispatcher import (
    AbstractResource,
    AbstractRoute,
    Domain,
    MaskDomain,
    MatchedSubAppResource,
    PrefixedSubAppResource,
    ResourceRoute,
    UrlDispatcher,
)

if TYPE_CHECKING:
    from plait_engine import Request as RequestEvent

    from .serving.exchange import ServerExchange

__all__ = ("Application", "CleanupError")

_T = TypeVar("_T")

AppSignal: TypeAlias = "Signal[Application]"
PrepareSignal: TypeAlias = "Signal[Request, StreamResponse]"


class Application(KeyedState):
    """A web application.

    Args:
        logger: for what the application says about itself.
        router: deprecated; a router of one's own.
        middlewares: functions around every handler, the outermost first.
        handler_args: arguments for the ``Server`` that ``AppRunner`` makes; they win over
            those of the runner.
        client_max_size: bytes of content that ``Request.read`` and its like accept
            before they answer 413; 0: any.
        client_max_fields: fields of a form that ``Request.post`` accepts, and parts that
            ``Request.multipart`` gives; 0 or less: any.
        loop: deprecated, and not needed.
        debug: deprecated; show tracebacks to clients, by default if the loop is in debug mode.
    """

    _key_type = AppKey
    _stacklevel = 4  # ``__setitem__`` of this class stands in between.

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        warnings.warn(
            f"Inheritance class {cls.__name__} from web.Application is discouraged",
            DeprecationWarning,
            stacklevel=2,
        )

    def __init__(
        self,
        *,
        logger: logging.Logger = web_logger,
        router: UrlDispatcher | None = None,
        middlewares: Iterable[Middleware] = (),
        handler_args: Mapping[str, Any] | None = None,
        client_max_size: int = 1024**2,
        client_max_fields: int = 1000,
        loop: asyncio.AbstractEventLoop | None = None,
        debug: bool | None = None,
    ) -> None:
        for name, value in (("router", router), ("loop", loop), ("debug", debug)):
            if value is not None:
                warnings.warn(f"{name} argument is deprecated", DeprecationWarning, stacklevel=2)
        self.logger = logger
        self._router = UrlDispatcher() if router is None else router
        self._middlewares: FrozenList[Middleware] = FrozenList(middlewares)
        self._handler_args = handler_args
        self._client_max_size = client_max_size
        self._client_max_fields = client_max_fields
        self._loop = loop
        self._debug = debug
        self._warned = set()
        self._frozen = False
        self._pre_frozen = False
        self._subapps: list[Application] = []
        self._only_self = (self,)
        self._on_response_prepare: PrepareSignal = Signal(self)
        self._on_startup: AppSignal = Signal(self)
        self._on_shutdown: AppSignal = Signal(self)
        self._on_cleanup: AppSignal = Signal(self)
        self._cleanup_ctx = CleanupContext()
        self._on_startup.append(self._cleanup_ctx._on_startup)
        self._on_cleanup.append(self._cleanup_ctx._on_cleanup)

    # -- state ----------------------------------------------------------------------------

    @overload
    def __setitem__(self, key: BaseKey[_T], value: _T) -> None: ...
    @overload
    def __setitem__(self, key: str, value: Any) -> None: ...
    def __setitem__(self, key: str | BaseKey[Any], value: Any) -> None:
        self._check_frozen()
        super().__setitem__(key, value)

    def __delitem__(self, key: str | BaseKey[Any]) -> None:
        self._check_frozen()
        super().__delitem__(key)

    def __call__(self) -> Application:
        """Return itself, for servers that take a factory."""
        return self

    def __repr__(self) -> str:
        return f"<Application 0x{id(self):x}>"

    def _check_frozen(self) -> None:
        if self._frozen:
            warnings.warn(
                "Changing state of started or joined application is deprecated",
                DeprecationWarning,
                stacklevel=3,
            )

    # -- parts ------------------------------------------------------------------------------

    @property
    def router(self) -> UrlDispatcher:
        """The router."""
        return self._router

    @property
    def middlewares(self) -> FrozenList[Middleware]:
        """The middlewares, the outermost first."""
        return self._middlewares

    @property
    def on_response_prepare(self) -> PrepareSignal:
        """Sent with request and response when a head is made, before it is sent."""
        return self._on_response_prepare

    @property
    def on_startup(self) -> AppSignal:
        """Sent before the server listens."""
        return self._on_startup

    @property
    def on_shutdown(self) -> AppSignal:
        """Sent when the server no longer listens and requests may still run."""
        return self._on_shutdown

    @property
    def on_cleanup(self) -> AppSignal:
        """Sent at the end, when no request runs."""
        return self._on_cleanup

    @property
    def cleanup_ctx(self) -> CleanupContext:
        """Async generators or context managers around the life of the application."""
        return self._cleanup_ctx

    def add_routes(self, routes: Iterable[AbstractRouteDef]) -> list[AbstractRoute]:
        """Add what ``web.get`` and its like made, or a ``RouteTableDef``."""
        return self._router.add_routes(routes)

    def add_subapp(self, prefix: str, subapp: Application) -> PrefixedSubAppResource:
        """Add an application for everything below ``prefix``.

        Raises RuntimeError when one of them is frozen, ValueError for an empty prefix.
        """
        if not isinstance(prefix, str):
            raise TypeError(f"prefix must be a str, not {type(prefix).__name__}")
        prefix = prefix.rstrip("/")
        if not prefix:
            raise ValueError("prefix is empty: it must name a path below the root")
        self._check_addable(subapp)
        resource = PrefixedSubAppResource(prefix, subapp)
        self._add_subapp(resource, subapp)
        return resource

    def add_domain(self, domain: str, subapp: Application) -> MatchedSubAppResource:
        """Add an application for a host, or for hosts by a mask such as ``*.example.com``.

        It goes before everything else, in the order in which hosts were added.  Raises
        RuntimeError when one of the applications is frozen, ValueError for what is no host.
        """
        if not isinstance(domain, str):
            raise TypeError(f"domain must be a str, not {type(domain).__name__}")
        rule = MaskDomain(domain) if "*" in domain else Domain(domain)
        self._check_addable(subapp)
        resource = MatchedSubAppResource(rule, subapp)
        self._add_subapp(resource, subapp)
        return resource

    def _check_addable(self, subapp: Application) -> None:
        if self.frozen:
            raise RuntimeError("this application is frozen: add sub-applications before it starts")
        if subapp.frozen:
            raise RuntimeError(
                "the sub-application is frozen: it is part of an application already"
            )

    def _add_subapp(self, resource: AbstractResource, subapp: Application) -> None:
        self._router.register_resource(resource)
        self._subapps.append(subapp)
        for name in ("on_startup", "on_shutdown", "on_cleanup"):
            _chain(getattr(self, name), subapp, name)
        subapp.pre_freeze()

    # -- life -------------------------------------------------------------------------------

    @property
    def pre_frozen(self) -> bool:
        """True when routes and middlewares can change no more."""
        return self._pre_frozen

    @property
    def frozen(self) -> bool:
        """True when nothing can change any more."""
        return self._frozen

    def pre_freeze(self) -> None:
        """Freeze routes, middlewares and signals, of sub-applications too."""
        if self._pre_frozen:
            return
        self._pre_frozen = True
        self._middlewares.freeze()
        warn_of_old_style(self._middlewares)
        self._router.freeze()
        self._on_response_prepare.freeze()
        self._cleanup_ctx.freeze()
        self._on_startup.freeze()
        self._on_shutdown.freeze()
        self._on_cleanup.freeze()
        for subapp in self._subapps:
            subapp.pre_freeze()

    def freeze(self) -> None:
        """Freeze all, of sub-applications too."""
        if self._frozen:
            return
        self.pre_freeze()
        self._frozen = True
        for subapp in self._subapps:
            subapp.freeze()

    async def startup(self) -> None:
        """Send ``on_startup``."""
        await self._on_startup.send(self)

    async def shutdown(self) -> None:
        """Send ``on_shutdown``."""
        await self._on_shutdown.send(self)

    async def cleanup(self) -> None:
        """Leave the cleanup contexts and send ``on_cleanup``."""
        if self._on_cleanup.frozen:
            await self._on_cleanup.send(self)
        else:
            # Startup failed: only what was entered is left.
            await self._cleanup_ctx._on_cleanup(self)

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """Deprecated: the loop in which the application runs, ``None`` before that."""
        warnings.warn("loop property is deprecated", DeprecationWarning, stacklevel=2)
        return self._loop

    @property
    def debug(self) -> bool | None:
        """Deprecated: whether clients are shown tracebacks, ``None`` before that is known."""
        warnings.warn("debug property is deprecated", DeprecationWarning, stacklevel=2)
        return self._debug

    def make_handler(
        self,
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        access_log_class: type[AbstractAccessLogger] = AccessLogger,
        **kwargs: Any,  # those of Server
    ) -> Server:
        """Deprecated, use ``AppRunner``: return what ``loop.create_server`` takes."""
        warnings.warn(
            "Application.make_handler(...) is deprecated, use AppRunner API instead",
            DeprecationWarning,
            stacklevel=2,
        )
        self._set_loop(loop or asyncio.get_event_loop())
        return self._make_server(access_log_class=access_log_class, **kwargs)

    def _set_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Remember the loop, in the sub-applications, too."""
        self._loop = loop
        if self._debug is None:
            self._debug = loop.get_debug()
        for subapp in self._subapps:
            subapp._set_loop(loop)

    def _make_server(self, **kwargs: Any) -> Server:  # those of Server
        self.freeze()
        return Server(
            self._handle,
            request_factory=self._make_request,
            loop=self._loop,
            **{"debug": self._debug, **kwargs, **(self._handler_args or {})},
        )

    # -- requests -----------------------------------------------------------------------------

    def _make_request(self, event: RequestEvent, exchange: ServerExchange) -> Request:
        return Request(event, exchange, self._client_max_size, self._client_max_fields)

    def _handle(self, request: Request) -> Awaitable[StreamResponse]:
        """Return what runs the handler of ``request``, inside the middlewares.

        Short path of ``_resolve_and_handle``: where this class's own router finds a route, and
        nothing is expected, the middlewares were put around the handler once for all requests.
        """
        router = self._router
        event = request._event
        if type(router) is not UrlDispatcher or event.expect is not None:
            return self._resolve_and_handle(request)
        path = event.target
        if "?" in path or "%" in path:
            path = decode_path(path.partition("?")[0])
            if is_dangerous(path):
                return self._resolve_and_handle(request)
        method = event.method if event.protocol is None else request.method
        found = router.find(method, path)
        if found is None or isinstance(found, NoMatch):
            return self._resolve_and_handle(request)
        route, request._params, apps = found
        request._route = route
        request._apps = apps = (self, *apps) if apps else self._only_self
        chain = route._chain or self._compose(route, apps)
        if route._prepare_apps:
            request._prepare_apps = route._prepare_apps
        return chain(request)

    @staticmethod
    def _compose(route: ResourceRoute, apps: tuple[Application, ...]) -> Handler:
        """Put the middlewares around the handler of ``route``, once for all requests."""
        chain = compose(route.handler, apps)
        if all(app.frozen for app in apps):
            route._chain = chain
            route._prepare_apps = tuple(app for app in apps if app.on_response_prepare)
        return chain

    async def _resolve_and_handle(self, request: Request) -> StreamResponse:
        """Ask the router, and run what it says: a handler or an error."""
        match_info = await self._router.resolve(request)
        match_info.add_app(self)
        match_info.freeze()
        request._match_info = match_info
        request._prepare_apps = tuple(app for app in match_info.apps if app.on_response_prepare)
        if request._event.expect is not None:
            response = await match_info.expect_handler(request)
            if response is not None:
                return response
        return await compose(match_info.handler, match_info.apps)(request)


def _chain(signal: AppSignal, subapp: Application, name: str) -> None:
    """Send the signal ``name`` of ``subapp`` when ``signal`` is sent."""

    async def handler(app: Application) -> None:
        await getattr(subapp, name).send(subapp)

    signal.append(handler)


class CleanupError(RuntimeError):
    """Several cleanup contexts failed; ``exceptions`` has what they raised."""

    @property
    def exceptions(self) -> list[BaseException]:
        """What the contexts raised."""
        return cast("list[BaseException]", self.args[1])


_Context: TypeAlias = Callable[
    [Application], AsyncIterator[None] | AbstractAsyncContextManager[None]
]


class CleanupContext(FrozenList[_Context]):
    """Functions that make a context around the life of an application.

    They are entered in order on startup and left in reverse order on cleanup.
    """

    def __init__(self) -> None:
        super().__init__()
        self._exits: list[AbstractAsyncContextManager[None]] = []

    async def _on_startup(self, app: Application) -> None:
        for function in self:
            context = function(app)
            if isinstance(context, AsyncIterator):
                manager: AbstractAsyncContextManager[None] = _GeneratorContext(context)
            else:
                manager = context
            await manager.__aenter__()
            self._exits.append(manager)

    async def _on_cleanup(self, app: Application) -> None:
        errors: list[BaseException] = []
        while self._exits:
            try:
                await self._exits.pop().__aexit__(None, None, None)
            except (Exception, asyncio.CancelledError) as error:
                errors.append(error)
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise CleanupError("several cleanup contexts failed", errors)


class _GeneratorContext(AbstractAsyncContextManager[None]):
    """An async generator with one yield, as a context manager."""

    def __init__(self, generator: AsyncIterator[None]) -> None:
        self._generator: Final = generator

    async def __aenter__(self) -> None:
        await anext(self._generator)

    async def __aexit__(self, *exc_info: object) -> None:
        with contextlib.suppress(StopAsyncIteration):
            await anext(self._generator)
            raise RuntimeError(f"{self._generator!r} has more than one 'yield'")
