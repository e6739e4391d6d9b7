"""Where each known attack is tried: the index of the project's list of attacks.

The list has 250 rows.  A row names a CVE or an advisory, an input, and the right answer; its
id says what it is about: S and C for servers and clients of HTTP/1, T for HTTP/2, P for
HPACK, W for WebSocket, Z for content codings, A for applications.

``INDEX`` has for each row what it is about, and the file of the tests.  There the id stands
in a test's id, name or docstring; where it does not, the name of the test is given.
``NONE`` has the rows about what plait will not have, each with the reason.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

BAD_REQUESTS = "engine/http1/test_bad_requests.py"
SERVER = "engine/http1/test_server.py"
CLIENT = "engine/http1/test_client.py"
CLIENT_FAULTS = "engine/http1/test_client_faults.py"
CLIENT_TUNNELS = "engine/http1/test_client_tunnels.py"
SERVER_PERSISTENCE = "engine/http1/test_server_persistence.py"
SERVER_TUNNELS = "engine/http1/test_server_tunnels.py"
SENDING = "engine/http1/test_sending.py"
FLOODS = "attacks/http2/test_floods.py"
LIFECYCLE = "attacks/http2/test_lifecycle.py"
VIOLATIONS = "attacks/http2/test_violations.py"
STATE = "attacks/http2/test_state.py"
MESSAGES = "attacks/http2/test_messages.py"
HPACK = "engine/http2/test_hpack_decoder.py::"
FRAMES = "engine/websocket/test_messages.py"
DEFLATE = "engine/websocket/test_deflate.py"
HANDSHAKE = "engine/websocket/test_handshake.py"
CLOSING = "engine/websocket/test_closing.py"
MORE_HTTP1 = "attacks/test_http1.py"
SESSION = "attacks/test_client.py"
APP = "attacks/test_server_app.py"
STATIC = "adapters/test_web_static.py"
FORMS = "attacks/test_forms.py"

INDEX: dict[str, tuple[str, str]] = {
    # HTTP/1, server: length and framing
    "S1": ("Content-Length and Transfer-Encoding", BAD_REQUESTS),
    "S2": ("several transfer codings", BAD_REQUESTS),
    "S3": ("transfer codings that are nearly chunked", BAD_REQUESTS),
    "S4": ("an unknown transfer coding", BAD_REQUESTS),
    "S5": ("Transfer-Encoding in HTTP/1.0", BAD_REQUESTS),
    "S6": ("several Content-Lengths", BAD_REQUESTS),
    "S7": ("Content-Lengths that only some read", BAD_REQUESTS),
    "S8": ("Content-Lengths without measure", BAD_REQUESTS),
    "S9": ("content that nobody reads", APP),
    "S10": ("content of GET and OPTIONS", SERVER),
    "S11": ("Upgrade with content", SERVER_TUNNELS),
    "S12": ("Upgrade that is none", SERVER_TUNNELS),
    "S13": ("h2c with content", SERVER_TUNNELS),
    "S14": ("a stall within the HTTP/2 preface", "engine/http1/test_timers.py"),
    "S15": ("the HTTP/2 preface where it is off", BAD_REQUESTS),
    # HTTP/1, server: chunks
    "S20": ("chunk sizes that only some read", BAD_REQUESTS),
    "S21": ("chunk sizes that overflow", BAD_REQUESTS),
    "S22": ("chunks without CRLF behind them", BAD_REQUESTS),
    "S23": ("bare CR and LF in chunk lines", BAD_REQUESTS),
    "S24": ("chunk extensions off the grammar", BAD_REQUESTS),
    "S25": ("chunk extensions without end", BAD_REQUESTS),
    "S26": ("very many small chunks", "engine/http1/test_limits.py"),
    "S27": ("malformed trailers", BAD_REQUESTS),
    "S28": ("trailers without end", BAD_REQUESTS),
    "S29": ("trailers that must be headers", SERVER),
    "S30": ("no empty line behind the last chunk", SERVER_PERSISTENCE),
    "S31": ("chunks that are not as long as they say", BAD_REQUESTS),
    "S32": ("a byte behind the last chunk", BAD_REQUESTS),
    # HTTP/1, server: request line and fields
    "S40": ("bare LF, bare CR", BAD_REQUESTS),
    "S41": ("CR that hides a field", BAD_REQUESTS),
    "S42": ("control characters", BAD_REQUESTS),
    "S43": ("white space before the colon", BAD_REQUESTS),
    "S44": ("white space before the first field", BAD_REQUESTS),
    "S45": ("folded lines", BAD_REQUESTS),
    "S46": ("fields without name or colon", BAD_REQUESTS),
    "S47": ("names that are no tokens", BAD_REQUESTS),
    "S48": ("names with underscores", MORE_HTTP1),
    "S49": ("a long bad line", MORE_HTTP1),
    "S50": ("one name very often", MORE_HTTP1),
    "S51": ("heads without measure", MORE_HTTP1),
    "S52": ("long lines in dribbles", MORE_HTTP1),
    "S53": ("fields that may come once, twice", BAD_REQUESTS),
    "S54": ("invalid Host", BAD_REQUESTS),
    "S55": ("absolute form against Host", MORE_HTTP1),
    "S56": ("targets without a form", BAD_REQUESTS),
    "S57": ("versions and methods", BAD_REQUESTS),
    "S58": ("separators in the request line", BAD_REQUESTS),
    "S59": ("junk before the request line", BAD_REQUESTS),
    "S60": ("white space and digits that are not ASCII", BAD_REQUESTS),
    "S61": ("white space around values", MORE_HTTP1),
    "S62": ("TLS on a cleartext port", BAD_REQUESTS),
    "S63": ("names that mean something to a language", APP),
    "S64": ("bytes that are not UTF-8", APP),
    "S65": ("what an error repeats", APP),
    # HTTP/1, server: responses and resources
    "S70": ("response splitting", SENDING),
    "S71": ("reason phrases", SENDING),
    "S72": ("content of another length than announced", SENDING),
    "S73": ("trailers with line ends", SENDING),
    "S74": ("answers out of order", SERVER_PERSISTENCE),
    "S75": ("a queue of requests", SERVER_PERSISTENCE),
    "S76": ("a request behind a refused one", SERVER_PERSISTENCE),
    "S77": ("slow requests", "engine/http1/test_timers.py"),
    "S78": ("slow readers", "engine/http1/test_timers.py"),
    "S79": ("clients that leave in the middle of an answer", APP),
    "S80": ("caches that grow with paths", "adapters/test_web_routing.py"),
    "S81": (
        "clients that leave at once",
        "adapters/test_web_lifecycle.py::test_writes_to_a_client_that_is_gone_raise",
    ),
    "S82": ("DNS look-ups that a request causes", "adapters/test_web_requests.py"),
    "S83": ("reading and writing at once", APP),
    "S84": ("Expect", SERVER_TUNNELS),
    "S85": ("TRACE and CONNECT", APP),
    # HTTP/1, client
    "C1": ("methods", SENDING),
    "C2": ("versions", SESSION),
    "C3": ("targets", SESSION),
    "C4": ("Host", SESSION),
    "C5": ("side doors to the head", SESSION),
    "C6": ("framing by the caller", SESSION),
    "C7": ("malformed chunks", CLIENT_FAULTS),
    "C8": ("control characters in responses", CLIENT_FAULTS),
    "C9": ("framing of responses", CLIENT_TUNNELS),
    "C10": ("bytes that nobody asked for", CLIENT_FAULTS),
    "C11": ("a final response instead of 100", CLIENT_TUNNELS),
    "C12": ("1xx without end", CLIENT_TUNNELS),
    "C13": ("heads and chunk lines without end", CLIENT_FAULTS),
    "C14": (
        "retries that do harm",
        "adapters/test_client_pool.py::test_what_is_not_retried",
    ),
    "C15": (
        "responses that nobody reads",
        "adapters/test_client_pool.py::test_an_unread_body_costs_the_connection",
    ),
    "C16": ("responses that are cut off", SESSION),
    "C17": (
        "digest challenges",
        "engine/policy/test_digest.py::test_whatever_a_server_says_is_read",
    ),
    "C18": ("Content-Type", SESSION),
    "C19": ("names of hosts", SESSION),
    # HTTP/2: floods
    "T1": ("rapid reset", FLOODS),
    "T2": ("made you reset", FLOODS),
    "T3": ("a tiny MAX_HEADER_LIST_SIZE", FLOODS),
    "T4": ("tiny fields without number", FLOODS),
    "T5": ("CONTINUATION without end", FLOODS),
    "T6": ("empty CONTINUATION", FLOODS),
    "T7": ("PING", FLOODS),
    "T8": ("SETTINGS", FLOODS),
    "T9": ("malformed requests", FLOODS),
    "T10": ("empty DATA", FLOODS),
    "T11": ("tiny windows", LIFECYCLE),
    "T12": ("windows of zero", LIFECYCLE),
    "T13": ("priorities", LIFECYCLE),
    "T14": ("empty names", LIFECYCLE),
    "T15": ("distinct names", LIFECYCLE),
    "T16": ("distinct names over many requests", LIFECYCLE),
    "T17": ("streams before SETTINGS is acknowledged", LIFECYCLE),
    "T18": ("streams after GOAWAY", LIFECYCLE),
    "T19": ("the connection's window overflows", LIFECYCLE),
    "T20": ("memory of streams that are over", LIFECYCLE),
    "T21": ("events after a reset", LIFECYCLE),
    "T22": ("unknown frames", LIFECYCLE),
    "T23": ("MAX_FRAME_SIZE out of range", LIFECYCLE),
    "T24": ("frames that a client ignores", LIFECYCLE),
    "T25": ("bad HPACK, then the end", LIFECYCLE),
    "T27": ("responses that cross streams", LIFECYCLE),
    "T28": ("the engine alone", f"{FLOODS}::test_t1_rapid_reset_is_stopped"),
    # HTTP/2: violations
    "T40": ("the preface", VIOLATIONS),
    "T41": ("frames too long", VIOLATIONS),
    "T42": ("frames on the wrong stream", VIOLATIONS),
    "T43": ("frames of the wrong length", VIOLATIONS),
    "T44": ("padding", VIOLATIONS),
    "T45": ("stream ids", VIOLATIONS),
    "T46": ("frames on idle streams", VIOLATIONS),
    "T47": ("frames after END_STREAM", VIOLATIONS),
    "T48": ("frames within a header block", VIOLATIONS),
    "T49": ("WINDOW_UPDATE", STATE),
    "T50": ("INITIAL_WINDOW_SIZE", STATE),
    "T51": ("DATA beyond a window", STATE),
    "T52": ("push", STATE),
    "T53": ("MAX_CONCURRENT_STREAMS that changes", STATE),
    "T54": ("GOAWAY", STATE),
    "T55": ("settings that must not change", STATE),
    "T56": ("a stream that depends on itself", VIOLATIONS),
    "T57": ("reserved bits and unknown values", VIOLATIONS),
    "T58": ("frames after the end", VIOLATIONS),
    # HTTP/2: messages
    "T70": ("names and values", MESSAGES),
    "T71": (":authority and host", MESSAGES),
    "T72": ("content-length", MESSAGES),
    "T73": ("connection-specific fields", MESSAGES),
    "T74": ("pseudo-header fields", MESSAGES),
    "T75": ("trailers", MESSAGES),
    "T76": ("CONNECT", MESSAGES),
    "T77": ("responses", MESSAGES),
    "T78": ("cookie crumbs", MESSAGES),
    "T79": (
        "coalescing: connections are not shared between hosts",
        "adapters/test_client_pool.py::test_other_options_need_another_connection",
    ),
    "T80": (
        "what the application sends",
        "engine/http2/test_sending.py::test_requests_that_cannot_be_sent",
    ),
    "T81": ("HTTP/2 over TLS without ALPN", APP),
    # HPACK
    "P1": ("a bomb of indexed fields", f"{HPACK}test_a_bomb_of_indexed_fields_costs_no_memory"),
    "P2": (
        "integers without end",
        "engine/http2/test_hpack_primitives.py::test_an_integer_above_the_limit_is_refused",
    ),
    "P3": (
        "long Huffman codes",
        "engine/http2/test_hpack_huffman.py::test_output_is_bounded_by_the_input",
    ),
    "P4": ("broken blocks", f"{HPACK}test_a_broken_block_is_refused"),
    "P5": ("size updates", f"{HPACK}test_a_wrong_size_update_is_refused"),
    "P6": ("entries larger than the table", f"{HPACK}test_an_entry_larger_than_the_table"),
    "P7": (
        "the table after an error",
        f"{HPACK}test_a_block_above_the_limits_still_changes_the_table",
    ),
    "P8": ("empty fields", f"{HPACK}test_tiny_fields_are_counted"),
    "P9": (
        "secrets",
        "engine/http2/test_hpack_encoder.py::test_secrets_are_never_indexed",
    ),
    "P10": (
        "the same as another decoder",
        "engine/http2/test_hpack_interop.py::test_both_decoders_agree_on_any_bytes",
    ),
    # WebSocket
    "W1": ("frames too large", FRAMES),
    "W2": ("lengths that overflow", FRAMES),
    "W3": ("very many fragments", FRAMES),
    "W4": ("bombs", DEFLATE),
    "W5": ("reserved bits", DEFLATE),
    "W6": ("parameters of deflate", HANDSHAKE),
    "W7": ("masks", FRAMES),
    "W8": ("opcodes and lengths", FRAMES),
    "W9": ("control frames between fragments", FRAMES),
    "W10": ("close codes", FRAMES),
    "W11": ("invalid UTF-8", "engine/websocket/test_autobahn.py"),
    "W12": ("a Close that nobody answers", CLOSING),
    "W13": ("pings", FRAMES),
    "W14": ("lists in the handshake", HANDSHAKE),
    "W15": ("keys, versions, methods", HANDSHAKE),
    "W16": ("answers that do not fit", HANDSHAKE),
    "W17": ("origins", HANDSHAKE),
    "W18": ("credentials on redirects", "adapters/test_ws_client.py"),
    "W20": ("masks that repeat", FRAMES),
    "W21": (
        "requests behind a declined handshake",
        f"{SERVER_TUNNELS}::test_a_declined_upgrade_goes_on",
    ),
    "W22": ("over HTTP/2", "adapters/test_ws_both.py"),
    "W23": (
        "the Autobahn cases",
        "engine/websocket/test_autobahn.py::test_legal_frames_are_answered",
    ),
    "W24": ("a reason that is no text", CLOSING),
    # Content codings
    "Z1": (
        "bombs that are read",
        "adapters/test_client_responses.py::test_a_bomb_is_decoded_only_as_far_as_it_is_read",
    ),
    "Z2": ("bombs that nobody reads", SESSION),
    "Z3": (
        "reading a little decodes a little",
        "engine/content/test_codings.py::test_a_bomb_gives_no_more_than_was_asked_for",
    ),
    "Z4": ("chains of codings", SESSION),
    "Z5": ("very many members", SESSION),
    "Z6": ("deflate with and without its header", SESSION),
    "Z7": ("content above the limit", APP),
    "Z8": ("names of codings", SESSION),
    "Z9": (
        "compression is asked for",
        "adapters/test_web_streams.py::test_compression",
    ),
    "Z10": ("codings of no content", SESSION),
    "Z11": (
        "decoding in one go",
        "engine/content/test_codings.py::test_any_data_in_any_steps",
    ),
    # Applications
    "A1": ("paths that go up", STATIC),
    "A2": ("paths that leave a prefix and come back", STATIC),
    "A3": ("paths that are absolute on some system", STATIC),
    "A4": ("files beside the directory", STATIC),
    "A5": ("siblings that lead out", STATIC),
    "A6": ("names of files in an index", STATIC),
    "A7": ("names of devices", "engine/test_routing.py"),
    "A8": ("many ranges", STATIC),
    "A9": ("paths of no file", STATIC),
    "A10": ("files that are swapped", STATIC),
    "A11": ("dates and entity tags", STATIC),
    "A20": ("credentials across origins", SESSION),
    "A21": (
        "cookies across origins",
        "adapters/test_client_responses.py::test_a_redirect_across_origins_leaves",
    ),
    "A22": (
        "digest challenges of other origins",
        "engine/policy/test_digest.py::test_other_origins_are_not_answered",
    ),
    "A23": ("content across redirects", SESSION),
    "A24": (
        "credentials for proxies, across redirects and tunnels",
        "adapters/test_client_proxies.py::test_redirects_tell_no_server_the_login",
    ),
    "A25": (
        "netrc by the host that is meant",
        "adapters/test_client_environment.py::test_credentials_of_the_server",
    ),
    "A26": ("redirections to normalized paths", APP),
    "A27": ("locations with line ends", APP),
    "A28": ("locations", SESSION),
    "A29": ("numbers that are addresses to some", SESSION),
    "A30": (
        "connections with other TLS options",
        "adapters/test_client_pool.py::test_other_options_need_another_connection",
    ),
    "A31": ("certificates of proxies", "adapters/test_client_proxies.py"),
    "A32": (
        "zones that look like names",
        "engine/proxy/test_choice.py::test_no_proxy",
    ),
    "A33": (
        "answers to CONNECT",
        "engine/proxy/test_handshakes.py::test_connect_in_pieces",
    ),
    "A34": (
        "the cache of addresses",
        "engine/policy/test_addresses.py::test_the_entry_used_least_recently_makes_room",
    ),
    "A35": ("Retry-After", SESSION),
    "A36": ("URLs that cost the square", SESSION),
    "A40": ("Cookie", APP),
    "A41": ("cookies by their prefixes", SESSION),
    "A42": ("attributes of Set-Cookie", APP),
    "A43": (
        "cookies in files",
        "adapters/test_client_cookiejar.py::test_files_keep_everything",
    ),
    "A44": (
        "pickles",
        "adapters/test_client_cookiejar.py::test_other_files_are_refused_and_change_nothing",
    ),
    "A45": ("domains of cookies", SESSION),
    "A46": (
        "cookies of a host only",
        "engine/policy/test_cookies.py::test_without_domain_a_cookie_is_of_its_host_only",
    ),
    "A47": ("bytes in cookies", SESSION),
    "A48": ("times of cookies", SESSION),
    "A49": ("where cookies are sent", SESSION),
    "A60": ("forms that are cut short", FORMS),
    "A61": ("large forms", FORMS),
    "A62": ("header fields of parts", FORMS),
    "A63": ("many parts", FORMS),
    "A64": ("forms that cost time", FORMS),
    "A65": ("bad parts in the log", FORMS),
    "A66": ("descriptors of files", FORMS),
    "A67": (
        "files that are written to disk",
        "adapters/test_web_forms.py::test_a_large_file_is_written_by_a_thread",
    ),
    "A68": ("names of files", FORMS),
    "A69": ("line ends and quotes in forms that are sent", FORMS),
    "A70": ("lengths, boundaries, nesting, codings", FORMS),
    "A71": ("urlencoded forms", APP),
    "A72": ("methods and class views", APP),
    "A73": ("paths that look like others", "engine/test_routing.py"),
    "A74": ("error pages", APP),
    "A75": ("what only a proxy may say", APP),
    "A77": ("invalid IPv6 addresses", SESSION),
}

NONE: dict[str, str] = {
    "S86": "no adapter puts fields into an environment",
    "T26": "nothing is decoded in the engine; the client's decoder goes with its response",
    "W19": "no credentials are compared here",
    "A76": "it is multidict's; pyproject.toml asks for a version without it",
}

RANGES = {
    "S": [(1, 15), (20, 32), (40, 65), (70, 86)],
    "C": [(1, 19)],
    "T": [(1, 28), (40, 58), (70, 81)],
    "P": [(1, 10)],
    "W": [(1, 24)],
    "Z": [(1, 11)],
    "A": [(1, 11), (20, 36), (40, 49), (60, 77)],
}
"""The ids of the list."""


@cache
def read(file: str) -> str:
    return (TESTS / file).read_text("utf-8")


def test_every_row_has_one_place() -> None:
    rows = [
        f"{letter}{number}"
        for letter, ranges in RANGES.items()
        for first, last in ranges
        for number in range(first, last + 1)
    ]
    assert len(rows) == 250
    assert sorted([*INDEX, *NONE]) == sorted(rows)


@pytest.mark.parametrize("row", INDEX)
def test_the_place_of_a_row_is_there(row: str) -> None:
    file, _, test = INDEX[row][1].partition("::")
    if test:
        assert f"def {test}" in read(file)
    else:
        assert re.search(rf"\b{row}\b|(?<![a-z]){row.lower()}_", read(file))
