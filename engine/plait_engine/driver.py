"""The law of the contract: what stands between a connection and whatever carries its bytes.

Strategy
--------
``connection.Connection`` says what must be done; a ``Driver`` does it.  It is given inputs by
what carries the bytes and commands by the application.  After each it *drains*: it tells the
events, writes what there is to send, obeys ``wants_close`` and ``wants_read``, and arms the
timer.  Nothing else in plait writes that loop: the adapters, the pair of the tests, the
fuzzers and the examples differ in their ``Transport``, their ``Scheduler`` and their
``Listener``.

Rules
-----
* A listener is called synchronously and must not raise.  It may send: that is written as ever,
  and the events that come of it are told behind those that there are.
* On HTTP/1.1 a command is written at once.  On HTTP/2 it is written when the scheduler calls
  back, so that the answers of all the streams of a batch leave in one write.
* ``data_to_send`` is called only while the transport takes bytes (``can_write``).  That is
  what makes ``send_capacity`` and the engine's write timer work.
* Nothing is written from inside ``resume_writing``.  asyncio calls that in the middle of its
  own writing, and ends the connection twice when a write fails there.
* A transport that ``is_closing`` of itself has failed: nothing more is written to it, what
  the engine holds stays there, and ``connection_lost`` is to come.
* One timer a connection, re-armed lazily: a deadline that moves later costs nothing.
* A transport that does not finish closing within ``Timeouts.close`` is aborted.
* On a transport that cannot be half-closed (``Config.half_close``), ``WRITE_EOF`` closes it
  when nothing more is to come from the peer, and is ignored until then.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Protocol

from .connection import CloseAction, Connection, ConnectionState
from .engines import EngineName, create_connection
from .events import Event, PriorKnowledge, Request, Sendable
from .headers import Headers
from .streams import OF_STREAMS, StreamTable, dispatch

_OPEN: Final = ConnectionState.OPEN

NEVER: Final = math.inf

_LARGE: Final = 16384
"""Bytes of content on HTTP/2 that are worth a write of their own."""


class Transport(Protocol):
    """What carries the bytes of a connection: the part of ``asyncio.Transport`` that is needed.

    It tells the driver what happens by ``receive_data``, ``receive_eof``, ``pause_writing``,
    ``resume_writing`` and, once, ``connection_lost``.  It may do so from inside any of these
    methods, but for ``receive_data``.
    """

    def write(self, data: bytes, /) -> None:
        """Take all of ``data``; call ``pause_writing`` when that was enough for now."""

    def write_eof(self) -> None:
        """Half-close when all is written.  May raise OSError."""

    def close(self) -> None:
        """Close when all is written."""

    def abort(self) -> None:
        """Close now."""

    def is_closing(self) -> bool:
        """Tell whether it is closed, is being closed, or has failed."""

    def pause_reading(self) -> None:
        """Do not call ``receive_data`` until ``resume_reading``."""

    def resume_reading(self) -> None:
        """Call ``receive_data`` again."""


class Handle(Protocol):
    """A call that is to come."""

    def cancel(self) -> None:
        """Do not make it."""


class Scheduler(Protocol):
    """What knows the time: the part of ``asyncio.AbstractEventLoop`` that is needed."""

    def time(self) -> float:
        """Return the time in seconds, of any monotonic clock."""

    def call_at(self, when: float, callback: Callable[[], object], /) -> Handle:
        """Call ``callback`` at the time ``when``, unless the handle is cancelled before."""

    def call_soon(self, callback: Callable[[], object], /) -> object:
        """Call ``callback`` when what happens now is done, or at once."""


class Listener(Protocol):
    """Who hears the events of a connection."""

    def on_event(self, event: Event) -> None:
        """Take an event."""

    def on_batch_end(self) -> None:
        """All events of one input or command were told."""


class LazyTimer:
    """A timer whose deadline often moves later, and seldom earlier.

    When it fires, the callback looks at what is due and arms it again.
    """

    __slots__ = ("_callback", "_handle", "_scheduler", "at")

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._callback: Callable[[], object] | None = None
        self._handle: Handle | None = None
        self.at = NEVER
        """When it fires."""

    def arm(self, deadline: float, callback: Callable[[], object]) -> None:
        """Call ``callback`` at ``deadline``, unless it fires before."""
        if deadline < self.at:
            self.cancel()
            self.at = deadline
            self._callback = callback
            self._handle = self._scheduler.call_at(deadline, self._fire)

    def cancel(self) -> None:
        """Do not fire."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = self._callback = None
            self.at = NEVER

    def _fire(self) -> None:
        callback = self._callback
        self._handle = self._callback = None
        self.at = NEVER
        if callback is not None:  # pragma: no branch: cancel() takes the handle back too
            callback()


