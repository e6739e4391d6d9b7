"""aiohttp-socks: requests and a WebSocket by SOCKS5, SOCKS4, HTTP and a chain of proxies."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, web
from aiohttp_socks import ChainProxyConnector, ProxyConnectionError, ProxyConnector, ProxyError
from program import use

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


# -- the proxies -------------------------------------------------------------------------------


async def socks5(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, int]:
    """Take ann's password and no other (RFC 1928 and RFC 1929)."""
    _, methods = await reader.readexactly(2)
    assert 2 in await reader.readexactly(methods)
    writer.write(b"\x05\x02")
    _, size = await reader.readexactly(2)
    name = await reader.readexactly(size)
    [size] = await reader.readexactly(1)
    is_known = (name, await reader.readexactly(size)) == (b"ann", b"secret")
    writer.write(b"\x01\x00" if is_known else b"\x01\x01")
    if not is_known:
        raise ConnectionError
    *_, kind = await reader.readexactly(4)
    if kind == 1:
        host = ".".join(str(byte) for byte in await reader.readexactly(4))
    else:
        [size] = await reader.readexactly(1)
        host = (await reader.readexactly(size)).decode()
    port = int.from_bytes(await reader.readexactly(2), "big")
    writer.write(b"\x05\x00\x00\x01" + bytes(6))
    return host, port


async def socks4(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, int]:
    head = await reader.readexactly(8)
    await reader.readuntil(b"\x00")
    writer.write(b"\x00\x5a" + bytes(6))
    return ".".join(str(byte) for byte in head[4:]), int.from_bytes(head[2:4], "big")


async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, int]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    method, target, _ = head.split(maxsplit=2)
    assert method == "CONNECT"
    assert base64.b64encode(b"ann:secret").decode() in head
    writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
    host, _, port = target.rpartition(":")
    return host, int(port)


@contextlib.asynccontextmanager
async def proxy(handshake: object) -> AsyncIterator[tuple[int, list[int]]]:
    """Serve as a proxy; give the port, and the ports to which it connected."""
    asked: list[int] = []

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def serve(*client: *Streams) -> None:
        try:
            host, port = await handshake(*client)
            asked.append(port)
            there = await asyncio.open_connection(host, port)
        except (ConnectionError, asyncio.IncompleteReadError):
            client[1].close()
            return
        await asyncio.gather(copy(client[0], there[1]), copy(there[0], client[1]))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], asked
    finally:
        server.close()


# -- the server and the client -----------------------------------------------------------------


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


async def shout(request: web.Request) -> web.WebSocketResponse:
    websocket = web.WebSocketResponse()
    await websocket.prepare(request)
    async for message in websocket:
        await websocket.send_str(message.data.upper())
    return websocket


def make_app() -> web.Application:
    app = web.Application()
    app.add_routes([web.post("/echo", echo), web.get("/shout", shout)])
    return app


async def check(url: str, app: web.Application) -> None:
    port = int(url.rpartition(":")[2])
    async with proxy(socks5) as five, proxy(socks4) as four, proxy(http) as plain:
        addresses = [
            f"socks5://ann:secret@127.0.0.1:{five[0]}",
            f"socks4://127.0.0.1:{four[0]}",
            f"http://ann:secret@127.0.0.1:{plain[0]}",
        ]
        for address, (_, asked) in zip(addresses, (five, four, plain), strict=True):
            await _exchange(ProxyConnector.from_url(address), url)
            assert set(asked) == {port}
            asked.clear()
        await _exchange(ChainProxyConnector.from_urls(addresses), url)
        assert five[1][0] == four[0]
        assert four[1][0] == plain[0]
        assert plain[1][0] == port

        by_name = ProxyConnector.from_url(addresses[0], rdns=True)
        await _exchange(by_name, url.replace("127.0.0.1", "localhost"))
        wrong = ProxyConnector.from_url(f"socks5://bob:wrong@127.0.0.1:{five[0]}")
        with pytest.raises(ProxyError):
            await _exchange(wrong, url)
    nobody = ProxyConnector.from_url("socks5://127.0.0.1:1")
    with pytest.raises(ProxyConnectionError):
        await _exchange(nobody, url)


async def _exchange(connector: ProxyConnector, url: str) -> None:
    content = b"content" * 50_000
    async with ClientSession(connector=connector) as session:
        for _ in range(2):  # The second time on the same connection.
            async with session.post(f"{url}/echo", data=content) as response:
                assert await response.read() == content
        async with session.ws_connect(f"{url}/shout") as websocket:
            await websocket.send_str("hello")
            assert await websocket.receive_str() == "HELLO"


use(make_app, check, http2=False)
