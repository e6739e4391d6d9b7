"""What is wrong with a message or a frame on an HTTP/2 stream: a second opinion for the rules.

The bytes are cut into frames, header blocks are decoded by hpack, and the sections of RFC
9113 that make something an error of one stream are checked one by one, slowly.  Nothing here
comes from the native engine, but for the grammar of an authority.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import hpack

from plait_engine.semantics.authority import is_authority
from plait_engine.testing import frames
from plait_engine.testing.frames import PREFACE, Flag, FrameType

Fields = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Piece:
    """A frame, or HEADERS with its CONTINUATION frames, and where it is in the bytes."""

    start: int
    end: int
    kind: int
    flags: int
    stream_id: int
    payload: bytes
    fields: Fields | None = None
    depends_on: int | None = None

    @property
    def ends_stream(self) -> bool:
        return bool(self.flags & Flag.END_STREAM) and self.kind in (
            FrameType.DATA,
            FrameType.HEADERS,
        )

    def encode(self) -> bytes:
        """Return the piece as bytes that depend on no dynamic table."""
        if self.fields is None:
            return frames.Frame(self.kind, self.flags, self.stream_id, self.payload).encode()
        block = frames.header_block(self.fields)
        flags = Flag.END_HEADERS | (self.flags & Flag.END_STREAM)
        if self.depends_on is not None:
            flags |= Flag.PRIORITY
            block = self.depends_on.to_bytes(4, "big") + b"\x0f" + block
        return frames.Frame(FrameType.HEADERS, flags, self.stream_id, block).encode()


def pieces(data: bytes) -> Iterator[Piece]:
    """Yield the whole frames in ``bytes``, header blocks joined, up to one that is broken."""
    decoder = hpack.Decoder()
    block: Piece | None = None
    for frame in whole_frames(data):
        if block is not None:
            if frame.kind != FrameType.CONTINUATION or frame.stream_id != block.stream_id:
                return
            frame = _joined(block, frame)
        if frame.kind != FrameType.HEADERS:
            yield frame
            continue
        if block is None:
            content = _unpadded(frame)
            if content is None:
                return
            frame = _with_block(frame, content)
        if not frame.flags & Flag.END_HEADERS:
            block = frame
            continue
        block = None
        try:
            fields = decoder.decode(frame.payload, raw=True)
        except hpack.HPACKError:
            return
        yield Piece(
            frame.start,
            frame.end,
            frame.kind,
            frame.flags,
            frame.stream_id,
            frame.payload,
            [(bytes(name), bytes(value)) for name, value in fields],
            frame.depends_on,
        )


def whole_frames(data: bytes) -> Iterator[Piece]:
    """Yield the whole frames in ``bytes``."""
    start = len(PREFACE) if data.startswith(PREFACE) else 0
    while start + 9 <= len(data):
        end = start + 9 + int.from_bytes(data[start : start + 3], "big")
        if end > len(data):
            return
        stream_id = int.from_bytes(data[start + 5 : start + 9], "big") & 0x7FFFFFFF
        kind, flags = data[start + 3], data[start + 4]
        yield Piece(start, end, kind, flags, stream_id, data[start + 9 : end])
        start = end


def _joined(block: Piece, more: Piece) -> Piece:
    flags = block.flags | (more.flags & Flag.END_HEADERS)
    payload = block.payload + more.payload
    return Piece(
        block.start, more.end, block.kind, flags, block.stream_id, payload, None, block.depends_on
    )


def _with_block(frame: Piece, content: bytes) -> Piece:
    """Take the priority fields off a block (RFC 9113 section 6.2)."""
    depends_on = None
    if frame.flags & Flag.PRIORITY:
        depends_on = int.from_bytes(content[:4], "big") & 0x7FFFFFFF
        content = content[5:]
    return Piece(
        frame.start,
        frame.end,
        frame.kind,
        frame.flags,
        frame.stream_id,
        content,
        None,
        depends_on,
    )


def _unpadded(frame: Piece) -> bytes | None:
    """Return the payload of DATA or HEADERS without its padding; ``None``: it is broken."""
    content = frame.payload
    if frame.flags & Flag.PADDED:
        if not content or content[0] >= len(content):
            return None
        content = content[1 : len(content) - content[0]]
    if frame.kind == FrameType.HEADERS and frame.flags & Flag.PRIORITY and len(content) < 5:
        return None
    return content


# -- messages (section 8) -------------------------------------------------------------------


_is_name = re.compile(rb":?[!#$%&'*+\-.^_`|~0-9a-z]+").fullmatch
_is_token = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_is_path = re.compile(rb"/[!-\"$-\[\]-~]*(\?[!-\"$-~]*)?").fullmatch
_has_control = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search
_is_status = re.compile(rb"[1-9][0-9][0-9]").fullmatch
_is_length = re.compile(rb"[0-9]{1,18}").fullmatch
CONNECTION_FIELDS = (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding")


def bad_fields(fields: Fields) -> str:
    """Return what is wrong with names and values (section 8.2), or nothing."""
    for name, value in fields:
        if not _is_name(name):
            return "name"
        if _has_control(value):
            return "control character"
        if value != value.strip(b" \t"):
            return "white space"
        if name in (*CONNECTION_FIELDS, b"upgrade"):
            return "connection-specific"
        if name == b"te" and value.lower() != b"trailers":
            return "te"
    lengths = values_of(fields, b"content-length")
    if len(lengths) > 1 or not all(_is_length(length) for length in lengths):
        return "content-length"
    return ""


def bad_pseudo(fields: Fields, allowed: tuple[bytes, ...]) -> str:
    """Return what is wrong with the pseudo-header fields (section 8.3), or nothing."""
    names = [name for name, _ in fields]
    pseudo = [name for name in names if name.startswith(b":")]
    if names[: len(pseudo)] != pseudo or len(set(pseudo)) != len(pseudo):
        return "order of pseudo-header fields"
    return "" if set(pseudo) <= set(allowed) else "pseudo-header field"


def bad_request(fields: Fields) -> str:
    """Return what is wrong with a request head (section 8.3.1, 8.5), or nothing."""
    allowed = (b":method", b":scheme", b":path", b":authority", b":protocol")
    wrong = bad_pseudo(fields, allowed) or bad_fields(fields)
    if wrong:
        return wrong
    found = dict(fields)
    hosts = values_of(fields, b"host")
    method, path = found.get(b":method", b""), found.get(b":path")
    authority = found.get(b":authority", b"".join(hosts[:1]))
    tunnel = method == b"CONNECT" and b":protocol" not in found
    if not _is_token(method):
        return "method"
    if tunnel and (path is not None or b":scheme" in found or b":authority" not in found):
        return "CONNECT"
    if b":protocol" in found and (method != b"CONNECT" or not _is_token(found[b":protocol"])):
        return "protocol"
    if not tunnel:
        if found.get(b":scheme", b"").lower() not in (b"http", b"https"):
            return "scheme"
        if not _is_path(path or b"") and (path, method) != (b"*", b"OPTIONS"):
            return "path"
    if not is_authority(authority.decode("latin-1"), needs_port=tunnel):
        return "authority"
    if len(hosts) > 1 or b"" in hosts or any(not same_authority(host, fields) for host in hosts):
        return "host"
    return ""


def same_authority(host: bytes, fields: Fields) -> bool:
    """Whether Host is the authority, but for its case and the port that the scheme implies."""
    found = dict(fields)
    port = {b"http": b":80", b"https": b":443"}.get(found.get(b":scheme", b"").lower(), b"")
    one, other = (
        text.lower().removesuffix(port) for text in (host, found.get(b":authority", host))
    )
    return one == other


def bad_response(fields: Fields) -> str:
    """Return what is wrong with a response head (section 8.3.2), or nothing."""
    status = dict(fields).get(b":status", b"")
    wrong = bad_pseudo(fields, (b":status",)) or bad_fields(fields)
    if not wrong and (not _is_status(status) or status == b"101"):
        return "status"
    return wrong


def bad_trailers(fields: Fields) -> str:
    """Return what is wrong with trailers (section 8.1), or nothing."""
    return bad_pseudo(fields, ()) or bad_fields(fields)


def values_of(fields: Fields, wanted: bytes) -> list[bytes]:
    return [value for name, value in fields if name == wanted]


# -- frames on streams (sections 5.1, 6.3, 6.9) ----------------------------------------------


@dataclass(frozen=True)
class Fault:
    """An error of one stream: where, and what.

    ``is_message``: the message is malformed (section 8.1.1).  ``opens``: it would have opened
    the stream.  ``is_unused``: nothing has opened it, and nothing can any more.
    """

    piece: Piece
    what: str
    is_message: bool
    opens: bool
    is_unused: bool = False


@dataclass
class _Stream:
    has_head: bool = False
    ended: bool = False
    bodiless: bool = False
    left: int | None = None
    """Bytes of content that are still to come, if Content-Length says so."""
    window: int = 65535


@dataclass
class Inspector:
    """Looks at the frames of one side, one after the other, for errors of a stream.

    A client's (``requests``), or a server's that has the requests ``open_streams``.
    """

    requests: bool
    streams: dict[int, _Stream] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, data: bytes, open_streams: tuple[int, ...] = (1, 3)) -> Inspector:
        if data.startswith(PREFACE):
            return cls(True)
        return cls(False, {stream_id: _Stream() for stream_id in open_streams})

    def inspect(self, piece: Piece) -> Fault | None:
        """Return what is wrong with the next piece, and take it as far as it is good."""
        stream = self.streams.get(piece.stream_id)
        opens = is_unused = False
        if stream is None:
            opens = self._can_open(piece)
            is_unused = self._is_unused(piece)
            if not opens and not is_unused:
                return None
            stream = _Stream()
            if opens:
                self.streams[piece.stream_id] = stream
        judge = _JUDGES.get(piece.kind)
        if judge is None or piece.stream_id in self.gone:
            return None
        what, is_message = judge(self, stream, piece)
        if piece.ends_stream:
            stream.ended = True
        if not what:
            return None
        if not is_unused:
            self.gone.add(piece.stream_id)
        return Fault(piece, what, is_message, opens, is_unused)

    def _can_open(self, piece: Piece) -> bool:
        return (
            self.requests
            and piece.kind == FrameType.HEADERS
            and piece.stream_id % 2 == 1
            and piece.stream_id > max(self.streams, default=0)
        )

    def _is_unused(self, piece: Piece) -> bool:
        return (
            piece.kind in (FrameType.WINDOW_UPDATE, FrameType.PRIORITY)
            and piece.stream_id % 2 == 1
            and piece.stream_id < max(self.streams, default=0)
        )

    def _judge_headers(self, stream: _Stream, piece: Piece) -> tuple[str, bool]:
        fields = piece.fields or []
        if piece.depends_on == piece.stream_id:
            return "depends on itself", False
        if stream.ended:
            return "closed", False
        if stream.has_head:
            wrong = bad_trailers(fields)
            if not wrong and not piece.ends_stream:
                wrong = "trailers without an end"
        else:
            wrong = bad_request(fields) if self.requests else bad_response(fields)
            self._take_head(stream, fields)
        if not wrong and piece.ends_stream and not stream.has_head:
            wrong = "an interim response at the end"
        if not wrong and piece.ends_stream and stream.left:
            wrong = "length of the content"
        return wrong, True

    def _take_head(self, stream: _Stream, fields: Fields) -> None:
        status = dict(fields).get(b":status", b"")
        if not self.requests and status.startswith(b"1"):
            return
        stream.has_head = True
        stream.bodiless = status in (b"204", b"304")
        lengths = values_of(fields, b"content-length")
        is_tunnel = dict(fields).get(b":method") == b"CONNECT"
        if lengths and _is_length(lengths[0]) and not (stream.bodiless or is_tunnel):
            stream.left = int(lengths[0])

    def _judge_data(self, stream: _Stream, piece: Piece) -> tuple[str, bool]:
        content = _unpadded(piece)
        if content is None:
            return "", False  # an error of the connection
        if stream.ended:
            return "closed", False
        if not stream.has_head:
            return "content before the head", True
        if content and stream.bodiless:
            return "content where there is none", True
        if stream.left is not None:
            stream.left -= len(content)
            if stream.left < 0 or (piece.ends_stream and stream.left):
                return "length of the content", True
        return "", False

    def _judge_window_update(self, stream: _Stream, piece: Piece) -> tuple[str, bool]:
        increment = int.from_bytes(piece.payload, "big") & 0x7FFFFFFF
        if len(piece.payload) != 4:
            return "", False  # an error of the connection
        stream.window += increment
        return ("" if increment and stream.window < 2**31 else "window"), False

    def _judge_priority(self, stream: _Stream, piece: Piece) -> tuple[str, bool]:
        if len(piece.payload) != 5:
            return "size of PRIORITY", False
        depends_on = int.from_bytes(piece.payload[:4], "big") & 0x7FFFFFFF
        return ("depends on itself" if depends_on == piece.stream_id else ""), False


_JUDGES: dict[int, Callable[[Inspector, _Stream, Piece], tuple[str, bool]]] = {
    FrameType.HEADERS: Inspector._judge_headers,
    FrameType.DATA: Inspector._judge_data,
    FrameType.WINDOW_UPDATE: Inspector._judge_window_update,
    FrameType.PRIORITY: Inspector._judge_priority,
}


def faults(data: bytes) -> list[Fault]:
    """Return the first error of each stream in ``bytes``, and all on those that are unused."""
    inspector = Inspector.of(data)
    found = [inspector.inspect(piece) for piece in pieces(data)]
    return [fault for fault in found if fault is not None]


def repaired(data: bytes, fault: Fault) -> bytes:
    """Return the bytes of a peer that gives the stream up where the fault is.

    What comes behind it on the stream is left out, as far as it is ignored on a stream that
    was reset (section 5.1).
    """
    stream_id = fault.piece.stream_id
    parts = [data[: fault.piece.start]]
    if fault.opens:
        block = frames.request_block() if data.startswith(PREFACE) else frames.response_block()
        parts.append(frames.headers(stream_id, block))
    if not fault.is_unused:
        parts.append(frames.rst_stream(stream_id, 0x8))
    end = fault.piece.end
    for piece in pieces(data):
        if piece.start >= fault.piece.end:
            end = piece.end
            ignored = piece.stream_id == stream_id and piece.kind in (
                FrameType.DATA,
                FrameType.HEADERS,
            )
            parts.append(b"" if ignored else piece.encode())
    return b"".join([*parts, data[end:]])


def reworded(data: bytes, change: Callable[[Fields], Fields]) -> bytes:
    """Return the bytes with the fields of all header blocks changed."""
    parts = [data[: len(PREFACE)] if data.startswith(PREFACE) else b""]
    end = len(parts[0])
    for piece in pieces(data):
        end = piece.end
        fields = None if piece.fields is None else change(piece.fields)
        parts.append(replace(piece, fields=fields).encode())
    return b"".join([*parts, data[end:]])
