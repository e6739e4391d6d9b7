"""httpx's client against plait's server, over HTTP/1.1 and HTTP/2."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest

from tests.conftest import Authority
from tests.interop.app import digest, payload
from tests.interop.conftest import Server

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Way:
    tls: bool
    http2: bool

    @property
    def version(self) -> str:
        return "HTTP/2" if self.http2 else "HTTP/1.1"

    def __str__(self) -> str:
        return f"{self.version}{'-tls' if self.tls else ''}"


@pytest.fixture(
    params=[Way(False, False), Way(True, False), Way(True, True), Way(False, True)], ids=str
)
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


@pytest.fixture
async def client(authority: Authority, way: Way) -> AsyncIterator[httpx.AsyncClient]:
    # Without HTTP/1.1 httpx speaks HTTP/2 with prior knowledge on cleartext.
    async with httpx.AsyncClient(
        verify=authority.client_context(), http1=not way.http2, http2=way.http2, timeout=30
    ) as opened:
        yield opened


async def test_requests(client: httpx.AsyncClient, server: Server, way: Way) -> None:
    response = await client.get(server.url("/version", tls=way.tls))
    assert response.http_version == way.version
    assert f"HTTP/{response.text.removesuffix('.0')}" == way.version
    response = await client.post(server.url("/echo", tls=way.tls), json={"a": [1, 2]})
    assert response.json() == {"a": [1, 2]}
    response = await client.head(server.url("/", tls=way.tls))
    assert response.headers["content-length"] == "13"
    response = await client.get(server.url("/redirect", tls=way.tls), follow_redirects=True)
    assert response.status_code == 200
    assert (await client.get(server.url("/none", tls=way.tls))).status_code == 404
    assert server.connections == 1


async def test_bodies(client: httpx.AsyncClient, server: Server, way: Way) -> None:
    body = payload(3_000_000)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 50_000):
            yield body[start : start + 50_000]

    response = await client.post(server.url("/upload", tls=way.tls), content=pieces())
    assert response.text == digest(body)
    response = await client.get(server.url("/download?size=3000000", tls=way.tls))
    assert digest(response.content) == digest(body)


async def test_many_at_once(client: httpx.AsyncClient, server: Server, way: Way) -> None:
    async def one(number: int) -> bytes:
        response = await client.post(server.url("/echo", tls=way.tls), content=str(number))
        return response.content

    await one(0)  # The connection is there, and its limits are known.
    answers = await asyncio.gather(*(one(number) for number in range(90)))
    assert answers == [str(number).encode() for number in range(90)]
    if way.http2:
        assert server.connections == 1


async def test_response_given_up_half_way(
    client: httpx.AsyncClient, server: Server, way: Way
) -> None:
    url = server.url("/download?size=5000000", tls=way.tls)
    async with client.stream("GET", url) as response:
        async for _ in response.aiter_bytes():
            break
    response = await client.get(server.url("/", tls=way.tls))
    assert response.text == "Hello, World!"
