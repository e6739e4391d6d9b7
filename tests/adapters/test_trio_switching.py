"""101 Switching Protocols with plait_trio on both sides (RFC 9110 section 7.8)."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import pytest
import trio

import plait_trio
from plait_engine import LocalProtocolError, RemoteProtocolError
from plait_engine.engines import EngineName
from plait_trio import ServerRequest, ServerResponse, Session, StreamError
from tests.conftest import Authority

UPGRADE = [("Connection", "Upgrade"), ("Upgrade", "tcp, foo")]


@pytest.fixture(params=["native", "reference"])
def engine(request: pytest.FixtureRequest) -> EngineName:
    return request.param


async def shout(request: ServerRequest) -> ServerResponse | None:
    """Answer what comes in capitals, to the end."""
    try:
        tunnel = await request.switch_protocols("tcp", [("x-own", "1")])
    except LocalProtocolError as error:
        return ServerResponse(400, body=str(error).encode())
    await tunnel.send(b"hello")
    async for data in tunnel.receive():
        await tunnel.send(data.upper())
        if data.endswith(b"end"):
            break
    return None


Test = Callable[[Session, str], Awaitable[None]]


def run(
    test: Test,
    engine: EngineName,
    *,
    tls: Authority | None = None,
    handler: Callable[[ServerRequest], Awaitable[ServerResponse | None]] = shout,
    http2: bool | None = None,
) -> None:
    """Run ``test`` with a session and the URL of a server."""

    async def main() -> None:
        server: ssl.SSLContext | None = None if tls is None else tls.server_context()
        client: ssl.SSLContext | None = None if tls is None else tls.client_context()
        async with trio.open_nursery() as nursery:
            serve = partial(plait_trio.serve, handler, ssl_context=server, engine=engine)
            listeners = await nursery.start(serve)
            port = listeners[0].socket.getsockname()[1]
            async with Session(engine=engine, ssl_context=client, http2=http2) as session:
                with trio.fail_after(20):
                    await test(session, f"{'https' if tls else 'http'}://localhost:{port}/")
                assert (session.pool.acquired, session.pool.waiting) == (0, 0)
            nursery.cancel_scope.cancel()

    trio.run(main)


async def read(tunnel: plait_trio.Tunnel, size: int) -> bytes:
    received = b""
    async for data in tunnel.receive():
        received += data
        if len(received) >= size:
            break
    return received


async def pieces() -> AsyncIterator[bytes]:
    yield b"con"
    yield b"tent"


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("streamed", [False, True])
def test_bytes_go_both_ways(
    engine: EngineName, authority: Authority, secure: bool, streamed: bool
) -> None:
    async def test(session: Session, url: str) -> None:
        for _ in range(2):
            body = pieces() if streamed else b"content"
            async with session.stream("POST", url, headers=UPGRADE, body=body) as response:
                assert (response.status, response.http_version) == (101, "1.1")
                assert ("x-own", "1") in [(n.lower(), v) for n, v in response.headers]
                assert await response.read() == b""
                tunnel = response.tunnel
                assert tunnel is not None
                assert await read(tunnel, 5) == b"hello"
                await tunnel.send(b"one")
                assert await read(tunnel, 3) == b"ONE"
                await tunnel.send(b"end")
                assert b"".join([data async for data in tunnel.receive()]) == b"END"
                assert session.pool.acquired == 1

    run(test, engine, tls=authority if secure else None)


def test_the_client_ends_its_half(engine: EngineName) -> None:
    async def test(session: Session, url: str) -> None:
        async with session.stream("GET", url, headers=UPGRADE) as response:
            assert response.tunnel is not None
            await response.tunnel.send(b"last")
            await response.tunnel.send_eof()
            received = [data async for data in response.tunnel.receive()]
            assert b"".join(received) == b"helloLAST"

    run(test, engine)


def test_what_was_sent_is_sent_before_the_end(engine: EngineName) -> None:
    received = bytearray()
    done = trio.Event()

    async def collect(request: ServerRequest) -> None:
        tunnel = await request.switch_protocols("foo")
        async for data in tunnel.receive():
            received.extend(data)
        done.set()

    async def test(session: Session, url: str) -> None:
        async with session.stream("GET", url, headers=UPGRADE) as response:
            assert response.tunnel is not None
            await response.tunnel.send(bytes(1_000_000))
        await done.wait()
        assert len(received) == 1_000_000

    run(test, engine, handler=collect)


def test_a_server_does_not_switch_unasked(engine: EngineName) -> None:
    async def test(session: Session, url: str) -> None:
        for headers in ([], [("Connection", "Upgrade"), ("Upgrade", "bar")]):
            response = await session.get(url, headers=headers)
            assert response.status == 400
            assert b"ask" in response.body
            assert response.tunnel is None
        assert session.pool.idle == 1

    run(test, engine)


def test_over_http2_nothing_is_switched(engine: EngineName, authority: Authority) -> None:
    async def test(session: Session, url: str) -> None:
        response = await session.get(url, headers=UPGRADE)
        assert (response.status, response.http_version) == (400, "2")

    run(test, engine, tls=authority, http2=True)


def test_a_client_takes_no_switch_that_it_did_not_ask_for(engine: EngineName) -> None:
    async def switch(stream: trio.SocketStream) -> None:
        await stream.receive_some(1000)
        head = b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        await stream.send_all(head)
        await stream.receive_some(1000)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(partial(trio.serve_tcp, switch, 0, host="127.0.0.1"))
            url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/"
            async with Session(engine=engine) as session:
                with pytest.raises((RemoteProtocolError, StreamError)):
                    await session.get(url)
            nursery.cancel_scope.cancel()

    trio.run(main)
