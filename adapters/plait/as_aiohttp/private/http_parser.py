"""``aiohttp.http_parser``: the heads of messages as tuples, which libraries and tests make.

plait's engine parses, and gives events.  ``HttpParser`` is only the interface that a
``BaseProtocol`` steers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

from multidict import CIMultiDictProxy

from plait.http import RawRequestMessage
from plait.http_writer import HttpVersion

if TYPE_CHECKING:
    from plait.typedefs import RawHeaders

__all__ = ("HttpParser", "RawRequestMessage", "RawResponseMessage")


class RawResponseMessage(NamedTuple):
    """The head of a response; see ``RawRequestMessage``."""

    version: HttpVersion
    code: int
    reason: str
    headers: CIMultiDictProxy[str]
    raw_headers: RawHeaders
    should_close: bool
    compression: str | None
    upgrade: bool
    chunked: bool


class HttpParser(ABC):
    """What a protocol gives its bytes to."""

    @abstractmethod
    def feed_data(self, data: bytes) -> object:
        """Parse ``data``."""

    @abstractmethod
    def feed_eof(self) -> object:
        """The peer sends no more."""

    @abstractmethod
    def pause_reading(self) -> None:
        """Keep what is not parsed yet for later."""
