"""Write the seeds of the corpus: ``python -m fuzz.seeds``.

A seed is a valid message or a known attack, so that the fuzzer begins where parsers have
failed before.  The names say what a seed is; the other files of the corpus, named by their
hash, were found by fuzzing, and those that begin with ``crash`` broke an invariant once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from fuzz import frames as steps
from fuzz.targets import (
    event_stream,
    hpack_decoder,
    http1_client,
    http1_server,
    http2_server,
    multipart,
    operations_http1,
    operations_http2,
    proxy_handshake,
    websocket_handshake,
)
from fuzz.websocket import CLOSES_FIRST, DEFLATE, LARGE, MANUAL
from plait_engine.http2 import frames
from plait_engine.http2.hpack import Encoder
from plait_engine.http2.hpack_primitives import encode_integer

CORPUS = Path(__file__).parent / "corpus"

Seeds = Iterator[tuple[str, bytes]]

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"


def http1_input(options: Iterable[int], wire: bytes, cuts: Iterable[int] = ()) -> bytes:
    """Return an input of an HTTP/1.1 target."""
    cuts = bytes(cuts)
    return bytes((*options, len(cuts))) + cuts + wire


HTTP1_REQUESTS: dict[str, bytes] = {
    "get": GET,
    "pipelined": GET * 3,
    "post": HEAD + b"Content-Length: 5\r\n\r\nhello" + GET,
    "chunked": CHUNKED + b'5;a=b;c="d"\r\nhello\r\n0\r\nX: trailer\r\n\r\n' + GET,
    "http_1_0": b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" * 2,
    "absolute_form": b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "options_asterisk": b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "connect": b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\ntunnel",
    "upgrade": (
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\ntunnel"
    ),
    "expect": HEAD + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
    "prior_knowledge": frames.PREFACE + frames.encode_settings([]),
    "s1_length_and_chunked": (
        HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GET
    ),
    "s2_two_codings": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
    "s3_hidden_chunked": HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "s4_unknown_coding": HEAD + b"Transfer-Encoding: blegh\r\n\r\n",
    "s5_chunked_in_1_0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "s6_two_lengths": HEAD + b"Content-Length: 5\r\nContent-Length: 10\r\n\r\nhello",
    "s7_signed_length": HEAD + b"Content-Length: +5\r\n\r\nhello",
    "s8_huge_length": HEAD + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n",
    "s11_upgrade_with_body": (
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Content-Length: 5\r\n\r\nhello" + GET
    ),
    "upgrade_other": (
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n" + GET
    ),
    "upgrade_with_content": (
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        b"Content-Length: 5\r\n\r\nhello" + GET
    ),
    "s12_h2c": b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    "s14_half_a_preface": b"PRI * HT",
    "s20_chunk_size": CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n",
    "s21_chunk_size_overflow": CHUNKED + b"FFFFFFFFFFFFFFFF0\r\nhello",
    "s22_no_chunk_end": CHUNKED + b"5\r\nhelloXX0\r\n\r\n",
    "s23_lf_in_extension": CHUNKED + b"5;\nx\r\nhello\r\n0\r\n\r\n",
    "s24_extension_unterminated": CHUNKED + b'5;a="\r\nhello\r\n0\r\n\r\n',
    "s25_long_extensions": CHUNKED + (b"1;" + b"a" * 100 + b"\r\nx\r\n") * 20,
    "s27_bad_trailer": CHUNKED + b"0\r\nX y\r\nGET /evil HTTP/1.1\r\n\r\n",
    "s29_framing_in_trailer": CHUNKED + b"0\r\nContent-Length: 5\r\n\r\nhello",
    "s32_after_last_chunk": CHUNKED + b"0\r\n\r\n\x00",
    "s40_bare_lf": b"GET / HTTP/1.1\nHost: a\n\n",
    "s41_bare_cr": b"GET / HTTP/1.1\r\nHost: a\r\nX: \rTransfer-Encoding: chunked\r\n\r\n",
    "s42_nul": b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
    "s43_space_before_colon": HEAD + b"Content-Length : 5\r\n\r\nhello",
    "s44_space_before_field": b"POST / HTTP/1.1\r\n Content-Length: 5\r\nHost: a\r\n\r\nhello",
    "s45_folded": HEAD + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "s46_no_name": b"GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n",
    "s53_two_hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "s54_bad_host": b"GET / HTTP/1.1\r\nHost: u@a/b\r\n\r\n",
    "s57_version": b"GET / HTTP/1.32\r\nHost: a\r\n\r\n",
    "s58_tabs": b"GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n",
    "s59_empty_lines": b"\r\n" + GET,
    "s62_tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(32)),
    "s76_bad_then_good": b"GET /\r\n\r\n" + GET,
    "s84_expect_foo": HEAD + b"Content-Length: 5\r\nExpect: foo\r\n\r\nhello",
}

HTTP1_RESPONSES: dict[str, bytes] = {
    "length": OK + b"Content-Length: 5\r\n\r\nhello",
    "chunked": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: trailer\r\n\r\n",
    "until_close": OK + b"\r\nhello",
    "http_1_0": b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello",
    "no_reason": b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
    "continue": b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 0\r\n\r\n",
    "early_hints": b"HTTP/1.1 103 \r\nLink: </a>\r\n\r\n" * 3 + b"HTTP/1.1 204 \r\n\r\n",
    "switch": (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nx"
    ),
    "switch_to_tcp": (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nx"
    ),
    "not_modified": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    "folded": OK + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "bare_lf": b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
    "c7_chunk_line": OK + b"Transfer-Encoding: chunked\r\n\r\n0\rX",
    "c8_nul": OK + b"Foo: abc\x00def\r\nContent-Length: 0\r\n\r\n",
    "c9_length_and_chunked": (
        OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    ),
    "c9_two_lengths": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "c9_not_chunked_last": OK + b"Transfer-Encoding: chunked, gzip\r\n\r\nhello",
    "c10_two_responses": (OK + b"Content-Length: 0\r\n\r\n") * 2,
    "c11_expectation_failed": b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n",
    "c12_unasked_switch": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "c13_long_chunk_line": OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 300,
    "c16_cut_short": OK + b"Content-Length: 10\r\n\r\nhello",
}


def http1_server_seeds() -> Seeds:
    for name, wire in HTTP1_REQUESTS.items():
        yield name, http1_input([0], wire, [7, 1, 30])
    tunnels = http1_server.ACCEPT_TUNNELS
    for name in ("connect", "upgrade", "s11_upgrade_with_body"):
        yield f"{name}_accepted", http1_input([tunnels], HTTP1_REQUESTS[name])
    for name in ("upgrade_other", "upgrade_with_content", "s11_upgrade_with_body"):
        switches = http1_server.SWITCH_PROTOCOLS
        yield f"{name}_switched", http1_input([switches], HTTP1_REQUESTS[name])
    for name in ("prior_knowledge", "s14_half_a_preface"):
        yield f"{name}_detected", http1_input([http1_server.DETECT_HTTP2], HTTP1_REQUESTS[name])


def http1_client_seeds() -> Seeds:
    for number, (name, wire) in enumerate(HTTP1_RESPONSES.items()):
        yield name, http1_input([0, 0], wire, [number])
    for number in range(1, len(http1_client.REQUESTS)):
        for name in ("length", "switch", "switch_to_tcp", "continue", "c11_expectation_failed"):
            yield f"{name}_to_{number}", http1_input([number, 0], HTTP1_RESPONSES[name])


# -- HTTP/2 -------------------------------------------------------------------


def step(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """Return a step of ``fuzz.frames`` that makes a frame."""
    return bytes((steps.KINDS.index(kind), flags, stream_id, len(payload))) + payload


def fields_step(flags: int, stream_id: int, *fields: tuple[str, str]) -> bytes:
    """Return a step of ``fuzz.frames`` that makes HEADERS."""
    numbers = [steps.FIELDS_TABLE.index(field) for field in fields]
    kind = steps.KINDS.index(steps.FIELDS)
    return bytes((kind, flags, stream_id, len(numbers), *numbers))


END = frames.END_STREAM | frames.END_HEADERS
OPEN = frames.END_HEADERS
REQUEST = ((":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a"))
POST = ((":method", "POST"), *REQUEST[1:])
STATUS = ((":status", "200"),)
WORD = b"\x00\x00\x00\x01"

REQUEST_STEPS: dict[str, bytes] = {
    "get": fields_step(END, 1, *REQUEST),
    "three_at_once": b"".join(fields_step(END, n, *REQUEST) for n in (1, 3, 5)),
    "post": fields_step(OPEN, 1, *POST) + step(frames.DATA, frames.END_STREAM, 1, b"hello"),
    "post_with_length": (
        fields_step(OPEN, 1, *POST, ("content-length", "5"))
        + step(frames.DATA, frames.END_STREAM, 1, b"hello")
    ),
    "trailers": (
        fields_step(OPEN, 1, *POST)
        + step(frames.DATA, 0, 1, b"hello")
        + fields_step(END, 1, ("cookie", "a=1"))
    ),
    "websocket": (
        fields_step(OPEN, 1, (":method", "CONNECT"), (":protocol", "websocket"), *REQUEST[1:])
        + step(frames.DATA, 0, 1, b"tunnel")
    ),
    "connect": fields_step(OPEN, 1, (":method", "CONNECT"), (":authority", "a:1")),
    "expect": fields_step(OPEN, 1, *POST, ("expect", "100-continue")),
    "hpack": step(frames.HEADERS, END, 1, Encoder().encode(REQUEST)),
    "continuation": (
        step(frames.HEADERS, frames.END_STREAM, 1, Encoder().encode(REQUEST)[:3])
        + step(frames.CONTINUATION, OPEN, 1, Encoder().encode(REQUEST)[3:])
    ),
    "padded": (
        step(frames.HEADERS, END | frames.PADDED, 1, b"\x02" + Encoder().encode(REQUEST) + b"\0\0")
    ),
    "priority": (
        step(frames.HEADERS, END | frames.HAS_PRIORITY, 1, bytes(5) + Encoder().encode(REQUEST))
        + step(frames.PRIORITY, 0, 3, bytes(5))
        + step(frames.PRIORITY_UPDATE, 0, 0, WORD + b"u=0, i")
    ),
    "control": (
        step(frames.PING, 0, 0, bytes(8))
        + step(frames.SETTINGS, 0, 0, b"\x00\x04\x00\x00\x00\x00")
        + step(frames.WINDOW_UPDATE, 0, 0, WORD)
        + step(frames.GOAWAY, 0, 0, bytes(8))
    ),
    "t1_rapid_reset": b"".join(
        fields_step(END, n, *REQUEST) + step(frames.RST_STREAM, 0, n, b"\0\0\0\x08")
        for n in (1, 3, 5, 7)
    ),
    "t2_made_to_reset": fields_step(END, 1, *REQUEST) + step(frames.WINDOW_UPDATE, 0, 1, bytes(4)),
    "t5_endless_block": (
        step(frames.HEADERS, 0, 1, b"\x82") + step(frames.CONTINUATION, 0, 1, b"\x82") * 12
    ),
    "t6_empty_continuations": (
        step(frames.HEADERS, 0, 1, b"\x82") + step(frames.CONTINUATION, 0, 1) * 12
    ),
    "t10_empty_data": fields_step(OPEN, 1, *POST) + step(frames.DATA, 0, 1) * 20,
    "t14_empty_name": fields_step(END, 1, *REQUEST, ("", "")),
    "t23_frame_size": step(frames.SETTINGS, 0, 0, b"\x00\x05\x00\x00\x00\x00"),
    "t42_data_on_0": step(frames.DATA, 0, 0, b"hello"),
    "t43_ping_size": step(frames.PING, 0, 0, bytes(7)),
    "t44_padding": fields_step(OPEN, 1, *POST) + step(frames.DATA, frames.PADDED, 1, b"\x05"),
    "t45_even_id": fields_step(END, 2, *REQUEST),
    "t46_idle": step(frames.DATA, 0, 1, b"hello"),
    "t47_after_end": fields_step(END, 1, *REQUEST) + step(frames.DATA, 0, 1, b"hello"),
    "t48_inside_block": step(frames.HEADERS, 0, 1, b"\x82") + step(frames.PING, 0, 0, bytes(8)),
    "t49_window_overflow": step(frames.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff") * 2,
    "t50_initial_window": step(frames.SETTINGS, 0, 0, b"\x00\x04\xff\xff\xff\xff"),
    "t52_push": step(frames.PUSH_PROMISE, OPEN, 1, b"\x00\x00\x00\x02\x82"),
    "t71_two_hosts": fields_step(END, 1, *REQUEST, ("host", "a"), ("host", "b")),
    "t72_length": (
        fields_step(OPEN, 1, *POST, ("content-length", "5"))
        + step(frames.DATA, frames.END_STREAM, 1, b"hell")
    ),
    "t73_connection": fields_step(END, 1, *REQUEST, ("transfer-encoding", "chunked")),
    "t74_pseudo_last": fields_step(END, 1, *REQUEST[:3], ("cookie", "a=1"), REQUEST[3]),
    "t78_crumbs": fields_step(END, 1, *REQUEST, ("cookie", "a=1"), ("cookie", "a=1")),
    "t25_bad_hpack": step(frames.HEADERS, END, 1, b"\x80"),
}

RESPONSE_STEPS: dict[str, bytes] = {
    "no_content": fields_step(END, 1, (":status", "204")),
    "content": fields_step(OPEN, 1, *STATUS) + step(frames.DATA, frames.END_STREAM, 1, b"hello"),
    "informational": fields_step(OPEN, 1, (":status", "103")) + fields_step(END, 1, *STATUS),
    "continue": fields_step(OPEN, 9, (":status", "100")) + fields_step(END, 9, *STATUS),
    "early": fields_step(END, 5, *STATUS) + step(frames.RST_STREAM, 0, 5, bytes(4)),
    "tunnel": fields_step(OPEN, 7, *STATUS) + step(frames.DATA, 0, 7, b"tunnel"),
    "trailers": fields_step(OPEN, 1, *STATUS) + fields_step(END, 1, ("cookie", "a=1")),
    "head_with_length": fields_step(END, 3, *STATUS, ("content-length", "5")),
    "windows": (
        step(frames.SETTINGS, 0, 0, b"\x00\x04\x00\x10\x00\x00")
        + step(frames.WINDOW_UPDATE, 0, 0, b"\x00\x10\x00\x00")
        + fields_step(OPEN, 9, (":status", "100"))
    ),
    "goaway": step(frames.GOAWAY, 0, 0, b"\x00\x00\x00\x03\x00\x00\x00\x00bye"),
    "refused": step(frames.RST_STREAM, 0, 1, b"\x00\x00\x00\x07"),
    "t53_no_streams": step(frames.SETTINGS, 0, 0, b"\x00\x03\x00\x00\x00\x00"),
    "t52_push": step(frames.PUSH_PROMISE, OPEN, 1, b"\x00\x00\x00\x02\x88"),
    "t77_switching": fields_step(OPEN, 1, (":status", "101")),
    "t77_no_status": fields_step(END, 1, ("cookie", "a=1")),
    "t77_body_on_head": fields_step(OPEN, 3, *STATUS) + step(frames.DATA, 1, 3, b"hello"),
    "t77_data_first": step(frames.DATA, 0, 1, b"hello"),
    "t12_no_window": step(frames.SETTINGS, 0, 0, b"\x00\x04\x00\x00\x00\x00"),
}


def http2_server_seeds() -> Seeds:
    start = bytes((http2_server.STARTS, 2, 9, 40))
    for name, wire in REQUEST_STEPS.items():
        yield name, start + wire
    raw = frames.PREFACE + frames.encode_settings([]) + frames.encode_headers(1, b"\x82\x86\x84")
    yield "raw", bytes((http2_server.RAW, 1, 20)) + raw
    yield "t40_no_settings", bytes((http2_server.RAW, 0)) + frames.PREFACE + bytes(9)
    yield "t41_too_large", bytes((http2_server.RAW, 0)) + frames.PREFACE + b"\xff" * 9


def http2_client_seeds() -> Seeds:
    for name, wire in RESPONSE_STEPS.items():
        yield name, bytes((http2_server.STARTS, 2, 9, 40)) + wire
    yield "raw", bytes((http2_server.RAW, 0)) + frames.encode_settings([]) + frames.SETTINGS_ACK
    yield "t40_ack_first", bytes((http2_server.RAW, 0)) + frames.SETTINGS_ACK


# -- HPACK ----------------------------------------------------------------------


def hpack_input(*blocks: bytes, size: int = 4096) -> bytes:
    """Return an input of the HPACK target."""
    return bytes((size // 64,)) + b"".join(bytes((len(block),)) + block for block in blocks)


def hpack_decoder_seeds() -> Seeds:
    encoder = Encoder()
    request = [*REQUEST, ("user-agent", "fuzz"), ("cookie", "a" * 30), ("authorization", "x")]
    first, second = encoder.encode(request), encoder.encode(request)
    yield "request_twice", hpack_input(first, second) + bytes((hpack_decoder.REPEAT,))
    large, eviction = b"\x40\x01a\x1f" + b"x" * 31, b"\x40\x01b\x1f" + b"y" * 31
    yield "eviction", hpack_input(large, eviction, b"\xbe", size=64)
    yield "p1_bomb", hpack_input(b"\x40\x01a\x64" + b"x" * 100, b"\xbe" * 100)
    yield "p2_integer", hpack_input(b"\xff\xff\xff\xff\xff\xff\x00")
    yield "p2_leading_zeros", hpack_input(b"\xff\x80\x80\x80\x80\x80\x80\x00")
    yield "p4_index_0", hpack_input(b"\x80")
    yield "p4_eos", hpack_input(b"\x44\x84\xff\xff\xff\xff")
    yield "p4_padding", hpack_input(b"\x44\x82\x1f\xff")
    yield "p4_string_too_long", hpack_input(b"\x44\x7f\x01")
    yield "p5_update_too_large", hpack_input(b"\x3f\xe2\x1f")
    yield "p5_update_late", hpack_input(b"\x82\x20")
    yield "p5_three_updates", hpack_input(b"\x20\x21\x22")
    lowered = bytes((hpack_decoder.SET_TABLE_SIZE, 1))
    yield "p5_lowered", hpack_input(b"\x82") + lowered + hpack_input(b"\x3f\x21\x82")[1:]
    yield "p6_larger_than_table", hpack_input(b"\x40\x01a\x40" + b"x" * 64, size=64)
    yield "p8_empty_names", hpack_input(b"\x00\x00\x00" * 40)
    yield "p9_never_indexed", hpack_input(b"\x1f\x08\x03abc")
    yield "large_size", hpack_input(encode_integer(4096, 5, 0x20) + b"\x82")


# -- WebSocket --------------------------------------------------------------------

PAYLOADS: dict[str, bytes] = {
    "text": b"\x81\x05hello",
    "binary": b"\x82\x03\x00\x01\x02",
    "fragmented": b"\x01\x03hel\x89\x02hi\x00\x00\x80\x02lo",
    "pings": b"\x89\x00\x89\x01a\x8a\x01a",
    "close": b"\x88\x05\x03\xe8bye",
    "close_without_code": b"\x88\x00\x81\x04late",
    "w1_large": b"\x82\xff\xff\xff",
    "w5_rsv": b"\xf1\x01a",
    "w8_opcode": b"\x83\x00",
    "w8_continuation": b"\x80\x00",
    "w8_new_message_inside": b"\x01\x01a\x81\x01b",
    "w8_fragmented_ping": b"\x09\x00",
    "w10_code": b"\x88\x02\x03\xed",
    "w10_one_byte": b"\x88\x01\x03",
    "w10_reason": b"\x88\x03\x03\xe8\xff",
    "w11_utf8_split": b"\x01\x02\xc3\xa9\x00\x01\xe2\x80\x02\x82\xac",
    "w11_surrogate": b"\x81\x03\xed\xa0\x80",
    "w11_truncated": b"\x81\x01\xc3",
}
COMPRESSED: dict[str, bytes] = {
    "hello": b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00",
    "hello_in_two": b"\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00",
    "hello_twice": b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00",
    "not_compressed": b"\xc1\x0b\x00\x05\x00\xfa\xffHello\x00",
    "w4_bomb": b"\xc2\x14\xec\xc1\x01\x0d\x00\x00\x00\xc2\xa0\xf7Omx\x0e" + b"\x00" * 5,
    "w5_rsv_on_continuation": b"\x41\x03\xf2\x48\xcd\xc0\x04\xc9\xc9\x07\x00",
    "not_deflate": b"\xc1\x04\xff\xff\xff\xff",
}


def websocket_seeds() -> Seeds:
    for name, wire in PAYLOADS.items():
        yield name, bytes((0, 2, 1, 3)) + wire
    for options in (MANUAL, CLOSES_FIRST, LARGE):
        yield f"close_{options}", bytes((options, 0)) + PAYLOADS["close"]
        yield f"pings_{options}", bytes((options, 0)) + PAYLOADS["pings"]
    for name, wire in COMPRESSED.items():
        yield f"deflate_{name}", bytes((DEFLATE, 1, 2)) + wire


EXTENSIONS: dict[str, bytes] = {
    "deflate": b"permessage-deflate",
    "client_bits": b"permessage-deflate; client_max_window_bits",
    "all": (
        b"permessage-deflate; server_no_context_takeover; client_no_context_takeover;"
        b" server_max_window_bits=10; client_max_window_bits=9"
    ),
    "two_offers": b"permessage-deflate; server_max_window_bits=9, permessage-deflate",
    "quoted": b'permessage-deflate; server_max_window_bits="10"',
    "w6_bits": b"permessage-deflate; server_max_window_bits=16",
    "w6_leading_zero": b"permessage-deflate; server_max_window_bits=08",
    "w6_twice": b"permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
    "w6_unknown": b"permessage-deflate; zipper=1",
    "w14_constructor": b"constructor",
    "w14_spaces": b"b" + b" " * 200 + b"x",
}


def websocket_handshake_seeds() -> Seeds:
    for role in (0, websocket_handshake.CLIENT):
        for name, value in EXTENSIONS.items():
            start = bytes((role | websocket_handshake.DEFLATE, 0, 0x77))
            yield f"{name}_{role}", start + bytes((0, len(value))) + value
    yield "subprotocols", bytes((0, 1, 17)) + b"other , superchat"
    yield "w15_version", bytes((0, 3, 1)) + b"8"
    yield "w15_key", bytes((0, 2, 4)) + b"c2hv"
    yield "w16_accept", bytes((1, 4, 4)) + b"c2hv"
    yield "w17_origin", bytes((0, 7, 8)) + b"http://b"


def pair_websocket_seeds() -> Seeds:
    text, binary, ping = 0x02, 0x00, 0x20
    conversation = bytes(
        (1 | text, 5, 97, 1 | binary | 4, 9, 0, ping, 3, 1, 1, 200, 255, text, 3, 233)
    )
    yield "plain", bytes((0, 2, 3, 50)) + conversation
    yield "compressed", bytes((6, 0, 0x77, 0, 0x77, 2, 3, 50)) + conversation
    yield "forgetful", bytes((7, 3, 0, 3, 0, 0)) + conversation
    yield "large", bytes((14, 0, 0x11, 1, 0x70, 1, 255, 0x10, 255, 1, 0x11, 255, 2))


# -- operations ---------------------------------------------------------------------


def operations_http1_seeds() -> Seeds:
    # The numbers are those of ``fuzz.operations.OPERATIONS`` and of the target's PIECES.
    yield "served", bytes((0, 0, 0, 6, 0, 0, 2, 0, 0))
    yield "served_body", bytes((0, 0, 1, 0, 14, 8, 6, 0, 1, 2))
    yield "tunnel", bytes((0, 0, 3, 4, 0, 0, 3, 0, 0, 14, 15))
    client = operations_http1.CLIENT
    yield "asked", bytes((client, 6, 9, 0, 2, 0, 8, 0, 14, 8))
    yield "closed", bytes((client, 6, 9, 0, 2, 12, 0, 11))


def operations_http2_seeds() -> Seeds:
    started = operations_http2.STARTED
    yield "served", bytes((started, 0, 8, 6, 0, 0, 2, 0, 0))
    yield "served_body", bytes((started, 0, 12, 0, 19, 8, 6, 0, 1, 2))
    yield "blocked", bytes((started, 9, 0, 3, 0, 8, 6, 0, 3, 2, 9, 11, 11))
    client = started | operations_http2.CLIENT
    yield "asked", bytes((client, 6, 9, 0, 2, 0, 16, 0, 19, 8))
    yield "drained", bytes((client, 6, 9, 0, 1, 12, 0, 0, 33, 11))


def pair_seeds() -> Seeds:
    yield "exchange", bytes((0, 3, 0, 2, 1, 2, 0, 6, 1, 3, 0, 2))
    yield "events", bytes((0, 5, 0, 0, 2, 1, 0, 5, 1, 5, 0, 1, 1, 2, 0, 6, 1, 8))


# -- multipart ----------------------------------------------------------------------

FILE = (
    b'--b\r\nContent-Disposition: form-data; name="a"; filename="\xc3\xa9.txt"\r\n'
    b"Content-Type: text/plain\r\n\r\nhello\r\n"
)
MULTIPARTS: dict[str, tuple[int, bytes]] = {
    "form": (multipart.FORM, FILE * 2 + b"--b--\r\n"),
    "preamble_epilogue": (0, b"pre\r\n--b \r\n\r\nx\r\n--b--\r\npost"),
    "empty": (0, b"--b--"),
    "no_content": (0, b"--b\r\nA: 1\r\n\r\n--b\r\n\r\n--b--"),
    "inside": (multipart.INSIDE, b"hello\r\n--b--"),
    "long_boundary": (
        multipart.LONG_BOUNDARY,
        b"--" + multipart.BOUNDARIES[1].encode() + b"\r\n\r\nx\r\n"
        b"--" + multipart.BOUNDARIES[1].encode() + b"--\r\n",
    ),
    "false_delimiters": (0, b"--b\r\n\r\n\r\n--b\r\r\n--bb\r\n--b-\r\n--b--x\r\n--b--"),
    "length": (0, b"--b\r\nContent-Length: 1\r\n\r\nx\r\n--b--"),
    "folded": (0, b"--b\r\nA: 1\r\n 2\r\n\r\n\r\n--b--"),
    "extended_name": (
        multipart.FORM,
        b"--b\r\nContent-Disposition: a; name*0*=utf-8''%c3; name*1*=%a9\r\n\r\n\r\n--b--",
    ),
    "a60_cut": (0, b"--b\r\nContent-Length: 9\r\n\r\nhello"),
    "a62_endless_head": (multipart.TIGHT, b"--b\r\nA: " + b"a" * 100),
    "a63_many_parts": (multipart.TIGHT, b"--b\r\n\r\n" * 10),
    "a64_line_ends": (0, b"--b\r\n\r\n" + b"\r\n\r" * 50),
    "a70_signed_length": (0, b"--b\r\nContent-Length: +1\r\n\r\nx\r\n--b--"),
}


def multipart_seeds() -> Seeds:
    for name, (options, body) in MULTIPARTS.items():
        yield name, bytes((options, 2, 7, 1)) + body


# -- server-sent events ---------------------------------------------------------------

EVENT_STREAMS: dict[str, tuple[int, bytes]] = {
    "lines": (0, b"\xef\xbb\xbfdata: a\r\ndata:b\rdata\n\r\n:comment\n\ndata: c\n\n"),
    "fields": (0, b"id: 1\nevent: e\nretry: 1500\ndata: \xc3\xa9\n\nid\ndata:\n\nevent: x\n\n"),
    "odd": (0, b"id: a\0b\nretry: -1\nretry: 99999999999999\nData: a\n\ndata: \xff\xc3\n\n"),
    "too_large": (event_stream.TIGHT, b"data: a\n\n: " + b"x" * 20 + b"\n\ndata: a\n\n"),
}


def event_stream_seeds() -> Seeds:
    for name, (options, stream) in EVENT_STREAMS.items():
        yield name, bytes((options, 2, 7, 1)) + stream


# -- proxies --------------------------------------------------------------------------

BOUND = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x04\x38"
PROXY_ANSWERS: dict[str, tuple[int, bytes]] = {
    "connect": (proxy_handshake.CONNECT, OK + b"\r\ntunnel"),
    "connect_1_0": (proxy_handshake.CONNECT, b"HTTP/1.0 200 Connection established\r\n\r\n"),
    "connect_informational": (
        proxy_handshake.CONNECT,
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 \r\nLink: </a>\r\n\r\n" + OK + b"\r\ntunnel",
    ),
    "connect_content": (
        proxy_handshake.CONNECT,
        OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
    ),
    "connect_challenge": (
        proxy_handshake.CONNECT,
        b"HTTP/1.1 407 \r\nProxy-Authenticate: Basic realm=a\r\nContent-Length: 5\r\n\r\nhello",
    ),
    "connect_switches": (
        proxy_handshake.CONNECT,
        b"HTTP/1.1 101 \r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ),
    "connect_is_cut": (proxy_handshake.CONNECT, OK),
    "connect_too_large": (proxy_handshake.TIGHT, OK + b"A: " + b"x" * 40 + b"\r\n\r\n"),
    "connect_too_many": (proxy_handshake.TIGHT, OK + b"A: 1\r\n" * 3 + b"\r\n"),
    "socks4": (proxy_handshake.SOCKS4, b"\x00\x5a" + bytes(6) + b"tunnel"),
    "socks4_refuses": (proxy_handshake.SOCKS4, b"\x00\x5b" + bytes(6)),
    "socks4_is_http": (proxy_handshake.SOCKS4, b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "socks5": (proxy_handshake.SOCKS5, b"\x05\x00" + BOUND + b"tunnel"),
    "socks5_ipv6": (proxy_handshake.SOCKS5, b"\x05\x00\x05\x00\x00\x04" + bytes(18) + b"tunnel"),
    "socks5_name": (proxy_handshake.SOCKS5, b"\x05\x00\x05\x00\x00\x03\x01a\x00\x50tunnel"),
    "socks5_no_name": (proxy_handshake.SOCKS5, b"\x05\x00\x05\x00\x00\x03\x00\x00\x50"),
    "socks5_type": (proxy_handshake.SOCKS5, b"\x05\x00\x05\x00\x00\x02"),
    "socks5_refuses": (proxy_handshake.SOCKS5, b"\x05\x00\x05\x05\x00\x01" + bytes(6)),
    "socks5_method": (proxy_handshake.SOCKS5, b"\x05\x02\x01\x00"),
    "socks5_no_login": (proxy_handshake.SOCKS5_LOGIN, b"\x05\x00" + BOUND),
    "socks5_login": (proxy_handshake.SOCKS5_LOGIN, b"\x05\x02\x01\x00" + BOUND + b"tunnel"),
    "socks5_wrong_login": (proxy_handshake.SOCKS5_LOGIN, b"\x05\x02\x01\x01"),
    "socks5_no_method": (proxy_handshake.SOCKS5_LOGIN, b"\x05\xff"),
}


def proxy_handshake_seeds() -> Seeds:
    for name, (kind, answer) in PROXY_ANSWERS.items():
        yield name, http1_input([kind], answer, cuts=[7, 1])


SEEDS = {
    "http1_server": http1_server_seeds,
    "http1_client": http1_client_seeds,
    "http2_server": http2_server_seeds,
    "http2_client": http2_client_seeds,
    "hpack_decoder": hpack_decoder_seeds,
    "websocket_server": websocket_seeds,
    "websocket_client": websocket_seeds,
    "websocket_handshake": websocket_handshake_seeds,
    "operations_http1": operations_http1_seeds,
    "operations_http2": operations_http2_seeds,
    "pair_http1": pair_seeds,
    "pair_http2": pair_seeds,
    "pair_websocket": pair_websocket_seeds,
    "multipart": multipart_seeds,
    "event_stream": event_stream_seeds,
    "proxy_handshake": proxy_handshake_seeds,
}


def main() -> None:
    """Write every seed to the corpus."""
    for target, seeds in SEEDS.items():
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in seeds():
            (folder / name).write_bytes(data)
        print(f"{target:18} {len(list(folder.iterdir()))} files")


if __name__ == "__main__":
    main()
