"""The protocol of asyncio's transports: what is read comes to the same, out of either buffer."""

from __future__ import annotations

import asyncio
import itertools
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plait import web
from plait.transport.driver import Driver
from plait.transport.exchange import Exchange
from plait.transport.stream import ContentProtocol, StreamProtocol
from plait_engine import Data, EndOfMessage, Event, Request, Role, StreamReset
from plait_engine.testing import TEST_CONFIG
from tests.adapters.test_driver import Transport
from tests.adapters.web_peer import Setup, app_of

FULL = 262144
"""Bytes that asyncio reads at most."""


class RecordedExchange(Exchange):
    """Writes down what comes of a request, and takes all content at once."""

    def __init__(self, driver: Driver, stream_id: int, seen: list[object]) -> None:
        super().__init__(driver, stream_id)
        self.seen = seen

    def on_data(self, event: Data) -> None:
        self.seen.append((event.data, event.credit))
        self.acknowledge(event.credit)

    def on_end(self, event: EndOfMessage) -> None:
        self.seen.append(event)

    def on_reset(self, event: StreamReset) -> None:
        self.seen.append(event)


class Recorder:
    """The server's side of a connection."""

    def __init__(self, transport: asyncio.Transport, protocol: str = "http/1.1") -> None:
        loop = asyncio.get_running_loop()
        self.seen: list[object] = []
        self.driver = Driver(
            Role.SERVER, TEST_CONFIG, transport, self, loop=loop, protocol=protocol
        )

    def on_event(self, event: Event) -> None:
        self.seen.append(event)
        if isinstance(event, Request):
            exchange = RecordedExchange(self.driver, event.stream_id, self.seen)
            self.driver.exchanges[event.stream_id] = exchange

    def on_batch_end(self) -> None:
        self.seen.append("batch")

    def on_eof(self) -> None:
        self.seen.append("eof")

    def on_lost(self, error: Exception | None) -> None:
        self.seen.append(error)


class ReadingTransport(Transport):
    """Gives what is read to its protocol as asyncio does."""

    def __init__(self) -> None:
        super().__init__()
        protocol = StreamProtocol[Recorder](
            lambda transport, _: Recorder(transport), loop=asyncio.get_running_loop()
        )
        self.protocol: asyncio.BaseProtocol = protocol
        protocol.connection_made(self)
        self.owner = protocol.owner

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def read(self, data: bytes) -> None:
        if isinstance(self.protocol, asyncio.BufferedProtocol):
            buffer = self.protocol.get_buffer(-1)
            buffer[: len(data)] = data  # type: ignore[index]  # It is a memoryview.
            self.protocol.buffer_updated(len(data))
        else:
            assert isinstance(self.protocol, asyncio.Protocol)
            self.protocol.data_received(data)


SIZES = st.lists(st.sampled_from([1, 100, 32767, 32768, 32769, 65536, FULL - 1, FULL]), max_size=8)


@given(sizes=SIZES, chunked=st.booleans(), rest=st.integers(0, 2))
@example([FULL, FULL, 65536, 100, FULL, 1], False, 1)
@example([FULL, FULL], True, 0)
def test_long_content_that_is_not_copied_is_the_same(
    sizes: list[int], chunked: bool, rest: int
) -> None:
    """``sizes``: of the reads; ``rest``: how many requests follow."""
    content = bytes(range(250)) * (sum(sizes) // 250 + 1)
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(content)
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content) if chunked else content
    behind = body + b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n" * rest
    ends = list(itertools.accumulate(sizes, initial=0))
    reads = [b"POST / HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % framing]
    reads += [behind[start:end] for start, end in itertools.pairwise(ends)]
    reads.append(behind[ends[-1] :])

    async def compare() -> None:
        transport, plain = ReadingTransport(), Transport()
        general = Recorder(plain)
        general.driver.start()
        for read in reads:
            transport.read(read)
            general.driver.receive_data(read)
        assert transport.owner.seen == general.seen
        assert len(general.seen) > len(sizes)
        assert transport.written == plain.written

    asyncio.run(compare())


def test_long_content_is_read_right_into_what_is_delivered() -> None:
    async def read() -> None:
        transport = ReadingTransport()
        stream = transport.protocol
        transport.read(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n")
        transport.read(bytes(FULL - 1))
        assert transport.protocol is stream
        transport.read(bytes(FULL))
        assert isinstance(transport.protocol, ContentProtocol)
        content = bytes(65536)
        transport.read(content)
        *_, data, batch = transport.owner.seen
        assert isinstance(data, tuple)
        assert data[0] is content
        assert batch == "batch"
        transport.read(bytes(100))
        assert transport.protocol is stream

    asyncio.run(read())


@pytest.mark.parametrize("case", ["h2", "https"])
def test_content_that_must_be_copied_comes_by_the_shared_buffer(case: str) -> None:
    async def read() -> None:
        transport = ReadingTransport()
        stream = transport.protocol
        with mock.patch.object(Driver, "shared" if case == "h2" else "tls", True):
            transport.read(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n")
            transport.read(bytes(FULL))
        assert transport.protocol is stream

    asyncio.run(read())


def test_all_else_that_happens_reaches_the_driver() -> None:
    async def happen() -> None:
        transport = ReadingTransport()
        transport.read(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n")
        transport.read(bytes(FULL))
        protocol, driver = transport.protocol, transport.owner.driver
        assert isinstance(protocol, ContentProtocol)
        protocol.pause_writing()
        assert not driver.can_write
        protocol.resume_writing()
        assert driver.can_write
        assert protocol.eof_received()
        assert transport.owner.seen[-1] == "eof"
        error = ConnectionResetError()
        protocol.connection_lost(error)
        assert transport.owner.seen[-1] is error

    asyncio.run(happen())


def test_a_connection_that_is_dropped_in_long_content_is_lost_once() -> None:
    async def drop() -> None:
        transport = ReadingTransport()
        transport.read(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n")
        transport.read(bytes(FULL))
        protocol, owner = transport.protocol, transport.owner
        assert isinstance(protocol, ContentProtocol)
        owner.driver.abort()
        await asyncio.sleep(0)  # Whoever takes the connection for another's is told by then.
        seen = len(owner.seen)
        assert owner.driver.transport is transport
        protocol.connection_lost(None)
        assert owner.seen[-1] is None
        assert len(owner.seen) > seen

    asyncio.run(drop())


async def _upload(chunked: bool) -> None:
    """Send 4 MiB from a socket to a handler that is slow, twice on one connection."""

    async def handler(request: web.Request) -> web.Response:
        received = bytearray()
        async for piece in request.content.iter_any():
            received += piece
            await asyncio.sleep(0)
        return web.Response(body=bytes(received))

    content = b"".join(number.to_bytes(4, "big") for number in range(2**20))
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(content)
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content) if chunked else content
    async with Setup("http/1.1", "native").serve(app_of(handler, client_max_size=0)) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        for _ in range(2):
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n%b" % (framing, body))
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
            assert head.startswith(b"HTTP/1.1 200 ")
            assert await asyncio.wait_for(reader.readexactly(len(content)), 20) == content
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("chunked", [False, True])
def test_an_upload_over_a_socket(chunked: bool) -> None:
    made = itertools.count()
    real = ContentProtocol.__init__

    def count(self: ContentProtocol, *args: object) -> None:
        next(made)
        real(self, *args)  # type: ignore[arg-type]  # as it was called

    with mock.patch.object(ContentProtocol, "__init__", count):
        asyncio.run(_upload(chunked))
    assert next(made) > 0
