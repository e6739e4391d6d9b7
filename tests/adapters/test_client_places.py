"""Places on connections: whoever has one gives it back, and nobody waits while one is free."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import Mock

import pytest

import plait
from plait_engine import (
    Accept,
    Data,
    ErrorCode,
    LocalProtocolError,
    Request,
    Response,
    StreamReset,
)
from plait_engine.engines import EngineName
from plait_engine.policy.retry import RetryPolicy
from plait_engine.testing import frames as wire
from tests.adapters.h2_server import H2Peer, h2
from tests.adapters.raw_server import OK, RawConnection, RawServer, Script, always, raw_server
from tests.conftest import Authority

pytestmark = pytest.mark.anyio

MAX_CONCURRENT_STREAMS = 0x3


@pytest.fixture(params=["native", "reference"])
def engine(request: pytest.FixtureRequest) -> EngineName:
    name: EngineName = request.param
    return name


@asynccontextmanager
async def connected(
    script: Script, engine: EngineName, *, http2: bool | None = True, limit: int = 100
) -> AsyncIterator[tuple[RawServer, plait.ClientSession]]:
    """A server of ``script`` and a session, which ends as it began."""
    connector = plait.TCPConnector(http2=http2, limit=limit, engine=engine)
    timeout = plait.ClientTimeout(total=20)
    async with (
        raw_server(script) as server,
        plait.ClientSession(connector=connector, timeout=timeout) as session,
    ):
        yield server, session
        stats = connector.stats()
        assert (stats.in_use, stats.streams, stats.waiting) == (0, 0, 0)


async def answer_all(peer: H2Peer) -> None:
    while True:
        request = await peer.next_request()
        with contextlib.suppress(LocalProtocolError):  # The client has given it up already.
            peer.answer(request.stream_id)


async def fetch(session: plait.ClientSession, url: str) -> str:
    async with session.get(url) as response:
        return await response.text()


# -- the peer's limit ---------------------------------------------------------------------


async def test_a_request_waits_when_the_limit_was_lowered(engine: EngineName) -> None:
    lowered = asyncio.Event()
    answer = asyncio.Event()

    async def script(peer: H2Peer) -> None:
        first = await peer.next_request()
        second = await peer.next_request()
        peer._raw.send(wire.settings([(MAX_CONCURRENT_STREAMS, 1)]))
        peer._raw.send(wire.ping(b"lowered!"))
        while b"lowered!" not in await peer._raw.reader.read(65536):
            pass
        lowered.set()
        await answer.wait()
        peer.answer(first.stream_id)
        peer.answer(second.stream_id)
        third = await peer.next_request()
        assert peer.engine.open_streams == 1
        peer.answer(third.stream_id)
        await peer.run_to_end()

    async with connected(h2(script, max_concurrent_streams=2), engine, limit=1) as (
        server,
        session,
    ):
        running = [asyncio.create_task(fetch(session, server.url)) for _ in range(2)]
        await lowered.wait()
        running.append(asyncio.create_task(fetch(session, server.url)))
        await asyncio.sleep(0)
        answer.set()
        assert await asyncio.gather(*running) == ["ok"] * 3
        assert server.connections == 1


async def test_a_place_that_goes_before_its_request_begins_is_waited_for(
    engine: EngineName,
) -> None:
    """The limit falls in the moment when a waiting request wakes up to use its place."""

    async with connected(h2(answer_all), engine, limit=1) as (server, session):
        assert await fetch(session, server.url) == "ok"
        connector = session.connector
        assert connector is not None
        (client,) = connector._places._clients.values()
        driver = client.driver
        allow, begin = asyncio.Event(), connector.connect

        async def connect(*args: Any) -> plait.connector.Connection:
            connection = await begin(*args)
            if not allow.is_set():
                allow.set()
                driver.receive_data(wire.settings([(MAX_CONCURRENT_STREAMS, 0)]))
                asyncio.get_running_loop().call_soon(
                    driver.receive_data, wire.settings([(MAX_CONCURRENT_STREAMS, 1)])
                )
            return connection

        connector.connect = connect  # type: ignore[method-assign]
        assert await fetch(session, server.url) == "ok"
        assert allow.is_set()
        assert server.connections == 1


@pytest.mark.parametrize("kind", ["streams", "websockets"])
async def test_a_full_connection_does_not_block_its_origin(engine: EngineName, kind: str) -> None:
    async def script(peer: H2Peer) -> None:
        while True:
            request = await peer.next_request()
            if request.target == "/":
                peer.answer(request.stream_id)
            elif request.protocol is None:
                peer.send(Response(request.stream_id, 200), Data(request.stream_id, b"event"))
            else:
                peer.send(Accept(request.stream_id))

    async with connected(
        h2(script, max_concurrent_streams=3),
        engine,
    ) as (server, session):
        opened: list[Any] = []
        for _ in range(4):
            if kind == "streams":
                opened.append(await session.get(server.url + "events"))
            else:
                opened.append(await session.ws_connect(server.url + "ws"))
        assert await fetch(session, server.url) == "ok"
        assert server.connections == 2
        for each in opened:
            if kind == "streams":
                each.close()
            else:
                each._response.close()


async def test_a_websocket_takes_a_connection_of_its_own_beside_a_full_one(
    engine: EngineName, authority: Authority
) -> None:
    """Over HTTP/1.1, as browsers do: the streams of the other belong to requests."""
    spoken: list[str] = []

    async def events(peer: H2Peer) -> None:
        request = await peer.next_request()
        peer.send(Response(request.stream_id, 200), Data(request.stream_id, b"event"))
        await peer.run_to_end()

    async def script(connection: RawConnection) -> None:
        protocol = connection.writer.get_extra_info("ssl_object").selected_alpn_protocol()
        spoken.append(protocol)
        if protocol == "h2":
            await h2(events, max_concurrent_streams=1)(connection)
        else:
            head = await connection.read_head()
            assert b"upgrade: websocket" in head.lower()
            connection.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    context = authority.server_context("h2", "http/1.1")
    connector = plait.TCPConnector(ssl=authority.client_context(), engine=engine)
    async with (
        raw_server(script, context) as server,
        plait.ClientSession(connector=connector) as session,
    ):
        stream = await session.get(server.url)
        assert await stream.content.readany() == b"event"
        with pytest.raises(plait.WSServerHandshakeError, match="403"):
            await session.ws_connect(server.url)
        assert spoken == ["h2", "http/1.1"]
        stream.close()


async def test_the_limits_of_the_connector_hold_for_other_connections(engine: EngineName) -> None:
    async def script(peer: H2Peer) -> None:
        first = await peer.next_request()
        peer.send(Response(first.stream_id, 200), Data(first.stream_id, b"event"))
        await answer_all(peer)

    async with connected(h2(script, max_concurrent_streams=1), engine, limit=1) as (
        server,
        session,
    ):
        stream = await session.get(server.url)
        with pytest.raises(
            plait.ConnectionTimeoutError,
            match=r"Connection timeout to host localhost:\d+: .* 0\.3 s",
        ):
            await session.get(server.url, timeout=plait.ClientTimeout(connect=0.3))
        stream.close()
        assert await fetch(session, server.url) == "ok"
        assert server.connections == 1


# -- what is raised on the way --------------------------------------------------------------


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize("value", [1, None, 1.5, b"x", ["x"]])
async def test_a_header_of_a_wrong_type_is_named_and_takes_no_place(
    engine: EngineName, http2: bool, value: Any
) -> None:
    script = h2(answer_all) if http2 else always(OK)
    async with connected(script, engine, http2=http2, limit=1) as (server, session):
        for name in ("X-Answer", "Host", "Cookie"):
            with pytest.raises(
                TypeError, match=f"'{name}' must be str, not {type(value).__name__}"
            ):
                await session.get(server.url, headers={name: value})
            with pytest.raises(TypeError, match=f"'{name}' must be str"):
                await session.ws_connect(server.url, headers={name: value})
        assert await fetch(session, server.url) == "ok"


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({5: "x"}, "the name of a header must be str, not int: 5"),
        ({b"X": "x"}, "the name of a header must be str, not bytes"),
        ("A: b", "a mapping or an iterable of .* not str"),
        (5, "a mapping or an iterable of .* not int"),
        (["A: b"], r"\(name, value\) pairs, not str: 'A' \.\.\.$"),
        ([b"A: b"], r"\(name, value\) pairs, not bytes$"),
        ([5], r"\(name, value\) pairs, not int$"),
        ([("A", "b", "c")], r"\(name, value\) pairs, not 3 items: 'A' \.\.\.$"),
        ([()], r"\(name, value\) pairs, not 0 items$"),
    ],
)
async def test_headers_of_a_wrong_shape_are_described(headers: Any, message: str) -> None:
    async with connected(always(OK), "native", http2=None) as (server, session):
        for call in (session.get, session.ws_connect):
            with pytest.raises(TypeError, match=message):
                await call(server.url, headers=headers)
        with pytest.raises(TypeError, match=message):
            plait.ClientSession(headers=headers)


@pytest.mark.parametrize("http2", [False, True])
async def test_an_int_content_length_is_taken(engine: EngineName, http2: bool) -> None:
    got: list[str] = []

    async def script(peer: H2Peer) -> None:
        request = await peer.next_request()
        got.append(dict(request.headers)["content-length"])
        peer.answer(request.stream_id)
        await peer.run_to_end()

    async def script1(connection: Any) -> None:
        head = (await connection.read_head()).decode().lower()
        got.append(head.partition("content-length: ")[2].partition("\r\n")[0])
        await connection.read(3)
        connection.send(OK)

    async with connected(h2(script) if http2 else script1, engine, http2=http2) as (
        server,
        session,
    ):
        headers: Any = {"Content-Length": 3}
        async with session.post(server.url, data=b"abc", headers=headers) as response:
            assert response.status == 200
    assert got == ["3"]


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize(
    "step", ["head", "response class", "request class", "payload", "websocket", "raise_for_status"]
)
async def test_whatever_is_raised_on_the_way_the_place_is_free_again(
    engine: EngineName, http2: bool, step: str
) -> None:
    class Broken(Exception):
        pass

    class BrokenResponse(plait.ClientResponse):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            raise Broken

    class BrokenRequest(plait.ClientRequest):
        async def send(self, conn: plait.connector.Connection) -> plait.ClientResponse:
            if step == "request class":
                raise Broken
            return await super().send(conn)

        def head_event(self, stream_id: int) -> Request:
            if step in ("head", "websocket"):
                raise Broken
            return super().head_event(stream_id)

    class BrokenPayload(plait.BytesPayload):
        def content_bytes(self) -> bytes:
            raise Broken

    async def check(response: plait.ClientResponse) -> None:
        raise Broken

    options: dict[str, Any] = {}
    if step == "payload":
        options["data"] = BrokenPayload(b"x")
    elif step == "raise_for_status":
        options["raise_for_status"] = check
    script = h2(answer_all) if http2 else always(OK)
    async with connected(script, engine, http2=http2, limit=1) as (server, session):
        assert session.connector is not None
        broken = plait.ClientSession(
            connector=session.connector,
            connector_owner=False,
            request_class=BrokenRequest,
            response_class=BrokenResponse if step == "response class" else plait.ClientResponse,
        )
        async with broken:
            for _ in range(3):
                call: Any = broken.ws_connect if step == "websocket" else broken.post
                with pytest.raises(Broken):
                    await call(server.url, **options)
        assert await fetch(session, server.url) == "ok"


# -- what may be sent again --------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [ErrorCode.INTERNAL_ERROR, ErrorCode.CANCEL, ErrorCode.ENHANCE_YOUR_CALM, ErrorCode.NO_ERROR],
)
async def test_a_reset_on_a_connection_that_goes_on_is_not_answered_by_a_retry(
    engine: EngineName, code: ErrorCode
) -> None:
    """RFC 9113 section 8.7: only REFUSED_STREAM says that nothing was done."""
    requests: list[str] = []

    async def script(peer: H2Peer) -> None:
        while True:
            request = await peer.next_request()
            requests.append(request.target)
            if request.target == "/":
                peer.answer(request.stream_id)
            else:
                peer.send(StreamReset(request.stream_id, code))

    async with connected(h2(script), engine) as (server, session):
        assert await fetch(session, server.url) == "ok"
        with pytest.raises(plait.ClientConnectionResetError, match=code.name):
            await session.get(server.url + "reset")
        assert requests == ["/", "/reset"]
        assert server.connections == 1


async def test_a_server_that_always_refuses_is_asked_with_pauses(engine: EngineName) -> None:
    tries: list[float] = []

    async def script(peer: H2Peer) -> None:
        while True:
            request = await peer.next_request()
            tries.append(asyncio.get_running_loop().time())
            peer.send(StreamReset(request.stream_id, ErrorCode.REFUSED_STREAM))

    async with connected(h2(script), engine) as (server, session):
        session._retry_policy = RetryPolicy(unprocessed=4, pause=0.02)
        with pytest.raises(plait.ClientConnectionResetError, match="REFUSED_STREAM"):
            await session.post(server.url, data=b"x")
        pauses = [after - before for before, after in itertools.pairwise(tries)]
        assert len(pauses) == 4
        assert all(
            pause >= wanted for pause, wanted in zip(pauses, [0, 0.02, 0.04, 0.08], strict=True)
        )
        session._retry_policy = RetryPolicy(pause=1000, longest_pause=1000)
        with pytest.raises(TimeoutError):
            await session.get(server.url, timeout=plait.ClientTimeout(total=0.05))


async def test_http2_true_never_becomes_http1(engine: EngineName) -> None:
    async def script(peer: H2Peer) -> None:
        while True:
            request = await peer.next_request()
            peer.send(StreamReset(request.stream_id, ErrorCode.HTTP_1_1_REQUIRED))

    async with connected(h2(script), engine) as (server, session):
        for _ in range(2):
            with pytest.raises(plait.ClientConnectionError, match="HTTP_1_1_REQUIRED"):
                await session.get(server.url)
        assert server.connections == 1


@pytest.mark.parametrize("use_dns_cache", [True, False])
async def test_a_connection_whose_opening_is_cancelled_from_within_is_not_waited_for(
    engine: EngineName, use_dns_cache: bool
) -> None:
    class ClosedOnce(plait.abc.AbstractResolver):
        """Gives the first look-up up, as one does that was closed meanwhile."""

        count = 0

        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[plait.abc.ResolveResult]:
            self.count += 1
            if self.count == 1:
                raise asyncio.CancelledError
            return [
                plait.abc.ResolveResult(
                    hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=0
                )
            ]

        async def close(self) -> None:
            """Nothing to close."""

    connector = plait.TCPConnector(
        resolver=ClosedOnce(), use_dns_cache=use_dns_cache, limit=1, engine=engine
    )
    async with (
        asyncio.timeout(5),
        raw_server(always(OK)) as server,
        plait.ClientSession(connector=connector) as session,
    ):
        url = f"http://a.name:{server.port}/"
        with pytest.raises(
            plait.ClientConnectionError, match=r"a\.name:\d+ was cancelled"
        ) as caught:
            await session.get(url)
        assert caught.value.unprocessed
        assert await fetch(session, url) == "ok"  # The place is free again.


async def test_a_mock_in_the_place_of_a_connection_is_not_opened_for_ever() -> None:
    """Programs that mock ``_create_connection`` get an error."""

    class Mocked(plait.TCPConnector):
        count = 0

        async def _create_connection(self, *args: Any) -> Any:
            self.count += 1
            if self.count > 100:
                raise OSError("it is opened again and again")
            return Mock()

    connector = Mocked()
    async with plait.ClientSession(connector=connector) as session:
        with pytest.raises(plait.ServerDisconnectedError, match=r"at once: a.test:80"):
            await session.get("http://a.test/")
    assert connector.count < 20
