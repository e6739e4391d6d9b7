"""The engine's configuration for the connections of a connector."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Final

from plait_engine import Config, Limits, Timeouts

from .target import ConnectionKey

CLIENT_TIMEOUTS: Final = Timeouts(head=None, body=None, keep_alive=None, write=None, close=2.0)
"""Deadlines of requests are the session's, and those of idle connections the pool's."""


CLIENT_LIMITS: Final = Limits(
    stream_window=1048576, connection_window=67108864, max_connection_window=67108864
)
"""Windows of HTTP/2, in bytes.  A response comes while others are read if it fits into its
first window, as it does over HTTP/1.1 into the buffers of the kernel (Go: 4 MiB, Chromium: 6,
curl: 10).  One that nobody reads keeps its window full, and then a wider one is dearer: what a
connection may hold in all is bounded, and 64 of them must not stop the others (Go: 1 GiB for
256 of them, Chromium: 15 MiB for 2)."""


class Configs:
    """The configurations that were asked for, one for all connections of a kind."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Config] = {}

    def find(self, key: ConnectionKey, tls_close: float | None) -> Config:
        """Return the configuration for ``key``.

        ``tls_close``: seconds for which the closure alert of a server is waited for;
        ``None``: as long as for the end of a connection without TLS.
        """
        name = (key.is_ssl, key.limits, tls_close)
        config = self._known.get(name)
        if config is None:
            config = self._known[name] = _configure(key, tls_close)
        return config


def _configure(key: ConnectionKey, tls_close: float | None) -> Config:
    timeouts = CLIENT_TIMEOUTS
    if key.is_ssl and tls_close is not None:
        timeouts = replace(timeouts, close=tls_close)
    limits = CLIENT_LIMITS
    if key.limits is not None:
        max_line_size, max_field_size, max_headers = key.limits
        limits = replace(
            limits,
            max_line_size=max_line_size,
            max_field_size=max_field_size,
            max_fields=max_headers,
            max_header_list_size=max(limits.max_header_list_size, max_field_size + max_line_size),
        )
    return Config(
        limits=limits,
        timeouts=timeouts,
        scheme="https" if key.is_ssl else "http",
        half_close=not key.is_ssl,
        random=os.urandom,
    )
