"""The short path of a WebSocket on HTTP/1.1 beside the general one: the same outcome.

The bytes are given to asyncio's protocol as a transport does it.  In a callback of the loop
the task that waits runs at once; in a task it cannot, and the bytes go through the engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait import WSMsgType, web
from plait_engine import Timeouts
from plait_engine.engines import EngineName
from plait_engine.testing.frames import websocket_frame
from plait_engine.websocket.frames import Opcode
from tests.engine.chops import cut_at

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
MASK = b"\x01\x02\x03\x04"
CLOSE = websocket_frame(Opcode.CLOSE, b"\x03\xe8", mask=MASK)


class Transport(asyncio.Transport):
    """Takes bytes until it is told to be full; counts the writes."""

    def __init__(self, protocol: Any) -> None:
        super().__init__()
        self.protocol = protocol
        self.writes: list[bytes] = []
        self.full = False
        self.reading = True
        self.closed = False

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def fill(self, full: bool) -> None:
        if full is not self.full:
            self.full = full
            if full:
                self.protocol.pause_writing()
            else:
                self.protocol.resume_writing()

    def can_write_eof(self) -> bool:
        return True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def write_eof(self) -> None:
        pass

    def get_protocol(self) -> Any:
        return self.protocol

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


class Site:
    """An application with one WebSocket handler, on a ``Transport``."""

    def __init__(self, handler: Callable[[web.WebSocketResponse], Any], **options: Any) -> None:
        self.handler = handler
        self.options = options
        self.done = asyncio.Event()

    async def accept(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(timeout=1.0)
        await ws.prepare(request)
        try:
            await self.handler(ws)
        finally:
            self.done.set()
        return ws

    async def __aenter__(self) -> Transport:
        app = web.Application()
        app.router.add_get("/ws", self.accept)
        self.runner = web.AppRunner(app, access_log=None, **self.options)
        await self.runner.setup()
        assert self.runner.server is not None
        transport = self.transport = Transport(self.runner.server())
        transport.protocol.connection_made(transport)
        give(transport, HANDSHAKE)
        await settle(lambda: b"101" in b"".join(transport.writes))
        transport.writes.clear()
        return transport

    async def __aexit__(self, *args: object) -> None:
        self.transport.protocol.connection_lost(None)
        async with asyncio.timeout(10):
            await self.done.wait()
        await self.runner.cleanup()


def give(transport: Transport, data: bytes) -> None:
    """Read ``data`` from the network."""
    transport.protocol.get_buffer(-1)[: len(data)] = data
    transport.protocol.buffer_updated(len(data))


async def give_in_a_callback(transport: Transport, data: bytes) -> None:
    asyncio.get_running_loop().call_soon(give, transport, data)
    await asyncio.sleep(0)


async def settle(condition: Callable[[], bool] = lambda: False) -> None:
    """Let the loop turn until ``condition`` holds, or for some turns."""
    for _ in range(20):
        if condition():
            return
        await asyncio.sleep(0)


messages = st.tuples(
    st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.PING]),
    st.binary(max_size=20) | st.integers(100, 1000).map(bytes),
)


@given(
    st.lists(messages, max_size=8),
    st.none() | st.lists(st.integers(0, 3000), max_size=8),
    st.lists(st.booleans(), max_size=20),
    st.sampled_from([b"", CLOSE, b"\xff"]),
)
def test_both_paths(
    sent: list[tuple[Opcode, bytes]], cuts: list[int] | None, fullness: list[bool], end: bytes
) -> None:
    """What the handler receives and what the client gets.

    A frame to a read, or cut anywhere; the transport is full now and then.
    """
    pieces = [websocket_frame(opcode, payload, mask=MASK) for opcode, payload in sent]
    pieces += [end] if end else []
    if cuts is not None:
        wire = b"".join(pieces)
        pieces = cut_at(wire, [cut % (len(wire) + 1) for cut in cuts])

    async def run(short: bool) -> object:
        received: list[Any] = []

        async def handler(ws: web.WebSocketResponse) -> None:
            async for message in ws:
                received.append((message.type, str(message.data)))
                if message.type is WSMsgType.TEXT:
                    await ws.send_str(message.data)
                elif message.type is WSMsgType.BINARY:
                    await ws.send_bytes(message.data)
            received.append(ws.close_code)

        async with Site(handler) as transport:
            for index, piece in enumerate(filter(None, pieces)):
                transport.fill(index < len(fullness) and fullness[index])
                if short:
                    await give_in_a_callback(transport, piece)
                else:
                    give(transport, piece)
                await settle()
            transport.fill(False)
            await settle()
            got = list(received)
        return got, b"".join(transport.writes)

    assert asyncio.run(run(short=True)) == asyncio.run(run(short=False))


@pytest.mark.anyio
class TestShortPath:
    async def test_a_message_runs_the_task_within_the_read(self) -> None:
        async def handler(ws: web.WebSocketResponse) -> None:
            async for message in ws:
                await ws.send_bytes(message.data)

        async with Site(handler) as transport:
            loop = asyncio.get_running_loop()
            answered: asyncio.Future[list[bytes]] = loop.create_future()

            def read() -> None:
                give(transport, websocket_frame(Opcode.BINARY, b"x" * 1000, mask=MASK))
                answered.set_result(list(transport.writes))

            loop.call_soon(read)
            assert await answered == [websocket_frame(Opcode.BINARY, b"x" * 1000)]

    async def test_the_messages_of_a_read_are_answered_in_one_write(self) -> None:
        async def handler(ws: web.WebSocketResponse) -> None:
            async for message in ws:
                await ws.send_bytes(message.data)

        payloads = [b"%d" % number for number in range(50)]
        wire = b"".join(websocket_frame(Opcode.BINARY, data, mask=MASK) for data in payloads)
        async with Site(handler) as transport:
            await give_in_a_callback(transport, wire)
            answer = b"".join(websocket_frame(Opcode.BINARY, data) for data in payloads)
            assert transport.writes == [answer]

    async def test_what_is_collected_is_bounded(self) -> None:
        async def handler(ws: web.WebSocketResponse) -> None:
            async for _ in ws:
                await ws.send_bytes(bytes(50_000))

        wire = websocket_frame(Opcode.BINARY, b"x", mask=MASK) * 50
        async with Site(handler) as transport:
            await give_in_a_callback(transport, wire)
            assert max(map(len, transport.writes)) < 200_000
            assert sum(map(len, transport.writes)) == 50 * 50_004

    async def test_an_answer_is_not_held_back_when_the_handler_waits_for_other_things(
        self,
    ) -> None:
        go_on = asyncio.Event()

        async def handler(ws: web.WebSocketResponse) -> None:
            await ws.receive()
            await ws.send_bytes(b"first")
            await go_on.wait()
            await ws.receive()
            await ws.send_bytes(b"second")

        async with Site(handler) as transport:
            await give_in_a_callback(transport, websocket_frame(Opcode.BINARY, b"x", mask=MASK) * 2)
            assert transport.writes == [websocket_frame(Opcode.BINARY, b"first")]
            go_on.set()
            await settle()
            assert transport.writes[1] == websocket_frame(Opcode.BINARY, b"second")

    async def test_what_was_collected_is_sent_though_the_handler_fails(self) -> None:
        async def handler(ws: web.WebSocketResponse) -> None:
            await ws.receive()
            await ws.send_bytes(b"last words")
            raise ConnectionResetError

        frame = websocket_frame(Opcode.BINARY, b"x", mask=MASK)
        async with Site(handler) as transport:
            await give_in_a_callback(transport, frame * 3)
            assert transport.writes == [websocket_frame(Opcode.BINARY, b"last words")]

    @pytest.mark.parametrize("in_callback", [True, False])
    async def test_a_cancelled_receive_loses_no_message(self, in_callback: bool) -> None:
        received: list[Any] = []

        async def handler(ws: web.WebSocketResponse) -> None:
            first = asyncio.create_task(ws.receive())
            await asyncio.sleep(0)
            frame = websocket_frame(Opcode.TEXT, b"hello", mask=MASK)
            if in_callback:
                await give_in_a_callback(site.transport, frame)
            else:
                give(site.transport, frame)
            first.cancel()
            done = await asyncio.gather(first, return_exceptions=True)
            if isinstance(done[0], asyncio.CancelledError):
                received.append(await ws.receive())
            else:
                received.append(done[0])

        site = Site(handler)
        async with site:
            await settle(lambda: bool(received))
            assert [message.data for message in received] == ["hello"]

    @pytest.mark.parametrize("engine", ["native", "reference"])
    async def test_a_handler_that_does_not_read_stops_the_reading(self, engine: EngineName) -> None:
        go_on = asyncio.Event()
        sizes: list[int] = []

        async def handler(ws: web.WebSocketResponse) -> None:
            await go_on.wait()
            sizes.extend([len(message.data) async for message in ws])

        frame = websocket_frame(Opcode.BINARY, bytes(60_000), mask=MASK)
        async with Site(handler, engine=engine) as transport:
            count = 0
            while transport.reading:
                await give_in_a_callback(transport, frame)
                count += 1
                assert count < 100
            go_on.set()
            await settle(lambda: transport.reading)
            assert transport.reading
            await give_in_a_callback(transport, CLOSE)
            await settle(lambda: bool(sizes))
            assert sizes == [60_000] * count

    @pytest.mark.parametrize("engine", ["native", "reference"])
    async def test_a_client_that_does_not_read_is_dropped(self, engine: EngineName) -> None:
        """``Timeouts.write`` is the engine's, on the short path, too."""
        ended: list[BaseException] = []

        async def handler(ws: web.WebSocketResponse) -> None:
            await ws.receive()
            try:
                for _ in range(1000):
                    await ws.send_bytes(bytes(50_000))
            except ConnectionResetError as error:
                ended.append(error)
                raise

        options: Any = {"timeouts": Timeouts(write=0.05), "engine": engine}
        async with Site(handler, **options) as transport:
            transport.fill(True)
            await give_in_a_callback(transport, websocket_frame(Opcode.TEXT, b"go", mask=MASK))
            for _ in range(200):
                if transport.closed:
                    break
                await asyncio.sleep(0.01)
            assert transport.closed
        assert ended