class Driver:
    """Drives ``engine`` by the law.  Call ``start`` when ``listener`` is ready to hear.

    Args:
        engine: the connection.
        transport: what carries its bytes; it is up.
        listener: who hears the events.
        scheduler: what knows the time.
        http2: the engine that takes the place of ``engine`` when a client speaks HTTP/2 with
            prior knowledge (``Config.detect_http2``): ``"native"`` or ``"reference"``.
            ``None``: the listener hears ``PriorKnowledge``.
        streams: who hears the events of which stream (see ``streams``); the listener does not
            hear those then.  ``None``: it hears all.
    """

    __slots__ = (
        "_close_timer",
        "_coalesce",
        "_dispatching",
        "_flush_scheduled",
        "_has_failed",
        "_http2",
        "_reading",
        "_scheduler",
        "_streams",
        "_timer",
        "_wrote_eof",
        "can_write",
        "clock",
        "engine",
        "listener",
        "transport",
    )

    def __init__(
        self,
        engine: Connection,
        transport: Transport,
        listener: Listener,
        scheduler: Scheduler,
        *,
        http2: EngineName | None = None,
        streams: StreamTable | None = None,
    ) -> None:
        self.engine = engine
        self.transport: Transport | None = transport
        """What carries the bytes; ``None`` when it is gone."""
        self.clock: Callable[[], float] = scheduler.time
        """The time, as the engine is told it."""
        self.can_write = True
        """The transport takes bytes."""
        self.listener: Listener = listener
        self._scheduler = scheduler
        self._has_failed: Callable[[], bool] = transport.is_closing
        self._http2 = http2
        self._streams = streams
        self._coalesce = engine.protocol == "h2"
        self._flush_scheduled = False
        self._dispatching = False
        self._reading = True
        self._wrote_eof = False
        self._timer = LazyTimer(scheduler)
        self._close_timer: Handle | None = None

    # -- inputs -------------------------------------------------------------------

    def start(self) -> None:
        """The transport is up."""
        self.engine.connection_made(self.clock())
        self.drain()

    def receive_data(self, data: bytes | memoryview) -> None:
        """Bytes came.  ``data`` is the caller's again when this returns."""
        self.engine.receive_data(data, self.clock())
        self.drain()

    def receive_eof(self) -> None:
        """The peer sends nothing more."""
        self.engine.receive_eof(self.clock())
        self.drain()

    def connection_lost(self, error: Exception | None) -> None:
        """The transport is gone; ``error`` says why, if it failed."""
        self.can_write = False
        self.transport = None
        self._has_failed = _is_gone
        self._timer.cancel()
        if self._close_timer is not None:
            self._close_timer.cancel()
            self._close_timer = None
        self.engine.connection_lost(error, self.clock())
        self.drain()

    def pause_writing(self) -> None:
        """The transport has enough for now."""
        self.can_write = False

    def resume_writing(self) -> None:
        """The transport takes bytes again."""
        self.can_write = self.transport is not None
        self._flush_soon()

    def handle_timeout(self) -> None:
        """It is time."""
        self.engine.handle_timeout(self.clock())
        self.drain()

    # -- commands -----------------------------------------------------------------

    def send(self, *events: Sendable) -> None:
        """Give events of one stream to the engine and see that they are written.

        Raises LocalProtocolError (see ``Connection.send``).
        """
        self.engine.send(*events, now=self.clock())
        if self._coalesce:
            self._flush_soon()
        else:
            self.drain()

    def send_response(self, stream_id: int, status: int, headers: Headers, body: bytes) -> bool:
        """Short path of ``send`` for a whole response (see ``Connection.send_response``).

        Returns false, with nothing done, when it is not as simple as most: ``send`` it then.
        """
        engine = self.engine
        if self._coalesce:
            if engine.send_response(stream_id, status, headers, body, self.clock()) is None:
                return False
            self._flush_soon()
            return True
        transport = self.transport
        if not self.can_write or transport is None or self._has_failed():
            return False
        data = engine.send_response(stream_id, status, headers, body, self.clock())
        if data is None:
            return False
        transport.write(data)
        self.drain()
        return True

    def send_request(self, request: Request) -> bool:
        """Short path of ``send`` for a request without content (see ``Connection.send_request``).

        Returns false, with nothing done, when it is not as simple as most: ``send`` it then.
        """
        if self._coalesce:
            if self.engine.send_request(request, self.clock()) is None:
                return False
            self._flush_soon()
            return True
        transport = self.transport
        if not self.can_write or transport is None or self._has_failed():
            return False
        data = self.engine.send_request(request, self.clock())
        if data is None:
            return False
        transport.write(data)
        return True

    def send_data(self, stream_id: int, data: bytes) -> bool:
        """Short path of ``send`` for a piece of content (see ``Connection.send_data``).

        Returns false, with nothing done, when it is not as simple as most: ``send`` it then.
        """
        transport = self.transport
        if (
            not self.can_write
            # What is small waits for what else comes in this turn of the scheduler.
            or (self._coalesce and len(data) < _LARGE)
            or transport is None
            or self._has_failed()
        ):
            return False
        written = self.engine.send_data(stream_id, data, self.clock())
        if written is None:
            return False
        # No drain: nothing else can come of it.
        transport.write(written)
        return True

    def write_tunnel(self, data: bytes) -> bool:
        """Short path of ``send`` for the ``Data`` of a tunnel that has the whole connection.

        Its bytes are those of the wire, so they need not go through the engine (HTTP/1.1,
        after ``Accept``).  Returns false, with nothing written, when they must wait for
        something: ``send`` them then.
        """
        transport = self.transport
        if (
            not self.can_write
            or self._dispatching
            or self._flush_scheduled
            or transport is None
            or self._has_failed()
        ):
            return False
        transport.write(data)
        return True

    def acknowledge(self, stream_id: int, credit: int) -> None:
        """Give back the credit of ``Data``."""
        engine = self.engine
        engine.acknowledge(stream_id, credit, self.clock())
        if self._coalesce:
            # Output is all that it can bring about on HTTP/2, and it seldom does.
            if not self._flush_scheduled and engine.has_output:
                self._flush_soon()
        elif engine.wants_read is not self._reading:
            self.drain()  # All that an acknowledgement can bring about on HTTP/1.1.

    def ping(self, payload: bytes) -> None:
        """Send an HTTP/2 PING.  Raises LocalProtocolError (see ``Connection.ping``)."""
        self.engine.ping(payload, self.clock())
        self._flush_soon()

    def close(self, code: int | None = None) -> None:
        """End the connection: gracefully, or at once with an HTTP/2 error code."""
        if self.transport is not None:
            self.engine.close(code, now=self.clock())
            self.drain()

    def abort(self) -> None:
        """Drop the connection now; ``connection_lost`` follows."""
        if self.transport is not None:
            self.transport.abort()

    def close_transport(self) -> None:
        """Close the transport when it has written what it has."""
        # Not twice: asyncio's transport of TLS then forgets what it is, even for its getters.
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()

    # -- getters ------------------------------------------------------------------

    @property
    def is_closing(self) -> bool:
        """True when no new exchange can begin."""
        return self.transport is None or self.engine.state is not _OPEN

    # -- the law ------------------------------------------------------------------

    def drain(self) -> None:
        """Take the outputs of the engine and obey it."""
        if self._dispatching:
            # Whoever is told may send, and wait, and drop the connection: what it sent goes out.
            # All else is for the drain that tells the events, until nothing is left.
            self._write_output()
            return
        if self.engine._events:
            self._dispatch()
        self._write_output()
        engine = self.engine
        if engine.wants_close:
            self._obey_close(engine.wants_close)
        if engine.wants_read is not self._reading:
            self._set_reading(engine.wants_read)
        deadline = engine.next_timeout()
        if deadline is not None and deadline < self._timer.at and self.transport is not None:
            self._timer.arm(deadline, self.handle_timeout)

    def _dispatch(self) -> None:
        """Tell all events that there are, and those that come of it."""
        listener, streams = self.listener, self._streams
        self._dispatching = True
        try:
            # What the end of a batch does may bring the next batch: an answer that is sent
            # there, the next of pipelined requests.
            while self.engine._events:
                # Taken all at once: a call of next_event for each costs as much as to tell it.
                while events := self.engine._events:
                    self.engine._events = []
                    for event in events:
                        if streams is not None and type(event) in OF_STREAMS:
                            dispatch(event, streams, self)
                        elif type(event) is PriorKnowledge and self._http2 is not None:
                            self._replace_engine(event, self._http2)
                        else:
                            listener.on_event(event)
                listener.on_batch_end()
        finally:
            self._dispatching = False

    def _write_output(self) -> None:
        """Write what there is to send, and what follows while the transport takes it."""
        data = self.engine.data_to_send() if self.can_write else b""
        while data and self.transport is not None:
            if self._has_failed():
                self.can_write = False
                return
            self.transport.write(data)
            # What was written may make room, of which an event tells.
            if self.engine._events and not self._dispatching:
                self._dispatch()
            data = self.engine.data_to_send() if self.can_write else b""

    def _replace_engine(self, event: PriorKnowledge, name: EngineName) -> None:
        """Go on in HTTP/2, which the client speaks (RFC 9113 section 3.3)."""
        engine = create_connection(self.engine.role, "h2", self.engine.config, engine=name)
        self.engine = engine
        self._coalesce = True
        engine.connection_made(self.clock())
        engine.receive_data(event.data, self.clock())

    def _flush_soon(self) -> None:
        """Drain once for all that happens before the scheduler calls back."""
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._scheduler.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_scheduled = False
        self.drain()

    def _set_reading(self, wanted: bool) -> None:
        self._reading = wanted
        if self.transport is not None and not self.transport.is_closing():
            if wanted:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def _obey_close(self, action: CloseAction) -> None:
        transport = self.transport
        if transport is None:
            return
        if action is CloseAction.ABORT:
            transport.abort()
            return
        config = self.engine.config
        if action is CloseAction.WRITE_EOF and not config.half_close:
            if self.engine.state is not ConnectionState.CLOSING:
                return
            action = CloseAction.CLOSE
        if action is CloseAction.CLOSE and self._close_timer is None:
            when = self.clock() + config.timeouts.close
            self._close_timer = self._scheduler.call_at(when, self.abort)
        if not self.can_write:
            return  # What is left is written after ``resume_writing``, which leads here again.
        if action is CloseAction.CLOSE:
            self.close_transport()
        elif not self._wrote_eof:
            self._wrote_eof = True
            try:
                transport.write_eof()
            except OSError:  # The peer reset the connection; nobody has noticed yet.
                transport.abort()


def _is_gone() -> bool:
    return True  # pragma: no cover: ``can_write`` is false then, and asked first
