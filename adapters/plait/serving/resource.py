"""Resources: a place in the URL space, and the routes that are there.

A resource is a path, perhaps with variables (``Resource``), or all below a prefix
(``PrefixResource``).  The router (``web_urldispatcher``) decides which of them answers a request, by
``plait_engine.routing``.
"""

from __future__ import annotations

import abc
import re
from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from yarl import URL

from plait import hdrs
from plait.abc import AbstractView
from plait.typedefs import Handler
from plait_engine.routing import SEGMENT, Subtree, Template, decode_path

from .misuse import MisuseTypeError
from .route import AbstractRoute, ExpectHandler, ResourceRoute, UrlMappingMatchInfo

if TYPE_CHECKING:
    from plait.web_request import Request


Resolved: TypeAlias = tuple[UrlMappingMatchInfo | None, set[str]]
"""What matches a request, and the methods that its path has."""


def path_of(request: Request) -> str:
    """Return the path of a request, decoded as templates match it."""
    return decode_path(request.raw_path.partition("?")[0])


def find_route(
    template: Template, routes: Mapping[str, ResourceRoute], request: Request
) -> Resolved:
    """Return what matches ``request`` among the routes, by method, of ``template``."""
    params = template.match(path_of(request))
    if params is None:
        return None, set()
    route = routes.get(request.method) or routes.get(hdrs.METH_ANY)
    found = None if route is None else UrlMappingMatchInfo(params, route)
    return found, set(routes)


class AbstractResource(Sized, Iterable["AbstractRoute"]):
    """A place in the URL space."""

    def __init__(self, *, name: str | None = None) -> None:
        self._name = name

    @property
    def name(self) -> str | None:
        """The name, for ``router[name]``."""
        return self._name

    @property
    @abc.abstractmethod
    def canonical(self) -> str:
        """The path with plain ``{name}`` for its variables."""

    @abc.abstractmethod
    def url_for(self, **kwargs: str) -> URL:
        """Return the URL for these variables."""

    @abc.abstractmethod
    async def resolve(self, request: Request) -> Resolved:
        """Return what matches ``request``, and the methods that the path has."""

    @abc.abstractmethod
    def add_prefix(self, prefix: str) -> None:
        """Put ``prefix`` in front of the path, for a sub-application."""

    @abc.abstractmethod
    def get_info(self) -> dict[str, Any]:
        """Return a description of the path, of any shape."""

    def freeze(self) -> None:  # optional to override
        """Take no more changes."""

    @abc.abstractmethod
    def raw_match(self, path: str) -> bool:
        """Tell whether ``path`` is literally the path that was added."""


class Resource(AbstractResource):
    """A path with routes by method."""

    def __init__(self, path: str, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self._template = Template(path)
        self._routes: dict[str, ResourceRoute] = {}

    @property
    def canonical(self) -> str:
        """The path with plain ``{name}`` for its variables."""
        return self._template.canonical

    def add_route(
        self,
        method: str,
        handler: type[AbstractView] | Handler,
        *,
        expect_handler: ExpectHandler | None = None,
    ) -> ResourceRoute:
        """Add a handler.  Raises RuntimeError when there is one for this method."""
        for known in self._routes.values():
            if known.method in (method, hdrs.METH_ANY):
                raise RuntimeError(f"there is a route for {known.method} here already")
        route = ResourceRoute(method, handler, self, expect_handler=expect_handler)
        self.register_route(route)
        return route

    def register_route(self, route: ResourceRoute) -> None:
        """Add a route."""
        if not isinstance(route, ResourceRoute):
            raise MisuseTypeError(f"a route must be a ResourceRoute, not {route!r}")
        self._routes[route.method] = route

    async def resolve(self, request: Request) -> Resolved:
        """Return what matches ``request``, and the methods that the path has."""
        return find_route(self._template, self._routes, request)

    def add_prefix(self, prefix: str) -> None:
        """Put ``prefix`` in front of the path."""
        self._template = Template(prefix + self._template.path)

    def raw_match(self, path: str) -> bool:
        """Tell whether ``path`` is literally the path that was added."""
        return self._template.path == path

    def __len__(self) -> int:
        return len(self._routes)

    def __iter__(self) -> Iterator[ResourceRoute]:
        return iter(self._routes.values())

    def __repr__(self) -> str:
        name = f"'{self.name}' " if self.name is not None else ""
        return f"<{type(self).__name__} {name} {self.canonical}>"


class PlainResource(Resource):
    """A path without variables; the empty path is ``/``, but for a sub-application's prefix."""

    def freeze(self) -> None:
        """Take no more changes: no prefix comes any more."""
        if not self._template.path:
            self._template = Template("/")

    def url_for(self) -> URL:  # type: ignore[override]  # it has no variables
        """Return the URL."""
        return URL.build(path=self._template.build({}), encoded=True)

    def get_info(self) -> dict[str, Any]:
        """Return the path."""
        return {"path": self._template.literal}


class DynamicResource(Resource):
    """A path with variables."""

    DYN: Final = re.compile(r"\{(?P<var>[_a-zA-Z][_a-zA-Z0-9]*)\}")
    DYN_WITH_RE: Final = re.compile(r"\{(?P<var>[_a-zA-Z][_a-zA-Z0-9]*):(?P<re>.+)\}")
    GOOD: Final = SEGMENT

    def url_for(self, **parts: str) -> URL:
        """Return the URL for these variables.  Raises KeyError when one is missing."""
        return URL.build(path=self._template.build(parts), encoded=True)

    def get_info(self) -> dict[str, Any]:
        """Return the path and its regular expression."""
        return {"formatter": self.canonical, "pattern": self._template.pattern}


class PrefixResource(AbstractResource):
    """All paths below a prefix."""

    def __init__(self, prefix: str, *, name: str | None = None) -> None:
        if prefix and not prefix.startswith("/"):
            raise ValueError(f"a prefix must start with '/': {prefix!r}")
        if prefix == "/":
            raise ValueError("the prefix must be more than '/'")
        super().__init__(name=name)
        self._subtree = self._make_subtree(prefix)

    def _make_subtree(self, prefix: str) -> Subtree:
        return Subtree(prefix)

    @property
    def canonical(self) -> str:
        """The prefix."""
        return self._subtree.canonical

    def add_prefix(self, prefix: str) -> None:
        """Put ``prefix`` in front of the prefix."""
        self._subtree = self._make_subtree(prefix + self._subtree.path)

    def raw_match(self, prefix: str) -> bool:
        """Never: two sub-applications may have one prefix."""
        return False
