"""Server-sent events (WHATWG HTML, section 9.2): those of one response, and of a source.

A response ends; a source of events is asked again when it does, with the id of the last event, so
it is the session that makes one: ``session.sse(url)``.  ``response.sse()`` reads one response, of
whatever request, and ends with it.

The format is read by ``plait_engine.content.event_stream``; when to ask again, and when not, is
decided by ``plait_engine.policy.event_source``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Self

from multidict import CIMultiDict

from plait.calls.errors import content_type_error, status_error
from plait.calls.fields import field_pairs
from plait.client_exceptions import (
    ClientConnectionError,
    ClientPayloadError,
    ContentTypeError,
)
from plait.typedefs import StrOrURL
from plait_engine.content.event_stream import MEDIA_TYPE, EventStreamParser, ServerSentEvent
from plait_engine.policy import event_source
from plait_engine.policy.event_source import Verdict

if TYPE_CHECKING:
    from plait.calls.options import RequestOptions
    from plait.client import ClientSession
    from plait.client_reqrep import ClientResponse

NETWORK_ERRORS: Final = (ClientConnectionError, ClientPayloadError)
"""There was no response, or it is not complete; timeouts of the socket are among them."""


async def read_events(
    response: ClientResponse, parser: EventStreamParser
) -> AsyncIterator[ServerSentEvent]:
    """Yield the events of one response.  Raises ContentTypeError when it has none."""
    if response.content_type != MEDIA_TYPE:
        raise _wrong_type(response)
    async for data in response.content.iter_any():
        parser.receive_data(data)
        while (event := parser.next_event()) is not None:
            yield event


class EventSource:
    """Events from one URL, over as many responses as it takes; ``session.sse`` makes it.

    Use it with ``async with``, which makes the first request and ends the last response, and
    ``async for``.  That ends when the server answers 204, and raises ClientResponseError
    for another status than 200, ContentTypeError for what is no stream of events,
    EventTooLargeError, and the last error when no more attempts are made.
    """

    def __init__(
        self,
        session: ClientSession,
        url: StrOrURL,
        options: RequestOptions,
        machine: event_source.EventSource,
    ) -> None:
        options.setdefault("timeout", replace(session.timeout, total=None))
        self._session = session
        self._url = url
        self._options = options
        """Those of each request."""
        self._headers = CIMultiDict(field_pairs(options.get("headers")))
        self._machine = machine
        self._response: ClientResponse | None = None
        self._pause = 0.0
        """Seconds to wait before the next request."""
        self._entered = False
        self._closed = asyncio.Event()

    @property
    def response(self) -> ClientResponse | None:
        """The response that is being read; ``None`` between two of them and at the end."""
        return self._response

    @property
    def last_event_id(self) -> str:
        """The id of the last event that had one, ``""`` for none."""
        return self._machine.last_event_id

    async def __aenter__(self) -> Self:
        self._entered = True
        await self._connect()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the response, and ask no more.  Idempotent."""
        self._closed.set()
        self._drop_response()

    def __aiter__(self) -> AsyncIterator[ServerSentEvent]:
        if not self._entered:
            raise RuntimeError("use the source of events with async with, then async for")
        return self

    async def __anext__(self) -> ServerSentEvent:
        machine = self._machine
        try:
            while (event := machine.next_event()) is None:
                if self._closed.is_set():
                    raise StopAsyncIteration
                if self._response is None:
                    await self._pause_and_connect()
                else:
                    await self._read(self._response)
        except Exception:
            self.close()
            raise
        return event

    async def _pause_and_connect(self) -> None:
        """Make the next request, unless the source is closed meanwhile."""
        try:
            async with asyncio.timeout(self._pause):
                await self._closed.wait()
        except TimeoutError:
            await self._connect()

    async def _connect(self) -> None:
        """Make a request."""
        headers = self._headers.copy()
        for name, value in self._machine.request_fields():
            if name == "Last-Event-ID":
                headers[name] = value
            else:
                headers.setdefault(name, value)
        self._options["headers"] = headers
        try:
            response = await self._session.get(self._url, **self._options)
        except NETWORK_ERRORS:
            pause = self._machine.on_failure()
            if pause is None or self._session.closed:
                self.close()
                raise
            self._pause = pause
            return
        if self._closed.is_set():  # While the response was on its way.
            response.close()
            return
        verdict = self._machine.on_response(response.status, response.content_type)
        if verdict is Verdict.EVENTS:
            self._response = response
            return
        self.close()
        response.release()
        if verdict is Verdict.WRONG_TYPE:
            raise _wrong_type(response)
        if verdict is Verdict.WRONG_STATUS:
            raise status_error(response)

    async def _read(self, response: ClientResponse) -> None:
        """Give the machine what comes next, or the end."""
        try:
            data = await response.content.readany()
        except NETWORK_ERRORS:
            if self._session.closed:
                raise
            data = b""
        if data:
            self._machine.receive_data(data)
        else:
            self._pause = self._machine.on_disconnect()
            self._drop_response()

    def _drop_response(self) -> None:
        response, self._response = self._response, None
        if response is not None:
            response.release()


def _wrong_type(response: ClientResponse) -> ContentTypeError:
    return content_type_error(
        response, f"the response is no stream of events, but {response.content_type}"
    )
