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
    ContentTypeError,
    ServerDisconnectedError,
    SocketTimeoutError,
)
from plait_engine import StreamReset
from plait_engine.policy.interruption import Interruption, advise, classify, explain

if TYPE_CHECKING:
    from plait.client_reqrep import ClientResponse, RequestInfo


class ConnectionClosedError(ClientConnectionResetError, RuntimeError):
    """This side closed the connection, with its session for example."""


class PlaceLostError(ClientConnectionResetError):
    """The place on a connection went before the request could begin; nothing was sent."""

    unprocessed = True


def error_of_reset(
    event: StreamReset,
    lost: Exception | None,
    *,
    disconnected: bool,
    received: int | None,
    expected: int | None,
    server: str,
    request_info: Callable[[], RequestInfo],
) -> ClientError:
    """Return what to raise for a stream that was cut short.

    Args:
        lost: the error with which the transport was lost, if it was.
        disconnected: the connection is over too.
        received: bytes of the body so far; ``None`` before the head of the response.
        expected: what Content-Length promised.
        server: with whom the exchange was.
    """
    in_content = received is not None
    whom = f"{server}; {advise(event)}"
    match classify(event, lost, disconnected=disconnected, in_content=in_content):
        case Interruption.TIMED_OUT:
            error: ClientError = SocketTimeoutError(f"{event.error}: {server}")
        case Interruption.TRUNCATED:
            of = "" if expected is None else f" of {expected} expected"
            reason = explain(event, lost, disconnected=disconnected)
            error = ClientPayloadError(
                f"Response payload is not completed: {received}{of} bytes received from {server};"
                f" {reason}"
            )
            error.received, error.expected = received, expected
        case Interruption.TRANSPORT_FAILED:
            message = getattr(lost, "strerror", None) or str(lost) or type(lost).__name__
            error = ClientOSError(getattr(lost, "errno", None), f"{message}: {whom}")
        case Interruption.MALFORMED:
            message = f"malformed response: {event.error}"
            error = ClientResponseError(request_info(), (), status=400, message=message)
        case Interruption.GIVEN_UP:
            error = ConnectionClosedError("Connection closed")
        case Interruption.ENDED_EARLY:
            error = ServerDisconnectedError(f"Server disconnected: {event.error}: {whom}")
        case Interruption.DISCONNECTED:
            error = ServerDisconnectedError(f"Server disconnected: {whom}")
        case Interruption.RESET:
            reason = explain(event, disconnected=False)
            error = ClientConnectionResetError(f"{reason}: {whom}")
    error.unprocessed = event.retryable
    error.__cause__ = event.error or lost
    return error


def upload_error(error: BaseException) -> Exception:
    """Return what the caller of a request gets when its content could not be sent."""
    if isinstance(error, ClientConnectionError | TimeoutError):
        return error
    if isinstance(error, OSError):
        wrapped: Exception = ClientOSError(error.errno, f"Can not write request body: {error}")
    else:
        wrapped = ClientConnectionError(f"Failed to send the request body: {error!r}")
    wrapped.__cause__ = error
    return wrapped


def status_error(response: ClientResponse) -> ClientResponseError:
    """Return what is raised for a response with a status that the caller does not want."""
    return ClientResponseError(
        response.request_info,
        response.history,
        status=response.status,
        message=response.reason or "",
        headers=response.headers,
    )


def content_type_error(response: ClientResponse, message: str) -> ContentTypeError:
    """Return what is raised for a response of another media type than the caller wants."""
    return ContentTypeError(
        response.request_info,
        response.history,
        status=response.status,
        message=message,
        headers=response.headers,
    )
