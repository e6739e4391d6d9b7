"""The router: resources, their routes, and which of them answers a request.

A resource is a path, perhaps with variables; a route is one of its methods and a handler.
Which resource matches is decided by ``plait_engine.routing``; this module gives it
aiohttp's classes, names and errors.  A sub-application is a resource that matches all
below its prefix; its own router decides on.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import (
    Iterable,
    Iterator,
    Mapping,
    Sized,
)
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from yarl import URL

from plait_engine.routing import NoMatch, Params, RouteTable, Subtree, is_dangerous

from . import hdrs
from .abc import AbstractRouter, AbstractView
from .serving.domain import AbstractRuleMatching, Domain, MaskDomain
from .serving.misuse import MisuseTypeError
from .serving.resource import (
    AbstractResource,
    DynamicResource,
    PlainResource,
    PrefixResource,
    Resolved,
    Resource,
    path_of,
)
from .serving.route import (
    AbstractRoute,
    ExpectHandler,
    MatchInfoError,
    ResourceRoute,
    SystemRoute,
    UrlMappingMatchInfo,
    View,
)
from .serving.static import StaticResource
from .typedefs import Handler, PathLike
from .web_exceptions import (
    HTTPBadRequest,
    HTTPException,
    HTTPMethodNotAllowed,
    HTTPNoContent,
    HTTPNotFound,
    HTTPNotImplemented,
)

if TYPE_CHECKING:
    from .web_app import Application
    from .web_request import Request
    from .web_routedef import AbstractRouteDef

__all__ = (
    "AbstractResource",
    "AbstractRoute",
    "AbstractRuleMatching",
    "Domain",
    "DynamicResource",
    "MaskDomain",
    "MatchedSubAppResource",
    "PlainResource",
    "PrefixedSubAppResource",
    "Resource",
    "ResourceRoute",
    "StaticResource",
    "SystemRoute",
    "UrlDispatcher",
    "UrlMappingMatchInfo",
    "View",
)

PATH_SEP: Final = re.escape("/")
"""Between the segments of a path, in the pattern of a resource."""

Found: TypeAlias = tuple["ResourceRoute", Params, tuple["Application", ...]]
"""A route, the variables of its path, and the sub-applications on the way to it."""


class PrefixedSubAppResource(PrefixResource):
    """A sub-application."""

    def __init__(self, prefix: str, app: Application) -> None:
        super().__init__(prefix)
        self._app = app
        self._add_prefix_to_resources(prefix)

    def add_prefix(self, prefix: str) -> None:
        """Put ``prefix`` in front of the prefix, and of the resources of the application."""
        super().add_prefix(prefix)
        self._add_prefix_to_resources(prefix)

    def _add_prefix_to_resources(self, prefix: str) -> None:
        for resource in self._app.router.resources():
            resource.add_prefix(prefix)
        self._app.router._table = None

    def url_for(self, *args: str, **kwargs: str) -> URL:
        """It has none: raises RuntimeError."""
        raise RuntimeError("the root of a sub-application has no URL of its own to build")

    def get_info(self) -> dict[str, Any]:
        """Return application and prefix."""
        return {"app": self._app, "prefix": self.canonical}

    async def resolve(self, request: Request) -> Resolved:
        """Return what the application's router finds, and the methods of the path."""
        if self._subtree.match(path_of(request)) is None:
            return None, set()
        match_info = await self._app.router.resolve(request)
        match_info.add_app(self._app)
        error = match_info.http_exception
        allowed = error.allowed_methods if isinstance(error, HTTPMethodNotAllowed) else set()
        return match_info, allowed

    def __len__(self) -> int:
        return len(self._app.router.routes())

    def __iter__(self) -> Iterator[AbstractRoute]:
        return iter(self._app.router.routes())

    def __repr__(self) -> str:
        return f"<PrefixedSubAppResource {self.canonical} -> {self._app!r}>"


