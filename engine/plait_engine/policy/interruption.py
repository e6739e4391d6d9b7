"""Why an exchange was cut short: the facts, put in order for who has to name an error.

A ``StreamReset`` says who ended the stream and what was wrong.  Whether the transport failed,
and whether the connection is over with the stream, is known beside it.  ``classify`` says which
of these is the reason, and ``explain`` says it in words.
"""

from __future__ import annotations

import enum
from typing import Final

from plait_engine.errors import ErrorCode
from plait_engine.events import Draining, Initiator, StreamReset

_MAX_DEBUG: Final = 100
"""Bytes of GOAWAY's debug data that a message shows."""

REQUEST_TIMEOUT = 408
"""The hint on the error of the engine's own timers (RFC 9110 section 15.5.9)."""


class Interruption(enum.Enum):
    """What cut a client's exchange short."""

    TIMED_OUT = "a timer of the engine passed"
    TRUNCATED = "the content of the response is not complete"
    TRANSPORT_FAILED = "the transport failed before the response"
    MALFORMED = "the server broke the protocol before the response"
    GIVEN_UP = "this side gave up"
    ENDED_EARLY = "the server ended the connection where it must not"
    DISCONNECTED = "the server closed the connection before the response"
    RESET = "the server reset the stream before the response"


def classify(
    event: StreamReset, lost: Exception | None, *, disconnected: bool, in_content: bool
) -> Interruption:
    """Return what cut short the exchange of ``event``.

    Args:
        lost: the error with which the transport was lost, if it was.
        disconnected: the connection is over too.
        in_content: the head of the response had come.
    """
    error = event.error
    is_local = event.initiator is Initiator.LOCAL
    if error is not None and error.status_hint == REQUEST_TIMEOUT:
        return Interruption.TIMED_OUT
    if in_content and not (is_local and error is None and lost is None):
        return Interruption.TRUNCATED
    if lost is not None:
        return Interruption.TRANSPORT_FAILED
    if is_local:
        return Interruption.GIVEN_UP if error is None else Interruption.MALFORMED
    if error is not None:
        return Interruption.ENDED_EARLY
    return Interruption.DISCONNECTED if disconnected else Interruption.RESET


def explain(event: StreamReset, lost: Exception | None = None, *, disconnected: bool) -> str:
    """Return the reason in words, for a message.  The arguments are those of ``classify``."""
    if event.error is not None:
        return event.error.message
    if lost is not None:
        return str(lost) or type(lost).__name__
    if disconnected:
        return "the server closed the connection"
    return f"the server reset the stream: {name_of_code(event.code)}"


def advise(event: StreamReset) -> str:
    """Return whether the request may be sent again (RFC 9113 section 8.7), for a message."""
    if event.retryable:
        return "it did nothing with the request, which may be sent again"
    return "it may have processed the request"


def explain_goaway(event: Draining) -> str:
    """Return what GOAWAY said of its reason, for a message; ``""`` when it is none of interest.

    The debug data (RFC 9113 section 6.8) is the peer's: cut, and escaped where it is no text.
    """
    if event.code == ErrorCode.NO_ERROR:
        return ""
    debug = event.debug_data[:_MAX_DEBUG].decode("ascii", "backslashreplace")
    if not debug.isprintable():
        debug = ascii(debug)
    return f"{name_of_code(event.code)}, {debug}" if debug else name_of_code(event.code)


def name_of_code(code: int) -> str:
    """Return the name of an HTTP/2 error code (RFC 9113 section 7); unknown ones have none."""
    try:
        return ErrorCode(code).name
    except ValueError:
        return f"error code {code:#x}"
