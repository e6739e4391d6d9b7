"""plait's client against nginx as the origin, over HTTP/1.1 and HTTP/2."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import plait
from benchmarks.nginx import Nginx
from tests.conftest import Authority
from tests.interop.app import digest, payload
from tests.sessions import H1, H1_TLS, H2, H2C, Way

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[H1, H1_TLS, H2C, H2], ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


@pytest.fixture
def origin(nginx: Nginx, way: Way) -> str:
    return _origin(nginx, way)


def _origin(nginx: Nginx, way: Way) -> str:
    port = {H1: nginx.plain, H1_TLS: nginx.tls, H2C: nginx.h2c, H2: nginx.tls}[way]
    return f"{'https' if way.tls else 'http'}://127.0.0.1:{port}"


@pytest.fixture
async def session(authority: Authority, way: Way) -> AsyncIterator[plait.ClientSession]:
    async with way.open_session(authority) as opened:
        yield opened


async def test_get(session: plait.ClientSession, origin: str, way: Way) -> None:
    async with session.get(f"{origin}/protocol") as response:
        assert response.status == 200
        assert await response.text() == f"HTTP/{way.version}"
        assert response.headers["Server"].startswith("nginx/")
        version = response.version
        assert version is not None
        assert f"{version.major}.{version.minor}" == way.version


async def test_kinds_of_answers(session: plait.ClientSession, origin: str, way: Way) -> None:
    async with session.head(f"{origin}/") as response:
        assert response.headers["Content-Length"] == "13"
        assert await response.read() == b""
    async with session.get(f"{origin}/redirect") as response:
        assert await response.text() == f"HTTP/{way.version}"
        assert [old.status for old in response.history] == [302]
    async with session.get(f"{origin}/none") as response:
        assert response.status == 404
        with pytest.raises(plait.ClientResponseError, match="404"):
            response.raise_for_status()


async def test_conditional_and_partial(
    session: plait.ClientSession, origin: str, nginx: Nginx
) -> None:
    (nginx.root / "file").write_bytes(payload(1000))
    async with session.get(f"{origin}/file") as response:
        assert await response.read() == payload(1000)
        etag = response.headers["ETag"]
    async with session.get(f"{origin}/file", headers={"If-None-Match": etag}) as response:
        assert (response.status, await response.read()) == (304, b"")
    async with session.get(f"{origin}/file", headers={"Range": "bytes=10-19"}) as response:
        assert (response.status, await response.read()) == (206, payload(1000)[10:20])


async def test_large_download(session: plait.ClientSession, origin: str, nginx: Nginx) -> None:
    body = payload(16_000_000)
    (nginx.root / "large").write_bytes(body)
    async with session.get(f"{origin}/large") as response:
        assert digest(await response.read()) == digest(body)


async def test_slow_reader_stops_no_other(
    session: plait.ClientSession, origin: str, nginx: Nginx, way: Way
) -> None:
    (nginx.root / "large").write_bytes(payload(16_000_000))
    async with session.get(f"{origin}/large") as slow:
        assert slow.status == 200  # And nobody reads it for now.
        for _ in range(20):
            async with session.get(f"{origin}/protocol") as response:
                assert await response.text() == f"HTTP/{way.version}"
        assert digest(await slow.read()) == digest(payload(16_000_000))


@pytest.mark.parametrize("streamed", [False, True], ids=["length", "streamed"])
async def test_upload(session: plait.ClientSession, origin: str, streamed: bool) -> None:
    size = 1_000_000

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, size, 40_000):
            yield payload(size)[start : start + 40_000]

    data = pieces() if streamed else payload(size)
    async with session.post(f"{origin}/upload", data=data) as response:
        assert (response.status, await response.text()) == (200, str(size))


async def test_expect_continue(session: plait.ClientSession, origin: str) -> None:
    async with session.post(f"{origin}/upload", data=b"x" * 100, expect100=True) as response:
        assert (response.status, await response.text()) == (200, "100")


async def test_many_at_once(session: plait.ClientSession, origin: str, way: Way) -> None:
    async def one() -> str:
        async with session.get(f"{origin}/connection") as response:
            return await response.text()

    # More than nginx's 128 concurrent streams: the rest must wait for their turn.
    connections = await asyncio.gather(*(one() for _ in range(400)))
    assert len(connections) == 400
    if way.version == "2.0":
        assert len(set(connections)) == 1


async def test_connections_that_end_after_some_requests(
    session: plait.ClientSession, authority: Authority, way: Way, tmp_path: Path
) -> None:
    """RFC 9113 section 6.8: what GOAWAY says was not processed is sent again, unnoticed."""
    files = authority.certificate_file, authority.key_file
    with Nginx(tmp_path, *files, keepalive_requests=20) as nginx:
        url = f"{_origin(nginx, way)}/connection"
        fifty = asyncio.Semaphore(50)

        async def one() -> str:
            async with fifty, session.get(url) as response:
                return await response.text()

        connections = await asyncio.gather(*(one() for _ in range(500)))
        assert len(connections) == 500
        if way.version == "2.0":
            assert len(set(connections)) == 500 // 20


async def test_given_up_half_way(
    session: plait.ClientSession, origin: str, nginx: Nginx, way: Way
) -> None:
    (nginx.root / "large").write_bytes(payload(16_000_000))
    for _ in range(5):
        async with session.get(f"{origin}/large") as response:
            await response.content.readany()
    async with session.get(f"{origin}/protocol") as response:
        assert await response.text() == f"HTTP/{way.version}"


async def test_gzip_is_decoded(session: plait.ClientSession, origin: str, nginx: Nginx) -> None:
    text = "plait " * 10_000
    (nginx.root / "text.txt").write_text(text)
    async with session.get(f"{origin}/text.txt", headers={"Accept-Encoding": "gzip"}) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert await response.text() == text