class MatchedSubAppResource(PrefixedSubAppResource):
    """A sub-application for the requests that satisfy a rule, whatever their path."""

    def __init__(self, rule: AbstractRuleMatching, app: Application) -> None:
        PrefixResource.__init__(self, "")
        self._app = app
        self._rule = rule

    @property
    def canonical(self) -> str:
        """The rule as text."""
        return self._rule.canonical

    def get_info(self) -> dict[str, Any]:
        """Return application and rule."""
        return {"app": self._app, "rule": self._rule}

    async def resolve(self, request: Request) -> Resolved:
        """Return what the application's router finds, if the request satisfies the rule."""
        if not await self._rule.match(request):
            return None, set()
        return await super().resolve(request)

    def __repr__(self) -> str:
        return f"<MatchedSubAppResource -> {self._app!r}>"


def _no_resource(method: str, target: str) -> HTTPException:
    """Return the answer where no resource has the target: 404, but for two targets that name
    no resource."""
    if method == hdrs.METH_CONNECT:
        return HTTPNotImplemented()  # RFC 9110 section 9.3.6: a server is no proxy.
    if target == "*":
        return HTTPNoContent()  # RFC 9110 section 9.3.7: is the server there?
    return HTTPNotFound()


class ResourcesView(Sized, Iterable[AbstractResource]):
    """The resources of a router, in the order in which they were added."""

    def __init__(self, resources: list[AbstractResource]) -> None:
        self._resources = resources

    def __len__(self) -> int:
        return len(self._resources)

    def __iter__(self) -> Iterator[AbstractResource]:
        return iter(self._resources)

    def __contains__(self, resource: object) -> bool:
        return resource in self._resources


class RoutesView(Sized, Iterable[AbstractRoute]):
    """The routes of all resources of a router."""

    def __init__(self, resources: list[AbstractResource]) -> None:
        self._routes = [route for resource in resources for route in resource]

    def __len__(self) -> int:
        return len(self._routes)

    def __iter__(self) -> Iterator[AbstractRoute]:
        return iter(self._routes)

    def __contains__(self, route: object) -> bool:
        return route in self._routes


