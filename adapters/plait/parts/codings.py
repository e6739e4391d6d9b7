"""The codings of a part: Content-Encoding, and Content-Transfer-Encoding around it.

In a form a Content-Encoding has no meaning (RFC 7578 section 4.8).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import Final, Protocol

from plait import hdrs
from plait.compression_utils import ZLibCompressor, ZLibDecompressor
from plait.helpers import printable
from plait_engine.content.codings import CodingError
from plait_engine.content.multipart import MultipartError
from plait_engine.content.transfer import (
    ENCODERS,
    IDENTITIES,
    TransferEncoder,
    decode_transfer,
    split_units,
)

CONTENT_CODINGS: Final = ("gzip", "deflate")
"""The content codings of parts."""


class PartEncodingError(MultipartError, RuntimeError):
    """The content of a part is not what its header fields say, or in an unknown coding."""


class PartTextError(PartEncodingError, UnicodeDecodeError):
    """The content of a part is no text in its charset."""

    def __str__(self) -> str:
        reason = UnicodeDecodeError.__str__(self)
        return f"data cannot be decoded with {self.encoding} encoding: {reason}"


class PartDecoder:
    """Undoes the codings of one part, piece by piece.

    Args:
        headers: the header fields of the part.
        max_length: bytes that one step of decompression makes, at most.
        is_form: the part is one of a form.
    """

    __slots__ = (
        "_decompressor",
        "_headers",
        "_is_form",
        "_max_length",
        "_transfer_coding",
        "has_units",
    )

    def __init__(self, headers: Mapping[str, str], max_length: int, *, is_form: bool) -> None:
        self._headers = headers
        self._max_length = max_length
        self._is_form = is_form
        self._decompressor: ZLibDecompressor | None = None
        """What decompresses the content, when it is not complete."""
        self._transfer_coding = headers.get(hdrs.CONTENT_TRANSFER_ENCODING, "").strip().lower()
        self.has_units = self._transfer_coding not in IDENTITIES
        """Whether not every piece can be decoded by itself."""

    @property
    def incomplete(self) -> bool:
        """Whether compressed content has begun and did not end."""
        return self._decompressor is not None

    def split_units(self, data: bytes) -> tuple[bytes, bytes]:
        """Return what can be decoded by itself, and what needs more: three bytes at most."""
        return split_units(self._transfer_coding, data)

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield what the next whole units say, in pieces of ``max_length`` bytes at most.

        Raises PartEncodingError.
        """
        data = self._decode_transfer(data)
        decompressor = self._decompressor or self._make_decompressor()
        if decompressor is None or not data:
            yield data
            return
        yield self._decompress(decompressor, data)
        while decompressor.data_available:
            yield self._decompress(decompressor, b"")
        self._decompressor = None if decompressor.eof else decompressor

    def _decode_transfer(self, data: bytes) -> bytes:
        coding = self._transfer_coding
        try:
            return data if coding in IDENTITIES else decode_transfer(coding, data)
        except CodingError as error:
            raise PartEncodingError(f"{error}: {printable(coding)}") from error

    def _make_decompressor(self) -> ZLibDecompressor | None:
        coding = self._headers.get(hdrs.CONTENT_ENCODING, "").strip().lower()
        if self._is_form or coding in ("", "identity"):
            return None
        if coding not in CONTENT_CODINGS:
            raise PartEncodingError(f"unknown content encoding: {printable(coding)}")
        return ZLibDecompressor(coding)

    def _decompress(self, decompressor: ZLibDecompressor, data: bytes) -> bytes:
        try:
            return decompressor.decompress_sync(data, self._max_length)
        except (zlib.error, CodingError) as error:
            raise PartEncodingError(f"invalid compressed content of a part: {error}") from error


class _Writable(Protocol):
    """What a part of a payload writes itself to."""

    async def write(self, chunk: bytes, /) -> None: ...


class MultipartPayloadWriter:
    """Encodes what is written: Content-Encoding first, then Content-Transfer-Encoding."""

    def __init__(self, writer: _Writable) -> None:
        self._writer = writer
        self._compressor: ZLibCompressor | None = None
        self._encoder: TransferEncoder | None = None

    def enable_encoding(self, encoding: str) -> None:
        """Encode as base64 or quoted-printable; other names change nothing."""
        if encoding in ENCODERS:
            self._encoder = ENCODERS[encoding]()

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        """Compress as gzip or deflate.

        deflate is the bare format, which aiohttp's reader expects in a part, not that of RFC
        1950; plait's reads both.
        """
        self._compressor = ZLibCompressor(encoding, suppress_deflate_header=True, strategy=strategy)

    async def write(self, chunk: bytes) -> None:
        """Write ``chunk`` encoded."""
        if self._compressor is not None:
            chunk = await self._compressor.compress(bytes(chunk))
        await self._write(chunk)

    async def write_eof(self) -> None:
        """Write what was kept; nothing follows."""
        if self._compressor is not None:
            await self._write(self._compressor.flush())
        if self._encoder is not None and (rest := self._encoder.finish()):
            await self._writer.write(rest)

    async def _write(self, data: bytes) -> None:
        if self._encoder is not None and data:
            data = self._encoder.encode(data)
        if data:
            await self._writer.write(data)
