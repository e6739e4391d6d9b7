"""A network in memory, and a loop whose time is virtual: for simulations of a whole system.

``VirtualLoop`` is an asyncio loop that never sleeps: when nothing is ready its clock jumps
to the next timer, and when there is no timer either, the simulation has come to a halt,
which is ``Deadlock``.  ``Network`` carries bytes between the two ends of a connection in
pieces of any size, with any delay, and breaks connections as its ``Weather`` says.  All
chance comes from one seed, so a run can be repeated.

What an end sees is what asyncio shows of TCP: bytes in order; back-pressure in both
directions; the end of input apart from the end of the connection; a reset, which destroys
what is on its way in both directions, when bytes meet an end that is closed.
"""

from __future__ import annotations

import asyncio
import errno
import random
import selectors
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

HIGH_WATER = 65536
LOW_WATER = 16384
SOCKET_BUFFER = 32768
"""Bytes that may wait at an end that does not read."""
USER_TIMEOUT = 900.0
"""How long a system sends again what nobody acknowledges (RFC 9293 section 3.8.3)."""


class Deadlock(Exception):
    """Nothing will ever happen any more, and the simulation has not ended."""


@dataclass(frozen=True)
class Weather:
    """How a network behaves.  The rates are chances for each piece that is carried.

    ``latency``: seconds, at most.  ``small``: how many of the pieces are tiny.  ``whole``: nothing
    is cut into pieces.  ``stalls``: nothing is carried for up to ``stall`` seconds.  ``resets``:
    both ends see a reset.  ``vanishes``: nothing is carried any more, and nobody is told.
    ``refusals``: the chance that a connection is refused.
    """

    latency: float = 0.01
    small: float = 0.2
    whole: bool = False
    stalls: float = 0.0
    stall: float = 5.0
    resets: float = 0.0
    vanishes: float = 0.0
    refusals: float = 0.0


class _Clock(selectors.SelectSelector):
    """Time passes when somebody waits for it."""

    def __init__(self, end: float) -> None:
        super().__init__()
        self.now = 1000.0
        self._end = self.now + end

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Deadlock
        self.now += timeout
        if self.now > self._end:
            raise Deadlock(f"at {self.now} something still goes on")
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """``end``: the most seconds that a simulation can take."""

    def __init__(self, end: float) -> None:
        self._virtual = _Clock(end)
        super().__init__(self._virtual)
        self.network: Network | None = None
        self.errors: list[dict[str, Any]] = []
        """What would have been logged."""
        self.set_exception_handler(lambda _, context: self.errors.append(context))

    def time(self) -> float:
        return self._virtual.now

    def timers(self) -> list[asyncio.TimerHandle]:
        """Return what is still to come."""
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        return [timer for timer in scheduled if not timer.cancelled()]

    async def create_unix_connection(  # type: ignore[override]
        self, factory: Callable[[], Any], path: str | None = None, **options: Any
    ) -> tuple[asyncio.Transport, Any]:
        assert self.network is not None
        context = options.get("ssl")
        if context is None:
            return await self.network.connect(factory)
        return await self.network.connect_tls(factory, context, options["server_hostname"])


class Network:
    """``listen``; then ``connect`` as often as you like.  ``tls``: the server's context."""

    def __init__(
        self, loop: VirtualLoop, seed: int, weather: Weather, tls: ssl.SSLContext | None = None
    ) -> None:
        self.tls = tls
        loop.network = self
        self.loop = loop
        self.random = random.Random(seed)
        self.weather = weather
        self.ends: list[End] = []
        self._accept: Callable[[], Any] | None = None

    def listen(self, factory: Callable[[], Any]) -> None:
        self._accept = factory

    async def connect(self, factory: Callable[[], Any]) -> tuple[asyncio.Transport, Any]:
        client, server = await self._open()
        assert self._accept is not None
        protocol = factory()
        client.start(protocol)
        server.start(self._accept())  # Last: it may drop the connection at once.
        return client, protocol

    async def connect_tls(
        self, factory: Callable[[], Any], context: ssl.SSLContext, host: str
    ) -> tuple[asyncio.Transport, Any]:
        """The same with asyncio's TLS at both ends."""
        client, server = await self._open()
        assert self._accept is not None
        # typeshed lags behind: a server's waiter may be None, the getter is new in 3.11.
        make_tls: Any = SSLProtocol
        server.start(make_tls(self.loop, self._accept(), self.tls, None, server_side=True))
        protocol = factory()
        done = self.loop.create_future()
        tls = make_tls(self.loop, protocol, context, done, server_hostname=host)
        client.start(tls)
        try:
            await done
        except BaseException:
            client.abort()
            raise
        transport: asyncio.Transport = tls._get_app_transport()
        return transport, protocol

    async def _open(self) -> tuple[End, End]:
        await asyncio.sleep(self.delay())
        if self._accept is None or self.random.random() < self.weather.refusals:
            raise ConnectionRefusedError("nobody listens")
        client, server = End(self), End(self)
        client.peer, server.peer = server, client
        self.ends += (client, server)
        return client, server

    def delay(self) -> float:
        return self.random.random() * self.weather.latency

    def piece(self, most: int) -> int:
        """Return how many bytes are carried together."""
        if self.weather.whole:
            return most
        if self.random.random() < self.weather.small:
            return min(most, self.random.randint(1, 20))
        return self.random.randint(1, most)

    def open_ends(self) -> list[End]:
        return [end for end in self.ends if not end.lost]


