"""``streamer``: a coroutine that writes a body.  Deprecated: use an async generator.

The decorated coroutine takes the writer of the message first.  Called with its other arguments
it gives an object that is sent as a body, and so is the decorated coroutine itself if it has
no others.
"""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable
from typing import Any

from .abc import AbstractStreamWriter
from .payload import Payload, payload_type

__all__ = ("streamer",)


class _Call:
    """A call of the coroutine, without the writer."""

    def __init__(
        self, coro: Callable[..., Awaitable[None]], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._coro = coro
        self._args = args
        self._kwargs = kwargs

    async def __call__(self, writer: AbstractStreamWriter) -> None:
        await self._coro(writer, *self._args, **self._kwargs)


class streamer:  # aiohttp's name
    """Decorates ``coro``, which writes a body to its first argument."""

    def __init__(self, coro: Callable[..., Awaitable[None]]) -> None:
        warnings.warn(
            "@streamer is deprecated, use async generators instead",
            DeprecationWarning,
            stacklevel=2,
        )
        self.coro = coro

    def __call__(self, *args: Any, **kwargs: Any) -> _Call:
        return _Call(self.coro, args, kwargs)


@payload_type(_Call)
class StreamWrapperPayload(Payload):
    """What such a call writes.  It can be sent once."""

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Let the coroutine write."""
        self._consumed = True
        await self._value(writer)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Raises TypeError: what it writes is not known before."""
        raise TypeError("the body is not there yet: a coroutine writes it")


@payload_type(streamer)
class StreamPayload(StreamWrapperPayload):
    """A decorated coroutine that takes only the writer."""

    def __init__(self, value: streamer, *args: Any, **kwargs: Any) -> None:
        super().__init__(value(), *args, **kwargs)
