"""``aiohttp.http_parser``: the heads of messages as tuples, which libraries and tests make.

plait's engine parses, and gives events.  ``HttpParser`` is only the interface that a
``BaseProtocol`` steers.  ``HeadersParser`` reads fields, which SSDP, for example, has in datagrams.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

from multidict import CIMultiDict, CIMultiDictProxy

from plait.http import RawRequestMessage
from plait.http_exceptions import InvalidHeader, LineTooLong
from plait.http_writer import HttpVersion
from plait_engine import Limits, RemoteProtocolError
from plait_engine.headers import encode
from plait_engine.http1.fields import FieldReader, LenientFieldReader

if TYPE_CHECKING:
    from plait.typedefs import RawHeaders

__all__ = ("HeadersParser", "HttpParser", "RawRequestMessage", "RawResponseMessage")


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


class HeadersParser:
    """Reads field lines, wherever they came from.

    Args:
        max_line_size: about the line before the fields, of which there is none here.
        max_headers: how many fields there may be.
        max_field_size: how many bytes a line may have.
        lax: read them as those of a response, which may be folded; else as those of a request.
    """

    def __init__(
        self,
        max_line_size: int = 8190,
        max_headers: int = 32768,
        max_field_size: int = 8190,
        lax: bool = False,
    ) -> None:
        self._reader = LenientFieldReader(strict=False) if lax else FieldReader(strict=True)
        self._limits = Limits(max_fields=max_headers)
        self._max_field_size = max_field_size

    def parse_headers(self, lines: list[bytes]) -> tuple[CIMultiDictProxy[str], RawHeaders]:
        """Return the fields of ``lines``, up to one that is empty, and the same in bytes.

        The lines have no line ends.  Raises InvalidHeader (RFC 9112 section 5), LineTooLong.
        """
        fields = list(itertools.takewhile(bool, lines))
        for line in fields:
            if len(line) > self._max_field_size:
                raise LineTooLong(line[:100] + b"...", self._max_field_size)
        section = b"".join([line + b"\r\n" for line in fields])
        try:
            headers = self._reader.read(section, self._limits).headers
        except RemoteProtocolError as error:
            raise InvalidHeader(str(error)) from None
        raw = tuple([(encode(name), encode(value)) for name, value in headers])
        return CIMultiDictProxy(CIMultiDict(headers)), raw
