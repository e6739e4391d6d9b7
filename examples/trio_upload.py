"""Receive forms on trio and say what was in them: ``python examples/trio_upload.py [PORT]``.

Send one with ``curl --form text=hello --form file=@README.md http://127.0.0.1:8080/``.  The
multipart body is read by the engine's parser, which does no I/O: bytes in, events out.  Nothing of
a file is kept, whatever its size.
"""

from __future__ import annotations

import sys

import trio

from plait_engine import headers
from plait_engine.content.disposition import find_parameter, parse_disposition
from plait_engine.content.media_types import find_media_parameter
from plait_engine.content.multipart import MultipartError, MultipartParser, PartBegin, PartData
from plait_trio import ServerRequest, ServerResponse, serve


async def receive(request: ServerRequest) -> ServerResponse:
    content_type = headers.get(request.head.headers, "content-type") or ""
    boundary = find_media_parameter(content_type, "boundary")
    if not content_type.startswith("multipart/form-data") or boundary is None:
        return ServerResponse(415, body=b"send a multipart form\n")
    try:
        lines = await read_form(request, MultipartParser(boundary, is_form=True))
    except MultipartError as error:
        return ServerResponse(400, body=f"{error}\n".encode())
    return ServerResponse(body="".join(lines).encode())


async def read_form(request: ServerRequest, parser: MultipartParser) -> list[str]:
    """Return a line for each field of the form."""
    names: list[str] = []
    sizes: list[int] = []

    def take_events() -> None:
        while (event := parser.next_event()) is not None:
            if isinstance(event, PartBegin):
                field = headers.get(event.headers, "content-disposition")
                parameters = parse_disposition(field).parameters
                names.append(find_parameter(parameters, "name") or "?")
                sizes.append(0)
            elif isinstance(event, PartData):
                sizes[-1] += len(event.data)

    async for data in request.stream():
        parser.receive_data(data)
        take_events()
    parser.receive_eof()
    take_events()
    return [f"{name}: {size:,} bytes\n" for name, size in zip(names, sizes, strict=True)]


async def main(port: int) -> None:
    print(f"http://127.0.0.1:{port}/")
    await serve(receive, port=port)


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]) if sys.argv[1:] else 8080)
