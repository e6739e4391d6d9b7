"""Strategies for hypothesis: messages, field sections, frames, commands, and damage to them.

The valid ones are valid by the RFCs and small enough for the default limits, so an engine
must take them.  ``mutated`` damages any bytes: it cuts, replaces, repeats and swaps pieces.

To draw from these costs more than to run an engine on what is drawn.  So those without parts that
change are made once, and they are built of what they may contain: a filter throws away whole
examples.

This is the only module of the package that needs hypothesis.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TypeAlias

import hypothesis.strategies as st
from hypothesis.strategies import SearchStrategy

from plait_engine.semantics.content import ENDED_BY_HEAD

from . import frames, messages
from .fragmenters import Fragmenter, at, bytewise, random_cuts, whole

TOKEN_CHARS = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Bytes with which grammars are broken; a mutation puts one in often.
SPECIAL_BYTES = b'\r\n\x00 \t:;,="\\/*#?0129aAfFgG\x7f\x80\xff'

Fields: TypeAlias = list[tuple[str, str]]


@cache
def tokens(max_size: int = 12) -> SearchStrategy[str]:
    """Tokens (RFC 9110 section 5.6.2)."""
    return st.text(TOKEN_CHARS, min_size=1, max_size=max_size)


@cache
def field_values(max_size: int = 20) -> SearchStrategy[str]:
    """Field values (RFC 9110 section 5.5): no controls, no white space at the ends."""
    text = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=max_size)
    return text.map(lambda value: value.strip(" \t"))


ORDINARY_FIELDS = (
    ("Accept", "*/*"),
    ("Accept-Encoding", "gzip, br"),
    ("User-Agent", "test/1.0"),
    ("Cookie", "a=1; b=2"),
    ("Cache-Control", "no-cache"),
    ("X-Empty", ""),
)


@cache
def header_sections(max_size: int = 5) -> SearchStrategy[Fields]:
    """Field sections with nothing about framing or the connection in them."""
    made_up = st.tuples(tokens().map(lambda name: "x-" + name), field_values())
    return st.lists(st.sampled_from(ORDINARY_FIELDS) | made_up, max_size=max_size)


@cache
def bodies(max_size: int = 40) -> SearchStrategy[bytes]:
    """Content, which may look like a message."""
    return st.binary(max_size=max_size) | st.sampled_from(
        [b"", b"x", b"0\r\n\r\n", b"GET /evil HTTP/1.1\r\nHost: a\r\n\r\n"]
    )


@cache
def fragmenters() -> SearchStrategy[Fragmenter]:
    """Ways to cut bytes: whole, one by one, at random, at one place."""
    return st.one_of(
        st.just(whole),
        st.just(bytewise),
        st.builds(random_cuts, st.integers(0, 2**32 - 1)),
        st.integers(1, 200).map(lambda position: at([position])),
    )


# -- HTTP/1.1 ---------------------------------------------------------------------


@cache
def chunked_bodies() -> SearchStrategy[bytes]:
    """Content in the chunked coding, with and without trailers."""
    trailers = st.lists(st.tuples(tokens().map(lambda name: "t-" + name), tokens()), max_size=2)
    chunks = st.lists(st.binary(min_size=1, max_size=20), max_size=4)
    return st.builds(messages.chunked, chunks, trailers)


@cache
def origin_targets() -> SearchStrategy[str]:
    """Request targets in origin form."""
    characters = TOKEN_CHARS.replace("#", "") + "/?:@()"
    return st.text(characters, max_size=15).map(lambda text: "/" + text)


@cache
def targets() -> SearchStrategy[str]:
    """Request targets in origin form, and some in absolute form."""
    path = origin_targets()
    return path | path.map(lambda text: "http://example.org" + text)


@st.composite
def http1_requests(draw: st.DrawFn) -> bytes:
    """Valid HTTP/1.1 and HTTP/1.0 requests, whole."""
    method = draw(st.sampled_from(["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS"]) | tokens())
    version = draw(st.sampled_from(["HTTP/1.1"] * 9 + ["HTTP/1.0"]))
    fields = [("Host", "example.org"), *draw(header_sections())]
    extra = draw(st.sampled_from([None, "close", "keep-alive", "upgrade", "expect"]))
    if extra in ("close", "keep-alive"):
        fields.append(("Connection", extra))
    elif extra == "upgrade":
        fields += [("Connection", "upgrade"), ("Upgrade", draw(st.sampled_from(PROTOCOLS)))]
    elif extra == "expect":
        fields.append(("Expect", "100-continue"))
    framing = draw(st.sampled_from(["none", "length", "chunked"]))
    body = b""
    if framing == "length":
        body = draw(bodies())
        fields.append(("Content-Length", str(len(body))))
    elif framing == "chunked" and version == "HTTP/1.1":
        body = draw(chunked_bodies())
        fields.append(("Transfer-Encoding", "chunked"))
    target = draw(targets()) if method != "CONNECT" else "example.org:443"
    return messages.request(
        method, target, [(n, v.encode("utf-8")) for n, v in fields], body, version=version
    )


PROTOCOLS = ["websocket", "h2c", "foo/2", "WebSocket"]


def http1_request_streams() -> SearchStrategy[bytes]:
    """What a client sends on a connection: one to three requests behind each other."""
    return st.lists(http1_requests(), min_size=1, max_size=3).map(b"".join)


@st.composite
def http1_responses(draw: st.DrawFn) -> bytes:
    """Valid responses, informational ones in front, whole; some end with the connection."""
    status = draw(st.sampled_from([200, 201, 204, 301, 304, 404, 500, 599]))
    version = draw(st.sampled_from(["HTTP/1.1"] * 5 + ["HTTP/1.0"]))
    fields = draw(header_sections())
    if draw(st.booleans()):
        fields.append(("Connection", draw(st.sampled_from(["close", "keep-alive"]))))
    framing = draw(st.sampled_from(["close", "length", "chunked"]))
    body = b"" if status in ENDED_BY_HEAD else draw(bodies())
    if framing == "length":
        fields.append(("Content-Length", str(len(body))))
    elif framing == "chunked" and version == "HTTP/1.1":
        fields.append(("Transfer-Encoding", "chunked"))
        body = b"" if status in ENDED_BY_HEAD else draw(chunked_bodies())
    reason = draw(st.sampled_from(["OK", "", "Not Quite", "caf\xe9"]))
    informational = draw(st.sampled_from([b"", b"", messages.response(103, [("Link", "</a>")])]))
    return informational + messages.response(
        status, [(n, v.encode("utf-8")) for n, v in fields], body, reason=reason, version=version
    )


# -- HTTP/2 -------------------------------------------------------------------------


def _lower(fields: Fields) -> Fields:
    return [(name.lower(), value) for name, value in fields]


def _bytes(fields: Fields) -> list[tuple[bytes | str, bytes | str]]:
    return [(name.encode(), value.encode()) for name, value in fields]


@st.composite
def http2_requests(draw: st.DrawFn, stream_id: int) -> list[bytes]:
    """The frames of one valid request."""
    method = draw(st.sampled_from(["GET", "POST", "HEAD", "PUT"]))
    fields = _bytes(_lower(draw(header_sections())))
    content = draw(st.lists(st.binary(max_size=20), max_size=3))
    says_length = draw(st.booleans())
    if content and says_length:
        fields.append(("content-length", str(sum(map(len, content)))))
    block = frames.request_block(method, draw(origin_targets()), fields)
    cut = draw(st.integers(0, len(block)))
    trailers = draw(st.booleans())
    end = not content and not trailers
    sent = [
        frames.headers(stream_id, block[:cut], end_stream=end, end_headers=False),
        frames.continuation(stream_id, block[cut:]),
    ]
    if draw(st.booleans()):
        sent = [frames.headers(stream_id, block, end_stream=end)]
    for index, piece in enumerate(content):
        padding = draw(st.none() | st.integers(0, 5))
        last = index == len(content) - 1 and not trailers
        sent.append(frames.data(stream_id, piece, end_stream=last, padding=padding))
    if trailers:
        sent.append(
            frames.headers(stream_id, frames.header_block([("x-sum", "1")]), end_stream=True)
        )
    return sent


@st.composite
def http2_responses(draw: st.DrawFn, stream_id: int) -> list[bytes]:
    """The frames of one valid response."""
    status = draw(st.sampled_from([200, 201, 204, 304, 404, 500]))
    content = [] if status in ENDED_BY_HEAD else draw(st.lists(st.binary(max_size=20), max_size=3))
    fields = _bytes(_lower(draw(header_sections())))
    sent = []
    if draw(st.booleans()):
        sent.append(frames.headers(stream_id, frames.response_block(103)))
    block = frames.response_block(status, fields)
    sent.append(frames.headers(stream_id, block, end_stream=not content))
    for index, piece in enumerate(content):
        sent.append(frames.data(stream_id, piece, end_stream=index == len(content) - 1))
    return sent


@cache
def control_frames() -> SearchStrategy[bytes]:
    """Valid frames that belong to no message."""
    return st.one_of(
        st.builds(frames.ping, st.binary(min_size=8, max_size=8)),
        st.just(frames.settings()),
        st.just(frames.settings({0x4: 100_000})),
        st.just(frames.window_update(0, 1000)),
        st.builds(frames.priority, st.sampled_from([1, 3, 5, 7]), st.just(0)),
        st.just(frames.Frame(0xFA, 0, 0, b"unknown").encode()),
    )


@cache
def odd_frames() -> SearchStrategy[bytes]:
    """Frames that may break a rule where they come: any type, flags, stream and payload."""
    return st.builds(
        lambda kind, flags, stream_id, payload: frames.Frame(
            kind, flags, stream_id, payload
        ).encode(),
        st.integers(0, 0x11),
        st.sampled_from([0, 1, 4, 5, 8, 0x20, 0x2D]),
        st.sampled_from([0, 1, 2, 3, 5, 7, 101]),
        st.binary(max_size=12),
    )


@st.composite
def http2_client_frames(draw: st.DrawFn, *, odd: bool = False) -> list[bytes]:
    """What a client sends behind its preface: SETTINGS, requests, frames between them."""
    sent = [frames.settings(), frames.settings_ack()]
    for index in range(draw(st.integers(1, 3))):
        sent += draw(http2_requests(2 * index + 1))
    return _insert_between(draw, sent, odd)


@st.composite
def http2_server_frames(
    draw: st.DrawFn, stream_ids: Sequence[int] = (1, 3), *, odd: bool = False
) -> list[bytes]:
    """What a server sends to a client that has the requests ``stream_ids`` open."""
    sent = [frames.settings(), frames.settings_ack()]
    for stream_id in stream_ids:
        sent += draw(http2_responses(stream_id))
    return _insert_between(draw, sent, odd)


def _insert_between(draw: st.DrawFn, sent: list[bytes], odd: bool) -> list[bytes]:
    """Put other frames anywhere but into header blocks, unless they are to be odd."""
    extra = draw(st.lists(odd_frames() if odd else control_frames(), max_size=3))
    places = [index + 1 for index, frame in enumerate(sent) if odd or not _opens_block(frame)]
    for frame in extra:
        sent.insert(draw(st.sampled_from(places)), frame)
        if not odd:
            places = [index + 1 for index, data in enumerate(sent) if not _opens_block(data)]
    return sent


def _opens_block(frame: bytes) -> bool:
    return frame[3] == frames.FrameType.HEADERS and not frame[4] & frames.Flag.END_HEADERS


# -- WebSocket ------------------------------------------------------------------------


@st.composite
def websocket_streams(draw: st.DrawFn, *, masked: bool) -> bytes:
    """Valid frames of one side: messages, some fragmented, control frames between them."""
    mask = b"\x01\x7f\x80\xfe" if masked else None
    sent = []
    for _ in range(draw(st.integers(1, 4))):
        opcode = draw(st.sampled_from([0x1, 0x2]))
        text = draw(st.text(max_size=20)).encode()
        payload = text if opcode == 0x1 else draw(st.binary(max_size=130))
        cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=2)))
        edges = [0, *cuts, len(payload)]
        for index in range(len(edges) - 1):
            last = index == len(edges) - 2
            piece = payload[edges[index] : edges[index + 1]]
            sent.append(
                frames.websocket_frame(opcode if index == 0 else 0, piece, fin=last, mask=mask)
            )
            if draw(st.booleans()):
                control = draw(st.sampled_from([0x9, 0xA]))
                body = draw(st.binary(max_size=10))
                sent.append(frames.websocket_frame(control, body, mask=mask))
    if draw(st.booleans()):
        code = draw(st.sampled_from([b"", b"\x03\xe8", b"\x03\xe9bye"]))
        sent.append(frames.websocket_frame(0x8, code, mask=mask))
    return b"".join(sent)


# -- damage ------------------------------------------------------------------------------


@st.composite
def mutated(draw: st.DrawFn, data: SearchStrategy[bytes], most: int = 3) -> bytes:
    """``bytes`` with up to ``most`` pieces cut out, replaced, repeated, swapped or put in."""
    whole_bytes = draw(data)
    for _ in range(draw(st.integers(1, most))):
        size = len(whole_bytes)
        start = draw(st.integers(0, size))
        end = min(size, start + draw(st.integers(0, 12)))
        piece = whole_bytes[start:end]
        kind = draw(st.sampled_from(["cut", "replace", "repeat", "swap", "insert"]))
        if kind == "cut":
            piece = b""
        elif kind == "replace":
            piece = draw(st.binary(max_size=max(1, len(piece))) | _special())
        elif kind == "repeat":
            piece *= draw(st.integers(2, 4))
        elif kind == "swap":
            piece = piece[::-1]
        else:
            piece += draw(_special())
        whole_bytes = whole_bytes[:start] + piece + whole_bytes[end:]
    return whole_bytes


@cache
def _special() -> SearchStrategy[bytes]:
    return st.lists(st.sampled_from(SPECIAL_BYTES), min_size=1, max_size=3).map(bytes)
