"""From messages to bytes: the sending half of RFC 6455 section 5.

Strategy
--------
A message becomes one frame at once, its payload compressed and masked as was negotiated, and
waits in a queue until the stream takes bytes.  Small frames leave together; a large
payload of a server, which does not mask, leaves uncopied behind its header.

``whole_frame`` is a *short path*: where nothing waits and the stream takes bytes, a message
need not go through the queue.

Rules
-----
* The fragments of a message follow each other; control frames may stand between them
  (section 5.4).
* A client masks each frame with a fresh key that nobody can predict (sections 5.3, 10.3).
* Of the pings that were not answered yet, only the latest must be (section 5.5.3).  So no
  more than ``max_pending_pongs`` pongs wait here, and behind them the latest.
"""

from __future__ import annotations

from collections.abc import Callable

from plait_engine.errors import LocalProtocolError

from .deflate import Deflater
from .frames import FIN, MASKED, MAX_CONTROL_PAYLOAD, RSV1, Opcode, frame_header
from .masking import apply_mask

_CONTINUATION = int(Opcode.CONTINUATION)
_PONG = FIN | Opcode.PONG

_JOIN_BELOW = 131072  # larger payloads are not copied to stand behind their header
_SHORT_HEADERS = {
    FIN | rsv | opcode: [frame_header(FIN | rsv | opcode, size) for size in range(126)]
    for rsv in (0, RSV1)
    for opcode in (Opcode.TEXT, Opcode.BINARY)
}
"""The headers of short whole messages by their first byte and their size."""
_KEYS_AT_ONCE = 64  # masking keys drawn together; a call costs more than the bytes


class MessageWriter:
    """Queue messages and control frames as bytes.

    ``random``: where masking keys come from; ``None``: do not mask.
    """

    __slots__ = (
        "_compressing",
        "_deflater",
        "_keys",
        "_latest_pong",
        "_max_pending_pongs",
        "_pending_pongs",
        "_random",
        "_sending",
        "outgoing",
    )

    def __init__(
        self,
        *,
        random: Callable[[int], bytes] | None,
        deflater: Deflater | None,
        max_pending_pongs: int,
    ) -> None:
        self._random = random
        self._deflater = deflater
        self._keys = b""
        self.outgoing: list[bytes] = []
        """Bytes that wait; nothing else waits while it is empty."""
        # The message in fragments; none while the opcode is 0.
        self._sending = 0
        self._compressing = False
        self._max_pending_pongs = max_pending_pongs
        self._pending_pongs = 0
        self._latest_pong: bytes | None = None

    def message(self, opcode: int, payload: bytes, finished: bool, compress: bool | None) -> None:
        """Queue a message or a fragment of one.

        Raises LocalProtocolError while another message is in fragments.
        """
        first = opcode
        if self._sending:
            if opcode != self._sending:
                raise LocalProtocolError("the message in fragments has not ended")
            first = _CONTINUATION
        elif self._deflater is not None:
            self._compressing = compress is not False
            if self._compressing:
                first |= RSV1
        if finished:
            first |= FIN
            self._sending = 0
        else:
            self._sending = opcode
        if self._compressing and self._deflater is not None:
            payload = self._deflater.deflate(payload, finished)
        size = len(payload)
        if self._random is not None:
            self.outgoing.append(self._frame(first, payload))
        elif size < _JOIN_BELOW:
            self.outgoing.append(frame_header(first, size) + payload)
        else:
            self.outgoing.append(frame_header(first, size))
            self.outgoing.append(payload)

    def whole_frame(self, opcode: int, payload: bytes) -> bytes | None:
        """Short path of ``message`` and ``data_to_send``: return the frame of a whole message.

        ``None``, with nothing changed, when something else must be sent before it, or it is
        so large that it should leave uncopied.
        """
        if self.outgoing or self._sending or len(payload) >= _JOIN_BELOW:
            return None
        first = FIN | opcode
        if self._deflater is not None:
            first |= RSV1
            payload = self._deflater.deflate(payload, True)
        if self._random is not None:
            return self._frame(first, payload)
        size = len(payload)
        if size <= MAX_CONTROL_PAYLOAD:
            return _SHORT_HEADERS[first][size] + payload
        return frame_header(first, size) + payload

    def control(self, opcode: int, payload: bytes) -> None:
        """Queue a control frame.  Raises LocalProtocolError if ``payload`` is too large."""
        if len(payload) > MAX_CONTROL_PAYLOAD:
            raise LocalProtocolError("a control frame has at most 125 bytes")
        self.outgoing.append(self._frame(FIN | opcode, payload))

    def answer_ping(self, payload: bytes) -> None:
        """Queue a pong, or make it the latest of those that came too fast."""
        if self._pending_pongs < self._max_pending_pongs:
            self._pending_pongs += 1
            self.outgoing.append(self._frame(_PONG, payload))
        else:
            self._latest_pong = payload

    def drop_pong(self) -> None:
        """Forget the latest pong: nothing follows a Close frame."""
        self._latest_pong = None

    def clear(self) -> None:
        """Forget everything: there is nobody to send to."""
        self.outgoing.clear()
        self._latest_pong = None

    def data_to_send(self) -> bytes:
        """Return the next bytes; ``b""`` when there are none."""
        outgoing = self.outgoing
        if not outgoing:
            return b""
        data = outgoing[0]
        taken = 1
        size = len(data)
        while taken < len(outgoing) and size + len(outgoing[taken]) <= _JOIN_BELOW:
            size += len(outgoing[taken])
            taken += 1
        if taken > 1:
            data = b"".join(outgoing[:taken])
        del outgoing[:taken]
        if not outgoing:
            self._pending_pongs = 0
            if self._latest_pong is not None:
                outgoing.append(self._frame(_PONG, self._latest_pong))
                self._latest_pong = None
        return data

    def _frame(self, first: int, payload: bytes) -> bytes:
        size = len(payload)
        if self._random is None:
            return frame_header(first, size) + payload
        keys = self._keys or self._random(4 * _KEYS_AT_ONCE)
        self._keys = keys[4:]
        key = keys[:4]
        return frame_header(first, size, MASKED) + key + apply_mask(payload, key)
