"""Multipart bodies to send, written as they go (``plait.multipart.MultipartWriter``)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeGuard
from urllib.parse import urlencode

from plait import hdrs
from plait.abc import AbstractStreamWriter
from plait.log import internal_logger
from plait.payload import (
    BytesPayload,
    JsonPayload,
    LookupError,
    Payload,
    StringPayload,
    get_payload,
)
from plait_engine.content.multipart import (
    PART_TAIL,
    boundary_parameter,
    encode_end,
    encode_part_head,
)
from plait_engine.content.transfer import ENCODERS
from plait_engine.headers import is_token

from .codings import CONTENT_CODINGS, MultipartPayloadWriter

_NOT_IN_FORMS: Final = (hdrs.CONTENT_ENCODING, hdrs.CONTENT_LENGTH, hdrs.CONTENT_TRANSFER_ENCODING)

_Part = tuple[Payload, str | None, str | None]
"""A part, its Content-Encoding and its Content-Transfer-Encoding."""


class MultipartWriter(Payload):
    """A multipart body to send.

    Args:
        subtype: ``mixed``, ``form-data``, ``related`` ...
        boundary: what separates the parts; a random one by default.

    Raises ValueError for a boundary that cannot be one (RFC 2046 section 5.1.1).
    """

    _value: None

    def __init__(self, subtype: str = "mixed", boundary: str | None = None) -> None:
        if not is_token(subtype):
            raise ValueError(f"{subtype!r} is no subtype of a media type")
        self._boundary = uuid.uuid4().hex if boundary is None else boundary
        parameter = boundary_parameter(self._boundary)
        super().__init__(None, content_type=f"multipart/{subtype}; boundary={parameter}")
        self._is_form_data = subtype == "form-data"
        self._parts: list[_Part] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        pass

    def __iter__(self) -> Iterator[_Part]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __bool__(self) -> bool:
        return True

    @property
    def boundary(self) -> str:
        """What separates the parts."""
        return self._boundary

    @property
    def consumed(self) -> bool:
        """True when a part was sent and is used up by it."""
        return self._consumed or any(part.consumed for part, _, _ in self._parts)

    @property
    def autoclose(self) -> bool:
        """True when there is nothing to close."""
        return all(part.autoclose for part, _, _ in self._parts)

    @property
    def replayable(self) -> bool:
        """True when all parts can be sent from their beginning now."""
        return all(part.replayable for part, _, _ in self._parts)

    def append(self, obj: Any, headers: Mapping[str, str] | None = None) -> Payload:
        """Add a part: a payload, or anything that one can be made of.

        Raises TypeError for other objects, and what ``append_payload`` raises.
        """
        if isinstance(obj, Payload):
            obj.headers.update(headers or {})
            return self.append_payload(obj)
        try:
            payload = get_payload(obj, headers=headers)
        except LookupError:
            raise TypeError(f"Cannot create payload from {obj!r}") from None
        return self.append_payload(payload)

    def append_payload(self, payload: Payload) -> Payload:
        """Add a part.  Its header fields say how it is encoded.

        Raises RuntimeError for an unknown coding, and for one in a form (RFC 7578 section 4.8);
        ValueError for a header field that cannot be sent.
        """
        headers = payload.headers
        coding = transfer_coding = None
        if self._is_form_data:
            for name in _NOT_IN_FORMS:
                if name in headers:
                    raise RuntimeError(f"a part of a form has no {name}")
            if hdrs.CONTENT_DISPOSITION not in headers:
                payload.set_content_disposition("form-data", name=f"section-{len(self)}")
        else:
            coding = headers.get(hdrs.CONTENT_ENCODING, "").lower()
            if coding in ("", "identity"):
                coding = None
            elif coding not in CONTENT_CODINGS:
                raise RuntimeError(f"unknown content encoding: {coding}")
            transfer_coding = headers.get(hdrs.CONTENT_TRANSFER_ENCODING, "").lower()
            if transfer_coding in ("", "binary"):
                transfer_coding = None
            elif transfer_coding not in ENCODERS:
                raise RuntimeError(f"no encoder for Content-Transfer-Encoding {transfer_coding!r}")
            if payload.size is not None and not coding and not transfer_coding:
                headers[hdrs.CONTENT_LENGTH] = str(payload.size)
        encode_part_head(self._boundary, headers.items())
        self._parts.append((payload, coding, transfer_coding))
        return payload

    def append_json(self, obj: Any, headers: Mapping[str, str] | None = None) -> Payload:
        """Add an object as JSON."""
        return self.append_payload(JsonPayload(obj, headers=headers))

    def append_form(
        self,
        obj: Sequence[tuple[str, str]] | Mapping[str, str],
        headers: Mapping[str, str] | None = None,
    ) -> Payload:
        """Add an urlencoded form.  Raises TypeError for what is no sequence or mapping."""
        if not isinstance(obj, Sequence | Mapping):
            raise TypeError(f"obj must be a sequence of pairs or a mapping, not {obj!r}")
        items = list(obj.items()) if isinstance(obj, Mapping) else obj
        return self.append_payload(
            StringPayload(
                urlencode(items, doseq=True),
                headers=headers,
                content_type="application/x-www-form-urlencoded",
            )
        )

    @property
    def size(self) -> int | None:
        """The bytes of the body, or ``None`` when that is not known."""
        total = len(encode_end(self._boundary))
        for part, coding, transfer_coding in self._parts:
            size = part.size
            if size is None or coding or transfer_coding:
                return None
            total += len(self._head(part)) + size + len(PART_TAIL)
        return total

    def _head(self, part: Payload) -> bytes:
        headers = part.headers
        if hdrs.CONTENT_LENGTH in headers and part.size is not None:
            headers[hdrs.CONTENT_LENGTH] = str(part.size)  # A multipart may have grown.
        return encode_part_head(self._boundary, headers.items())

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the body as text.  It reads files: call it in a thread, or use ``as_bytes``.

        Raises TypeError for a part that has a coding, or comes piece by piece.
        """
        pieces = []
        for part, coding, transfer_coding in self._parts:
            if coding or transfer_coding:
                raise TypeError("a part has to be encoded: use as_bytes()")
            pieces.append(self._head(part).decode(encoding, errors))
            pieces.append(part.decode(encoding, errors))
            pieces.append(PART_TAIL.decode())
        pieces.append(encode_end(self._boundary).decode())
        return "".join(pieces)

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return the body."""
        collected = _Collector()
        await self.write(collected)  # type: ignore[arg-type]  # all that it needs is write()
        return b"".join(collected.pieces)

    async def write(self, writer: AbstractStreamWriter, close_boundary: bool = True) -> None:
        """Write the body; without its end if ``close_boundary`` is false."""
        pieces: list[bytes] = []
        size = 0
        for part, coding, transfer_coding in self._parts:
            head = self._head(part)
            pieces.append(head)
            size += len(head)
            if _is_at_hand(part) and not coding and not transfer_coding:
                content = part.content_bytes()
                pieces.append(content)
                size += len(content)
            else:
                await writer.write(b"".join(pieces))
                pieces = []
                size = 0
                await self._write_part(part, coding, transfer_coding, writer)
            pieces.append(PART_TAIL)
            if size > _WORTH_WRITING:
                await writer.write(b"".join(pieces))
                pieces = []
                size = 0
        if close_boundary:
            pieces.append(encode_end(self._boundary))
        if pieces:
            await writer.write(b"".join(pieces))

    @staticmethod
    async def _write_part(
        part: Payload, coding: str | None, transfer_coding: str | None, writer: AbstractStreamWriter
    ) -> None:
        if not coding and not transfer_coding:
            await part.write(writer)
            return
        encoder = MultipartPayloadWriter(writer)
        if coding:
            encoder.enable_compression(coding)
        if transfer_coding:
            encoder.enable_encoding(transfer_coding)
        await part.write(encoder)  # type: ignore[arg-type]  # all that it needs is write()
        await encoder.write_eof()

    async def close(self) -> None:
        """Close what the parts are read from.  What that raises is logged."""
        if self._consumed:
            return
        self._consumed = True
        for part, _, _ in self._parts:
            if not part.autoclose:
                try:
                    await part.close()
                except Exception:
                    internal_logger.exception("Failed to close a part of a multipart body")


_WORTH_WRITING: Final = 2**16
"""Bytes of small parts that are collected for one write."""


def _is_at_hand(part: Payload) -> TypeGuard[BytesPayload]:
    """Tell whether the part is small and may be written together with others."""
    return (
        isinstance(part, BytesPayload)
        and type(part).write is BytesPayload.write
        and (part.size or 0) <= _WORTH_WRITING
    )


class _Collector:
    """A writer that keeps what is written."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        self.pieces.append(bytes(chunk))
