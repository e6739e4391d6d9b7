"""The form that a request brings as its content, read into fields: ``BaseRequest.post``.

Rules
-----
* All of the content counts against ``client_max_size``, whatever it is a part of, and before it is
  stored.  The fields count against ``client_max_fields`` before they are decoded.
* A file is in memory while it is small, then on disk (``serving.spool``).  It is closed when the
  request is over, whatever becomes of the form.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final, TypeAlias, cast
from urllib.parse import parse_qsl

from multidict import CIMultiDictProxy, MultiDict

from plait import hdrs
from plait.multipart import BodyPartReader
from plait.parts.content import READ_SIZE
from plait.web_exceptions import HTTPRequestEntityTooLarge
from plait_engine.content.multipart import MultipartError

from .response_fields import DEFAULT_TYPE
from .spool import Spool

if TYPE_CHECKING:
    from plait.streams import StreamReader
    from plait.web_request import BaseRequest

__all__ = ("FileField", "FormField", "read_form")

MAX_IN_MEMORY: Final = 2**20
"""Bytes of a file that are kept in memory."""


@dataclass(frozen=True)
class FileField:
    """A file of a form.  The server closes ``file`` when the request is over."""

    name: str
    filename: str
    """As the client sent it, and no path: do not open a file by it."""
    file: IO[bytes]
    content_type: str
    headers: CIMultiDictProxy[str]


FormField: TypeAlias = str | bytearray | FileField


async def read_form(request: BaseRequest) -> MultiDict[FormField]:
    """Return the fields of the form; none for content of another type.

    Raises what ``BaseRequest.post`` says.
    """
    if request.content_type == "application/x-www-form-urlencoded":
        return MultiDict(await _read_urlencoded(request))
    if request.content_type == "multipart/form-data":
        return await _read_multipart(request)
    return MultiDict()


async def _read_urlencoded(request: BaseRequest) -> list[tuple[str, str]]:
    text = (await request.text()).rstrip()
    _check_fields(text.count("&") + 1, request.client_max_fields)
    return parse_qsl(text, keep_blank_values=True, encoding=request.charset or "utf-8")


async def _read_multipart(request: BaseRequest) -> MultiDict[FormField]:
    # Before the client sends it, if it waits for 100 Continue.
    request._check_size(request.content_length or 0)
    reader = request._multipart(_FormContent(request.content, request._check_size))
    fields: MultiDict[FormField] = MultiDict()
    spools: list[Spool] = []
    while (part := await reader.next()) is not None:
        _check_fields(len(fields) + 1, request.client_max_fields)
        if not isinstance(part, BodyPartReader):
            raise MultipartError("a part of the form is a multipart: read it by multipart()")
        if part.name is None:
            raise MultipartError("Multipart field missing name")
        if part.filename:
            if not spools:
                _close_at_end(spools, request.task)
            spools.append(Spool(MAX_IN_MEMORY))
            fields.add(part.name, await _read_file(part, part.name, part.filename, spools[-1]))
        else:
            fields.add(part.name, await _read_field(part))
    return fields


def _check_fields(count: int, limit: int) -> None:
    """Raise if ``count`` fields are more than ``limit``, when that is above 0."""
    if 0 < limit < count:
        raise HTTPRequestEntityTooLarge(
            max_size=limit,
            actual_size=count,
            text=f"Maximum number of form fields {limit} exceeded.",
        )


def _close_at_end(spools: list[Spool], task: asyncio.Task[None]) -> None:
    """Close files when the request is over, whatever has been added to them until then."""

    def close(task: asyncio.Task[None]) -> None:
        for spool in spools:
            spool.close()

    task.add_done_callback(close)


async def _read_file(part: BodyPartReader, name: str, filename: str, spool: Spool) -> FileField:
    while chunk := await part.read_chunk(READ_SIZE):
        async for data in part.decode_iter(chunk):
            await spool.write(data)
    await spool.rewind()
    content_type = part.headers.get(hdrs.CONTENT_TYPE, DEFAULT_TYPE)
    return FileField(name, filename, cast("IO[bytes]", spool.file), content_type, part.headers)


async def _read_field(part: BodyPartReader) -> str | bytearray:
    if part.headers.get(hdrs.CONTENT_TYPE, "text/").startswith("text/"):
        return await part.text()
    return bytearray(await part.read(decode=True))


class _FormContent:
    """The content of a form, in pieces as they come.

    ``check`` raises when so many bytes are too many.
    """

    def __init__(self, content: StreamReader, check: Callable[[int], None]) -> None:
        self._content = content
        self._check = check

    async def read(self, n: int) -> bytes:
        data, _ = await self._content.readchunk()
        self._check(self._content.total_bytes)
        return data
