"""The client by proxies that people use: tinyproxy (HTTP) and dante (SOCKS)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import plait
from benchmarks.processes import Child, free_port
from plait import web
from tests.conftest import Authority
from tests.interop.conftest import require
from tests.serving import serve
from tests.sessions import H1, H1_TLS, H2, H2C, Way

pytestmark = pytest.mark.anyio

TINYPROXY = """\
Port {port}
Listen 127.0.0.1
Allow 127.0.0.1
Timeout 60
BasicAuth user password
"""

DANTE = """\
logoutput: stderr
internal: 127.0.0.1 port = {port}
external: lo
clientmethod: none
socksmethod: none
client pass {{ from: 127.0.0.1/32 to: 0.0.0.0/0 }}
socks pass {{
    from: 127.0.0.1/32 to: 127.0.0.0/8
    command: connect
}}
socks block {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}
"""


@pytest.fixture(scope="module")
def http_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """tinyproxy, which wants a login."""
    program, folder, port = require("tinyproxy"), tmp_path_factory.mktemp("tinyproxy"), free_port()
    config = folder / "tinyproxy.conf"
    config.write_text(TINYPROXY.format(port=port))
    with Child([program, "-d", "-c", str(config)], folder / "log") as child:
        child.wait_for_port(port)
        yield f"http://user:password@127.0.0.1:{port}"


@pytest.fixture(scope="module")
def socks_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """dante: the place of the scheme is left open."""
    program, folder, port = require("danted"), tmp_path_factory.mktemp("dante"), free_port()
    config = folder / "danted.conf"
    config.write_text(DANTE.format(port=port))
    command = [program, "-f", str(config), "-p", str(folder / "pid")]
    with Child(command, folder / "log") as child:
        child.wait_for_port(port)
        yield f"{{}}://127.0.0.1:{port}"


async def hello(request: web.Request) -> web.Response:
    return web.Response(body=await request.read(), headers={"X-Fields": ",".join(request.headers)})


async def echo(request: web.Request) -> web.WebSocketResponse[Any]:
    ws = web.WebSocketResponse[Any]()
    await ws.prepare(request)
    async for message in ws:
        await ws.send_str(message.data)
    return ws


async def use(way: Way, authority: Authority, proxy: str) -> None:
    """Send requests and a WebSocket by ``proxy``.

    tinyproxy ends its connections without a word, so the requests can be sent again.
    """
    app = web.Application()
    app.router.add_put("/hello", hello)
    app.router.add_get("/ws", echo)
    tls = authority.server_context("h2", "http/1.1") if way.tls else None
    async with (
        serve(app, tls) as served,
        way.open_session(authority, proxy=proxy) as session,
    ):
        for size in (0, 10, 300_000):
            body = bytes(range(256)) * (size // 256 + 1)
            async with session.put(f"{served.url}/hello", data=body) as response:
                assert response.status == 200
                assert await response.read() == body
                assert "proxy-authorization" not in response.headers["X-Fields"].lower()
        if way != H2C:
            async with session.ws_connect(f"{served.url}/ws") as ws:
                await ws.send_str("text")
                assert await ws.receive_str() == "text"


all_ways = pytest.mark.parametrize("way", [H1, H1_TLS, H2C, H2], ids=str)


@all_ways
async def test_tinyproxy(way: Way, authority: Authority, http_proxy: str) -> None:
    await use(way, authority, http_proxy)


@all_ways
@pytest.mark.parametrize("scheme", ["socks4", "socks5", "socks5h"])
async def test_dante(way: Way, scheme: str, authority: Authority, socks_proxy: str) -> None:
    await use(way, authority, socks_proxy.format(scheme))


async def test_a_login_that_is_wrong(authority: Authority, http_proxy: str) -> None:
    wrong = http_proxy.replace("password", "wrong")
    async with H1_TLS.open_session(authority, proxy=wrong) as session:
        with pytest.raises(plait.ClientHttpProxyError) as caught:
            await session.get("https://127.0.0.1:1/")
        assert caught.value.status in (401, 407)
        async with session.get("http://127.0.0.1:1/") as response:
            assert response.status in (401, 407)


async def test_servers_that_are_not_there(
    authority: Authority, http_proxy: str, socks_proxy: str, tmp_path: Path
) -> None:
    port = free_port()
    async with H1_TLS.open_session(authority) as session:
        with pytest.raises(plait.ClientHttpProxyError):
            await session.get(f"https://127.0.0.1:{port}/", proxy=http_proxy)
        for scheme, reason in (("socks5", "refused"), ("socks4", "rejected")):
            with pytest.raises(plait.ClientProxyConnectionError, match=reason):
                await session.get(f"https://127.0.0.1:{port}/", proxy=socks_proxy.format(scheme))
        with pytest.raises(plait.ClientProxyConnectionError, match="not allowed by the rules"):
            await session.get("https://192.0.2.1/", proxy=socks_proxy.format("socks5"))
