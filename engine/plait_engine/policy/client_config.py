"""The configuration of a client's connections.

Deadlines of requests are the session's, and those of idle connections the pool's.  So a
connection has only that of its own end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Final, TypeAlias

from plait_engine.config import Config, Limits, Timeouts

HeadLimits: TypeAlias = tuple[int, int, int]
"""The largest line, the largest field, and the most fields of a response."""

DEFAULT_HEADS: Final[HeadLimits] = (8190, 8190, 128)

CLIENT_TIMEOUTS: Final = Timeouts(head=None, body=None, keep_alive=None, write=None, close=2.0)

PING_INTERVAL: Final = 60.0
"""Seconds of silence on an HTTP/2 connection with requests, after which the server is asked
whether it lives.  Servers of gRPC take offence at more than a few in five minutes."""

PROBE: Final = 10.0
"""The same for a connection on which a request begins."""

CLIENT_LIMITS: Final = Limits(
    stream_window=1048576, connection_window=67108864, max_connection_window=67108864
)
"""Windows of HTTP/2, in bytes.  A response comes while others are read if it fits into its
first window, as it does over HTTP/1.1 into the buffers of the kernel (Go: 4 MiB, Chromium: 6,
curl: 10).  One that nobody reads keeps its window full, and then a wider one is dearer: what a
connection may hold in all is bounded, and 64 of them must not stop the others (Go: 1 GiB for
256 of them, Chromium: 15 MiB for 2)."""


def client_timeouts(ping_interval: float | None) -> Timeouts:
    """Return the timeouts of connections whose servers are asked after ``ping_interval``.

    A shorter one than ``PROBE`` and the time for the answer holds for these, too; ``None``:
    servers are not asked.  Raises ValueError for one that is not above 0.
    """
    if ping_interval is None:
        return CLIENT_TIMEOUTS
    if not ping_interval > 0:
        raise ValueError(f"the interval of pings must be above 0, not {ping_interval}")
    return replace(
        CLIENT_TIMEOUTS,
        ping_interval=ping_interval,
        probe=min(PROBE, ping_interval),
        pong=min(CLIENT_TIMEOUTS.pong, ping_interval),
    )


def head_limits(line: int, field: int, fields: int) -> HeadLimits | None:
    """Return the limits of a head; ``None`` for those by default."""
    limits = (line, field, fields)
    return None if limits == DEFAULT_HEADS else limits


@lru_cache(64)
def client_config(
    *,
    secure: bool,
    half_close: bool,
    limits: HeadLimits | None,
    tls_close: float | None,
    random: Callable[[int], bytes],
    timeouts: Timeouts = CLIENT_TIMEOUTS,
) -> Config:
    """Return the configuration of connections of one kind; it is made once.

    ``secure``: TLS carries them, to whomever.  ``tls_close``: seconds for which the closure
    alert of a peer is waited for; ``None``: as long as for the end of a connection without TLS.
    ``half_close``, ``random``: see ``Config``.  ``timeouts``: those of ``client_timeouts``.
    """
    if secure and tls_close is not None:
        timeouts = replace(timeouts, close=tls_close)
    return Config(
        limits=CLIENT_LIMITS if limits is None else _with_heads(limits),
        timeouts=timeouts,
        scheme="https" if secure else "http",
        half_close=half_close,
        random=random,
    )


def _with_heads(limits: HeadLimits) -> Limits:
    max_line_size, max_field_size, max_headers = limits
    return replace(
        CLIENT_LIMITS,
        max_line_size=max_line_size,
        max_field_size=max_field_size,
        max_fields=max_headers,
        max_header_list_size=max(
            CLIENT_LIMITS.max_header_list_size, max_field_size + max_line_size
        ),
    )
