"""Names in aiohttp's modules that are not for others, and that other libraries import.

They are in plait's modules only while plait stands in aiohttp's place.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, Self

from plait.calls.context import RequestContextManager, WSRequestContextManager
from plait.calls.timeouts import DEFAULT_TIMEOUT
from plait.web_request import BaseRequest
from plait.web_response import StreamResponse

__all__ = ("NAMES",)


class TimerNoop:
    """``helpers.TimerNoop``: the timeout of a stream reader that has none."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        return


def ceil_timeout(delay: float | None, ceil_threshold: float = 5) -> asyncio.Timeout:
    """``helpers.ceil_timeout``: a timeout of ``delay`` seconds; ``None`` or 0: there is none.

    ``ceil_threshold``: has no effect, since no deadline is rounded.
    """
    return asyncio.timeout(delay if delay is None or delay > 0 else None)


NAMES: Final[dict[str, dict[str, object]]] = {
    "abc": {"StreamResponse": StreamResponse},
    "client": {
        "DEFAULT_TIMEOUT": DEFAULT_TIMEOUT,
        "_RequestContextManager": RequestContextManager,
        "_WSRequestContextManager": WSRequestContextManager,
    },
    "helpers": {
        # As asyncio decides whether a loop is in debug mode.
        "DEBUG": sys.flags.dev_mode
        or (not sys.flags.ignore_environment and bool(os.environ.get("PYTHONASYNCIODEBUG"))),
        "TimerNoop": TimerNoop,
        "ceil_timeout": ceil_timeout,
    },
    "web_protocol": {"_RequestHandler": Callable[[BaseRequest], Awaitable[StreamResponse]]},
}
"""The module -> its names -> what they are."""
