"""Files that guests share: uploads as they come, downloads by the kernel.

An upload is a multipart form (RFC 7578) with one file.  It goes to disk piece by piece, so its
size is not bounded by memory, and its progress is published.  A file is kept under a number of
its own: what the guest called it is only told, never used as a path.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import plait
from plait import web

from .accounts import NAME
from .rooms import BUS

FOLDER = web.AppKey("folder", Path)

LARGEST = 1 << 30
"""Bytes of a file."""

PIECE = 1 << 18
STEP = 0.1
"""Seconds between two messages of progress."""


async def upload(request: web.Request) -> web.Response:
    """``POST /files``: take one file.  201, 400 without one, 413 when it is too large."""
    if not request.content_type.startswith("multipart/"):
        raise web.HTTPUnsupportedMediaType(text="A multipart form is needed.\n")
    form = await request.multipart()
    part = await form.next()
    if not isinstance(part, plait.BodyPartReader) or not part.filename:
        raise web.HTTPBadRequest(text="A file is needed.\n")
    number = secrets.token_hex(8)
    about: dict[str, Any] = {"id": number, "name": part.filename, "by": request[NAME]}
    bus, folder = request.app[BUS], request.app[FOLDER]
    growing = folder / f"{number}.part"
    try:
        with growing.open("wb") as file:
            about["size"] = await receive(request, part, file, about)
        about["when"] = time.time()
        (folder / f"{number}.json").write_text(json.dumps(about))
        growing.rename(folder / number)
    except BaseException:  # Too large, or the guest is gone: the task is cancelled then.
        growing.unlink(missing_ok=True)
        bus.publish({"kind": "dropped", **about})
        raise
    bus.publish({"kind": "shared", **about})
    return web.json_response(about, status=201, headers={"Location": f"/files/{number}"})


async def receive(
    request: web.Request, part: plait.BodyPartReader, file: IO[bytes], about: dict[str, Any]
) -> int:
    """Write the content of the part to the file; return its size."""
    received, told = 0, 0.0
    while piece := await part.read_chunk(PIECE):
        received += len(piece)
        if received > LARGEST:
            raise web.HTTPRequestEntityTooLarge(LARGEST, received)
        await asyncio.to_thread(file.write, piece)
        if (now := time.monotonic()) > told + STEP:
            told = now
            # The length of the form is that of its file and some bytes more.
            message = {"kind": "progress", **about, "received": received}
            request.app[BUS].publish({**message, "total": request.content_length})
    return received


async def index(request: web.Request) -> web.Response:
    """``GET /files``: all files, the newest first."""
    files = [
        json.loads(path.read_text())
        for path in request.app[FOLDER].glob("*.json")
        if path.with_suffix("").exists()
    ]
    return web.json_response(sorted(files, key=lambda about: about["when"], reverse=True))


async def download(request: web.Request) -> web.FileResponse:
    """``GET /files/ID``: the file, or a range of it."""
    path = request.app[FOLDER] / request.match_info["id"]
    try:
        about = json.loads(path.with_suffix(".json").read_text())
    except FileNotFoundError:
        raise web.HTTPNotFound from None
    # Whatever it is, the browser must not run it as a page of ours.
    return web.FileResponse(
        path,
        headers={
            "Content-Type": "application/octet-stream",
            # RFC 8187: a name may have any character.
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(about['name'], safe='')}",
            "X-Content-Type-Options": "nosniff",
        },
    )
