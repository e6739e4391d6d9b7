"""Each rule explains a difference, and no other outcome of the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial

import pytest

from plait_engine.testing import bytewise, frames, whole
from plait_engine.testing.frames import PREFACE, Frame, FrameType
from tests.engine.differential import test_http2_requests, test_http2_responses
from tests.engine.differential.harness import ENGINES, Message, Outcome
from tests.engine.differential.http1_rules import REQUEST_RULES, RESPONSE_RULES
from tests.engine.differential.http2_rules import HTTP2_RULES
from tests.engine.differential.rules import Case, Rule, Run
from tests.engine.differential.test_http1_requests import serve
from tests.engine.differential.test_http1_responses import fetch


@dataclass(frozen=True)
class Sample:
    """Bytes, who gets them, and the name of the rule that explains what differs."""

    rule: str
    data: bytes
    rules: tuple[Rule, ...]
    run: Run

    def case(self) -> Case:
        native, reference = (self.run(name, self.data, whole) for name in ENGINES)
        return Case(self.rules, self.run, self.data, native, reference)


GOOD = b"POST /good HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nX: y\r\n"
PIECES = ANSWER + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"


def request(rule: str, *data: bytes) -> Sample:
    return Sample(rule, b"".join(data), REQUEST_RULES, serve)


def response(rule: str, *data: bytes, to: str = "GET") -> Sample:
    return Sample(rule, b"".join(data), RESPONSE_RULES, partial(fetch, to))


def of_client(rule: str, *data: bytes) -> Sample:
    before = PREFACE + frames.settings()
    return Sample(rule, before + b"".join(data), HTTP2_RULES, test_http2_requests.serve)


def of_server(rule: str, *data: bytes) -> Sample:
    data = (frames.settings(), *data)
    return Sample(rule, b"".join(data), HTTP2_RULES, test_http2_responses.fetch)


def ask(stream_id: int, *fields: tuple[bytes | str, bytes | str], end: bool = True) -> bytes:
    return frames.headers(stream_id, frames.request_block("GET", "/", fields), end_stream=end)


def reply(stream_id: int, *fields: tuple[bytes | str, bytes | str], end: bool = True) -> bytes:
    return frames.headers(stream_id, frames.response_block(200, fields), end_stream=end)


def ask_for(stream_id: int, path: str, authority: str) -> bytes:
    block = frames.request_block("GET", path, authority=authority)
    return frames.headers(stream_id, block, end_stream=True)


TUNNEL = [(":method", "CONNECT"), (":authority", "a:1"), ("content-length", "1")]


def frame(kind: int, stream_id: int, payload: bytes) -> bytes:
    return Frame(kind, 0, stream_id, payload).encode()


HTTP1_SAMPLES = [
    request("bare-lf", GOOD, b"GET / HTTP/1.1\nHost: a\r\n\r\n", GOOD),
    request("bare-lf", GOOD, CHUNKED, b"0\r\nT: x\n\r\n"),
    request("obs-fold", GOOD, b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", GOOD),
    request("obs-fold", GOOD, CHUNKED, b"0\r\nT: x\r\n y\r\n\r\n"),
    request("empty-line", GOOD, b"\r\n", GOOD),
    request("empty-line", GOOD, b"\r\n", GOOD, b"GET / HTTP/1.1\r\nHost: a\r\nX:\n\r\n", GOOD),
    request("repeated-singleton", GOOD, b"GET / HTTP/1.1\r\nHost: a\r\nFrom: b\r\nfrom: b\r\n\r\n"),
    request(
        "repeated-singleton", GOOD, b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx"
    ),
    request("leading-zeros", GOOD, b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 01\r\n\r\nx"),
    request("chunk-extension", GOOD, CHUNKED, b"1;=\r\nx\r\n0\r\n\r\n"),
    request("chunk-extension", GOOD, CHUNKED, b"1 \r\nx\r\n0\r\n\r\n"),
    request("size-limits", GOOD, CHUNKED, b"00000000000000001\r\nx\r\n0\r\n\r\n"),
    request(
        "size-limits",
        GOOD,
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: ",
        b"9" * 19,
        b"\r\n\r\n",
    ),
    request("trailer-fields", GOOD, CHUNKED, b"0\r\nHost: b\r\nT: x\r\n\r\n"),
    request(
        "http10-keep-alive", GOOD, b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", GOOD, GOOD
    ),
    request(
        "refusal-status",
        GOOD,
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, x\r\n\r\n",
    ),
    response("http10-keep-alive", b"HTTP/1.0 204 \r\nConnection: keep-alive\r\nX: y\r\n\r\n"),
    response("http10-keep-alive", b"HTTP/1.0 204 \r\nConnection: keep-alive\r\nX: y\r\n\r\n", b"x"),
    response("obs-fold-space", ANSWER, b"F: a \r\n b\r\n\r\nhi"),
    response("trailer-lines", PIECES, b"0\r\nT: x\n\r\n"),
    response("trailer-lines", PIECES, b"0\r\nT: x\r\n y\r\n\r\n"),
    response("chunk-extension", PIECES, b"1;=\r\nx\r\n0\r\n\r\n"),
    response("size-limits", PIECES, b"00000000000000001\r\nx\r\n0\r\n\r\n"),
    response("size-limits", ANSWER, b"Content-Length: ", b"9" * 19, b"\r\n\r\n"),
    response("trailer-fields", PIECES, b"0\r\nHost: b\r\nT: x\r\n\r\n"),
    request("repeated-singleton", GOOD, CHUNKED, b"0\r\nFrom: x\r\nFrom: y\r\n\r\n"),
    request("chunk-extension-space", GOOD, CHUNKED, b"1 ;a\r\nx\r\n0\r\n\r\n"),
    request("coding-in-trailers", GOOD, CHUNKED, b"0\r\nTransfer-Encoding: x\r\n\r\n"),
    request("coding-spelling", GOOD, CHUNKED.replace(b"chunked", b"Chunked,"), b"0\r\n\r\n"),
    request("refusal-status", GOOD, b"GET / HTTP/1.1\r\nTransfer-Encoding: x\r\n\r\n"),
    request("refusal-status", GOOD, b"GET / HTTP/2.0\r\nTransfer-Encoding: x\r\n\r\n"),
    request("refusal-status", GOOD, b"GET a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n"),
    response("chunk-extension-space", PIECES, b"1 ;a\r\nx\r\n0\r\n\r\n"),
    response("coding-in-trailers", PIECES, b"0\r\nTransfer-Encoding: x\r\n\r\n"),
    response("coding-spelling", PIECES.replace(b"chunked", b"Chunked"), b"0\r\n\r\n"),
    response("coding-spelling", PIECES.replace(b"\r\n\r", b"\r\nTransfer-Encoding: ,\r\n\r", 1)),
    response("repeated-trailer", PIECES, b"0\r\nFrom: x\r\nFrom: y\r\n\r\n"),
    response("equal-lengths", ANSWER, b"Content-Length: 1, 1\r\n\r\nx"),
    response(
        "suspect-framing",
        ANSWER + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        to="HEAD",
    ),
    response("unknown-coding", ANSWER, b"Transfer-Encoding: x, chunked\r\n\r\n", to="HEAD"),
    response("unknown-coding", ANSWER, b"Transfer-Encoding: x\r\n\r\nhi"),
    response("coding-spelling", ANSWER, b"Transfer-Encoding:\r\nContent-Length: 2\r\n\r\nhi"),
    response("unknown-coding", ANSWER, b"Transfer-Encoding: x\r\n\r\n", to="HEAD"),
    response("unknown-coding", ANSWER, b"Transfer-Encoding: x\r\n\r\nhi", to="CONNECT"),
]

HTTP2_SAMPLES = [
    Sample(
        "incomplete-frame",
        PREFACE + frames.ping()[:-1],
        HTTP2_RULES,
        test_http2_requests.serve,
    ),
    of_client("extension-frames", ask(1), frame(0xA, 0, b"\0"), ask(3)),
    of_server("extension-frames", reply(1), frame(0xA, 0, b"\0"), reply(3)),
    of_client("priority-update", ask(1), frame(FrameType.PRIORITY_UPDATE, 0, b"\0"), ask(3)),
    of_server("priority-update", reply(1), frames.priority_update(1, b"u=1"), reply(3)),
    of_client("reserved-bit", ask(1), frame(FrameType.WINDOW_UPDATE, 0, b"\x80\0\0\1"), ask(3)),
    of_client("behind-the-end", ask(1), frames.data(1, b"x"), ask(3)),
    of_client("behind-the-end", ask(3), frames.data(1, b"x"), ask(5)),
    of_server("behind-the-end", reply(1), frames.data(1, b"x"), reply(3)),
    of_client("behind-the-end", ask(1, end=False), frames.rst_stream(1, 8), frames.data(1, b"")),
    of_client("settings-values", ask(1), frames.settings({8: 1}), frames.settings({8: 0}), ask(3)),
    of_client("settings-values", ask(1), frames.settings({9: 2}), ask(3)),
    of_client("malformed-is-a-stream-error", ask(1), ask(3, ("Upper", "x")), ask(5)),
    of_client(
        "malformed-is-a-stream-error",
        ask(1),
        ask(3, ("content-length", "1"), end=False),
        frames.data(3, b"xx"),
        ask(5),
    ),
    of_server("malformed-is-a-stream-error", reply(1, ("te", "x")), reply(3)),
    of_client("stream-errors", ask(1), ask(3, end=False), frames.window_update(3, 0), ask(5)),
    of_client("stream-errors", ask(1), ask(3, end=False), frames.priority(3, 3), ask(5)),
    of_client("stream-errors", ask(5), frame(FrameType.PRIORITY, 3, b""), ask(7)),
    of_client("stricter-messages", ask(1), ask_for(3, "/", "a b"), ask(5)),
    of_client("stricter-messages", ask(1), ask_for(3, "/ x", "a"), ask(5)),
    of_client(
        "stricter-messages",
        ask(1),
        ask(3, ("content-length", "2"), end=False),
        frames.headers(3, frames.header_block([("t", "x")]), end_stream=True),
        ask(5),
    ),
    of_client("host-authority", ask(1), ask(3, ("host", "Example.org:80")), ask(5)),
    of_client(
        "tunnel-length",
        ask(1),
        frames.headers(3, frames.header_block(TUNNEL)),
        frames.data(3, b"xy"),
        ask(5),
    ),
    of_client(
        "trailer-fields",
        ask(1),
        ask(3, end=False),
        frames.headers(3, frames.header_block([("host", "x"), ("t", "y")]), end_stream=True),
    ),
]
SAMPLES = HTTP1_SAMPLES + HTTP2_SAMPLES
EVERY = pytest.mark.parametrize(
    "sample", [pytest.param(sample, id=f"{n}-{sample.rule}") for n, sample in enumerate(SAMPLES)]
)


def test_there_is_a_sample_of_each_rule() -> None:
    for rules in (REQUEST_RULES, RESPONSE_RULES, HTTP2_RULES):
        names = {sample.rule for sample in SAMPLES if sample.rules is rules}
        assert names == {rule.name for rule in rules}


@EVERY
def test_the_rule_explains_the_difference(sample: Sample) -> None:
    case = sample.case()
    assert not case.native.same_as(case.reference)
    rule = case.explanation()
    assert rule is not None
    assert rule.name == sample.rule


# -- other outcomes ---------------------------------------------------------------------------


def change_last(change: Callable[[Message], None]) -> Callable[[Outcome], None]:
    """Change the last message that native has, if there is one."""

    def changed(native: Outcome) -> None:
        if native.messages:
            change(native.messages[max(native.messages)])

    return changed


def adds_field(message: Message) -> None:
    message.headers.append(("x-other", "1"))


def loses_content(message: Message) -> None:
    message.content = b"other"


def adds_trailer(message: Message) -> None:
    message.trailers.append(("x-other", "1"))


def changes_head(message: Message) -> None:
    message.head = (*message.head[:1], "other", *message.head[2:])


def ends_otherwise(message: Message) -> None:
    message.end = "open" if message.end == "complete" else "complete"


def loses_last(native: Outcome) -> None:
    if native.messages:
        del native.messages[max(native.messages)]


def adds_message(native: Outcome) -> None:
    native.messages[99] = Message(("h1", "GET"), [], end="complete")


def flips_failure(native: Outcome) -> None:
    native.failed = not native.failed


def changes_status(native: Outcome) -> None:
    native.refused = 431


CHANGES: list[Callable[[Outcome], None]] = [
    change_last(adds_field),
    change_last(loses_content),
    change_last(adds_trailer),
    change_last(changes_head),
    change_last(ends_otherwise),
    loses_last,
    adds_message,
    flips_failure,
    changes_status,
]


@EVERY
def test_it_explains_no_other_outcome(sample: Sample) -> None:
    case = sample.case()
    tried = 0
    for change in CHANGES:
        other = deepcopy(case.native)
        change(other)
        if other.same_as(case.native) or other.same_as(case.reference):
            continue
        tried += 1
        changed = Case(case.rules, case.run, case.data, other, case.reference)
        assert changed.explanation() is None, getattr(change, "__qualname__", change)
    assert tried >= 2


@EVERY
def test_how_bytes_are_cut_makes_no_difference(sample: Sample) -> None:
    for engine in ENGINES:
        one, other = (sample.run(engine, sample.data, cut) for cut in (whole, bytewise))
        assert one.same_as(other)
