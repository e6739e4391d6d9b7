"""What the traces of a call hear: of it as a whole, of its place on a connection, of its sending.

A connection is opened by a task of the pool, for the request that needs it first.  That task, and
the request itself, tell the same ``PlaceTrace``, so that the order is right: what was queued is
not any more when its connection is opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from multidict import CIMultiDict
from yarl import URL

from plait.tracing import Trace

from .fields import FieldPairs, field_pairs

if TYPE_CHECKING:
    from plait.client import ClientSession
    from plait.client_reqrep import ClientRequest, ClientResponse


class CallTrace:
    """What is told of one call of ``ClientSession.request``.

    ``context``: the ``trace_request_ctx`` of the call.  ``headers`` are the fields of its first
    request; who hears of the beginning may change them.
    """

    __slots__ = ("headers", "traces")

    def __init__(self, session: ClientSession, context: Any, fields: FieldPairs) -> None:
        self.headers = CIMultiDict(fields)
        self.traces = [
            Trace(session, config, config.trace_config_ctx(trace_request_ctx=context))
            for config in session.trace_configs
        ]

    async def begin(self, method: str, url: URL) -> FieldPairs:
        """The call begins; return the fields of its first request.

        When one of the traces raises, or put in what is no field, those that had begun hear of it.
        """
        begun: list[Trace] = []
        try:
            for trace in self.traces:
                await trace.send_request_start(method, url, self.headers)
                begun.append(trace)
            return field_pairs(self.headers)
        except BaseException as error:
            for trace in begun:
                await trace.send_request_exception(method, url, self.headers, error)
            raise

    async def redirect(self, request: ClientRequest, response: ClientResponse) -> None:
        """``response`` sends the call elsewhere."""
        for trace in self.traces:
            await trace.send_request_redirect(
                request.method, request.original_url, self.headers, response
            )

    async def end(self, method: str, url: URL, response: ClientResponse) -> None:
        """``response`` is the final one."""
        for trace in self.traces:
            await trace.send_request_end(method, url, self.headers, response)

    async def fail(self, method: str, url: URL, error: BaseException) -> None:
        """The call raises ``error``."""
        for trace in self.traces:
            await trace.send_request_exception(method, url, self.headers, error)


class PlaceTrace:
    """How one request comes to its connection."""

    __slots__ = ("_is_queued", "_opens", "_traces")

    def __init__(self, traces: Sequence[Trace]) -> None:
        self._traces = traces
        self._is_queued = False
        self._opens = False

    async def queue(self) -> None:
        """It waits until others give up a place."""
        self._is_queued = True
        for trace in self._traces:
            await trace.send_connection_queued_start()

    async def begin_opening(self) -> None:
        """A connection is being opened for it."""
        self._opens = True
        if self._is_queued:
            await self._leave_queue()
        for trace in self._traces:
            await trace.send_connection_create_start()

    async def end_opening(self) -> None:
        """That connection is open."""
        for trace in self._traces:
            await trace.send_connection_create_end()

    async def place(self) -> None:
        """It has its place."""
        if self._is_queued:
            await self._leave_queue()
        if not self._opens:
            for trace in self._traces:
                await trace.send_connection_reuseconn()

    async def _leave_queue(self) -> None:
        self._is_queued = False
        for trace in self._traces:
            await trace.send_connection_queued_end()

    async def hit_cache(self, host: str) -> None:
        """The addresses of its server are known."""
        for trace in self._traces:
            await trace.send_dns_cache_hit(host)

    async def miss_cache(self, host: str) -> None:
        """They are not."""
        for trace in self._traces:
            await trace.send_dns_cache_miss(host)

    async def begin_lookup(self, host: str) -> None:
        """The resolver is asked for them."""
        for trace in self._traces:
            await trace.send_dns_resolvehost_start(host)

    async def end_lookup(self, host: str) -> None:
        """The resolver has answered."""
        for trace in self._traces:
            await trace.send_dns_resolvehost_end(host)


async def tell_chunk(request: ClientRequest, chunk: bytes) -> None:
    """Tell the traces of ``request`` that a piece of its content was sent."""
    for trace in request.traces:
        await trace.send_request_chunk_sent(request.method, request.url, chunk)
