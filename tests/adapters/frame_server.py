"""An HTTP/2 server of frames that keeps count of every window, for the client's tests.

It does what a test says and nothing else: it gives no window that the test does not give, and
fails when the client takes more than it has, in bytes or in streams.  ``h2_server`` is the one with an engine.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from plait_engine.testing import frames as wire
from plait_engine.testing.frames import Flag, Frame, FrameType
from tests.adapters.raw_server import RawConnection, Script

INITIAL_WINDOW = 65535
"""That of a connection is this, whatever SETTINGS say (RFC 9113 section 6.9.2)."""

MAX_CONCURRENT_STREAMS = 0x3
INITIAL_WINDOW_SIZE = 0x4


class FramePeer:
    """One connection."""

    def __init__(self, raw: RawConnection) -> None:
        self._raw = raw
        self._buffer = b""
        self._stream_window = INITIAL_WINDOW
        self._next_id = 1
        self._limit = 2**31
        self._open = 0
        self.window = INITIAL_WINDOW
        """What the client may still send on the connection."""
        self.windows: dict[int, int] = {}
        """What it may still send on each stream, in the order in which they came."""
        self.received: dict[int, int] = {}
        """Bytes of content that came on each stream."""
        self.ended: set[int] = set()
        """Streams whose request is complete."""
        self.reset: set[int] = set()
        self.given = INITIAL_WINDOW
        """What the client has let the server send on the connection, so far."""

    async def begin(self, settings: Iterable[tuple[int, int]] = ()) -> None:
        """Say ``settings``, and answer a first request, so that the client knows them.

        That is stream 1; those that are counted begin with 3.
        """
        settings = list(settings)
        assert await self._raw.read(len(wire.PREFACE)) == wire.PREFACE
        self.send(wire.settings(settings))
        await self.until(lambda: 1 in self.ended)
        self.answer(1)
        for of_stream in (self.windows, self.received):
            of_stream.clear()
        self.ended.clear()
        self._limit = dict(settings).get(MAX_CONCURRENT_STREAMS, self._limit)
        self._stream_window = dict(settings).get(INITIAL_WINDOW_SIZE, INITIAL_WINDOW)

    def send(self, data: bytes) -> None:
        self._raw.send(data)

    def resize_windows(self, size: int) -> None:
        """Say another SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113 section 6.9.2)."""
        difference = size - self._stream_window
        self._stream_window = size
        for stream_id in self.windows:
            self.windows[stream_id] += difference
        self.send(wire.settings([(INITIAL_WINDOW_SIZE, size)]))

    def grant(self, increments: Iterable[tuple[int, int]]) -> None:
        """Open windows, all in one write: pairs of stream, 0 for the connection, and bytes."""
        out = b""
        for stream_id, increment in increments:
            if stream_id:
                self.windows[stream_id] += increment
            else:
                self.window += increment
            out += wire.window_update(stream_id, increment)
        self.send(out)

    def answer(self, *stream_ids: int) -> None:
        """Answer requests, all in one write; the content is the number of the stream."""
        self._open -= len(stream_ids)
        self.send(
            b"".join(
                wire.headers(stream_id, wire.response_block(200))
                + wire.data(stream_id, b"%d" % stream_id, end_stream=True)
                for stream_id in stream_ids
            )
        )

    async def until(self, condition: Callable[[], bool]) -> None:
        """Take frames until ``condition`` holds."""
        while not condition():
            await self.take()

    async def settle(self) -> None:
        """Take all that the client sent before it had read everything until now."""
        self.send(wire.ping(b"settled?"))
        while True:
            frame = await self.take()
            if frame.type == FrameType.PING and frame.payload == b"settled?":
                return

    async def take(self) -> Frame:
        """Return the next frame, which was counted."""
        while len(self._buffer) < 9 or len(self._buffer) < 9 + int.from_bytes(self._buffer[:3]):
            data = await self._raw.reader.read(65536)
            if not data:
                raise ConnectionError("the client closed the connection")
            self._buffer += data
        size = 9 + int.from_bytes(self._buffer[:3])
        (frame,) = wire.split_frames(self._buffer[:size])
        self._buffer = self._buffer[size:]
        self._count(frame)
        return frame

    def _count(self, frame: Frame) -> None:
        stream_id = frame.stream_id
        if frame.type == FrameType.SETTINGS and not frame.flags & Flag.ACK:
            self.send(wire.settings_ack())
        elif frame.type == FrameType.HEADERS:
            assert stream_id == self._next_id, "the next odd id (RFC 9113 section 5.1.1)"
            self._next_id += 2
            self._open += 1
            assert self._open <= self._limit
            self.windows[stream_id] = self._stream_window
            self.received[stream_id] = 0
        elif frame.type == FrameType.DATA:
            size = len(frame.payload)
            self.window -= size
            self.windows[stream_id] -= size
            self.received[stream_id] += size
            assert not size or (self.window >= 0 and self.windows[stream_id] >= 0)
        elif frame.type == FrameType.RST_STREAM:
            self.reset.add(stream_id)
        elif frame.type == FrameType.WINDOW_UPDATE and not stream_id:
            self.given += int.from_bytes(frame.payload)
        if frame.type in (FrameType.HEADERS, FrameType.DATA) and frame.flags & Flag.END_STREAM:
            self.ended.add(stream_id)


def frames(script: Callable[[FramePeer], Awaitable[None]]) -> Script:
    """Return a script for ``raw_server`` that runs ``script`` on frames."""

    async def run(raw: RawConnection) -> None:
        await script(FramePeer(raw))

    return run
