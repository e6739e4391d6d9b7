"""Requests that a program makes in aiohttp's way: from a parsed message.

An application may override ``_make_request``, and ``web.Server`` may be given a ``request_factory``.
aiohttp calls them with the message, its content, the protocol, the writer and the task, and they
hand these to the constructor of a request.  Here the message knows the engine's event and the
exchange, from which plait makes a request.  A message that a test made itself, mostly a mock, gets
a mocked exchange, as in ``make_mocked_request``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

from multidict import CIMultiDict

from plait.http import HttpVersion, RawRequestMessage
from plait.serving.exchange import ServerExchange
from plait.web_app import Application
from plait.web_request import BaseRequest
from plait.web_server import Server
from plait_engine import Request as RequestEvent

__all__ = ("init_request", "init_server")


class Message(RawRequestMessage):
    """The head of a request that was received."""

    event: RequestEvent
    exchange: ServerExchange


_INIT_REQUEST: Final = BaseRequest.__init__
_INIT_SERVER: Final = Server.__init__
_OWN_FACTORIES: Final = (BaseRequest, Application._make_request)


def init_request(
    request: BaseRequest,
    message: RequestEvent | RawRequestMessage,
    payload: Any,  # With an event, what plait's own constructor takes.
    *args: Any,
    **kwargs: Any,
) -> None:
    """Make ``request`` from an event as plait does, or from a message."""
    if isinstance(message, RequestEvent):
        return _INIT_REQUEST(request, message, payload, *args, **kwargs)
    return _init_from_message(request, message, payload, *args, **kwargs)


def _init_from_message(
    request: BaseRequest,
    message: RawRequestMessage,
    payload: Any,
    protocol: Any,
    payload_writer: Any,
    task: Any,
    loop: Any = None,
    **options: Any,  # those of plait's constructor
) -> None:
    if isinstance(message, Message):
        return _INIT_REQUEST(request, message.event, message.exchange, **options)
    from plait.testing.mocked import make_exchange  # what most programs never need

    exchange = make_exchange(
        message.method,
        message.path,
        CIMultiDict(message.headers),
        HttpVersion(*message.version),
        closing=False,
        payload=payload,
        transport=protocol.transport,
        sslcontext=None,
        loop=loop,
    )
    exchange.handler, exchange.task = protocol, task
    _INIT_REQUEST(request, exchange.event, exchange, **options)
    request._payload_writer = payload_writer
    request._cache["_message"] = message


@functools.wraps(_INIT_SERVER)
def init_server(server: Server, *args: Any, **kwargs: Any) -> None:
    """Make ``server``, and call a factory of somebody else's in aiohttp's way."""
    _INIT_SERVER(server, *args, **kwargs)
    factory = server.make_request
    if getattr(factory, "__func__", factory) not in _OWN_FACTORIES:
        server.make_request = functools.partial(_call_factory, factory)


def _call_factory(
    factory: Callable[..., BaseRequest], event: RequestEvent, exchange: ServerExchange
) -> BaseRequest:
    request = BaseRequest(event, exchange)
    message = Message(*request._message)
    message.event, message.exchange = event, exchange
    return factory(message, request.content, request.protocol, request.writer, request.task)