class End(asyncio.Transport):
    """One end of a connection: what is written here arrives at ``peer``."""

    peer: End
    _start_tls_compatible = True
    """What ``loop.start_tls`` asks for."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.lost = False
        """The protocol was told that the connection is over."""
        self._network = network
        self._protocol: Any = None
        self._closing = False
        self._sending = bytearray()
        """Bytes on their way to the peer."""
        self._received = bytearray()
        """Bytes that came and wait for the protocol to read."""
        self._eof_after_sending = False
        self._eof_sent = False
        self._eof_received = False
        self._reading = True
        self._writing_paused = False
        self._timer: asyncio.TimerHandle | None = None
        self._vanished = False

    def start(self, protocol: Any) -> None:
        self._protocol = protocol
        protocol.connection_made(self)

    # -- asyncio.Transport ---------------------------------------------------------------

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("192.0.2.1", 1), "sockname": ("192.0.2.2", 2)}.get(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def is_closing(self) -> bool:
        return self._closing

    def is_reading(self) -> bool:
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._network.loop.call_soon(self._read)

    def can_write_eof(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return len(self._sending)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """They are fixed."""

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if self._closing:
            return
        assert not self._eof_after_sending, "written behind the end"
        self._sending += data
        if len(self._sending) > HIGH_WATER and not self._writing_paused:
            self._writing_paused = True
            self._protocol.pause_writing()
        self._send_later()

    def write_eof(self) -> None:
        self._eof_after_sending = True
        self._send_later()

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._reading = False
            self._eof_after_sending = True
            if self._vanished:
                self._close_in_vain()
            else:
                self._send_later()

    def abort(self) -> None:
        self._force_close(None)

    def _force_close(self, error: Exception | None) -> None:
        """What asyncio's TLS calls when it fails."""
        if not self.lost:
            self._lose(error)
            self.peer.reset()

    # -- the wire -------------------------------------------------------------------------

    def reset(self) -> None:
        """The peer, or the network, broke the connection: nothing that was sent arrives."""
        if not (self.lost or self._vanished):
            self._lose(ConnectionResetError("the simulated network broke the connection"))

    def _vanish(self) -> None:
        self._vanished = True
        self._stop()
        if self._sending:
            self._send_later()
        if self._closing and not self.lost:
            self._close_in_vain()

    def _give_up(self) -> None:
        self._lose(TimeoutError(errno.ETIMEDOUT, "nobody acknowledges"))

    def _close_in_vain(self) -> None:
        """The system has what it can buffer; the rest keeps the transport waiting."""
        if len(self._sending) <= SOCKET_BUFFER:
            self._lose(None)

    def _lose(self, error: Exception | None) -> None:
        self.lost = self._closing = True
        self._stop()
        self._sending.clear()
        self._received.clear()
        self._network.loop.call_soon(self._protocol.connection_lost, error)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _send_later(self, wait: float = 0.0) -> None:
        if self._timer is not None or self.lost:
            return
        loop = self._network.loop
        if self._vanished:
            self._timer = loop.call_later(USER_TIMEOUT, self._give_up)
        else:
            self._timer = loop.call_later(wait + self._network.delay(), self._carry)

    def _carry(self) -> None:
        """Take a piece to the peer, unless the weather is against it."""
        self._timer = None
        network, weather = self._network, self._network.weather
        luck = network.random.random()
        if luck < weather.resets:
            self.reset()
            self.peer.reset()
        elif luck < weather.resets + weather.vanishes:
            self._vanish()
            self.peer._vanish()
        elif luck < weather.resets + weather.vanishes + weather.stalls:
            self._send_later(network.random.random() * weather.stall)
        elif self._sending:
            self._carry_bytes()
        elif self._eof_after_sending and not self._eof_sent:
            self._eof_sent = True
            self.peer._take_eof()
            if self._closing:
                unread = bool(self._received)
                self._lose(None)
                if unread:  # as TCP does (RFC 1122 section 4.2.2.13)
                    self.peer.reset()

    def _carry_bytes(self) -> None:
        peer = self.peer
        if peer.lost:  # bytes for a socket that is closed: the answer is a reset
            self.reset()
            return
        room = SOCKET_BUFFER - len(peer._received)
        if not room:
            return  # The peer's ``_read`` goes on.
        size = self._network.piece(min(room, len(self._sending)))
        peer._received += self._sending[:size]
        del self._sending[:size]
        if self._writing_paused and len(self._sending) <= LOW_WATER:
            self._writing_paused = False
            self._protocol.resume_writing()
        if self._sending or self._eof_after_sending:
            self._send_later()
        peer._read()

    def _read(self) -> None:
        """Give the protocol what came, if it reads."""
        while self._reading and self._received and not self.lost:
            protocol = self._protocol
            size = self._network.piece(len(self._received))
            data = bytes(self._received[:size])
            del self._received[:size]
            if isinstance(protocol, asyncio.BufferedProtocol):
                buffer = memoryview(protocol.get_buffer(size))
                buffer[:size] = data
                protocol.buffer_updated(size)
            else:
                protocol.data_received(data)
        if self.peer._sending:
            self.peer._send_later()
        if self._eof_received and self._reading and not (self._received or self._closing):
            self._eof_received = False
            if not self._protocol.eof_received():
                self.close()

    def _take_eof(self) -> None:
        self._eof_received = True
        self._read()
