"""Calls that are wrong: checkers have to refuse each line that says so, and no other.

The test checks it as it stands, and with plait in aiohttp's place.  It is never run.
"""

from __future__ import annotations

import aiohttp
from aiohttp import ClientSession, ClientTimeout, web


async def client(session: ClientSession, ws: aiohttp.ClientWebSocketResponse) -> None:
    await session.get("/", paramz={"a": "b"})  # refused
    await session.get("/", timeout="5")  # refused
    await session.get("/", allow_redirects="no")  # refused
    await session.get("/", max_redirects="10")  # refused
    await session.get("/", headers=5)  # refused
    await session.get("/", ssl="no")  # refused
    await session.get("/", auth=("login", "password"))  # refused
    await session.get("/", skip_auto_headers=5)  # refused
    await session.get("/", raise_for_status="yes")  # refused
    await session.get(5)  # refused
    await session.get()  # refused
    await session.request("GET")  # refused
    await session.post("/", jsn={})  # refused
    await session.put("/", chunked="yes")  # refused
    await session.patch("/", compress=5)  # refused
    await session.delete("/", cookies=5)  # refused
    await session.options("/", read_bufsize="big")  # refused
    await session.head("/", expect100=b"")  # refused
    await session.get("/", proxy=5)  # refused
    await session.ws_connect("/", heartbeat="slow")  # refused
    await session.ws_connect("/", protocol="chat")  # refused
    ClientSession(timeout=5)  # refused by plait alone
    ClientSession(header={})  # refused
    ClientSession(raise_for_status="yes")  # refused
    ClientTimeout(total="5")  # refused
    ClientTimeout(totl=5)  # refused
    aiohttp.TCPConnector(limit="many")  # refused
    await ws.send_str(b"bytes")  # refused
    await ws.send_bytes("text")  # refused
    response = await session.get("/")
    number: int = await response.text()  # refused
    text: str = await response.read()  # refused
    binary: bytes = await ws.receive_str()  # refused
    print(response.statuz)  # refused
    response.status = "200"  # refused
    print(number, text, binary)


async def server(request: web.Request) -> web.Response:
    request.match_info["name"] + 5  # refused
    web.Response(status="200")  # refused
    web.Response(txt="text")  # refused
    web.json_response({}, statuz=200)  # refused
    response = web.StreamResponse()
    await response.write("text")  # refused
    response.set_cookie("a", 5)  # refused
    return web.StreamResponse()  # refused


def application() -> None:
    app = web.Application(middleware=[])  # refused
    app.router.add_get("/")  # refused
    app.router.add_get(5, server)  # refused
    web.run_app(app, port="8080")  # refused
