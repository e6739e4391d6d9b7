"""WebSockets of plait_trio's Session: with its connections, credentials, cookies and proxies."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import trio
import trio.testing

import plait_trio
from plait_engine import Config, RemoteProtocolError, Role
from plait_engine.engines import EngineName
from plait_engine.headers import get
from plait_trio import ServerRequest, ServerResponse
from plait_trio.driver import Driver
from plait_trio.server import _handle
from tests.adapters.test_client_proxies import Kind, all_kinds
from tests.adapters.test_trio_proxies import in_thread, open_session
from tests.adapters.test_trio_proxies import run as run_on_sockets
from tests.adapters.trio_site import URL, CancelAt, Run, Site, assert_at_rest, make_run
from tests.conftest import Authority
from tests.sessions import H1, H1_TLS, H2, H2C, Way


@pytest.fixture(params=["native", "reference"])
def engine(request: pytest.FixtureRequest) -> EngineName:
    return request.param


@pytest.fixture(params=["http/1.1", "h2"])
def run(request: pytest.FixtureRequest, engine: EngineName, monkeypatch: pytest.MonkeyPatch) -> Run:
    return make_run(engine, request.param, monkeypatch)


async def handler(request: ServerRequest) -> ServerResponse | None:
    fields = request.head.headers
    match request.head.target.split("/")[1:]:
        case ["chat"]:
            async with await request.accept_websocket(["a", "b"]) as websocket:
                for name in ("authorization", "cookie", "x-own"):
                    await websocket.send(f"{name}={get(fields, name)}")
                async for message in websocket:
                    await websocket.send(message)
            return None
        case ["login"]:
            set_cookie = ("set-cookie", "a=1; Path=/")
            return ServerResponse(302, headers=[set_cookie, ("location", "/chat")])
        case ["secret"]:
            if (get(fields, "authorization") or "").startswith("Digest "):
                async with await request.accept_websocket() as websocket:
                    await websocket.send("welcome")
                return None
            challenge = 'Digest realm="r", nonce="n", qop="auth"'
            return ServerResponse(401, headers=[("www-authenticate", challenge)])
        case ["no"]:
            return ServerResponse(403)
        case _:
            return ServerResponse(body=b"hello")


async def greet(websocket: plait_trio.WebSocket) -> list[str | bytes]:
    """Return what the server says of the handshake, and see that it echoes."""
    lines = [await websocket.receive() for _ in range(3)]
    for message in ("text", b"bytes", "x" * 100_000):
        await websocket.send(message)
        assert await websocket.receive() == message
    return lines


def test_a_handshake_is_a_request_of_the_session(run: Run) -> None:
    async def test(site: Site) -> None:
        async with site.session(headers=[("x-own", "mine")]) as session:
            # An address has no cookies.
            for url in ("http://a.test/login", "ws://a.test/chat"):
                async with session.open_websocket(
                    url, ["b"], headers=[("cookie", "c=3")], auth=("me", "pw")
                ) as websocket:
                    assert websocket.subprotocol == "b"
                    assert await greet(websocket) == [
                        "authorization=Basic bWU6cHc=",
                        "cookie=c=3; a=1",
                        "x-own=mine",
                    ]
                    assert session.pool.acquired == 1
                await trio.testing.wait_all_tasks_blocked()
                assert_at_rest(session)
            assert (await session.get("http://a.test/")).body == b"hello"
            assert len(site.servers) == (1 if site.http2 else 3)

    run(test, handler)


def test_a_challenge_is_answered(run: Run) -> None:
    async def test(site: Site) -> None:
        async with site.session(digest=("me", "pw")) as session:
            async with session.open_websocket(f"{URL}/secret") as websocket:
                assert await websocket.receive() == "welcome"
            assert_at_rest(session)

    run(test, handler)


@pytest.mark.parametrize("path", ["no", "hello"])
def test_a_handshake_that_is_refused(run: Run, path: str) -> None:
    async def test(site: Site) -> None:
        async with site.session(limit=1) as session:
            with pytest.raises(RemoteProtocolError, match=r"status (403|200|501)"):
                async with session.open_websocket(f"{URL}/{path}"):
                    raise AssertionError
            assert_at_rest(session)
            assert (await session.get(f"{URL}/")).body == b"hello"

    run(test, handler)


def test_a_connection_that_went_away_is_replaced(run: Run) -> None:
    async def test(site: Site) -> None:
        async with site.session() as session:
            await session.get(f"{URL}/")
            site.servers[0].abort()
            async with session.open_websocket(f"{URL}/chat") as websocket:
                await greet(websocket)
            assert len(site.servers) == 2

    run(test, handler)


def test_it_may_be_cancelled_at_any_point(run: Run) -> None:
    async def test(site: Site) -> None:
        async with site.session(limit=1) as session:
            step = 1
            while True:
                with trio.CancelScope() as scope, CancelAt(step, scope, all_tasks=False):
                    async with session.open_websocket(f"{URL}/login") as websocket:
                        await greet(websocket)
                await trio.testing.wait_all_tasks_blocked()
                assert_at_rest(session)
                assert (await session.get(f"{URL}/")).body == b"hello"
                if not scope.cancelled_caught:
                    break
                step += 1
            assert step > 5

    run(test, handler)


def test_it_ends_with_the_session(run: Run) -> None:
    async def test(site: Site) -> None:
        ended = trio.Event()

        async def listen_to_all(session: plait_trio.Session) -> None:
            async with session.open_websocket(f"{URL}/chat") as websocket:
                while True:
                    await websocket.receive()

        async def listen(session: plait_trio.Session) -> None:
            with pytest.raises((plait_trio.StreamError, plait_trio.WebSocketClosed)):
                await listen_to_all(session)
            ended.set()

        async with trio.open_nursery() as nursery, site.session() as session:
            nursery.start_soon(listen, session)
            await trio.testing.wait_all_tasks_blocked()
            began = trio.current_time()
        await ended.wait()
        assert trio.current_time() == began
        await site.servers[0].closed.wait()

    run(test, handler)


# -- which version -------------------------------------------------------------------------


def test_an_open_connection_that_takes_it_is_shared(authority: Authority) -> None:
    with in_thread(H2, Kind("http"), authority) as (url, peer, proxy, _):

        async def test() -> None:
            context = authority.client_context()
            async with plait_trio.Session(ssl_context=context, proxy=proxy) as session:
                async with session.open_websocket(f"{url}/ws") as websocket:
                    await websocket.send("one")
                    assert await websocket.receive() == "one"
                assert peer.connections == 1
                assert (await session.get(f"{url}/hello")).http_version == "2"
                assert peer.connections == 2
                async with session.open_websocket(f"{url}/ws") as websocket:
                    await websocket.send("two")
                    assert await websocket.receive() == "two"
                assert peer.connections == 2
                assert_at_rest(session)

        run_on_sockets(test)


def test_a_server_that_takes_none_over_http2(authority: Authority) -> None:
    """It is asked over HTTP/1.1, unless only HTTP/2 is wanted."""
    versions: list[str] = []

    async def note(request: ServerRequest) -> ServerResponse | None:
        versions.append(request.head.http_version)
        return await handler(request)

    async def serve(transport: trio.SocketStream) -> None:
        context = authority.server_context("h2", "http/1.1")
        stream = trio.SSLStream(transport, context, server_side=True, https_compatible=True)
        await stream.do_handshake()
        config = Config(scheme="https")
        config = replace(config, enable_connect_protocol=False)
        await Driver(stream, Role.SERVER, config, on_request=partial(_handle, note)).run()

    async def test() -> None:
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
            url = f"https://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
            context = authority.client_context()
            async with plait_trio.Session(ssl_context=context) as session:
                await session.get(f"{url}/")
                async with session.open_websocket(f"{url}/chat") as websocket:
                    await greet(websocket)
            assert versions == ["2", "1.1"]
            async with plait_trio.Session(ssl_context=context, http2=True) as session:
                with pytest.raises(plait_trio.ConnectError, match="RFC 8441"):
                    async with session.open_websocket(f"{url}/chat"):
                        raise AssertionError
                assert_at_rest(session)
            nursery.cancel_scope.cancel()

    run_on_sockets(test)


# -- proxies ---------------------------------------------------------------------------------


@all_kinds
@pytest.mark.parametrize("way", [H1, H1_TLS, H2C, H2], ids=str)
def test_by_proxies(way: Way, kind: Kind, authority: Authority) -> None:
    with in_thread(way, kind, authority) as (url, peer, proxy, session):

        async def test() -> None:
            address = f"{url}/ws".replace("http", "ws")
            async with session, session.open_websocket(address) as websocket:
                await websocket.send("hello")
                assert await websocket.receive() == "hello"
            async with open_session(way, authority, None) as other:
                async with other.open_websocket(f"{url}/ws", proxy=proxy) as websocket:
                    await websocket.send("hello")
                    assert await websocket.receive() == "hello"
                await trio.testing.wait_all_tasks_blocked()
                assert_at_rest(other)

        run_on_sockets(test)
        assert peer.tunnels == 2


def test_without_a_session_it_has_fields_of_its_own(authority: Authority) -> None:
    async def serve(transport: trio.SocketStream) -> None:
        await Driver(transport, Role.SERVER, Config(), on_request=partial(_handle, handler)).run()

    async def test() -> None:
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
            url = f"ws://127.0.0.1:{listeners[0].socket.getsockname()[1]}/chat"
            async with plait_trio.open_websocket(url, headers=[("x-own", "mine")]) as websocket:
                assert "x-own=mine" in await greet(websocket)
            nursery.cancel_scope.cancel()

    run_on_sockets(test)
