"""What the errors of a request say: what happened, with whom, how far it got, and what now."""

from __future__ import annotations

import asyncio
import pickle
from pathlib import Path

import pytest

import plait
from plait import web
from plait.compression_utils import ZLibCompressor
from plait_engine import ErrorCode, StreamReset
from plait_engine.engines import EngineName
from plait_engine.policy.retry import RetryPolicy
from tests.adapters.h2_server import H2Peer, h2
from tests.adapters.raw_server import RawConnection, raw_server
from tests.serving import serve

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["native", "reference"])
def engine(request: pytest.FixtureRequest) -> EngineName:
    name: EngineName = request.param
    return name


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
async def test_a_response_that_is_cut_short(engine: EngineName, http2: bool) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 100
        await response.prepare(request)
        await response.write(b"beginning")
        await asyncio.sleep(0)  # HTTP/2 writes in the loop's next turn.
        assert request.transport is not None
        request.transport.abort()
        return response

    app = web.Application()
    app.router.add_get("/", handler)
    async with (
        serve(app) as served,
        plait.ClientSession(http2=http2, engine=engine) as session,
        session.get(served.url) as response,
    ):
        with pytest.raises(plait.ClientPayloadError) as caught:
            await response.text()
    error = caught.value
    assert (error.received, error.expected, error.partial) == (9, 100, b"beginning")
    assert not error.unprocessed
    version = "HTTP/2" if http2 else "HTTP/1.1"
    server = f"127.0.0.1:{served.port} (127.0.0.1 port {served.port}, {version})"
    assert f"9 of 100 expected bytes received from {server}; " in str(error)
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.partial) == (str(error), b"beginning")


@pytest.mark.parametrize("auto_decompress", [False, True])
async def test_what_was_read_of_compressed_content(
    engine: EngineName, auto_decompress: bool
) -> None:
    packer = ZLibCompressor("gzip")
    content = packer.compress_sync(b"x" * 1000) + packer.flush()[:-8]

    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 999\r\n\r\n")
        connection.send(content)

    async with (
        raw_server(script) as server,
        plait.ClientSession(auto_decompress=auto_decompress, engine=engine) as session,
        session.get(server.url) as response,
    ):
        with pytest.raises(plait.ClientPayloadError) as caught:
            await response.read()
    error = caught.value
    assert (error.received, error.expected) == (len(content), 999)
    assert error.partial == (b"x" * 1000 if auto_decompress else content)


async def test_a_server_that_leaves_before_it_answers(engine: EngineName) -> None:
    async def script(connection: RawConnection) -> None:
        await connection.read_head()

    async with raw_server(script) as server, plait.ClientSession(engine=engine) as session:
        with pytest.raises(plait.ServerDisconnectedError) as caught:
            await session.post(server.url)
    assert str(caught.value).startswith("Server disconnected")
    assert f"localhost:{server.port} (127.0.0.1 port {server.port}, HTTP/1.1)" in str(caught.value)
    assert caught.value.message == str(caught.value)
    assert not caught.value.unprocessed


async def test_a_connection_that_is_reset(engine: EngineName) -> None:
    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        connection.send(b"HTTP/1.1 20")
        connection.abort()

    async with raw_server(script) as server, plait.ClientSession(engine=engine) as session:
        with pytest.raises(plait.ClientConnectionError, match=f"localhost:{server.port}") as caught:
            await session.post(server.url)
    assert not caught.value.unprocessed


@pytest.mark.parametrize("code", [ErrorCode.REFUSED_STREAM, ErrorCode.INTERNAL_ERROR])
async def test_a_stream_that_is_reset(engine: EngineName, code: ErrorCode) -> None:
    async def script(peer: H2Peer) -> None:
        while True:
            request = await peer.next_request()
            peer.send(StreamReset(request.stream_id, code))

    once = RetryPolicy(unprocessed=0)
    async with (
        raw_server(h2(script)) as server,
        plait.ClientSession(http2=True, engine=engine, retry_policy=once) as session,
    ):
        with pytest.raises(plait.ClientConnectionResetError, match=code.name) as caught:
            await session.post(server.url)
    refused = code is ErrorCode.REFUSED_STREAM
    assert caught.value.unprocessed is refused
    assert ("did nothing with the request" in str(caught.value)) is refused
    assert f"localhost:{server.port} (127.0.0.1 port {server.port}, HTTP/2)" in str(caught.value)


async def test_a_server_behind_a_unix_socket(tmp_path: Path) -> None:
    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    path = str(tmp_path / "socket")
    async with (
        await asyncio.start_unix_server(leave, path),
        plait.ClientSession(connector=plait.UnixConnector(path)) as session,
    ):
        with pytest.raises(plait.ServerDisconnectedError) as caught:
            await session.post("http://any.host/")
    assert str(caught.value).endswith(
        f": any.host:80 ({path}, HTTP/1.1); it may have processed the request"
    )


async def test_no_connection() -> None:
    async with plait.ClientSession() as session:
        with pytest.raises(plait.ClientConnectorError, match=r"127\.0\.0\.1:1 ") as caught:
            await session.post("http://127.0.0.1:1/")
    assert caught.value.unprocessed


@pytest.mark.parametrize(
    ("timeout", "kind", "words"),
    [
        (plait.ClientTimeout(total=0.05), TimeoutError, "more than 0.05 s (total): "),
        (plait.ClientTimeout(sock_read=0.05), plait.SocketTimeoutError, "for 0.05 s (sock_read): "),
    ],
)
@pytest.mark.parametrize("begins", [False, True])
async def test_timeouts(
    engine: EngineName,
    timeout: plait.ClientTimeout,
    kind: type[Exception],
    words: str,
    begins: bool,
) -> None:
    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        if begins:
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfive.")
        await connection.read_to_end()

    async with raw_server(script) as server, plait.ClientSession(engine=engine) as session:
        with pytest.raises(kind) as caught:
            await (await session.get(server.url, timeout=timeout)).read()
    message = str(caught.value)
    assert words in message
    assert f"localhost:{server.port} (127.0.0.1 port {server.port}, HTTP/1.1)" in message
    progress = "5 of 9 expected bytes of the response came" if begins else "no response came"
    assert message.endswith(progress)


async def test_a_url_that_is_none() -> None:
    async with plait.ClientSession() as session:
        with pytest.raises(plait.InvalidURL, match="Invalid IPv6") as caught:
            await session.get("http://[::1")
    assert caught.value.url == "http://[::1"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cookies": "a=b"}, "cookies must be a mapping or an iterable .* not str"),
        ({"cookies": 5}, "cookies must be a mapping or an iterable .* not int"),
        ({"proxy": 5}, "a proxy must be a str or a URL, not int"),
    ],
    ids=str,
)
async def test_arguments_of_a_wrong_type_are_named(options: dict[str, object], words: str) -> None:
    async with plait.ClientSession() as session:
        with pytest.raises(TypeError, match=words):
            await session.get("http://127.0.0.1:1/", **options)  # type: ignore[arg-type]
