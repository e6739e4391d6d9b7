"""Middlewares: functions around a handler.

A middleware takes the request and the next handler, and returns a response.  The first
of an application's list is the outermost; they also wrap the handlers that answer 404 and
405.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Awaitable, Callable, Sequence
from functools import update_wrapper
from typing import TYPE_CHECKING, TypeVar, cast

from .serving.misuse import MisuseTypeError
from .typedefs import Handler, Middleware
from .web_exceptions import HTTPMove, HTTPPermanentRedirect
from .web_response import StreamResponse

if TYPE_CHECKING:
    from .web_app import Application
    from .web_request import Request

__all__ = ("middleware", "normalize_path_middleware")

_F = TypeVar("_F")


def middleware(f: _F) -> _F:
    """Mark ``f`` as a middleware: ``async (request, handler) -> response``."""
    f.__middleware_version__ = 1  # type: ignore[attr-defined]  # functions take attributes
    return f


def compose(handler: Handler, apps: Sequence[Application]) -> Handler:
    """Return ``handler`` inside the middlewares of ``apps``, the outermost first.

    ``request.app`` is each application in turn while its middlewares run.  A middleware sees
    the name and the attributes of the handler, whatever stands between.
    """
    for app in reversed(apps):
        for function in reversed(app.middlewares):
            if _is_new_style(function):
                handler = update_wrapper(_wrap(function, handler), handler)
            else:
                handler = update_wrapper(_wrap_old_style(function, app, handler), handler)
        if len(apps) > 1:
            handler = update_wrapper(_enter(app, handler), handler)
    return handler


def _is_new_style(function: object) -> bool:
    return bool(getattr(function, "__middleware_version__", 0))


def warn_of_old_style(middlewares: Sequence[Middleware]) -> None:
    """Warn of middlewares that ``@middleware`` does not mark."""
    for function in middlewares:
        if not _is_new_style(function):
            warnings.warn(
                # In aiohttp's words, which programs filter by; #2252 is aiohttp's.
                f'old-style middleware "{function!r}" deprecated, see #2252',
                DeprecationWarning,
                stacklevel=3,
            )


def _wrap(function: Middleware, handler: Handler) -> Handler:
    def wrapped(request: Request) -> Awaitable[StreamResponse]:
        return function(request, handler)

    return wrapped


def _wrap_old_style(function: Middleware, app: Application, handler: Handler) -> Handler:
    """aiohttp 1's middlewares are factories: ``async (app, handler) -> handler``."""
    factory = cast("Callable[[Application, Handler], Awaitable[Handler]]", function)

    async def wrapped(request: Request) -> StreamResponse:
        made = await factory(app, handler)
        return await made(request)

    return wrapped


def _enter(app: Application, handler: Handler) -> Handler:
    async def wrapped(request: Request) -> StreamResponse:
        match_info = request.match_info
        before = match_info.current_app
        match_info.current_app = app
        try:
            return await handler(request)
        finally:
            match_info.current_app = before

    return wrapped


def normalize_path_middleware(
    *,
    append_slash: bool = True,
    remove_slash: bool = False,
    merge_slashes: bool = True,
    redirect_class: type[HTTPMove] = HTTPPermanentRedirect,
) -> Middleware:
    """Return a middleware that redirects a path with no route to one that has one.

    It tries, in this order: one slash for several, and a slash more or less at the end.
    The query is kept; the redirection never leads to another host.  Raises TypeError for
    both ``append_slash`` and ``remove_slash``.
    """
    if append_slash and remove_slash:
        raise MisuseTypeError("append_slash and remove_slash exclude each other")

    def variants(path: str) -> list[str]:
        merged = re.sub("//+", "/", path)
        toggled: Callable[[str], str] | None = None
        if append_slash and not path.endswith("/"):
            toggled = "{}/".format
        elif remove_slash and path.endswith("/"):
            toggled = lambda text: text[:-1]  # noqa: E731  # the other half of a choice
        found = [merged] if merge_slashes else []
        if toggled is not None:
            found.append(toggled(path))
            if merge_slashes:
                found.append(toggled(merged))
        return found

    @middleware
    async def normalize(request: Request, handler: Handler) -> StreamResponse:
        if request.match_info.http_exception is not None:
            path, mark, query = request.raw_path.partition("?")
            for variant in variants(path):
                # Two slashes at the beginning would name a host.
                variant = re.sub("^//+", "/", variant)
                if variant != path and await _resolves(request, variant):
                    raise redirect_class(variant + mark + query)
        return await handler(request)

    return cast("Middleware", normalize)


async def _resolves(request: Request, path: str) -> bool:
    match_info = await request.app.router.resolve(request.clone(rel_url=path))
    return match_info.http_exception is None
