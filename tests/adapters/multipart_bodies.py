"""Multipart bodies of tests, and what reads them."""

from __future__ import annotations

from typing import Any

from multidict import CIMultiDict, CIMultiDictProxy

from plait import BodyPartReader, MultipartReader
from plait.streams import StreamReader


def stream_of(*pieces: bytes) -> StreamReader:
    stream = StreamReader(None, 2**16)
    for piece in pieces:
        stream.feed_data(piece)
    stream.feed_eof()
    return stream


def reader_of(
    *pieces: bytes, kind: str = "mixed", boundary: str = "b", **options: Any
) -> MultipartReader:
    headers = {"Content-Type": f"multipart/{kind}; boundary={boundary}"}
    return MultipartReader(headers, stream_of(*pieces), **options)


def part_of(body: bytes, headers: dict[str, str] | None = None, **options: Any) -> BodyPartReader:
    """Return the reader of a part with content ``body``."""
    fields = CIMultiDictProxy(CIMultiDict(headers or {}))
    return BodyPartReader(b"--b", fields, stream_of(body + b"\r\n--b--"), **options)


async def only_part(reader: MultipartReader) -> BodyPartReader:
    part = await reader.next()
    assert isinstance(part, BodyPartReader)
    return part


FORM = (
    b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\none\r\n'
    b'--b\r\nContent-Disposition: form-data; name="f"; filename="x.txt"\r\n'
    b"Content-Type: text/plain; charset=latin-1\r\n\r\n\xe9\r\n--b--\r\n"
)

TEXT = b"what is said twice is said twice \r\n" * 300
