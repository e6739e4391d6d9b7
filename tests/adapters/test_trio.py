"""plait_trio: its server and client against each other, and against other peers.

Each test runs over both HTTP versions, both engines, and TLS or not, on real sockets.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial

import pytest
import trio
import trio.testing

import plait_trio
from plait_engine import (
    Config,
    EndOfMessage,
    ErrorCode,
    Limits,
    LocalProtocolError,
    RemoteProtocolError,
    Request,
    Response,
    Role,
    StreamReset,
    Timeouts,
    create_connection,
)
from plait_engine.engines import EngineName, websocket_class
from plait_engine.policy.admission import PATIENCE
from plait_trio import ServerRequest, ServerResponse
from plait_trio.driver import Driver, Exchange, StreamError
from plait_trio.server import _handle

BIG = 3_000_000


async def handler(request: ServerRequest) -> ServerResponse | None:
    """One application for all tests, by path."""
    head = request.head
    match head.target:
        case "/websocket":
            async with await request.accept_websocket(["echo"]) as websocket:
                async for message in websocket:
                    await websocket.send(message)
            return None
        case "/deaf":
            await request.accept_websocket()
            await trio.sleep_forever()
            raise AssertionError
        case "/echo":
            return ServerResponse(headers=[("x-version", head.http_version)], body=request.stream())
        case "/trailers":
            return ServerResponse(body=_pieces(3), trailers=[("x-sum", "42")])
        case "/early":
            return ServerResponse(413, body=b"too much")
        case "/broken-body":
            return ServerResponse(body=_broken())
        case "/error":
            raise RuntimeError("a bug in the handler")
        case target if target.startswith("/redirect/"):
            await request.read()
            _, _, status, path = target.split("/")
            location = "ftp://nowhere/" if path == "nowhere" else f"/{path}"
            return ServerResponse(int(status), headers=[("location", location)])
        case _:
            return ServerResponse(body=await request.read() or b"hello")


async def _pieces(count: int, size: int = 1) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * size


async def _broken() -> AsyncIterator[bytes]:
    yield b"some"
    raise RuntimeError("a bug in the body")


@dataclass
class Setup:
    """How to reach the server under test."""

    url: str
    http2: bool
    ssl_context: ssl.SSLContext | None
    engine: EngineName

    @property
    def fetch(self) -> Callable[..., Awaitable[plait_trio.ClientResponse]]:
        return partial(
            plait_trio.fetch, http2=self.http2, ssl_context=self.ssl_context, engine=self.engine
        )

    def connect(
        self, config: Config | None = None
    ) -> AbstractAsyncContextManager[plait_trio.ClientConnection]:
        return plait_trio.open_connection(
            self.url,
            http2=self.http2,
            ssl_context=self.ssl_context,
            engine=self.engine,
            config=config,
        )


@pytest.fixture(params=["native", "reference"])
def engine(request: pytest.FixtureRequest) -> EngineName:
    return request.param


@pytest.fixture(params=["http/1.1", "h2"])
def http2(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "h2")


@pytest.fixture(params=["cleartext", "tls"])
def tls(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "tls")


@pytest.fixture
def run(engine, http2, tls, authority):
    """Return a function that runs ``async test(setup)`` beside a server."""

    def run_test(test: Callable[[Setup], Awaitable[None]]) -> None:
        async def main() -> None:
            server_context = authority.server_context() if tls else None
            client_context = authority.client_context() if tls else None
            async with trio.open_nursery() as nursery:
                serve = partial(
                    plait_trio.serve, handler, ssl_context=server_context, engine=engine
                )
                listeners = await nursery.start(serve)
                port = listeners[0].socket.getsockname()[1]
                scheme = "https" if tls else "http"
                url = f"{scheme}://localhost:{port}" if tls else f"{scheme}://127.0.0.1:{port}"
                with trio.fail_after(10):
                    await test(Setup(url, http2, client_context, engine))
                nursery.cancel_scope.cancel()

        trio.run(main)

    return run_test


def test_get(run) -> None:
    async def test(setup: Setup) -> None:
        response = await setup.fetch(f"{setup.url}/?a=b#fragment")
        assert (response.status, response.body) == (200, b"hello")
        assert response.http_version == ("2" if setup.http2 else "1.1")

    run(test)


def test_redirects_are_followed(run) -> None:
    async def test(setup: Setup) -> None:
        response = await setup.fetch(
            f"{setup.url}/redirect/303/echo", method="POST", body=b"x", headers=[("x-a", "b")]
        )
        assert (response.status, response.body) == (200, b"")
        assert response.url == f"{setup.url}/echo"
        response = await setup.fetch(f"{setup.url}/redirect/308/echo", method="POST", body=b"x")
        assert response.body == b"x"
        response = await setup.fetch(f"{setup.url}/redirect/302/", max_redirects=None)
        assert response.status == 302
        with pytest.raises(plait_trio.RedirectError, match="too many"):
            await setup.fetch(f"{setup.url}/redirect/302/", max_redirects=1)
        with pytest.raises(plait_trio.RedirectError, match="leads nowhere"):
            await setup.fetch(f"{setup.url}/redirect/302/nowhere")
        with pytest.raises(plait_trio.RedirectError, match="cannot be sent twice"):
            await setup.fetch(f"{setup.url}/redirect/307/", method="POST", body=_pieces(1, 1))

    run(test)


def test_bodies_stream_both_ways_at_once(run) -> None:
    async def test(setup: Setup) -> None:
        body = _pieces(BIG // 50_000, 50_000)
        response = await setup.fetch(f"{setup.url}/echo", method="POST", body=body)
        assert response.body == b"x" * BIG
        assert ("x-version", "2" if setup.http2 else "1.1") in list(response.headers)

    run(test)


def test_trailers(run) -> None:
    async def test(setup: Setup) -> None:
        response = await setup.fetch(f"{setup.url}/trailers")
        assert response.body == b"xxx"
        assert list(response.trailers) == [("x-sum", "42")]

    run(test)


def test_a_connection_is_kept_for_several_requests(run) -> None:
    async def test(setup: Setup) -> None:
        async with setup.connect() as connection:
            for _ in range(3):
                async with connection.request("GET", "/") as response:
                    assert await response.read() == b"hello"
            assert connection.usable

    run(test)


def test_requests_side_by_side(run, http2) -> None:
    """HTTP/2 carries them; HTTP/1.1 refuses the second while the first is not complete."""

    async def test(setup: Setup) -> None:
        done = trio.Event()

        async def slow_body() -> AsyncIterator[bytes]:
            yield b"first"
            await done.wait()

        async with setup.connect() as connection:
            upload = connection.request("POST", "/echo", body=slow_body())
            async with upload as first:
                if http2:
                    async with connection.request("POST", "/", body=b"second") as second:
                        assert await second.read() == b"second"
                else:
                    with pytest.raises(LocalProtocolError):
                        async with connection.request("GET", "/"):
                            pass
                done.set()
                assert await first.read() == b"first"

    run(test)


def test_an_early_answer_ends_the_upload(run) -> None:
    async def test(setup: Setup) -> None:
        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 10_000

        async with (
            setup.connect() as connection,
            connection.request("POST", "/early", body=endless()) as response,
        ):
            assert response.head.status == 413
            assert await response.read() == b"too much"

    run(test)


def test_a_failing_handler_is_a_500(run, capsys) -> None:
    async def test(setup: Setup) -> None:
        response = await setup.fetch(f"{setup.url}/error")
        assert response.status == 500
        assert b"bug" not in response.body

    run(test)
    assert "a bug in the handler" in capsys.readouterr().err


def test_a_failing_body_cuts_its_stream_and_no_other(run, capsys) -> None:
    async def test(setup: Setup) -> None:
        with pytest.raises(plait_trio.StreamError):
            await setup.fetch(f"{setup.url}/broken-body")
        assert (await setup.fetch(setup.url)).body == b"hello"

    run(test)
    assert "a bug in the body" in capsys.readouterr().err


def test_no_100_continue_behind_the_response(run) -> None:
    """curl expects 100 Continue for large bodies; the response says as much."""

    async def test(setup: Setup) -> None:
        version = "--http1.1"
        if setup.http2:
            version = "--http2" if setup.ssl_context else "--http2-prior-knowledge"
        command = ["curl", "-sSk", version, "-H", "Expect: 100-continue", "--data-binary", "@-"]
        for path in ("/", "/echo"):
            done = await trio.run_process(
                [*command, setup.url + path], stdin=b"x" * BIG, capture_stdout=True
            )
            assert done.stdout == b"x" * BIG

    run(test)


def test_a_connection_that_dies_is_a_stream_error() -> None:
    """The error says what is missing."""

    async def main() -> None:
        async def cut_short(stream: trio.SocketStream) -> None:
            await stream.receive_some(1000)
            await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")

        async with trio.open_nursery() as nursery:
            serve = partial(trio.serve_tcp, cut_short, 0, host="127.0.0.1")
            listeners = await nursery.start(serve)
            port = listeners[0].socket.getsockname()[1]
            with pytest.raises(plait_trio.StreamError, match=r"5.*10"):
                await plait_trio.fetch(f"http://127.0.0.1:{port}/")
            nursery.cancel_scope.cancel()

    trio.run(main)


def test_websocket(run) -> None:
    async def test(setup: Setup) -> None:
        async with (
            setup.connect() as connection,
            await connection.open_websocket("/websocket", ["echo"]) as websocket,
        ):
            assert websocket.subprotocol == "echo"
            assert type(websocket._connection) is websocket_class(setup.engine)
            for message in ("text \N{SNOWMAN}", b"\0\xff", "x" * 200_000, ""):
                await websocket.send(message)
                assert await websocket.receive() == message

    run(test)


@pytest.mark.parametrize("answers", [True, False])
def test_a_websocket_is_closed_while_a_task_receives(run, answers: bool) -> None:
    async def test(setup: Setup) -> None:
        async with (
            setup.connect(Config(timeouts=Timeouts(close=0.1))) as connection,
            await connection.open_websocket("/websocket" if answers else "/deaf") as websocket,
        ):
            closed = 0

            async def receive() -> None:
                nonlocal closed
                with pytest.raises(plait_trio.WebSocketClosed):
                    await websocket.receive()
                closed += 1

            async with trio.open_nursery() as nursery:
                for _ in range(2):
                    nursery.start_soon(receive)
                await trio.testing.wait_all_tasks_blocked()
                await websocket.aclose()
            assert closed == 2

    run(test)


def test_websocket_refused(run) -> None:
    async def test(setup: Setup) -> None:
        async with setup.connect() as connection:
            status = "501" if setup.http2 else "200"
            with pytest.raises(RemoteProtocolError, match=f"status {status}"):
                await connection.open_websocket("/")
            async with connection.request("GET", "/") as response:
                assert await response.read() == b"hello"

    run(test)


def test_many_websockets(run, http2) -> None:
    if not http2:
        pytest.skip("one tunnel takes a whole HTTP/1.1 connection")

    async def test(setup: Setup) -> None:
        async def chat(number: int) -> None:
            async with await connection.open_websocket("/websocket") as websocket:
                await websocket.send(f"{number}")
                assert await websocket.receive() == f"{number}"

        async with setup.connect() as connection, trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(chat, number)

    run(test)


def test_curl_is_served(run) -> None:
    async def test(setup: Setup) -> None:
        version = "--http1.1"
        if setup.http2:
            version = "--http2" if setup.ssl_context else "--http2-prior-knowledge"
        command = ["curl", "-sSk", version, "-w", " %{http_version}", f"{setup.url}/"]
        done = await trio.run_process(command, capture_stdout=True)
        assert done.stdout == (b"hello 2" if setup.http2 else b"hello 1.1")

    run(test)


def test_an_interrupted_handshake_leaves_nothing(authority) -> None:
    """A peer that speaks no TLS to a TLS port, or goes away, ends quietly."""

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            serve = partial(plait_trio.serve, handler, ssl_context=authority.server_context())
            listeners = await nursery.start(serve)
            port = listeners[0].socket.getsockname()[1]
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                await stream.send_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                with contextlib.suppress(trio.BrokenResourceError):
                    while await stream.receive_some(1000):
                        pass  # An alert, if OpenSSL has one for this.
            nursery.cancel_scope.cancel()

    trio.run(main)


def test_a_certificate_that_is_not_trusted(authority) -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            serve = partial(plait_trio.serve, handler, ssl_context=authority.server_context())
            listeners = await nursery.start(serve)
            port = listeners[0].socket.getsockname()[1]
            with pytest.raises(plait_trio.TLSError) as caught:
                await plait_trio.fetch(f"https://127.0.0.1:{port}/")
            assert str(caught.value).startswith(
                f"no TLS with 127.0.0.1:{port}: its certificate is not trusted: "
            )
            assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
            nursery.cancel_scope.cancel()

    trio.run(main)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"], ids=["end", "http"])
def test_a_server_that_does_not_speak_tls(answer: bytes) -> None:
    async def main() -> None:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listener.socket.getsockname()[1]

        async def serve() -> None:
            async with listener, await listener.accept() as stream:
                await stream.receive_some()
                if answer:
                    await stream.send_all(answer)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            with pytest.raises(plait_trio.TLSError, match=rf"^no TLS with 127\.0\.0\.1:{port}: \S"):
                await plait_trio.fetch(f"https://127.0.0.1:{port}/")

    trio.run(main)


@pytest.mark.parametrize("chosen", [None, "http/1.1"])
def test_a_server_that_does_not_speak_the_only_version(authority, chosen: str | None) -> None:
    """``http2=True`` on TLS is no wish: the request is not sent in another version."""
    received: list[bytes] = []

    async def main() -> None:
        context = authority.server_context()
        if chosen is not None:
            context.set_alpn_protocols([chosen])

        async def serve(transport: trio.SocketStream) -> None:
            stream = trio.SSLStream(transport, context, server_side=True)
            # Without a common version OpenSSL goes on as if none had been offered.
            with contextlib.suppress(trio.BrokenResourceError):
                received.append(bytes(await stream.receive_some()))

        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
            port = listeners[0].socket.getsockname()[1]
            with pytest.raises(plait_trio.TLSError, match="the server does not speak h2"):
                await plait_trio.fetch(
                    f"https://127.0.0.1:{port}/",
                    ssl_context=authority.client_context(),
                    http2=True,
                )
            nursery.cancel_scope.cancel()

    trio.run(main)
    assert not any(received)


@pytest.mark.parametrize("url", ["ftp://x/", "x", "//x/", "http:///path", "https://", "mailto:a@b"])
@pytest.mark.parametrize("function", ["fetch", "open_connection", "open_websocket"])
def test_a_url_that_names_no_origin(
    url: str, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(*arguments: object, **options: object) -> None:
        pytest.fail("it is refused before a name is looked up")

    async def main() -> None:
        if function == "fetch":
            await plait_trio.fetch(url)
        else:
            async with getattr(plait_trio, function)(url):
                pass

    monkeypatch.setattr(trio, "open_tcp_stream", resolve)
    with pytest.raises(ValueError, match=r"http, https, ws, wss|Invalid URL"):
        trio.run(main)


def test_fetch_names_what_it_could_not_reach(unused_port: int) -> None:
    with pytest.raises(OSError, match=r"127\.0\.0\.1"):
        trio.run(plait_trio.fetch, f"http://127.0.0.1:{unused_port}/")


@pytest.fixture
def unused_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
def test_a_peer_that_stops_reading_is_dropped(protocol: str) -> None:
    """The time is kept also while the writer cannot go on (``Timeouts.write``)."""
    wide = Config(limits=Limits(stream_window=2**31 - 1, connection_window=2**31 - 1))
    client = create_connection(Role.CLIENT, protocol, wide)
    client.connection_made(0.0)
    client.send(Request(1, "GET", "http", "a", "/", ()), EndOfMessage(1), now=0.0)
    ended = trio.Event()

    async def endless(request: ServerRequest) -> ServerResponse:
        async def body() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield bytes(65536)
            finally:
                ended.set()

        return ServerResponse(body=body())

    async def main() -> None:
        config = Config(timeouts=Timeouts(write=0.1))
        async with trio.open_nursery() as nursery:
            serve = partial(plait_trio.serve, endless, config=config)
            (listener,) = await nursery.start(serve)
            stream = await trio.open_tcp_stream(*listener.socket.getsockname()[:2])
            async with stream:
                while data := client.data_to_send():
                    await stream.send_all(data)
                with trio.fail_after(20):
                    await ended.wait()
            nursery.cancel_scope.cancel()

    trio.run(main)


class Gate:
    """A handler that waits for ``open``, and counts."""

    def __init__(self) -> None:
        self.open = trio.Event()
        self.targets: list[str] = []
        self.running = 0
        self.most = 0

    async def __call__(self, request: ServerRequest) -> ServerResponse:
        self.targets.append(request.head.target)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.open.wait()
        finally:
            self.running -= 1
        return ServerResponse()


def run_http2(
    test: Callable[[Driver], Awaitable[None]], handler: Gate, engine: EngineName, limit: int
) -> None:
    """Run ``test`` with a client beside a server in memory, in time that is only counted."""

    async def main() -> None:
        config = Config(limits=Limits(max_concurrent_streams=limit))
        near, far = trio.testing.memory_stream_pair()
        on_request = partial(_handle, handler)
        server = Driver(
            far, Role.SERVER, config, protocol="h2", on_request=on_request, engine=engine
        )
        client = Driver(near, Role.CLIENT, Config(), protocol="h2", engine=engine)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.run)
            nursery.start_soon(client.run)
            await client.ready.wait()
            await test(client)
            nursery.cancel_scope.cancel()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


async def ask(client: Driver, target: str) -> Exchange:
    exchange = client.open_exchange()
    stream_id = exchange.stream_id
    head = Request(stream_id, "GET", "http", "a", target, ())
    await exchange.send(head, EndOfMessage(stream_id))
    return exchange


def test_no_more_handlers_run_than_streams_are_allowed(engine: EngineName) -> None:
    """Attack T1: reset streams make room for new ones, their handlers still run."""
    gate = Gate()

    async def test(client: Driver) -> None:
        for number in range(3):
            exchange = await ask(client, f"/reset/{number}")
            await trio.testing.wait_all_tasks_blocked()
            client.finish(exchange)
            await trio.testing.wait_all_tasks_blocked()
        assert gate.targets == ["/reset/0", "/reset/1"]
        waiting = [await ask(client, f"/{number}") for number in range(2)]
        await trio.testing.wait_all_tasks_blocked()
        assert gate.running == 2
        gate.open.set()
        for exchange in waiting:
            head = await exchange.next_event()
            assert isinstance(head, Response)
            assert head.status == 200
        # trio starts tasks of one turn in any order.
        assert sorted(gate.targets[2:]) == ["/0", "/1"]
        assert gate.most == 2

    run_http2(test, gate, engine, limit=2)


def test_a_request_that_finds_no_handler_is_refused(engine: EngineName) -> None:
    gate = Gate()

    async def test(client: Driver) -> None:
        exchange = await ask(client, "/reset")
        await trio.testing.wait_all_tasks_blocked()
        client.finish(exchange)
        began = trio.current_time()
        exchange = await ask(client, "/refused")
        with pytest.raises(StreamError) as caught:
            await exchange.next_event()
        assert trio.current_time() - began == pytest.approx(PATIENCE, abs=0.01)
        assert isinstance(caught.value.event, StreamReset)
        assert caught.value.event.code == ErrorCode.REFUSED_STREAM
        assert caught.value.event.retryable
        gate.open.set()
        await trio.testing.wait_all_tasks_blocked()
        exchange = await ask(client, "/good-as-new")
        assert isinstance(await exchange.next_event(), Response)
        assert gate.targets == ["/reset", "/good-as-new"]

    run_http2(test, gate, engine, limit=1)


def test_a_request_that_is_reset_at_once_gets_no_handler(engine: EngineName) -> None:
    """Attack T1 (CVE-2023-44487)."""
    gate = Gate()

    async def test(client: Driver) -> None:
        client.finish(await ask(client, "/reset"))  # Sent in the same breath.
        gate.open.set()
        exchange = await ask(client, "/")
        assert isinstance(await exchange.next_event(), Response)
        assert gate.targets == ["/"]

    run_http2(test, gate, engine, limit=10)


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_a_server_that_switches_protocols(engine: EngineName) -> None:
    """What it sends behind the head is not read by ``get``: that ends the connection."""

    async def switch(stream: trio.SocketStream) -> None:
        await stream.receive_some(1000)
        await stream.send_all(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\nhello"
        )
        await stream.receive_some(1000)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(partial(trio.serve_tcp, switch, 0, host="127.0.0.1"))
            url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/"
            headers = [("Connection", "Upgrade"), ("Upgrade", "other")]
            async with plait_trio.Session(engine=engine) as session:
                with trio.fail_after(10):
                    response = await session.get(url, headers=headers)
                assert (response.status, response.body) == (101, b"")
                assert (session.pool.acquired, session.pool.waiting) == (0, 0)
            nursery.cancel_scope.cancel()

    trio.run(main)
