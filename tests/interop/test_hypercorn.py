"""plait's client against hypercorn: HTTP/1.1 and HTTP/2, WebSocket over both."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

import plait
from benchmarks.processes import Child, free_port
from tests.conftest import Authority
from tests.interop.app import digest, payload
from tests.sessions import H1, H1_TLS, H2, Way

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Hypercorn:
    """Its ports: cleartext HTTP/1.1, and TLS."""

    port: int
    tls_port: int

    def url(self, path: str, *, tls: bool) -> str:
        scheme, port = ("https", self.tls_port) if tls else ("http", self.port)
        return f"{scheme}://127.0.0.1:{port}{path}"


@pytest.fixture(scope="module")
def hypercorn(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hypercorn]:
    log = tmp_path_factory.mktemp("hypercorn") / "log"
    port, tls_port = free_port(), free_port()
    command = [
        *(sys.executable, "-m", "hypercorn", "--workers", "0"),
        *("--bind", f"127.0.0.1:{tls_port}", "--insecure-bind", f"127.0.0.1:{port}"),
        *("--certfile", str(authority.certificate_file), "--keyfile", str(authority.key_file)),
        "tests.interop.asgi_app:app",
    ]
    with Child(command, log) as child:
        child.wait_for_port(port)
        child.wait_for_port(tls_port)
        yield Hypercorn(port, tls_port)


@pytest.fixture(params=[H1, H1_TLS, H2], ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


@pytest.fixture
async def session(authority: Authority, way: Way) -> AsyncIterator[plait.ClientSession]:
    async with way.open_session(authority) as opened:
        yield opened


async def test_requests(session: plait.ClientSession, hypercorn: Hypercorn, way: Way) -> None:
    async with session.get(hypercorn.url("/version", tls=way.tls)) as response:
        assert await response.text() == way.version.removesuffix(".0")
    body = payload(1_000_000)
    async with session.post(hypercorn.url("/upload", tls=way.tls), data=body) as response:
        assert await response.text() == digest(body)
    url = hypercorn.url("/download?size=1000000", tls=way.tls)
    async with session.get(url) as response:
        assert digest(await response.read()) == digest(body)


async def test_many_at_once(session: plait.ClientSession, hypercorn: Hypercorn, way: Way) -> None:
    async def one(number: int) -> bytes:
        url = hypercorn.url("/echo", tls=way.tls)
        async with session.post(url, data=str(number).encode()) as response:
            return await response.read()

    answers = await asyncio.gather(*(one(number) for number in range(200)))
    assert answers == [str(number).encode() for number in range(200)]


async def test_websocket(session: plait.ClientSession, hypercorn: Hypercorn, way: Way) -> None:
    url = hypercorn.url("/ws", tls=way.tls)
    async with session.ws_connect(url, max_msg_size=0) as websocket:
        assert await websocket.receive_str() == way.version.removesuffix(".0")
        await websocket.send_str("héllo")
        assert await websocket.receive_str() == "héllo"
        for size in (0, 1, 125, 126, 65536, 500_000):
            await websocket.send_bytes(payload(size))
            assert await websocket.receive_bytes() == payload(size)
        await websocket.send_str("close")
        message = await websocket.receive()
        assert (message.type, message.data) == (plait.WSMsgType.CLOSE, 4000)
