"""A server that tells what it was asked, for the tests of clients.  It is plait's."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from multidict import CIMultiDict
from yarl import URL

from plait import web
from tests.same.conftest import Library
from tests.serving import serve


@dataclass
class Seen:
    """A request as it came."""

    method: str
    target: str
    headers: CIMultiDict[str]
    names: list[str]
    body: bytes
    form: list[tuple[str, Any]]


@dataclass
class Recorder:
    """The server, and a session of the library that is tested."""

    url: URL
    session: Any
    seen: list[Seen] = field(default_factory=list)

    @property
    def last(self) -> Seen:
        return self.seen[-1]

    async def send(self, method: str, path: str = "/", **options: Any) -> Seen:
        """Send a request and return it as the server saw it."""
        async with self.session.request(method, self.url.join(URL(path)), **options) as response:
            await response.read()
        return self.last


async def _note(request: web.Request, recorder: Recorder) -> None:
    form: list[tuple[str, Any]] = []
    body = b""
    if request.content_type == "multipart/form-data":
        for name, value in (await request.post()).items():
            if isinstance(value, web.FileField):
                form.append((name, (value.filename, value.content_type, value.file.read())))
            else:
                form.append((name, value))
    else:
        body = await request.read()
    recorder.seen.append(
        Seen(
            request.method,
            request.raw_path,
            CIMultiDict(request.headers),
            [name for name, _ in request.headers.items()],
            body,
            form,
        )
    )


def _answer(request: web.Request) -> web.Response:
    kind = request.match_info["kind"]
    query = request.query
    if kind == "status":
        return web.Response(status=int(query["code"]), text=query.get("text", ""))
    if kind == "json":
        return web.Response(
            body=query.get("body", '{"a": "é"}').encode(query.get("encoding", "utf-8")),
            headers={"Content-Type": query.get("type", "application/json")},
        )
    if kind == "packed":
        data = query.get("text", "abc").encode()
        packed = {"gzip": gzip.compress, "deflate": zlib.compress}[query["coding"]](data)
        return web.Response(body=packed, headers={"Content-Encoding": query["coding"]})
    if kind == "headers":
        return web.Response(text="x", headers=[(k, v) for k, v in query.items()])
    if kind == "cookie":
        response = web.Response()
        for name, value in query.items():
            response.set_cookie(name, value)
        return response
    if kind == "body":
        return web.Response(body=b"x" * int(query["size"]))
    return web.Response(text="seen")


@asynccontextmanager
async def recording(library: Library, **options: Any) -> AsyncIterator[Recorder]:
    """Serve, and give a session of ``library`` made with ``options``."""

    async def handler(request: web.Request) -> web.StreamResponse:
        await _note(request, recorder)
        return _answer(request)

    async def moved(request: web.Request) -> web.Response:
        await _note(request, recorder)
        status, left = int(request.match_info["status"]), int(request.query.get("left", "0"))
        location = f"/moved/{status}?left={left - 1}" if left else request.query.get("to", "/end")
        return web.Response(status=status, headers={"Location": location})

    async def never(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if request.query.get("head"):
            await response.prepare(request)
            await response.write(b"beginning")
        await asyncio.Event().wait()
        return response

    app = web.Application()
    app.router.add_route("*", "/moved/{status}", moved)
    app.router.add_route("*", "/never", never)
    app.router.add_route("*", "/{kind:.*}", handler)
    async with (
        serve(app, handler_cancellation=True) as served,
        library.session(**options) as session,
    ):
        recorder = Recorder(URL(served.url), session)
        yield recorder
