"""``session.close()`` waits for nobody: not for an answer, not for a peer that reads nothing.

Time is counted in turns of the loop, so no machine is too slow for these tests, and none of the
peers can turn in our favour: they do nothing from the moment in which the session is closed.
Every socket is made by the test, which looks at each of them afterwards.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import hashlib
import socket
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import pytest

import plait
from plait import web
from plait.http_writer import LARGE_BODY
from plait.test_utils import TestClient, TestServer
from plait_engine import Accept, ConnectionClosed, Data, Response
from plait_engine.engines import EngineName
from plait_engine.policy.stats import PoolStats
from tests.adapters.h2_server import H2Peer, h2
from tests.adapters.raw_server import OK, RawConnection, raw_server
from tests.conftest import Authority
from tests.sessions import H1, H1_TLS, H2, H2C, Way

pytestmark = pytest.mark.anyio

TURNS = 20
"""More turns of the loop than it takes to close what needs nobody."""

Use: TypeAlias = Callable[[plait.ClientSession, str], Awaitable[Any]]


@pytest.fixture(params=["native", "reference"])
def engine(request: pytest.FixtureRequest) -> EngineName:
    name: EngineName = request.param
    return name


@pytest.fixture(params=[H1, H1_TLS, H2C, H2], ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    way: Way = request.param
    return way


@contextmanager
def no_warnings() -> Iterator[None]:
    """Nothing that was not closed is found by the garbage collector."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [str(each.message) for each in caught] == []


class Client:
    """A session over one way, and the sockets that it makes."""

    def __init__(self, way: Way, engine: EngineName, authority: Authority, **options: Any) -> None:
        self.sockets: list[socket.socket] = []
        self.connector = plait.TCPConnector(
            ssl=authority.client_context(),
            http2=way.version == "2.0",
            engine=engine,
            socket_factory=self.make_socket,
            **options,
        )
        self.session = plait.ClientSession(connector=self.connector)

    def make_socket(self, info: plait.AddrInfoType) -> socket.socket:
        family, kind, protocol, *_ = info
        made = socket.socket(family, kind, protocol)
        self.sockets.append(made)
        return made

    async def close_at_once(self) -> None:
        """Close the session in a few turns of the loop, and all its sockets."""
        closing = asyncio.create_task(self.session.close())
        for _ in range(TURNS):
            if closing.done():
                break
            await asyncio.sleep(0)
        assert closing.done(), "it waits for something"
        await closing
        assert self.sockets
        assert [made.fileno() for made in self.sockets] == [-1] * len(self.sockets)
        assert self.connector.stats() == PoolStats()


def freeze(connection: RawConnection) -> None:
    """Let the server read nothing more, and so answer nothing, not even in TLS."""
    transport: Any = connection.writer.transport
    below = getattr(getattr(transport, "_ssl_protocol", None), "_transport", transport)
    below.pause_reading()


class Server:
    """Answers one request on each connection, as its path says, and is as good as dead then."""

    def __init__(self, way: Way) -> None:
        self.frozen = asyncio.Event()
        self._way = way

    async def script(self, connection: RawConnection) -> None:
        if self._way.version == "2.0":
            await h2(self._answer_http2)(connection)
        else:
            await self._answer_http1(connection)
        freeze(connection)
        self.frozen.set()
        try:
            await asyncio.Event().wait()
        finally:
            connection.abort()
            await asyncio.sleep(0)  # Its transport is gone by then.

    async def _answer_http1(self, connection: RawConnection) -> None:
        head = await connection.read_head()
        if b"/idle" in head:
            connection.send(OK)
        elif b"/download" in head:
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + bytes(10**6))
        elif b"/ws" in head:
            connection.send(accept_websocket(head))

    async def _answer_http2(self, peer: H2Peer) -> None:
        request = await peer.next_request()
        if request.target == "/idle":
            peer.answer(request.stream_id)
        elif request.target == "/download":
            peer.send(Response(request.stream_id, 200), Data(request.stream_id, bytes(10**6)))
        elif request.target == "/ws":
            peer.send(Accept(request.stream_id))


def accept_websocket(head: bytes) -> bytes:
    """Return the answer to a handshake (RFC 6455 section 4.2.2)."""
    key = next(
        line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")
    )
    digest = hashlib.sha1(key.split(b":")[1].strip() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %s\r\n\r\n" % base64.b64encode(digest.digest())
    )


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield bytes(65536)


async def idle(session: plait.ClientSession, url: str) -> None:
    async with session.get(url + "idle") as response:
        assert await response.read() == b"ok"


async def wait(session: plait.ClientSession, url: str) -> None:
    await session.get(url + "wait")


async def upload(session: plait.ClientSession, url: str) -> None:
    await session.post(url + "upload", data=endless())


async def download(session: plait.ClientSession, url: str) -> None:
    async with session.get(url + "download") as response:
        await response.read()


async def leave_unread(session: plait.ClientSession, url: str) -> None:
    response = await session.get(url + "download")
    await response.content.readany()
    await asyncio.Event().wait()


async def websocket(session: plait.ClientSession, url: str) -> None:
    async with session.ws_connect(url + "ws") as ws:
        await ws.receive()


async def test_a_program_that_has_replaced_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """As tests do, so that nothing in them waits."""
    body = bytes(3 * LARGE_BODY)

    async def compress(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_compression(web.ContentCoding.gzip)
        await response.prepare(request)
        await response.write(body)
        return response

    async def no_sleep(delay: float) -> None:
        raise AssertionError(f"sleep({delay})")

    app = web.Application()
    app.router.add_get("/", compress)
    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "sleep", no_sleep)
        async with TestClient(TestServer(app)) as client, client.get("/") as response:
            assert await response.read() == body


