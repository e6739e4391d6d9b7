"""Sending a request: its head, and its content with the head or by a task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeGuard

from plait.client_exceptions import InvalidUrlClientError
from plait.payload import BytesPayload, Payload
from plait_engine import Data, EndOfMessage, LocalProtocolError, Request
from plait_engine.proxy.forward import without_authorization
from plait_engine.semantics.targets import is_origin_form

from .body import SLICE, RequestWriter
from .errors import PlaceLostError, upload_error
from .exchange import ClientExchange
from .traces import tell_chunk

if TYPE_CHECKING:
    from plait.client_reqrep import ClientRequest

    from .lease import Lease
    from .upload import UploadAttempt


def send_request(request: ClientRequest, lease: Lease) -> ClientExchange:
    """Send ``request`` on ``lease``; the content may follow by and by.

    Raises ValueError when a field cannot be sent, PlaceLostError when no request can begin
    there any more.
    """
    exchange = _open_exchange(request, lease)
    stream_id = exchange.stream_id
    head = request.head_event(stream_id)
    if lease.key.proxy is not None:
        head = _head_for_proxy(head, request, lease)
    payload = request._body
    try:
        if payload is None:
            exchange.begin(head, ends=True)
            if request.upload_attempt is not None:
                request.upload_attempt.complete(0)
        elif _fits_in_one_write(payload, request):
            content = payload.content_bytes()
            exchange.begin(head, Data(stream_id, content), EndOfMessage(stream_id))
            exchange.sent = len(content)
            if request.upload_attempt is not None:
                request.upload_attempt.complete(len(content))
        else:
            exchange.begin(head)
            if not exchange.done:
                _start_upload(request, exchange, lease)
    except LocalProtocolError as error:
        raise _error_of_caller(request, error) from error
    return exchange


async def tell_sent(request: ClientRequest) -> None:
    """Tell the traces of ``request`` that its head was sent, and its content if that went along."""
    for trace in request.traces:
        await trace.send_request_headers(request.method, request.url, request.headers)
    payload = request._body
    if payload is not None and _fits_in_one_write(payload, request):
        await tell_chunk(request, payload.content_bytes())


def send_upgrade(
    request: ClientRequest, lease: Lease, make_head: Callable[[Request, bool], Request]
) -> ClientExchange:
    """Ask for a tunnel on ``lease``.

    ``make_head`` makes the engine's request of a plain one, for HTTP/2 if told so.  Raises
    what ``send_request`` raises.
    """
    exchange = _open_exchange(request, lease)
    try:
        plain = request.head_event(exchange.stream_id)
        if lease.key.proxy is not None:
            plain = _head_for_proxy(plain, request, lease)
        exchange.begin(make_head(plain, lease.driver.shared))
    except LocalProtocolError as error:
        raise _error_of_caller(request, error) from error
    exchange.asks_tunnel = True
    return exchange


def _error_of_caller(request: ClientRequest, error: LocalProtocolError) -> ValueError:
    """Return what to raise when ``request`` cannot be sent as it is."""
    if is_origin_form(request.url.raw_path_qs or "/"):
        return ValueError(str(error))
    return InvalidUrlClientError(request.url, str(error))


def _head_for_proxy(head: Request, request: ClientRequest, lease: Lease) -> Request:
    """Return the head of ``request`` for the proxy, or for the server behind its tunnel."""
    forwarding = lease.client.forwarding
    if forwarding is not None:
        return forwarding.address(head, request.authority)
    head.headers = without_authorization(head.headers)
    return head


def _open_exchange(request: ClientRequest, lease: Lease) -> ClientExchange:
    """Begin an exchange on ``lease``; the request is to be sent on it next."""
    try:
        stream_id = lease.begin()
    except LocalProtocolError as error:
        raise PlaceLostError("Cannot write to closing transport") from error
    exchange = lease.exchange = ClientExchange(lease, request, stream_id)
    return exchange


def _fits_in_one_write(payload: Payload, request: ClientRequest) -> TypeGuard[BytesPayload]:
    return (
        isinstance(payload, BytesPayload)
        and (payload.size or 0) <= SLICE
        and request.compress is None
        and not request.chunked
    )


def _start_upload(request: ClientRequest, exchange: ClientExchange, lease: Lease) -> None:
    value = request.headers.get("Content-Length")
    length = int(value) if value is not None else None
    writer = RequestWriter(exchange, length, request.compress)
    task = exchange.upload = exchange.driver.loop.create_task(
        _upload(request, exchange, writer, lease, length)
    )
    attempt = request.upload_attempt
    if attempt is not None:
        attempt.begin(exchange)
        task.add_done_callback(lambda _: attempt.fail(exchange.exception))


async def _upload(
    request: ClientRequest,
    exchange: ClientExchange,
    writer: RequestWriter,
    lease: Lease,
    length: int | None,
) -> None:
    """Send the content; what goes wrong goes to whoever waits for the response."""
    attempt = request.upload_attempt
    try:
        await request.write_bytes(writer, lease, length)
    except asyncio.CancelledError as error:
        # An exchange that is over cancels its upload.  Else it was something that the content
        # waits for, and nobody would send the rest, or say so.
        if not exchange.done:
            _fail_upload(exchange, attempt, upload_error(error))
        raise
    except Exception as error:
        _fail_upload(exchange, attempt, upload_error(error))
    else:
        if attempt is not None:
            attempt.complete(attempt.taken)
        exchange.finish_upload()
    finally:
        if request.closes_body:
            await request.close_body()


def _fail_upload(
    exchange: ClientExchange, attempt: UploadAttempt | None, failure: Exception
) -> None:
    if attempt is not None:
        attempt.fail(failure)
    exchange.upload = None
    exchange.fail(failure)
