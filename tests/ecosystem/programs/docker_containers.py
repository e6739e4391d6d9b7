"""aiodocker: containers, a log, commands with input and output, on TCP, TLS and a Unix socket.

A daemon answers ``exec`` and ``attach`` with 101 and raw bytes, which a web application does not.
So in front of the application, which has one request on each connection, stands a server that
answers these two itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import struct
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiodocker import Docker, DockerError
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

SWITCH = (
    b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
    b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
)
HIJACKED = (b"/exec/e1/start", b"/exec/e2/start", b"/containers/c1/attach?")
LARGE = bytes(range(256)) * 4096


def frame(stream: int, data: bytes) -> bytes:
    return struct.pack(">BxxxL", stream, len(data)) + data


# -- the application ------------------------------------------------------------------------------


async def listed(request: web.Request) -> web.Response:
    return web.json_response([{"Id": "c1", "Names": ["/one"]}, {"Id": "c2", "Names": ["/two"]}])


async def create(request: web.Request) -> web.Response:
    asked = await request.json()
    if asked["Image"] == "none":
        return web.json_response({"message": "No such image"}, status=404)
    return web.json_response({"Id": request.query.get("name", "c1"), "Warnings": []}, status=201)


async def show(request: web.Request) -> web.Response:
    return web.json_response({"Id": request.match_info["id"], "Config": {"Tty": False}})


async def done(request: web.Request) -> web.Response:
    return web.Response(status=204)


async def wait(request: web.Request) -> web.Response:
    return web.json_response({"StatusCode": 0})


async def logs(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={"Content-Type": "application/vnd.docker.multiplexed-stream"}
    )
    response.force_close()
    await response.prepare(request)
    for number in range(3):
        await response.write(frame(1, f"line {number}\n".encode()))
    return response


async def execute(request: web.Request) -> web.Response:
    asked = await request.json()
    assert asked["Cmd"] == ["sh", "-c", "cat"]
    return web.json_response({"Id": "e2" if asked["Tty"] else "e1"}, status=201)


async def inspect(request: web.Request) -> web.Response:
    tty = request.match_info["id"] == "e2"
    return web.json_response({"ExitCode": 0, "Running": False, "ProcessConfig": {"tty": tty}})


async def socket(request: web.Request) -> web.WebSocketResponse:
    websocket = web.WebSocketResponse(protocols=["chat"])
    await websocket.prepare(request)
    await websocket.send_bytes(b"ready\n")
    async for message in websocket:
        assert message.type in (WSMsgType.BINARY, WSMsgType.TEXT)
        await websocket.send_bytes(b"heard " + message.data)
        break
    await websocket.close()
    return websocket


@web.middleware
async def once(request: web.Request, handler) -> web.StreamResponse:
    response = await handler(request)
    if not response.prepared:
        response.force_close()
    return response


def make_app() -> web.Application:
    app = web.Application(middlewares=[once])
    version = {"ApiVersion": "1.43", "MinAPIVersion": "1.24", "Version": "24.0"}
    app.router.add_get("/version", lambda request: _json(version))
    prefix = "/v1.43"
    app.add_routes(
        [
            web.get(f"{prefix}/containers/json", listed),
            web.post(f"{prefix}/containers/create", create),
            web.get(f"{prefix}/containers/{{id}}/json", show),
            web.post(f"{prefix}/containers/{{id}}/start", done),
            web.post(f"{prefix}/containers/{{id}}/wait", wait),
            web.get(f"{prefix}/containers/{{id}}/logs", logs),
            web.post(f"{prefix}/containers/{{id}}/exec", execute),
            web.get(f"{prefix}/containers/{{id}}/attach/ws", socket),
            web.get(f"{prefix}/exec/{{id}}/json", inspect),
            web.delete(f"{prefix}/containers/{{id}}", done),
        ]
    )
    return app


async def _json(value: object) -> web.Response:
    return web.json_response(value)


# -- the server in front --------------------------------------------------------------------------


class Daemon:
    def __init__(self, port: int) -> None:
        self.running: set[asyncio.Task[None]] = set()
        """The tasks of the connections that are open."""
        self._port = port

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.running.add(asyncio.current_task())
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            target = head.split(b" ")[1].removeprefix(b"/v1.43")
            if target.startswith(HIJACKED):
                await hijack(target, head, reader, writer)
            else:
                await self._forward(head, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # A client that leaves.
        finally:
            self.running.discard(asyncio.current_task())
            writer.close()

    async def _forward(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        app_reader, app_writer = await asyncio.open_connection("127.0.0.1", self._port)
        app_writer.write(head)
        up = asyncio.create_task(copy(reader, app_writer))
        try:
            await copy(app_reader, writer)
        finally:
            up.cancel()
            await asyncio.gather(up, return_exceptions=True)
            app_writer.close()


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def hijack(
    target: bytes, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    assert b"\r\nupgrade: tcp\r\n" in head.lower(), head
    assert b"\r\nconnection: upgrade\r\n" in head.lower(), head
    length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    asked = await reader.readexactly(int(length[0].split(b":")[1]) if length else 0)
    tty = b"/e2/" in target
    if target.startswith(b"/exec"):
        assert json.loads(asked) == {"Detach": False, "Tty": tty}

    def pack(stream: int, data: bytes) -> bytes:
        return data if tty else frame(stream, data)

    # The first bytes come with the head, and a frame comes in pieces.
    writer.write(SWITCH + pack(1, b"ready\n")[:5])
    await writer.drain()
    writer.write(pack(1, b"ready\n")[5:])
    while line := await reader.readline():
        if line == b"large\n":
            writer.write(pack(1, LARGE))
        elif line == b"exit\n":
            break
        else:
            writer.write(pack(1, line.upper()))
            writer.write(pack(2, b"warning\n"))
        await writer.drain()


# -- what the library does ------------------------------------------------------------------------


async def check(docker: Docker) -> None:
    containers = await docker.containers.list()
    assert [container.id for container in containers] == ["c1", "c2"]
    container = await docker.containers.create({"Image": "any", "Cmd": ["cat"]}, name="c1")
    with pytest.raises(DockerError) as caught:
        await docker.containers.create({"Image": "none"})
    assert caught.value.status == 404
    await container.start()
    assert await container.log(stdout=True) == ["line 0\n", "line 1\n", "line 2\n"]
    lines = [line async for line in container.log(stdout=True, follow=True)]
    assert lines == ["line 0\n", "line 1\n", "line 2\n"], lines

    for tty in (False, True):
        execution = await container.exec("sh -c cat", stdin=True, tty=tty)
        async with execution.start(detach=False) as stream:
            await talk(stream, tty)
        assert (await execution.inspect())["ExitCode"] == 0
    async with container.attach(stdin=True, stdout=True, stderr=True) as stream:
        await talk(stream, tty=False)

    # One that is left in the middle.
    async with container.attach(stdin=True, stdout=True) as stream:
        assert (await stream.read_out()).data == b"ready\n"
        reading = asyncio.create_task(stream.read_out())
        await asyncio.sleep(0)
    assert await reading is None

    websocket = await container.websocket(stdin=True, stdout=True, stream=True)
    assert (await websocket.receive()).data == b"ready\n"
    await websocket.send_bytes(b"this")
    assert (await websocket.receive()).data == b"heard this"
    await websocket.close()
    assert await container.wait() == {"StatusCode": 0}
    await container.delete(force=True)


async def talk(stream, tty: bool) -> None:
    assert await heard(stream, 6) == {1: b"ready\n"}
    await stream.write_in(b"hello\n")
    expected = {1: b"HELLO\nwarning\n"} if tty else {1: b"HELLO\n", 2: b"warning\n"}
    assert await heard(stream, 14) == expected
    await stream.write_in(b"large\n")
    assert await heard(stream, len(LARGE)) == {1: LARGE}
    await stream.write_in(b"exit\n")
    assert await stream.read_out() is None


async def heard(stream, size: int) -> dict[int, bytes]:
    """Read ``size`` bytes of output, by the number of the stream."""
    found: dict[int, bytes] = {}
    while size > 0:
        message = await stream.read_out()
        found[message.stream] = found.get(message.stream, b"") + message.data
        size -= len(message.data)
    return found


async def serve_and_check(*, tls: bool) -> None:
    server_context, client_context = contexts() if tls else (None, None)
    async with AsyncExitStack() as stack:
        app = TestServer(make_app())
        await app.start_server()
        stack.push_async_callback(app.close)
        daemon = Daemon(app.port)
        server = await asyncio.start_server(daemon.accept, "127.0.0.1", 0, ssl=server_context)
        stack.callback(server.close)
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        path = Path(folder, "docker.sock")
        local = await asyncio.start_unix_server(daemon.accept, path)
        stack.callback(local.close)
        port = server.sockets[0].getsockname()[1]
        for url in (f"{'https' if tls else 'http'}://localhost:{port}", f"unix://{path}"):
            context = client_context if url.startswith("https") else None
            async with Docker(url, ssl_context=context) as docker:
                await check(docker)
                connector = docker.session.connector
            assert connector.closed
        await asyncio.gather(*daemon.running)


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(os.environ["SERVER_CERTIFICATE"], os.environ["SERVER_KEY"])
    return server, ssl.create_default_context()


for version in sys.argv[1:] or ["any"]:
    # HTTP/2 has no 101: the version 2 is HTTP/1.1 over TLS.
    asyncio.run(asyncio.wait_for(serve_and_check(tls=version == "2"), 60))
    print(f"{version}: checked")
