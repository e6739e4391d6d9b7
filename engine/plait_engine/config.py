"""Every limit and time of the engine, by name, with its default and its precedent.

A ``Config`` is immutable and shared by any number of connections.  Sizes are bytes,
counts are counts, times are seconds (``None`` switches a timer off).  A limit that
exists has a test that exceeds it and sees the answer that is documented here.

The engine draws no randomness itself: ``Config.random`` is a callable that returns that
many unpredictable bytes (``os.urandom`` in the adapters).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes, counts and rates.  What happens when one is exceeded stands behind it."""

    # Message heads, both versions (aiohttp: 8190, 8190, 128; Apache: 8190).
    max_line_size: int = 8190
    """A request line or status line; over: 414, a response: connection error."""
    max_field_size: int = 8190
    """One field line, HTTP/1.1: over: 431."""
    max_fields: int = 128
    """Fields of a section, cookie crumbs and trailers included: over: 431."""
    max_header_list_size: int = 65536
    """Decoded header section with 32 bytes of overhead a field (RFC 9113 section
    6.5.2; HTTP/1.1: the bytes of the section): over: 431 or a stream error."""
    max_informational: int = 100
    """1xx responses before a final one: over: connection error (h1), CALM (h2)."""

    # HTTP/1.1
    max_empty_lines: int = 1
    """Empty lines before a request line (RFC 9112 section 2.2: "at least one"): over: 400."""
    max_chunk_overhead: int = 16384
    """Chunk headers (sizes, extensions) of a message beyond 16 bytes for each chunk and one
    for each byte of body (like Go, against CVE-2023-39326): over: 400."""
    max_pipelined: int = 65536
    """Bytes held behind an unfinished exchange or a pending upgrade before
    ``wants_read`` turns false."""
    max_drain: int = 262144
    """Unread request body that is drained to save the connection (Go: 256 KiB)."""

    # Buffers
    read_high_water: int = 262144
    """Unacknowledged body bytes above which HTTP/1.1 stops reading (aiohttp: 256 KiB
    low, 512 KiB high)."""
    write_high_water: int = 65536
    """Bytes a stream may queue before ``send_capacity`` is zero (asyncio: 64 KiB)."""
    write_low_water: int = 16384
    """Bytes at which a full stream becomes writable again."""
    write_quantum: int = 65536
    """Bytes of DATA that one ``data_to_send`` frames at most, so that resets and
    priorities act on the rest."""

    # HTTP/2 (the defaults of nghttp2 where it has one)
    header_table_size: int = 4096
    """HPACK table that we offer for decoding, and cap of the one we use for encoding."""
    max_concurrent_streams: int = 100
    """Streams that the peer may have open: over: REFUSED_STREAM."""
    max_frame_size: int = 16384
    """SETTINGS_MAX_FRAME_SIZE that we announce: over: FRAME_SIZE_ERROR."""
    max_continuations: int = 8
    """CONTINUATION frames in a header block (nghttp2: 8): over: ENHANCE_YOUR_CALM."""
    stream_window: int = 262144
    """SETTINGS_INITIAL_WINDOW_SIZE that we announce."""
    connection_window: int = 1048576
    """Connection receive window, announced with the preface."""
    max_stream_window: int = 6291456
    """How far a receive window grows to fill the link (Chromium: 6 MiB)."""
    max_connection_window: int = 15728640
    """The same for the connection (Chromium: 15 MiB)."""
    max_settings_entries: int = 32
    """Entries in a SETTINGS frame: over: ENHANCE_YOUR_CALM."""
    max_control_frames: int = 1000
    """Queued SETTINGS and PING acknowledgements and RST_STREAM frames: over: CALM."""
    reset_burst: int = 1000
    reset_rate: int = 33
    """Streams reset by either side because of the peer, a token bucket with this burst
    and this many a second (CVE-2023-44487, CVE-2025-8671): empty: CALM."""
    glitch_burst: int = 10000
    glitch_rate: int = 330
    """Useless or odd frames (empty DATA, unknown types, ignored priorities), likewise."""

    # WebSocket
    max_message_size: int = 4194304
    """A message, after inflating (aiohttp: 4 MiB; 0: no limit): over: close 1009."""
    max_frame_fragments: int = 1024
    """Fragments of a message; raised to max_message_size // 256 if that is more: over:
    close 1009."""
    max_pending_pongs: int = 32
    """Pongs that wait to be sent; beyond that only the latest ping is answered (RFC 6455
    section 5.5.3)."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Deadlines, in seconds.  ``None`` switches one off."""

    head: float | None = 30.0
    """A request's head, from its first byte (or the start of the connection) to its end;
    total, not per byte: 408 and close."""
    body: float | None = 60.0
    """Between bytes of a body while the application is ready for more."""
    keep_alive: float | None = 75.0
    """Between exchanges (nginx: 75 s; aiohttp's run_app: 75 s); a server's first request gets
    the time of ``head``, if that is longer."""
    expect_continue: float = 1.0
    """How long a client waits for 100 Continue before it sends the content (curl: 1 s)."""
    ping_interval: float | None = None
    """Silence after which an HTTP/2 connection with open streams sends PING (Firefox: 58 s)."""
    probe: float | None = None
    """Silence after which a client's request on an HTTP/2 connection comes with a PING: the
    network may have forgotten the connection (Chromium: 10 s)."""
    pong: float = 20.0
    """How long a PING may stay unanswered, while nothing else comes from the peer either."""
    settings: float = 10.0
    """Until SETTINGS is acknowledged (RFC 9113 section 6.5.3): SETTINGS_TIMEOUT."""
    close: float = 10.0
    """A lingering close, a GOAWAY drain's last step, a WebSocket closing handshake
    (aiohttp: lingering_time 10 s)."""
    write: float | None = 60.0
    """Without progress while there is something to send: the stream or connection ends."""


def _no_random(size: int) -> bytes:
    raise RuntimeError("Config.random is not set: give a callable such as os.urandom")


@dataclass(frozen=True, slots=True)
class Config:
    """What a connection needs to know besides its role.

    ``scheme``: ``"http"`` or ``"https"``, what the transport is; a server's requests in
    origin form get it.

    ``half_close``: the transport can be half-closed: it can end what it sends and go on
    reading.  TCP can, TLS cannot (RFC 8446 section 6.1 allows it, asyncio and others do not).

    ``detect_http2``: an HTTP/1.1 server recognises the HTTP/2 preface and emits
    ``PriorKnowledge`` (RFC 9113 section 3.3); when false it answers 505.

    ``upgrade_protocols``: the tokens of ``Upgrade`` that make a request one for a tunnel,
    ``Request.protocol``.  With others it is an ordinary request (RFC 9110 section 7.8), which
    ``Accept.protocol`` may answer; ``h2c`` is always ignored.  The same set is accepted as ``:protocol`` on HTTP/2; others get 501.

    ``enable_connect_protocol``: an HTTP/2 server announces RFC 8441.

    ``implied_end``: an engine may leave out the ``EndOfMessage`` of a ``Request`` whose ``ends``
    says the same: one event less for each request without content.

    ``random``: returns so many unpredictable bytes; for masks, nonces and PING payloads.
    """

    limits: Limits = field(default_factory=Limits)
    timeouts: Timeouts = field(default_factory=Timeouts)
    scheme: str = "http"
    half_close: bool = True
    detect_http2: bool = False
    upgrade_protocols: frozenset[str] = frozenset({"websocket"})
    enable_connect_protocol: bool = True
    implied_end: bool = False
    random: Callable[[int], bytes] = _no_random
