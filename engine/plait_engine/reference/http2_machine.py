"""h2 with its traps stepped around: frames in, h2's events out, bytes to send.

* h2 loses the events of earlier frames of a buffer when a later one raises: it is fed one
  frame at a time.
* h2 ends the connection when it sends or receives GOAWAY: GOAWAY frames are read and
  written here, and h2 never sees them (RFC 9113 section 6.8).
* h2 waits for the whole of a frame that is too long, does not ask for SETTINGS first, and
  sends no GOAWAY after a bad preface: checked here (RFC 9113 sections 3.4 and 4.2).
* h2 takes RST_STREAM on an idle stream, takes HEADERS of a server that open a stream for a
  request, and waits for the whole of a promise: checked here (RFC 9113 sections 5.1 and 8.4).
* h2 ends the connection over a stream too many: it is told of no limit, and its user
  refuses the stream (RFC 9113 section 5.1.2).
* h2 announces ``enable_connect_protocol`` as 0 when it is set late: all settings are set
  before the first byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from plait_engine.config import Config
from plait_engine.connection import Role
from plait_engine.errors import ErrorCode, RemoteProtocolError
from plait_engine.http2.frames import may_begin_settings
from plait_engine.preface import PREFACE

FRAME_HEADER_SIZE = 9
HEADERS = 0x1
RST_STREAM = 0x3
SETTINGS = 0x4
PUSH_PROMISE = 0x5
GOAWAY = 0x7
CONTINUATION = 0x9
END_HEADERS = 0x4
MAX_STREAM_ID = 2**31 - 1


@dataclass(slots=True)
class GoAway:
    """A GOAWAY frame from the peer."""

    last_stream_id: int
    code: int
    debug_data: bytes


class Machine:
    """One ``H2Connection`` and the bytes on their way in and out of it."""

    __slots__ = (
        "_block_is_open",
        "_incoming",
        "_max_frame_size",
        "_out",
        "_preface_seen",
        "h2",
        "settings_seen",
    )

    def __init__(self, role: Role, config: Config) -> None:
        client = role is Role.CLIENT
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=client, header_encoding=None)
        )
        self.settings_seen = False
        self._block_is_open = False
        self._max_frame_size = config.limits.max_frame_size
        self._incoming = bytearray()
        self._out = bytearray()
        self._preface_seen = client

    def start(self, config: Config) -> None:
        """Queue the preface with our settings, and open the connection's window."""
        limits = config.limits
        client = self.h2.config.client_side
        codes = h2.settings.SettingCodes
        values = {
            codes.HEADER_TABLE_SIZE: limits.header_table_size,
            codes.INITIAL_WINDOW_SIZE: limits.stream_window,
            codes.MAX_FRAME_SIZE: limits.max_frame_size,
            codes.MAX_HEADER_LIST_SIZE: limits.max_header_list_size,
        }
        if client:
            values[codes.ENABLE_PUSH] = 0
        else:
            values[codes.MAX_CONCURRENT_STREAMS] = limits.max_concurrent_streams
            values[codes.ENABLE_CONNECT_PROTOCOL] = int(config.enable_connect_protocol)
        self.h2.local_settings = h2.settings.Settings(client=client, initial_values=values)
        self.h2.max_inbound_frame_size = limits.max_frame_size
        self.h2.decoder.max_header_list_size = limits.max_header_list_size
        self.h2.decoder.max_allowed_table_size = limits.header_table_size
        self.h2.initiate_connection()
        values.pop(codes.MAX_CONCURRENT_STREAMS, None)
        self.h2.local_settings = h2.settings.Settings(client=client, initial_values=values)
        growth = limits.connection_window - 65535
        if growth > 0:
            self.h2.increment_flow_control_window(growth)

    def receive(self, data: bytes) -> Iterator[h2.events.Event | GoAway]:
        """Take bytes of the peer and yield what its frames mean, frame by frame.

        Raises RemoteProtocolError for an error of the connection; GOAWAY is queued then.
        """
        self._incoming += data
        try:
            self._take_preface()
            while frame := self._take_frame():
                self.settings_seen = True
                self._check_frame(frame)
                if frame[3] == GOAWAY:
                    yield _read_goaway(frame)
                else:
                    for event in self.h2.receive_data(frame):
                        self._check_event(event)
                        yield event
        except h2.exceptions.ProtocolError as error:  # h2 queued GOAWAY
            code = int(getattr(error, "error_code", ErrorCode.PROTOCOL_ERROR))
            raise RemoteProtocolError(str(error), code=code) from error
        except RemoteProtocolError as error:
            self.write_goaway(self.h2.highest_inbound_stream_id, error.code)
            raise

    def _take_preface(self) -> None:
        if self._preface_seen:
            return
        seen = bytes(self._incoming[: len(PREFACE)])
        if not PREFACE.startswith(seen):
            raise RemoteProtocolError("the client's preface is not that of HTTP/2")
        if seen == PREFACE:
            self._preface_seen = True
            del self._incoming[: len(PREFACE)]
            self.h2.receive_data(PREFACE)

    def _take_frame(self) -> bytes:
        """Take the next whole frame from what came; ``b""`` when there is none yet."""
        incoming = self._incoming
        if self.h2.config.client_side and not self.settings_seen:
            start = bytes(incoming)
            if not may_begin_settings(start, self._max_frame_size):  # section 3.4
                raise RemoteProtocolError("the server does not begin with SETTINGS")
        if not self._preface_seen or len(incoming) < FRAME_HEADER_SIZE:
            return b""
        length = int.from_bytes(incoming[:3], "big")
        if length > self._max_frame_size:  # RFC 9113 section 4.2
            raise RemoteProtocolError(
                f"a frame of {length} bytes is too long", code=ErrorCode.FRAME_SIZE_ERROR
            )
        if not self.settings_seen and (incoming[3] != SETTINGS or incoming[4] & 1):
            raise RemoteProtocolError("the first frame is not SETTINGS")  # section 3.4
        size = FRAME_HEADER_SIZE + length
        if len(incoming) < size:
            return b""
        frame = bytes(incoming[:size])
        del incoming[:size]
        return frame

    def _check_frame(self, frame: bytes) -> None:
        """Refuse what h2 would take, or would not see."""
        kind, stream_id = frame[3], int.from_bytes(frame[5:9], "big") & MAX_STREAM_ID
        if kind == PUSH_PROMISE:  # RFC 9113 section 8.4
            raise RemoteProtocolError("PUSH_PROMISE is not allowed")
        if kind == GOAWAY and self._block_is_open:  # section 6.10
            raise RemoteProtocolError("GOAWAY inside a header block")
        if kind in (HEADERS, CONTINUATION):
            self._block_is_open = not frame[4] & END_HEADERS
        client = self.h2.config.client_side
        highest = (
            self.h2.highest_outbound_stream_id if client else self.h2.highest_inbound_stream_id
        )
        if kind == RST_STREAM and (stream_id > highest or not stream_id & 1):  # section 6.4
            raise RemoteProtocolError(f"RST_STREAM on stream {stream_id}, which is idle")

    def _check_event(self, event: h2.events.Event) -> None:
        """Refuse a stream that a server opens (RFC 9113 section 5.1.1)."""
        if self.h2.config.client_side and isinstance(event, h2.events.RequestReceived):
            raise RemoteProtocolError(f"the server opened stream {event.stream_id}")

    def write_goaway(self, last_stream_id: int, code: int) -> None:
        """Queue GOAWAY behind what is queued."""
        self.collect()
        payload = last_stream_id.to_bytes(4, "big") + int(code).to_bytes(4, "big")
        self._out += len(payload).to_bytes(3, "big") + bytes((GOAWAY, 0, 0, 0, 0, 0)) + payload

    def collect(self) -> int:
        """Move what h2 has to send into the queue, and return the queue's size."""
        self._out += self.h2.data_to_send()
        return len(self._out)

    def take(self, quantum: int) -> bytes:
        """Take up to ``quantum`` bytes of what there is to send."""
        self.collect()
        data = bytes(self._out[:quantum])
        del self._out[:quantum]
        return data


def _read_goaway(frame: bytes) -> GoAway:
    payload = frame[FRAME_HEADER_SIZE:]
    if len(payload) < 8:
        raise RemoteProtocolError("GOAWAY is too short", code=ErrorCode.FRAME_SIZE_ERROR)
    if int.from_bytes(frame[5:9], "big") & MAX_STREAM_ID:
        raise RemoteProtocolError("GOAWAY belongs to the connection")
    last = int.from_bytes(payload[:4], "big") & MAX_STREAM_ID
    return GoAway(last, int.from_bytes(payload[4:8], "big"), payload[8:])
