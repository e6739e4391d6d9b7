"""Client middlewares: coroutine functions that stand around each request of a call.

A middleware is called with the request and with a handler that sends it, and returns a response::

    async def tell_time(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        request.headers["X-Time"] = str(time.time())
        return await handler(request)

* The first of a list is the outermost.
* They stand around one hop: a redirect goes through them again.  What a response sets (cookies)
  and where it leads is looked at when they have returned it.
* A middleware may change the request (``headers``, ``await request.update_body(...)``), answer by
  itself, and call the handler again: that sends the request anew, with a content that can be sent
  again or was put in its place.
* ``request.session`` makes other requests; ``middlewares=()`` keeps those from coming here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeAlias

from .client_reqrep import ClientRequest, ClientResponse

__all__ = ("ClientHandlerType", "ClientMiddlewareType", "build_client_middlewares")

ClientHandlerType: TypeAlias = Callable[[ClientRequest], Awaitable[ClientResponse]]
"""Sends a request and returns its response, with the head."""


class ClientMiddlewareType(Protocol):
    """What a middleware looks like."""

    async def __call__(
        self, request: ClientRequest, handler: ClientHandlerType, /
    ) -> ClientResponse: ...


def build_client_middlewares(
    handler: ClientHandlerType, middlewares: Sequence[ClientMiddlewareType]
) -> ClientHandlerType:
    """Return a handler that puts ``middlewares`` around ``handler``, the first one outermost."""
    for middleware in reversed(middlewares):
        handler = _put_around(middleware, handler)
    return handler


def _put_around(middleware: ClientMiddlewareType, handler: ClientHandlerType) -> ClientHandlerType:
    async def send(request: ClientRequest) -> ClientResponse:
        return await middleware(request, handler)

    return send
