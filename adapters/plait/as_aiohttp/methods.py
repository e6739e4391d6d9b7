"""Methods of aiohttp's classes that are not for others, and that other libraries call or override.

So are the fields of the classes that aiohttp makes with attrs: ``attrs.evolve(timeout, total=5)``.
They are in plait's classes only while plait stands in aiohttp's place.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Final, NamedTuple

from multidict import CIMultiDict

from plait import tracing
from plait.calls.connection import ClientConnection
from plait.calls.fields import join_fields
from plait.calls.media import ContentDisposition
from plait.calls.request import ClientRequest
from plait.calls.target import ConnectionKey
from plait.calls.timeouts import ClientTimeout
from plait.client import ClientSession
from plait.client_ws import ClientWSTimeout
from plait.helpers import ETag
from plait.typedefs import LooseHeaders
from plait.web_app import Application
from plait.web_request import BaseRequest, FileField, Request
from plait.web_response import StreamResponse
from plait.web_routedef import RouteDef, StaticDef
from plait.web_server import Server
from plait.web_ws import WebSocketReady
from plait.websocket.base import WebSocketBase

from . import connectors, takeover
from .requests import init_request, init_server

__all__ = ("METHODS",)


def _prepare_headers(session: ClientSession, headers: LooseHeaders | None) -> CIMultiDict[str]:
    """Return the session's header fields with those of a request, which win by name."""
    return CIMultiDict(join_fields(session._default_headers, headers))


def _connection_key(request: ClientRequest) -> ConnectionKey:
    """Return what connections are good for ``request``: a mock's ``is_ssl`` decides about TLS."""
    key: ConnectionKey = _OWN_KEY(request)
    secure = request.is_ssl()
    return key if key.is_ssl == secure else key._replace(is_ssl=secure)


async def _handle(app: Application, request: Request) -> StreamResponse:
    """Run the handler of ``request``, and nothing of it before this is awaited.

    Telemetry calls this method, begins its transaction and awaits the coroutine inside of it.
    """
    return await _OWN_HANDLE(app, request)


class _Writer:
    """What writes the frames of a WebSocket: here that is the WebSocket."""

    def __get__(self, websocket: object, owner: type) -> object:
        return self if websocket is None else websocket


class _AttrsField(NamedTuple):
    """What attrs asks about a field."""

    name: str
    alias: str
    init: bool = True


def _attrs_fields(owner: Any) -> tuple[_AttrsField, ...]:
    return tuple(_AttrsField(field.name, field.name) for field in fields(owner))


_MADE_WITH_ATTRS: Final = [
    ClientTimeout,
    ClientWSTimeout,
    ContentDisposition,
    ETag,
    FileField,
    RouteDef,
    StaticDef,
    WebSocketReady,
    *(getattr(tracing, name) for name in tracing.__all__ if name.endswith("Params")),
]

# What stands in the classes before plait takes aiohttp's place.
_OWN_HANDLE: Final = Application._handle
_OWN_KEY: Final = vars(ClientRequest)["connection_key"].fget

METHODS: Final[dict[type, dict[str, object]]] = {
    Application: {"_handle": _handle},
    BaseRequest: {"__init__": init_request},
    ClientConnection: takeover.METHODS,
    ClientRequest: {"connection_key": property(_connection_key)},
    ClientSession: {"_prepare_headers": _prepare_headers},
    Server: {"__init__": init_server},
    WebSocketBase: {"_writer": _Writer()},
    **connectors.METHODS,
    **{owner: {"__attrs_attrs__": _attrs_fields(owner)} for owner in _MADE_WITH_ATTRS},
}
"""The class -> its methods by name."""
