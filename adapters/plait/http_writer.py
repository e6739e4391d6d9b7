"""The version of a message."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ("HttpVersion", "HttpVersion10", "HttpVersion11", "HttpVersion20")


class HttpVersion(NamedTuple):
    """A protocol version; versions compare as tuples do."""

    major: int
    minor: int


HttpVersion10: Final = HttpVersion(1, 0)
HttpVersion11: Final = HttpVersion(1, 1)
HttpVersion20: Final = HttpVersion(2, 0)

VERSIONS: Final = {"1.0": HttpVersion10, "1.1": HttpVersion11, "2": HttpVersion20}
"""By the engine's name for a version (``events.Request.http_version``)."""
