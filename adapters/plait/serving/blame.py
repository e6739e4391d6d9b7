"""Errors that are the peer's fault: who reads what it sent marks them.

They keep their classes, so that handlers catch what they expect (``json.JSONDecodeError``,
``UnicodeDecodeError``).  One that no handler catches is answered 400, or is a line in the log if
it is too late for that: a client must not be able to fill the log with tracebacks.
"""

from __future__ import annotations

from typing import Final

from plait.client_exceptions import WSMessageTypeError

_NOTE: Final = "(in what the peer sent)"


def blame_peer(error: Exception) -> None:
    """Mark ``error`` as the peer's fault."""
    error.add_note(_NOTE)


def is_peer_to_blame(error: Exception) -> bool:
    """Tell whether ``error`` is the peer's fault."""
    return isinstance(error, WSMessageTypeError) or _NOTE in getattr(error, "__notes__", ())
