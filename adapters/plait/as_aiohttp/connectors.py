"""Connectors that override private methods of aiohttp's, to connect in a way of their own.

``_wrap_create_connection`` makes a transport, through a proxy mostly: plait's protocol is put on it.

``_create_connection`` is given the request, as by aiohttp.  It makes its protocol by
``self._factory()``, which here gives plait's, and returns it with a transport on it; or it asks
the class above, which takes the request, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Final

from plait.calls.base_connector import BaseConnector
from plait.calls.connection import ClientConnection
from plait.calls.exchange import ClientExchange
from plait.calls.lease import Ticket
from plait.calls.request import ClientRequest
from plait.calls.target import ConnectionKey
from plait.calls.timeouts import ClientTimeout
from plait.client_exceptions import ClientConnectorError
from plait.connector import NamedPipeConnector, TCPConnector, UnixConnector
from plait.tracing import Trace
from plait.transport.stream import StreamProtocol

__all__ = ("METHODS",)


@dataclass(slots=True, eq=False)
class RequestTicket(Ticket):
    """A ticket that knows its request."""

    request: ClientRequest | None = None


_opening: Final[ContextVar[RequestTicket]] = ContextVar("_opening")
"""The ticket for which a connection is opened in this task."""


def _init_subclass(cls: type[BaseConnector], /, **kwargs: Any) -> None:
    """Let a subclass that connects in its own way do that."""
    super(BaseConnector, cls).__init_subclass__(**kwargs)
    if "_wrap_create_connection" in vars(cls):
        type.__setattr__(cls, "_create_connection", _create_wrapped)
        cls._uses_proxies = False
    elif "_create_connection" in vars(cls) and not cls.__module__.startswith("plait."):
        type.__setattr__(cls, "_make_ticket", _make_ticket)
        type.__setattr__(cls, "_create_connection", _give_request(cls._create_connection))


async def _create_wrapped(
    connector: Any, ticket: Ticket, traces: list[Trace], timeout: ClientTimeout
) -> ClientConnection:
    """Put plait's protocol on the transport that ``_wrap_create_connection`` makes.

    That is always HTTP/1.1: a server that speaks HTTP/2 may speak first, to the protocol that
    the subclass has on the transport until then.
    """
    key = ticket.connection_key._replace(http1_only=True)
    protocol = connector._make_protocol(key)
    addresses = await connector._find_addresses(key.host, key.port or 0, ticket.trace)
    async with connector._dialer.connecting(key) as tls:
        transport, theirs = await connector._wrap_create_connection(
            addr_infos=addresses,
            req=ticket,
            timeout=timeout,
            client_error=ClientConnectorError,
            **tls,
        )
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
    client: ClientConnection = connector._dialer.check(key, protocol.owner)
    vars(client)["theirs"] = theirs  # It may hold what closes the transport when it is forgotten.
    return client


def _make_ticket(
    connector: BaseConnector, key: ConnectionKey, req: ClientRequest, timeout: ClientTimeout
) -> Ticket:
    ticket = BaseConnector._make_ticket(connector, key, req, timeout)
    return RequestTicket(
        **{field.name: getattr(ticket, field.name) for field in fields(ticket)}, request=req
    )


def _give_request(create: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``create``, a ``_create_connection`` of aiohttp's kind, as one of plait's."""

    async def _create_connection(
        connector: BaseConnector,
        ticket: RequestTicket | ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,
    ) -> ClientConnection:
        if isinstance(ticket, RequestTicket):  # It is not asked by the class below.
            _opening.set(ticket)
        request = _opening.get().request
        made: StreamProtocol[ClientConnection] | ClientConnection
        made = await create(connector, request, traces, timeout)
        if not isinstance(made, StreamProtocol):
            return made
        transport: Any = made.driver.transport
        if type(transport).abort is asyncio.Transport.abort:  # aiohttp calls close() alone.
            transport.abort = transport.close
        return made.owner

    return _create_connection


def _take_request(create: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``create``, a ``_create_connection`` of plait's, for a request or a ticket."""

    async def _create_connection(
        connector: BaseConnector,
        ticket: Ticket | ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,
    ) -> ClientConnection:
        if not isinstance(ticket, Ticket):
            ticket = _opening.get()
        made: ClientConnection = await create(connector, ticket, traces, timeout)
        return made

    return _create_connection


def _factory(connector: BaseConnector) -> Callable[[], StreamProtocol[ClientConnection]]:
    return partial(connector._make_protocol, _opening.get().connection_key)


def _set_exception(protocol: StreamProtocol[Any], exc: BaseException, *_: object) -> None:
    """Fail the requests on the connection with ``exc``."""
    for exchange in list(protocol.driver.exchanges.values()):
        if isinstance(exchange, ClientExchange):
            exchange.fail(exc)


METHODS: Final[dict[type, dict[str, object]]] = {
    BaseConnector: {
        "__init_subclass__": classmethod(_init_subclass),
        "_factory": property(_factory),
    },
    StreamProtocol: {"set_exception": _set_exception},
    **{
        owner: {"_create_connection": _take_request(owner._create_connection)}
        for owner in (NamedPipeConnector, TCPConnector, UnixConnector)
    },
}
"""The class -> its methods by name."""
