"""How the reference's HTTP/2 engine reads: one function for each event of h2.

A malformed message that h2 let through resets its stream here (RFC 9113 section 8.1.1);
what h2 refused is an error of the connection.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import ClassVar

import h2.events
import h2.exceptions

from plait_engine.config import Config
from plait_engine.connection import CloseAction, ConnectionState, Role
from plait_engine.errors import ErrorCode, RemoteProtocolError
from plait_engine.events import (
    Accept,
    CloseReason,
    Data,
    Draining,
    EndOfMessage,
    InformationalResponse,
    Initiator,
    PingAcknowledged,
    Response,
    SettingsChanged,
    StreamReset,
    Writable,
)
from plait_engine.timers import Timer

from .base import STOPPED, ReferenceConnection
from .http2_machine import MAX_STREAM_ID, GoAway, Machine
from .http2_messages import (
    malformed,
    read_request,
    read_response,
    read_trailers,
    stream_error,
)
from .http2_streams import Stream

DRAIN_PING = b"draining"
"""The payload of the PING between the two phases of GOAWAY (RFC 9113 section 6.8)."""
PARTING_PING = b"parting!"
"""The payload of the PING behind a server's last stream: it closes when that is answered."""


class ReadingConnection(ReferenceConnection):
    """The receiving half of ``ReferenceHTTP2Connection``."""

    __slots__ = (
        "_h2",
        "_had_streams",
        "_is_parting",
        "_last_accepted",
        "_machine",
        "_now",
        "_pings",
        "_received_at",
        "_streams",
        "_unread",
    )

    protocol = "h2"

    def __init__(self, role: Role, config: Config) -> None:
        super().__init__(role, config)
        self._machine = Machine(role, config)
        self._h2 = self._machine.h2
        self._streams: dict[int, Stream] = {}
        self._pings: dict[bytes, float] = {}
        self._unread: dict[int, int] = {}
        """Bytes of each stream that the application has not acknowledged."""
        self._last_accepted = MAX_STREAM_ID
        self._is_parting = False
        """(server) The connection drains, and its last stream is over."""
        self._now = 0.0
        self._received_at = 0.0
        self._had_streams = role is Role.CLIENT
        """Streams were available after the last call."""

    # -- inputs ---------------------------------------------------------------

    def receive_data(self, data: bytes | memoryview, now: float) -> None:
        if type(data) is not bytes:
            data = bytes(data)
        if self.state in STOPPED:
            return
        self._received_at = now
        self._timers.stop(Timer.PONG)
        try:
            for event in self._machine.receive(data):
                reader = self.READERS.get(type(event))
                if reader is not None:
                    reader(self, event, now)
                self._end_drained()
                if self.state in STOPPED:  # what comes behind the end is not read
                    break
        except RemoteProtocolError as error:
            self._fail(error.without_frames())
        if self._machine.settings_seen:
            self._timers.stop(Timer.HEAD)
        self._update(now)

    def receive_eof(self, now: float) -> None:
        """What the peer asked for in full is still answered."""
        if self.state in STOPPED:
            return
        if self.state is ConnectionState.OPEN:
            self._reason = CloseReason.PEER
        self.state = ConnectionState.DRAINING
        self.wants_read = False
        self._pings.clear()
        for stream in list(self._streams.values()):
            if not stream.received_end:
                del self._streams[stream.stream_id]
                self._events.append(
                    StreamReset(stream.stream_id, ErrorCode.CANCEL, Initiator.REMOTE)
                )
                self._give_back(stream.stream_id)
        self._update(now)

    def connection_lost(self, error: Exception | None, now: float) -> None:
        if self.state is ConnectionState.CLOSED:
            return
        self._reason = CloseReason.LOST if error else CloseReason.PEER
        self._error = error
        self._reset_all(ErrorCode.CANCEL, Initiator.REMOTE, None)
        self._finish(CloseAction.ABORT)

    # -- what h2 reads ----------------------------------------------------------

    def _read_request(self, event: h2.events.RequestReceived, now: float) -> None:
        stream_id = event.stream_id
        limit = self.config.limits.max_concurrent_streams
        ended = event.stream_ended is not None
        try:
            if len(self._streams) >= limit or stream_id > self._last_accepted:
                raise stream_error("no more streams now", ErrorCode.REFUSED_STREAM)
            request = read_request(event.headers, stream_id, ended, self.config)
        except RemoteProtocolError as error:
            self._reset(stream_id, error.without_frames())
            return
        if request.protocol is not None and request.protocol not in self.config.upgrade_protocols:
            self._h2.send_headers(stream_id, [(b":status", b"501")], end_stream=True)
            self._reset(
                stream_id,
                stream_error(f"the protocol {request.protocol!r}", ErrorCode.NO_ERROR, 501),
            )
            return
        stream = self._streams[stream_id] = Stream(
            stream_id, is_client=False, method=request.method
        )
        stream.tunnel_offered = request.method == "CONNECT"
        self._events.append(request)

    def _read_informational(
        self, event: h2.events.InformationalResponseReceived, now: float
    ) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is None:
            return
        response = self._parse(stream, lambda: read_response(event.headers, stream.stream_id))
        if response is None:
            return
        if response.status == 100:
            stream.waits_for_continue = False
        self._events.append(
            InformationalResponse(stream.stream_id, response.status, response.headers)
        )

    def _read_response(self, event: h2.events.ResponseReceived, now: float) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is None:
            return
        response = self._parse(stream, lambda: read_response(event.headers, stream.stream_id))
        if response is None:
            return
        if stream.tunnel_offered and 200 <= response.status < 300:
            stream.tunnel_offered, stream.tunnel_open = False, True
            self._events.append(Accept(stream.stream_id, response.headers))
            return
        if stream.tunnel_offered:  # declined: the request is over
            stream.tunnel_offered = False
            stream.sent_end = True
        if stream.waits_for_continue:
            stream.drop_content()  # RFC 9110 section 10.1.1: it is not sent
            if stream.full and not stream.sent_end:
                self._events.append(Writable(stream.stream_id))
            stream.full = False
        self._events.append(response)

    def _parse(self, stream: Stream, parse: Callable[[], Response]) -> Response | None:
        try:
            return parse()
        except RemoteProtocolError as error:
            self._reset(stream.stream_id, error.without_frames())
            return None

    def _read_data(self, event: h2.events.DataReceived, now: float) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is None:
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            return
        self._unread[event.stream_id] = (
            self._unread.get(event.stream_id, 0) + event.flow_controlled_length
        )
        if stream.tunnel_offered:
            stream.held.append((event.data, event.flow_controlled_length))
        elif event.data:
            self._events.append(Data(event.stream_id, event.data, event.flow_controlled_length))
        else:
            self.acknowledge(event.stream_id, event.flow_controlled_length, now)

    def _read_trailers(self, event: h2.events.TrailersReceived, now: float) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is None:
            return
        try:
            if stream.tunnel_offered or stream.tunnel_open:  # RFC 9113 section 8.5
                raise malformed("a field section in a tunnel")
            trailers = read_trailers(event.headers)
        except RemoteProtocolError as error:
            self._reset(stream.stream_id, error.without_frames())
            return
        stream.received_end = True
        self._events.append(EndOfMessage(event.stream_id, trailers))

    def _read_end(self, event: h2.events.StreamEnded, now: float) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is None:
            return
        if not stream.received_end and not (stream.tunnel_offered and self.role is Role.SERVER):
            self._events.append(EndOfMessage(event.stream_id))
        stream.received_end = True
        if stream.drops_content:
            if not stream.sent_end:
                self._events.append(
                    StreamReset(event.stream_id, ErrorCode.NO_ERROR, Initiator.REMOTE)
                )
            stream.reset_code = ErrorCode.CANCEL
        self._release(stream)

    def _read_reset(self, event: h2.events.StreamReset, now: float) -> None:
        stream = self._streams.pop(event.stream_id, None)
        if stream is None:
            return
        self._give_back(event.stream_id)
        code = int(event.error_code)
        remote = bool(event.remote_reset)
        self._events.append(
            StreamReset(
                event.stream_id,
                code,
                Initiator.REMOTE if remote else Initiator.LOCAL,
                remote and code == ErrorCode.REFUSED_STREAM,  # RFC 9113 section 8.7
                None if remote else malformed("a frame on a stream that had ended"),
            )
        )

    def _read_settings(self, event: h2.events.RemoteSettingsChanged, now: float) -> None:
        changed = {int(code): change.new_value for code, change in event.changed_settings.items()}
        self._events.append(SettingsChanged(changed))

    def _read_settings_ack(self, event: h2.events.SettingsAcknowledged, now: float) -> None:
        self._timers.stop(Timer.SETTINGS)

    def _read_pong(self, event: h2.events.PingAckReceived, now: float) -> None:
        sent = self._pings.pop(event.ping_data, None)
        if sent is None:
            return
        if event.ping_data == DRAIN_PING:
            self._finish_drain()
        elif event.ping_data != PARTING_PING:
            self._events.append(PingAcknowledged(event.ping_data, now - sent))

    def _read_goaway(self, event: GoAway, now: float) -> None:
        if self.state is ConnectionState.OPEN:
            self.state = ConnectionState.DRAINING
            self._reason = CloseReason.PEER
        self._events.append(Draining(event.last_stream_id, event.code, event.debug_data))
        if self.role is Role.SERVER:
            return
        requires_http1 = event.code == ErrorCode.HTTP_1_1_REQUIRED
        code = ErrorCode.HTTP_1_1_REQUIRED if requires_http1 else ErrorCode.REFUSED_STREAM
        for stream_id in list(self._streams):
            if stream_id > event.last_stream_id:  # RFC 9113 section 6.8: not processed
                del self._streams[stream_id]
                self._give_back(stream_id)
                self._events.append(StreamReset(stream_id, code, Initiator.REMOTE, retryable=True))

    READERS: ClassVar[dict[type, Callable[..., None]]] = {
        GoAway: _read_goaway,
        h2.events.RequestReceived: _read_request,
        h2.events.InformationalResponseReceived: _read_informational,
        h2.events.ResponseReceived: _read_response,
        h2.events.DataReceived: _read_data,
        h2.events.TrailersReceived: _read_trailers,
        h2.events.StreamEnded: _read_end,
        h2.events.StreamReset: _read_reset,
        h2.events.RemoteSettingsChanged: _read_settings,
        h2.events.SettingsAcknowledged: _read_settings_ack,
        h2.events.PingAckReceived: _read_pong,
    }

    # -- the end of a stream and of the connection -----------------------------------------

    def _reset(self, stream_id: int, error: RemoteProtocolError) -> None:
        """End a stream because of what the peer sent on it."""
        self._streams.pop(stream_id, None)
        self._reset_h2(stream_id, error.code)
        self._give_back(stream_id)
        self._events.append(StreamReset(stream_id, error.code, Initiator.LOCAL, False, error))

    def _give_back(self, stream_id: int) -> None:
        """Nobody takes what came on a stream: return it to the connection (section 6.9)."""
        unread = self._unread.pop(stream_id, 0)
        if unread:
            self._h2.acknowledge_received_data(unread, stream_id)

    def _reset_h2(self, stream_id: int, code: int) -> None:
        with contextlib.suppress(h2.exceptions.StreamClosedError):
            self._h2.reset_stream(stream_id, code)

    def _fail(self, error: RemoteProtocolError) -> None:
        """End the connection because of what the peer sent; GOAWAY is written already."""
        self._reason = CloseReason.PROTOCOL_ERROR
        self._error = error
        self._reset_all(error.code, Initiator.LOCAL, error)
        self._finish(CloseAction.CLOSE)

    def _reset_all(
        self, code: int, initiator: Initiator, error: RemoteProtocolError | None
    ) -> None:
        for stream_id in self._streams:
            self._events.append(StreamReset(stream_id, code, initiator, False, error))

    def _finish(self, action: CloseAction) -> None:
        self._streams.clear()
        super()._finish(action)

    def _release(self, stream: Stream) -> None:
        """End the own side when everything is sent, and forget the stream when it is over."""
        raise NotImplementedError  # pragma: no cover: the class that writes has it

    def _end_drained(self) -> None:
        """End a draining connection when its last stream is over."""
        raise NotImplementedError  # pragma: no cover: the class that writes has it

    def _finish_drain(self) -> None:
        """The peer has heard the first GOAWAY: send the last."""
        raise NotImplementedError  # pragma: no cover: the class that writes has it

    def _update(self, now: float) -> None:
        """Bring the timers in line with what is open and queued."""
        raise NotImplementedError  # pragma: no cover: the class that writes has it
