"""What the tests of this folder share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from unittest import mock

from tests.adapters.web_peer import Answer
from tests.same.conftest import Library

BY_SERVER = {"date", "server"}
BY_CONNECTION = {"connection", "keep-alive", "transfer-encoding"}


async def answer_of(
    library: Library, make: Callable[[Any], Any], *args: Any, **options: Any
) -> Answer:
    """Return the answer to one request; ``make`` makes the response from ``library.web``."""

    async def handler(request: Any) -> Any:
        return make(library.web)

    return await library.fetch(handler, *args, **options)


def fields(answer: Answer) -> dict[str, str]:
    """Return the fields, without those that each server, or each connection, has."""
    found = {name.lower(): value for name, value in answer.headers}
    return {name: found[name] for name in sorted(found.keys() - BY_SERVER - BY_CONNECTION)}


def named(web: Any, name: str) -> Callable[[Any], Any]:
    async def handler(request: Any) -> Any:
        return web.Response(text=f"{name} {dict(sorted(request.match_info.items()))}")

    return handler


async def texts(library: Library, app: Any, *requests: str) -> list[str]:
    """Return what ``app`` answers to requests like ``"GET /a"``: the text, or the status."""
    found = []
    async with library.serve(app) as site:
        for request in requests:
            method, _, target = request.partition(" ")
            answer = await (await site.connect()).fetch(method, target)
            good = answer.status == 200
            found.append(answer.body.decode() if good else str(answer.status))
    return found


class Collector:
    """Has all that a payload needs of a writer: ``async write``."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    async def write(self, chunk: bytes) -> None:
        self.pieces.append(bytes(chunk))

    async def drain(self) -> None:
        pass

    async def write_eof(self, chunk: bytes = b"") -> None:
        self.pieces.append(bytes(chunk))

    @property
    def data(self) -> bytes:
        return b"".join(self.pieces)


async def written(payload: Any) -> bytes:
    collector = Collector()
    await payload.write(collector)
    return collector.data


def stream_of(library: Library, *pieces: bytes, limit: int = 2**16, eof: bool = True) -> Any:
    """Return a reader that is fed by hand."""
    protocol = mock.Mock(_reading_paused=False)
    reader = library.streams.StreamReader(protocol, limit, loop=asyncio.get_running_loop())
    for piece in pieces:
        reader.feed_data(piece)
    if eof:
        reader.feed_eof()
    return reader


def reader_of(library: Library, body: bytes, content_type: str = "multipart/mixed") -> Any:
    headers = {"Content-Type": f"{content_type}; boundary=b"}
    return library.multipart.MultipartReader(headers, stream_of(library, body))


def part(body: bytes, **fields: str) -> bytes:
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return b"--b\r\n" + head.encode() + b"\r\n" + body + b"\r\n"


END = b"--b--\r\n"