class UrlDispatcher(AbstractRouter, Mapping[str, AbstractResource]):
    """The router of an application.  As a mapping it has the named resources."""

    NAME_SPLIT_RE: Final = re.compile(r"[.:-]")

    def __init__(self) -> None:
        super().__init__()
        self._resources: list[AbstractResource] = []
        self._named_resources: dict[str, AbstractResource] = {}
        self._table: RouteTable[ResourceRoute | AbstractResource] | None = None
        """Made when it is needed, and again after a change."""
        self._by_rule: list[MatchedSubAppResource] = []
        """They go before the table, in their order."""
        self._custom = False
        """Something else decides what matches: a resource, or a ``resolve`` of another's."""

    # -- finding ------------------------------------------------------------------------------

    def find(self, method: str, path: str) -> Found | NoMatch | None:
        """Return what answers ``method`` at the decoded ``path``.

        ``None``: only ``resolve`` can tell, because resources or routers of the
        application's own are to be asked.
        """
        table = self._table or self._make_table()
        if self._custom:
            return None
        found = table.match(method, path)
        if isinstance(found, NoMatch):
            return found
        route, params = found
        if type(route) is ResourceRoute:
            return route, params, ()
        assert isinstance(route, PrefixedSubAppResource)
        app = route._app
        router = app.router
        if type(router) is not UrlDispatcher:
            return None
        inner = router.find(method, path)
        if inner is None or isinstance(inner, NoMatch):
            return None  # The error belongs to that application: resolve gives it.
        return inner[0], inner[1], (app, *inner[2])

    async def resolve(self, request: Request) -> UrlMappingMatchInfo:
        """Return what answers ``request``; an error is a match too."""
        table = self._table or self._make_table()
        method = request.method
        allowed: set[str] = set()
        path = path_of(request)
        if is_dangerous(path):
            return MatchInfoError(HTTPBadRequest(text="400: NUL, CR or LF in the path"))
        for resource in self._by_rule:
            match_info, _ = await resource.resolve(request)
            if match_info is not None:
                return match_info
        for routes, params in table.candidates(path):
            route = routes.get(method) or routes.get(hdrs.METH_ANY)
            if isinstance(route, ResourceRoute):
                return UrlMappingMatchInfo(params, route)
            if route is None:
                allowed.update(routes)
                continue
            match_info, methods = await route.resolve(request)
            if match_info is not None:
                return match_info
            allowed |= methods
        if allowed:
            return MatchInfoError(HTTPMethodNotAllowed(method, allowed))
        return MatchInfoError(_no_resource(method, request.raw_path))

    def _make_table(self) -> RouteTable[ResourceRoute | AbstractResource]:
        table: RouteTable[ResourceRoute | AbstractResource] = RouteTable()
        # Packages that watch applications put a function of their own in its place.
        self._custom = UrlDispatcher.resolve is not _RESOLVE
        self._by_rule = []
        for resource in self._resources:
            if isinstance(resource, Resource) and type(resource).resolve is Resource.resolve:
                table.add(resource._template, resource._routes)
                continue
            if (
                isinstance(resource, StaticResource)
                and type(resource).resolve is StaticResource.resolve
            ):
                table.add(resource._subtree, resource._routes)
                continue
            if isinstance(resource, MatchedSubAppResource):
                self._by_rule.append(resource)
                self._custom = True
                continue
            if not isinstance(resource, PrefixedSubAppResource):
                self._custom = True
            prefix = resource.canonical.partition("{")[0]
            table.add(
                Subtree(prefix.rpartition("/")[0] if "{" in resource.canonical else prefix),
                {hdrs.METH_ANY: resource},
            )
        self._table = table
        return table

    # -- adding -------------------------------------------------------------------------------

    def register_resource(self, resource: AbstractResource) -> None:
        """Add a resource.

        Raises RuntimeError when frozen, TypeError for another type, ValueError for a name
        that is taken or no name.
        """
        if not isinstance(resource, AbstractResource):
            raise MisuseTypeError(f"a resource must be an AbstractResource, not {resource!r}")
        if self.frozen:
            raise RuntimeError("the router is frozen: add resources before the application starts")
        name = resource.name
        if name is not None:
            for part in self.NAME_SPLIT_RE.split(name):
                if keyword.iskeyword(part) or not (part.isidentifier() or part.isdigit()):
                    raise ValueError(
                        f"{name!r} is no route name: it takes Python identifiers, but no"
                        " keywords, joined by '-', '.' or ':'"
                    )
            if name in self._named_resources:
                raise ValueError(
                    f"Duplicate {name!r}, already handled by {self._named_resources[name]!r}"
                )
            self._named_resources[name] = resource
        self._resources.append(resource)
        self._table = None

    def index_resource(self, resource: AbstractResource) -> None:
        """Take ``resource`` into account again, after its path changed."""
        self._table = None

    def unindex_resource(self, resource: AbstractResource) -> None:
        """Forget where ``resource`` was, before its path changes."""
        self._table = None

    def add_resource(self, path: str, *, name: str | None = None) -> Resource:
        """Return the resource of ``path``, a new one unless it was the last one added."""
        if path and not path.startswith("/"):
            raise ValueError(f"path {path!r} must be empty or start with a slash")
        if self._resources:
            last = self._resources[-1]
            if last.name == name and last.raw_match(path):
                assert isinstance(last, Resource)
                return last
        kind = DynamicResource if "{" in path or "}" in path else PlainResource
        resource = kind(path, name=name)
        self.register_resource(resource)
        return resource

    def add_route(
        self,
        method: str,
        path: str,
        handler: Handler | type[AbstractView],
        *,
        name: str | None = None,
        expect_handler: ExpectHandler | None = None,
    ) -> AbstractRoute:
        """Add a handler for a method (``*``: any) and path."""
        resource = self.add_resource(path, name=name)
        return resource.add_route(_check_method(method), handler, expect_handler=expect_handler)

    def add_static(
        self,
        prefix: str,
        path: PathLike,
        *,
        name: str | None = None,
        expect_handler: ExpectHandler | None = None,
        chunk_size: int = 262144,
        show_index: bool = False,
        follow_symlinks: bool = False,
        append_version: bool = False,
    ) -> AbstractResource:
        """Add the files below the directory ``path``; see ``StaticResource``."""
        resource = StaticResource(
            prefix,
            path,
            name=name,
            expect_handler=expect_handler,
            chunk_size=chunk_size,
            show_index=show_index,
            follow_symlinks=follow_symlinks,
            append_version=append_version,
        )
        self.register_resource(resource)
        return resource

    def add_head(self, path: str, handler: Handler, **kwargs: Any) -> AbstractRoute:
        """Add a handler for HEAD."""
        return self.add_route(hdrs.METH_HEAD, path, handler, **kwargs)

    def add_options(self, path: str, handler: Handler, **kwargs: Any) -> AbstractRoute:
        """Add a handler for OPTIONS."""
        return self.add_route(hdrs.METH_OPTIONS, path, handler, **kwargs)

    def add_get(
        self,
        path: str,
        handler: Handler,
        *,
        name: str | None = None,
        allow_head: bool = True,
        **kwargs: Any,
    ) -> AbstractRoute:
        """Add a handler for GET, and for HEAD unless ``allow_head`` is false."""
        resource = self.add_resource(path, name=name)
        if allow_head:
            resource.add_route(hdrs.METH_HEAD, handler, **kwargs)
        return resource.add_route(hdrs.METH_GET, handler, **kwargs)

    def add_post(self, path: str, handler: Handler, **kwargs: Any) -> AbstractRoute:
        """Add a handler for POST."""
        return self.add_route(hdrs.METH_POST, path, handler, **kwargs)

    def add_put(self, path: str, handler: Handler, **kwargs: Any) -> AbstractRoute:
        """Add a handler for PUT."""
        return self.add_route(hdrs.METH_PUT, path, handler, **kwargs)

    def add_patch(self, path: str, handler: Handler, **kwargs: Any) -> AbstractRoute:
        """Add a handler for PATCH."""
        return self.add_route(hdrs.METH_PATCH, path, handler, **kwargs)

    def add_delete(self, path: str, handler: Handler, **kwargs: Any) -> AbstractRoute:
        """Add a handler for DELETE."""
        return self.add_route(hdrs.METH_DELETE, path, handler, **kwargs)

    def add_view(self, path: str, handler: type[AbstractView], **kwargs: Any) -> AbstractRoute:
        """Add a class for every method."""
        return self.add_route(hdrs.METH_ANY, path, handler, **kwargs)

    def add_routes(self, routes: Iterable[AbstractRouteDef]) -> list[AbstractRoute]:
        """Add what ``web.get`` and its like made."""
        return [route for definition in routes for route in definition.register(self)]

    def freeze(self) -> None:
        """Take no more resources."""
        super().freeze()
        for resource in self._resources:
            resource.freeze()
        self._table = None

    # -- looking ------------------------------------------------------------------------------

    def resources(self) -> ResourcesView:
        """Return all resources."""
        return ResourcesView(self._resources)

    def routes(self) -> RoutesView:
        """Return all routes."""
        return RoutesView(self._resources)

    def named_resources(self) -> Mapping[str, AbstractResource]:
        """Return the resources that have a name."""
        return MappingProxyType(self._named_resources)

    def __getitem__(self, name: str) -> AbstractResource:
        return self._named_resources[name]

    def __contains__(self, name: object) -> bool:
        return name in self._named_resources

    def __iter__(self) -> Iterator[str]:
        return iter(self._named_resources)

    def __len__(self) -> int:
        return len(self._named_resources)


_RESOLVE: Final = UrlDispatcher.resolve

_find_method = re.compile(r"[0-9A-Za-z!#\$%&'\*\+\-\.\^_`\|~]+").fullmatch


def _check_method(method: str) -> str:
    """Return ``method`` in upper case.  Raises ValueError if it is no token."""
    upper = method.upper()
    if not _find_method(upper):
        raise ValueError(f"{upper!r} is no HTTP method: it must be a token")
    return upper
