"""What the session's methods return: to be awaited, or to be used with ``async with``."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from plait.client_reqrep import ClientResponse
from plait.client_ws import ClientWebSocketResponse
from plait.websocket.base import DecodeText

if TYPE_CHECKING:
    from plait.client import ClientSession

_Result = TypeVar("_Result", covariant=True)


class Pending(Coroutine[Any, Any, _Result], Generic[_Result]):
    """What a method that makes a request returns: await it, or use it with ``async with``."""

    __slots__ = ("_coro", "_resp")

    def __init__(self, coro: Coroutine[Any, Any, _Result]) -> None:
        self._coro = coro

    def send(self, arg: None) -> Any:
        return self._coro.send(arg)

    def throw(self, *args: Any, **kwargs: Any) -> Any:
        return self._coro.throw(*args, **kwargs)

    def close(self) -> None:
        self._coro.close()

    def __await__(self) -> Generator[Any, Any, _Result]:
        return self._coro.__await__()


class RequestContextManager(Pending[ClientResponse]):
    """Leaving the context releases the response.

    The short path for ``ClientResponse`` itself, beside the methods of a class that extends it or
    stands in for it, makes no coroutine for each.
    """

    __slots__ = ()

    async def __aenter__(self) -> ClientResponse:
        response = self._resp = await self._coro
        if type(response) is ClientResponse:
            response._in_context = True
            return response
        return await response.__aenter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        response = self._resp
        if type(response) is ClientResponse:
            response._in_context = False
            response._end()
        else:
            await response.__aexit__(exc_type, exc_value, traceback)


class WSRequestContextManager(Pending[ClientWebSocketResponse[DecodeText]]):
    """Leaving the context closes the WebSocket."""

    __slots__ = ()

    async def __aenter__(self) -> ClientWebSocketResponse[DecodeText]:
        self._resp = await self._coro
        return self._resp

    async def __aexit__(self, *exc: object) -> None:
        await self._resp.close()


class SessionRequestContextManager:
    """A request with a session of its own, which ends with the context."""

    __slots__ = ("_coro", "_response", "_session")

    def __init__(self, coro: Coroutine[Any, Any, ClientResponse], session: ClientSession) -> None:
        self._coro = coro
        self._session = session
        self._response: ClientResponse | None = None

    async def __aenter__(self) -> ClientResponse:
        try:
            self._response = await self._coro
        except BaseException:
            await self._session.close()
            raise
        return self._response

    async def __aexit__(self, *exc: object) -> None:
        if self._response is not None:
            self._response.close()
        await self._session.close()
