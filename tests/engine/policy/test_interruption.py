"""Why an exchange was cut short: every combination of the facts, and the words for it."""

from __future__ import annotations

import pytest

from plait_engine import Draining, ErrorCode, Initiator, RemoteProtocolError, StreamReset
from plait_engine.policy.interruption import (
    Interruption,
    advise,
    classify,
    explain,
    explain_goaway,
    name_of_code,
)

LOCAL, REMOTE = Initiator.LOCAL, Initiator.REMOTE
BROKEN = RemoteProtocolError("a bad status line")
TIMEOUT = RemoteProtocolError("nothing came", status_hint=408)
LOST = OSError(104, "reset by peer")


@pytest.mark.parametrize("disconnected", [False, True])
@pytest.mark.parametrize(
    ("initiator", "error", "lost", "before_head", "in_content"),
    [
        (LOCAL, None, None, Interruption.GIVEN_UP, Interruption.GIVEN_UP),
        (LOCAL, BROKEN, None, Interruption.MALFORMED, Interruption.TRUNCATED),
        (LOCAL, None, LOST, Interruption.TRANSPORT_FAILED, Interruption.TRUNCATED),
        (LOCAL, BROKEN, LOST, Interruption.TRANSPORT_FAILED, Interruption.TRUNCATED),
        (REMOTE, None, None, None, Interruption.TRUNCATED),
        (REMOTE, BROKEN, None, Interruption.ENDED_EARLY, Interruption.TRUNCATED),
        (REMOTE, None, LOST, Interruption.TRANSPORT_FAILED, Interruption.TRUNCATED),
        (REMOTE, BROKEN, LOST, Interruption.TRANSPORT_FAILED, Interruption.TRUNCATED),
        *[
            (initiator, TIMEOUT, lost, Interruption.TIMED_OUT, Interruption.TIMED_OUT)
            for initiator in Initiator
            for lost in (None, LOST)
        ],
    ],
)
def test_what_cut_it_short(
    initiator: Initiator,
    error: RemoteProtocolError | None,
    lost: Exception | None,
    before_head: Interruption | None,
    in_content: Interruption,
    disconnected: bool,
) -> None:
    event = StreamReset(1, ErrorCode.CANCEL, initiator, error=error)
    if before_head is None:  # Here, and only here, it matters.
        before_head = Interruption.DISCONNECTED if disconnected else Interruption.RESET
    found = [
        classify(event, lost, disconnected=disconnected, in_content=value)
        for value in (False, True)
    ]
    assert found == [before_head, in_content]


@pytest.mark.parametrize(
    ("error", "lost", "disconnected", "words"),
    [
        (BROKEN, LOST, True, "a bad status line"),
        (None, OSError("gone"), True, "gone"),
        (None, ConnectionResetError(), True, "ConnectionResetError"),
        (None, None, True, "the server closed the connection"),
        (None, None, False, "the server reset the stream: REFUSED_STREAM"),
    ],
)
def test_the_reason_in_words(
    error: RemoteProtocolError | None, lost: Exception | None, disconnected: bool, words: str
) -> None:
    event = StreamReset(1, ErrorCode.REFUSED_STREAM, REMOTE, error=error)
    assert explain(event, lost, disconnected=disconnected) == words


@pytest.mark.parametrize(
    ("code", "name"), [(0, "NO_ERROR"), (0xD, "HTTP_1_1_REQUIRED"), (0xE, "error code 0xe")]
)
def test_codes_have_names(code: int, name: str) -> None:
    assert name_of_code(code) == name


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (Draining(7), ""),
        (Draining(7, ErrorCode.NO_ERROR, b"shutting down"), ""),
        (Draining(7, ErrorCode.ENHANCE_YOUR_CALM), "ENHANCE_YOUR_CALM"),
        (Draining(7, 0x1234, b"why"), "error code 0x1234, why"),
        (Draining(7, ErrorCode.INTERNAL_ERROR, b"\n\xff"), r"INTERNAL_ERROR, '\n\\xff'"),
        (Draining(7, ErrorCode.INTERNAL_ERROR, b"x" * 999), f"INTERNAL_ERROR, {'x' * 100}"),
    ],
)
def test_what_goaway_said(event: Draining, said: str) -> None:
    assert explain_goaway(event) == said


@pytest.mark.parametrize(("retryable", "says"), [(True, "may be sent again"), (False, "may have")])
def test_whether_a_request_may_be_sent_again(retryable: bool, says: str) -> None:
    assert says in advise(StreamReset(1, ErrorCode.CANCEL, REMOTE, retryable))
