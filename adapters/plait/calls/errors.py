"""What the engine reports becomes what a client's caller catches: the one place for it.

==============================  ===========================  ==========================
what happened                   before the response's head   in the response's body
==============================  ===========================  ==========================
the server closed               ServerDisconnectedError      ClientPayloadError
the transport failed            ClientOSError                ClientPayloadError
the server broke the protocol   ClientResponseError (400)    ClientPayloadError
the server reset the stream     ClientConnectionResetError   ClientPayloadError
the engine's timers             SocketTimeoutError           SocketTimeoutError
this side closed                ConnectionClosedError        ConnectionClosedError
==============================  ===========================  ==========================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from plait.client_exceptions import (
    ClientConnectionError,
    ClientConnectionResetError,
    ClientError,
    ClientOSError,
    ClientPayloadError,
    ClientResponseError,
    ServerDisconnectedError,
    SocketTimeoutError,
)
from plait_engine import ErrorCode, Initiator, StreamReset

if TYPE_CHECKING:
    from plait.client_reqrep import RequestInfo


class ConnectionClosedError(ClientConnectionResetError, RuntimeError):
    """This side closed the connection, with its session for example."""


class PlaceLostError(ClientConnectionResetError):
    """The place on a connection went before the request could begin; nothing was sent."""


def error_of_reset(
    event: StreamReset,
    lost: Exception | None,
    *,
    disconnected: bool,
    received: int | None,
    expected: int | None,
    request_info: Callable[[], RequestInfo],
) -> ClientError:
    """Return what to raise for a stream that was cut short.

    Args:
        lost: the error with which the transport was lost, if it was.
        disconnected: the connection is over too.
        received: bytes of the body so far; ``None`` before the head of the response.
        expected: what Content-Length promised.
    """
    cause = event.error or lost
    if event.error is not None and event.error.status_hint == 408:
        error: ClientError = SocketTimeoutError(event.error.message)
    elif received is not None and (event.initiator is Initiator.REMOTE or cause is not None):
        error = ClientPayloadError(
            _describe_truncation(event, lost, disconnected, received, expected)
        )
    elif lost is not None:
        message = getattr(lost, "strerror", None) or str(lost) or type(lost).__name__
        error = ClientOSError(getattr(lost, "errno", None), message)
    elif event.initiator is Initiator.LOCAL and event.error is not None:
        message = f"malformed response: {event.error.message}"
        error = ClientResponseError(request_info(), (), status=400, message=message)
    elif event.initiator is Initiator.LOCAL:
        error = ConnectionClosedError("Connection closed")
    elif event.error is not None:
        error = ServerDisconnectedError(f"Server disconnected: {event.error.message}")
    elif disconnected:
        error = ServerDisconnectedError()
    else:
        error = ClientConnectionResetError(f"the server reset the stream: {_name(event.code)}")
    error.__cause__ = cause
    return error


def _describe_truncation(
    event: StreamReset,
    lost: Exception | None,
    disconnected: bool,
    received: int,
    expected: int | None,
) -> str:
    if event.error is not None:
        reason = event.error.message
    elif lost is not None:
        reason = str(lost) or type(lost).__name__
    elif disconnected:
        reason = "the server closed the connection"
    else:
        reason = f"the server reset the stream: {_name(event.code)}"
    of = "" if expected is None else f" of {expected} expected"
    return f"Response payload is not completed: {received}{of} bytes received; {reason}"


def _name(code: int) -> str:
    try:
        return ErrorCode(code).name
    except ValueError:
        return f"error code {code:#x}"


def upload_error(error: Exception) -> Exception:
    """Return what the caller of a request gets when its content could not be sent."""
    if isinstance(error, ClientConnectionError | TimeoutError):
        return error
    if isinstance(error, OSError):
        wrapped: Exception = ClientOSError(error.errno, f"Can not write request body: {error}")
    else:
        wrapped = ClientConnectionError(f"Failed to send the request body: {error!r}")
    wrapped.__cause__ = error
    return wrapped