@pytest.mark.parametrize("use", [idle, wait, upload, download, leave_unread, websocket])
async def test_a_server_that_is_as_good_as_dead(
    way: Way, engine: EngineName, authority: Authority, use: Use
) -> None:
    served = Server(way)
    context = authority.server_context("h2", "http/1.1") if way.tls else None
    with no_warnings():
        async with raw_server(served.script, context) as server:
            client = Client(way, engine, authority)
            task = asyncio.create_task(use(client.session, server.url))
            await served.frozen.wait()
            for _ in range(200):  # An upload fills all the buffers on its way.
                await asyncio.sleep(0)
            assert task.done() is (use is idle)
            await client.close_at_once()
            task.cancel()
            (result,) = await asyncio.gather(task, return_exceptions=True)
            del client, task, result


async def test_requests_that_wait_and_connections_that_are_opened(
    way: Way, engine: EngineName, authority: Authority
) -> None:
    """The server accepts and says nothing: mid-handshake with TLS, a silent peer without."""
    with no_warnings(), socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"{'https' if way.tls else 'http'}://localhost:{listener.getsockname()[1]}/"
        client = Client(way, engine, authority, limit=1)
        tasks = [asyncio.create_task(client.session.get(url)) for _ in range(3)]
        accepted, _ = await asyncio.to_thread(listener.accept)
        with accepted:
            for _ in range(20):
                await asyncio.sleep(0)
            await client.close_at_once()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(result, plait.ClientConnectionError)
        del client, tasks, result


@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
async def test_a_proxy_that_says_nothing(
    way: Way, engine: EngineName, authority: Authority, scheme: str
) -> None:
    with no_warnings(), socket.create_server(("127.0.0.1", 0)) as listener:
        client = Client(way, engine, authority)
        proxy = f"{scheme}://localhost:{listener.getsockname()[1]}"
        url = f"{'https' if way.tls else 'http'}://example.org/"
        task = asyncio.create_task(client.session.get(url, proxy=proxy))
        accepted, _ = await asyncio.to_thread(listener.accept)
        with accepted:
            for _ in range(20):
                await asyncio.sleep(0)
            await client.close_at_once()
        (result,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(result, plait.ClientConnectionError)
        del client, task, result


async def test_a_name_that_is_being_looked_up(authority: Authority) -> None:
    asked = asyncio.Event()

    class Resolver(plait.abc.AbstractResolver):
        async def resolve(self, *args: Any, **options: Any) -> list[plait.abc.ResolveResult]:
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError("never")

        async def close(self) -> None:
            pass

    with no_warnings():
        client = Client(H1, "native", authority, resolver=Resolver())
        task = asyncio.create_task(client.session.get("http://example.org/"))
        await asked.wait()
        client.sockets.append(socket.socket())
        client.sockets[0].close()
        await client.close_at_once()
        with pytest.raises(plait.ClientConnectionError):
            await task
        del client, task


async def test_a_server_that_lives_hears_a_proper_end(
    way: Way, engine: EngineName, authority: Authority
) -> None:
    """The closure alert (RFC 8446 section 6.1), GOAWAY (RFC 9113 section 5.4.1): no reset."""
    ends: asyncio.Queue[str] = asyncio.Queue()

    async def http1(connection: RawConnection) -> None:
        await connection.read_head()
        connection.send(OK)
        assert await connection.reader.read() == b""
        ends.put_nowait("end")

    async def http2(peer: H2Peer) -> None:
        peer.answer((await peer.next_request()).stream_id)
        event = await peer.next_of(ConnectionClosed)
        assert isinstance(event, ConnectionClosed)
        ends.put_nowait(event.reason.name)

    context = authority.server_context("h2", "http/1.1") if way.tls else None
    script = h2(http2) if way.version == "2.0" else http1
    async with raw_server(script, context) as server:
        client = Client(way, engine, authority)
        await idle(client.session, server.url)
        await client.close_at_once()
        assert await ends.get() == ("PEER" if way.version == "2.0" else "end")


@pytest.mark.parametrize("end", ["close", "detach"])
async def test_on_a_connector_of_somebody_else_deadlines_go_on(end: str) -> None:
    """The requests go on too, and nobody else would end them."""

    async def silent(connection: RawConnection) -> None:
        await connection.read_head()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        await connection.read_to_end()

    timeout = plait.ClientTimeout(total=0.1)
    async with raw_server(silent) as server, plait.TCPConnector() as connector:
        session = plait.ClientSession(
            connector=connector, connector_owner=end == "detach", timeout=timeout
        )
        response = await session.get(server.url)
        if end == "close":
            await session.close()
        else:
            session.detach()
        with pytest.raises(TimeoutError, match="total"):
            await asyncio.wait_for(response.read(), 10)
        assert connector.stats().in_use == 0


async def answer_once(connection: RawConnection) -> None:
    await connection.read_head()
    connection.send(OK)
    await connection.read_to_end()


@pytest.mark.parametrize("end", ["close", "detach"])
async def test_on_a_connector_of_somebody_else_no_timer_is_left(
    end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Test suites look for those."""
    loop = asyncio.get_running_loop()
    handles: list[asyncio.TimerHandle] = []
    call_at = loop.call_at

    def note(*args: Any, **kwargs: Any) -> asyncio.TimerHandle:
        handles.append(call_at(*args, **kwargs))
        return handles[-1]

    monkeypatch.setattr(loop, "call_at", note)
    async with raw_server(answer_once) as server, plait.TCPConnector() as connector:
        session = plait.ClientSession(connector=connector, connector_owner=end == "detach")
        await idle(session, server.url)
        if end == "close":
            await session.close()
        else:
            session.detach()
        await connector.close()
    assert handles
    assert all(handle.cancelled() for handle in handles)
