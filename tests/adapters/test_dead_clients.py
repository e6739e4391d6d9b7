"""Clients that die in the middle of a download: the handler ends soon, and nothing is logged."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from typing import Any

import pytest

from plait import web
from plait_engine import EndOfMessage, Limits, Request, Role, create_connection
from plait_engine.config import Config
from plait_engine.testing import counting_random
from tests.conftest import Authority

from .web_peer import Setup, app_of

pytestmark = pytest.mark.anyio

CLIENTS = 60
SIZE = 256 * 1024 * 1024
WIDE = Config(
    limits=Limits(stream_window=2**31 - 1, connection_window=2**31 - 1), random=counting_random
)


@pytest.fixture(params=["native", "reference"])
def engine(request: pytest.FixtureRequest) -> Any:
    return request.param


def first_bytes(protocol: str) -> bytes:
    """Return what a client sends that asks for everything and obeys no window."""
    connection = create_connection(Role.CLIENT, protocol, WIDE)
    connection.connection_made(0.0)
    connection.send(Request(1, "GET", "http", "test", "/", ()), EndOfMessage(1), now=0.0)
    data = b""
    while piece := connection.data_to_send():
        data += piece
    return data


DOWNLOAD = """
import socket, ssl, struct, sys

port, request, clients = int(sys.argv[1]), bytes.fromhex(sys.argv[2]), int(sys.argv[3])
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.set_alpn_protocols(sys.argv[4:])
for number in range(clients):
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if sys.argv[4:]:
            sock = context.wrap_socket(sock)
        sock.sendall(request)
        left = 1 + number * 50_000
        while left > 0:
            left -= len(sock.recv(65536))
        sock.close()
"""
"""Read some of each response, then reset the connection.  A program of its own, since what
it does must happen in the middle of what the server does."""


def is_told_twice(context: dict[str, Any]) -> bool:
    """Tell an error of asyncio: a transport that is lost is told so, and then closed again.

    ``sslproto`` writes inside of ``resume_writing``.  When the peer resets in that moment, the
    transport below both ends at once and has its end scheduled.
    """
    error = context.get("exception")
    return isinstance(error, AttributeError) and "_call_connection_lost" in context["message"]


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
@pytest.mark.parametrize("piece", [16_384, 1_000_000])
@pytest.mark.parametrize("tls", [False, True], ids=["cleartext", "tls"])
async def test_handlers_of_downloads_that_are_cut_off_end(
    protocol: str,
    piece: int,
    tls: bool,
    engine: Any,
    authority: Authority,
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = asyncio.get_running_loop()
    errors: list[dict[str, Any]] = []

    def note(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not (tls and is_told_twice(context)):
            errors.append(context)

    loop.set_exception_handler(note)
    started = ended = written = 0
    all_ended = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal started, ended, written
        started += 1
        response = web.StreamResponse()
        try:
            await response.prepare(request)
            for _ in range(SIZE // piece):
                await response.write(bytes(piece))
                written += piece
        finally:
            ended += 1
            if ended == CLIENTS:
                all_ended.set()
        return response

    request = first_bytes(protocol)
    with caplog.at_level(logging.WARNING):
        async with Setup(protocol, engine).serve(app_of(handler)) as site:
            port = site.port
            if tls:
                context = authority.server_context()
                secure = web.TCPSite(site.runner, "127.0.0.1", 0, ssl_context=context)
                await secure.start()
                port = secure.port
            alpn = [protocol] if tls else []
            arguments = [str(port), request.hex(), str(CLIENTS), *alpn]
            clients = await asyncio.create_subprocess_exec(
                sys.executable, "-c", DOWNLOAD, *arguments
            )
            assert await clients.wait() == 0
            async with asyncio.timeout(30):
                await all_ended.wait()
    assert started == ended == CLIENTS
    assert written < CLIENTS * SIZE / 8
    assert not errors
    assert not [record.getMessage() for record in caplog.records]


class FlakySocket(socket.socket):
    """A socket of which one ``send`` fails, and every one behind it."""

    sends = 0
    fails_at = 0

    def send(self, data: Any, flags: int = 0) -> int:
        self.sends += 1
        if self.sends >= self.fails_at:
            raise ConnectionResetError("reset by a test")
        return super().send(data, flags)


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
async def test_any_write_may_fail(
    protocol: str, engine: Any, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.get_running_loop()
    errors: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: errors.append(context))
    ended = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        try:
            await response.prepare(request)
            while True:
                await response.write(bytes(200_000))
        finally:
            ended.set()

    async def read_all(sock: socket.socket) -> None:
        while await loop.sock_recv(sock, 65536):
            pass

    request = first_bytes(protocol)
    with caplog.at_level(logging.WARNING):
        async with Setup(protocol, engine).serve(app_of(handler)) as site:
            for fails_at in range(1, 40):
                ended.clear()
                near, far = socket.socketpair()
                with near:
                    near.setblocking(False)
                    flaky = FlakySocket(fileno=far.detach())
                    flaky.fails_at = fails_at
                    await loop.connect_accepted_socket(site.server, flaky)
                    await loop.sock_sendall(near, request)
                    reading = asyncio.create_task(read_all(near))
                    async with asyncio.timeout(30):
                        await reading
                        if fails_at > 2:  # HTTP/2 writes its SETTINGS first.
                            await ended.wait()
    assert not errors
    assert not [record.getMessage() for record in caplog.records]
