"""How a large file gets out: by the kernel or in pieces, to clients that are slow or die."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import logging
import os
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import plait
from plait import web, web_fileresponse
from plait.serving import files
from plait.serving.exchange import ServerExchange
from plait.transport import sendfile
from plait.transport.memory import connect
from plait_engine import Timeouts
from plait_engine.engines import EngineName
from tests.adapters.test_dead_clients import CLIENTS, DOWNLOAD, first_bytes
from tests.adapters.test_web_files import (
    H1,
    H2,
    LARGE,
    SLOW,
    descriptors,
    make,
    nothing_stays_open,
    sends,
)
from tests.adapters.test_web_lifecycle import until
from tests.adapters.web_peer import Owner, Setup, Site, app_of
from tests.conftest import Authority
from tests.sessions import H1 as H1_CLEAR
from tests.sessions import H1_TLS, H2C, Way
from tests.sessions import H2 as H2_TLS

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures(nothing_stays_open.__name__)]

HUGE = 1 << 26
"""More than any buffers on the way hold."""


@pytest.fixture
def large(tmp_path: Path) -> Path:
    return make(tmp_path / "large.bin", LARGE)


@pytest.fixture
def huge(tmp_path: Path) -> Path:
    path = tmp_path / "huge.bin"
    with path.open("wb") as file:
        file.truncate(HUGE)
    return path


class Counted:
    """Counts what the kernel sent, and what was read of files."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent = self.read = 0
        real_sendfile, real_read = os.sendfile, files.OpenFile.read
        real_read_cached = files.OpenFile.read_cached

        def count_sent(*args: int) -> int:
            sent = real_sendfile(*args)
            self.sent += sent
            return sent

        def count_read(file: files.OpenFile, offset: int, size: int) -> bytes:
            data = real_read(file, offset, size)
            self.read += len(data)
            return data

        def count_read_cached(file: files.OpenFile, buffer: memoryview, offset: int) -> int:
            size = real_read_cached(file, buffer, offset)
            self.read += size
            return size

        monkeypatch.setattr(os, "sendfile", count_sent)
        monkeypatch.setattr(files.OpenFile, "read", count_read)
        monkeypatch.setattr(files.OpenFile, "read_cached", count_read_cached)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(monkeypatch)


def cancel_handler(site: Site) -> None:
    """Cancel the only handler that runs."""
    [connection] = site.server.connections
    [exchange] = connection.driver.exchanges.values()
    assert isinstance(exchange, ServerExchange)
    assert exchange.task is not None
    exchange.task.cancel()


# -- by whom ----------------------------------------------------------------------------------


async def test_the_kernel_sends_it_over_http_1(setup: Setup, large: Path, counted: Counted) -> None:
    async with setup.serve(app_of(sends(large))) as site:
        client = await site.connect()
        for _ in range(2):
            assert (await client.fetch()).body == LARGE
    sent = 0 if setup.is_h2 else 2 * len(LARGE)
    assert (counted.sent, counted.read) == (sent, 2 * len(LARGE) - sent)


async def test_the_kernel_sends_a_range(large: Path, counted: Counted) -> None:
    async with H1.serve(app_of(sends(large))) as site:
        client = await site.connect()
        answer = await client.fetch(headers=(("Range", "bytes=1000-900000"),))
        assert answer.body == LARGE[1000:900001]
    assert (counted.sent, counted.read) == (899001, 0)


async def test_the_kernel_sends_it_over_a_unix_socket(
    large: Path, tmp_path: Path, counted: Counted
) -> None:
    async with H1.serve(app_of(sends(large))) as site:
        path = str(tmp_path / "socket")
        await web.UnixSite(site.runner, path).start()
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).endswith(b"\r\n\r\n" + LARGE)
        writer.close()
        await writer.wait_closed()
    assert (counted.sent, counted.read) == (len(LARGE), 0)


async def test_it_can_be_forbidden(
    large: Path, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_fileresponse, "NOSENDFILE", True)
    async with H1.serve(app_of(sends(large, chunk_size=100_000))) as site:
        assert (await (await site.connect()).fetch()).body == LARGE
    assert (counted.sent, counted.read) == (0, len(LARGE))


async def test_a_system_without_sendfile_and_pread(
    large: Path, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sendfile, "AVAILABLE", False)
    monkeypatch.setattr(files, "_NO_WAIT", 0)
    monkeypatch.delattr(os, "pread")
    async with H1.serve(app_of(sends(large))) as site:
        assert (await (await site.connect()).fetch()).body == LARGE
    assert (counted.sent, counted.read) == (0, len(LARGE))


@pytest.mark.parametrize("in_memory", [0, 1, 99_999, 10**9])
async def test_what_is_in_memory_is_read_at_once(
    large: Path, in_memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The short path and the general one, together, give the file."""
    real_read_cached = files.OpenFile.read_cached

    def read_cached(file: files.OpenFile, buffer: memoryview, offset: int) -> int:
        if offset % 3 == 0:  # The system may have let go of a part.
            return 0
        return real_read_cached(file, buffer[:in_memory], offset)

    monkeypatch.setattr(files.OpenFile, "read_cached", read_cached)
    size = 5000 if in_memory == 1 else len(LARGE)
    headers = (("Range", f"bytes=1-{size}"),)
    async with H2.serve(app_of(sends(large, chunk_size=100_000))) as site:
        answer = await (await site.connect()).fetch(headers=headers)
        assert answer.body == LARGE[1 : size + 1]


async def test_a_file_system_that_cannot_tell_what_is_in_memory(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> int:
        raise OSError(errno.EOPNOTSUPP, "not on this file system")

    monkeypatch.setattr(os, "preadv", refuse)
    async with H2.serve(app_of(sends(large))) as site:
        assert (await (await site.connect()).fetch()).body == LARGE


async def test_a_file_system_without_sendfile(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: int) -> int:
        raise OSError(errno.EINVAL, "not on this file system")

    monkeypatch.setattr(os, "sendfile", refuse)
    async with H1.serve(app_of(sends(large))) as site:
        assert (await (await site.connect()).fetch()).body == LARGE


async def test_what_the_client_has_not_taken_goes_first(large: Path, counted: Counted) -> None:
    """Then the kernel cannot send: it would overtake what waits."""
    before = bytes(60_000)

    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        sock = request.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        if request.path == "/before":
            return web.Response(body=before)
        return web.FileResponse(large)

    app = web.Application()
    app.router.add_get("/{any}", handler)
    async with H1.serve(app) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port, limit=1000)
        writer.write(b"GET /before HTTP/1.1\r\nHost: x\r\n\r\n" * 80)
        writer.write(b"GET /file HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await until(lambda: counted.read > 0)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert answer.count(b"HTTP/1.1 200 OK") == 81
    assert answer.endswith(LARGE)
    assert len(answer) > 80 * len(before) + len(LARGE)


async def test_content_length_is_kept_whoever_sets_it(
    large: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def shorten(request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Content-Length"] = "1000"

    app = app_of(sends(large))
    app.on_response_prepare.append(shorten)
    with caplog.at_level(logging.ERROR):
        async with H1.serve(app) as site:
            answer = (await site.connect()).request()
            await answer.complete()
            assert answer.body == LARGE[:1000]
    assert "Content-Length" in caplog.text


WAYS = pytest.mark.parametrize("way", [H1_CLEAR, H1_TLS, H2C, H2_TLS], ids=str)
ENGINES = pytest.mark.parametrize("engine", ["native", "reference"])


@asynccontextmanager
async def fetching(
    way: Way, engine: EngineName, path: Path, authority: Authority
) -> AsyncIterator[plait.ClientResponse]:
    """A session has asked for the file, and has not read it yet."""
    setup = Setup("h2" if way.version == "2.0" else "http/1.1", engine)
    async with setup.serve(app_of(sends(path))) as site:
        url = f"http://127.0.0.1:{site.port}/"
        if way.tls:
            context = authority.server_context("h2", "http/1.1")
            secure = web.TCPSite(site.runner, "127.0.0.1", 0, ssl_context=context)
            await secure.start()
            url = f"https://127.0.0.1:{secure.port}/"
        async with way.open_session(authority) as session, session.get(url) as response:
            yield response


@WAYS
@ENGINES
async def test_a_huge_file_arrives_whole(
    way: Way, engine: EngineName, huge: Path, authority: Authority, counted: Counted
) -> None:
    digest, size = hashlib.sha256(), 0
    async with fetching(way, engine, huge, authority) as response:
        async for piece in response.content.iter_any():
            digest.update(piece)
            size += len(piece)
    assert size == HUGE
    assert digest.digest() == hashlib.sha256(bytes(HUGE)).digest()
    assert counted.sent == (HUGE if way is H1_CLEAR else 0)


# -- slow clients -------------------------------------------------------------------------------


@WAYS
@ENGINES
async def test_a_client_that_does_not_read_holds_it_up(
    way: Way, engine: EngineName, huge: Path, authority: Authority, counted: Counted
) -> None:
    async with fetching(way, engine, huge, authority) as response:
        for _ in range(1000):
            await asyncio.sleep(0)
        assert counted.sent + counted.read < HUGE // 2  # what the kernel's buffers take
        size = 0
        async for piece in response.content.iter_any():
            size += len(piece)
    assert size == counted.sent + counted.read == HUGE


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
async def test_no_more_is_read_than_the_client_takes(
    protocol: str, huge: Path, counted: Counted
) -> None:
    """In memory, where there are no buffers of a kernel."""
    setup = Setup(protocol, "native")
    async with setup.serve(app_of(sends(huge))) as site:
        client, _ = connect(
            lambda transport: Owner(transport, protocol, SLOW),
            site.server.connect,
            loop=asyncio.get_running_loop(),
            server_extra={"peername": ("memory", 1)},
        )
        answer = client.driver.request(hold=True)
        taken = 0
        while taken < HUGE // 4:
            await until(lambda: len(answer.body) > 0)
            taken += len(answer.body)
            assert counted.read < taken + 1_000_000
            answer.acknowledge(len(answer.body))
            answer.body = b""
        client.driver.abort()
        await client.driver.wait_closed()
        await until(lambda: not site.exchanges())


async def test_the_kernel_waits_for_the_client(huge: Path, counted: Counted) -> None:
    async with H1.serve(app_of(sends(huge))) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port, limit=1000)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await until(lambda: counted.sent > 0)
        for _ in range(1000):
            await asyncio.sleep(0)
        assert counted.sent < HUGE // 2
        size = 0
        while piece := await reader.read(1 << 20):
            size += len(piece)
        writer.close()
        await writer.wait_closed()
    assert size > HUGE
    assert (counted.sent, counted.read) == (HUGE, 0)


async def test_who_takes_nothing_is_dropped(huge: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        async with H1.serve(app_of(sends(huge)), timeouts=Timeouts(write=0.2)) as site:
            reader, writer = await asyncio.open_connection("127.0.0.1", site.port, limit=1000)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await until(lambda: site.exchanges() == 1)
            await until(lambda: not site.exchanges())
            size = 0
            with contextlib.suppress(ConnectionError):
                while piece := await reader.read(1 << 20):
                    size += len(piece)
            assert size < HUGE
            writer.close()
    assert not caplog.records


# -- what goes wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
@pytest.mark.parametrize("tls", [False, True], ids=["cleartext", "tls"])
async def test_clients_that_die(
    protocol: str,
    tls: bool,
    huge: Path,
    authority: Authority,
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = asyncio.get_running_loop()
    errors: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: errors.append(context))
    with caplog.at_level(logging.WARNING):
        async with Setup(protocol, "native").serve(app_of(sends(huge))) as site:
            port = site.port
            before = len(descriptors())
            if tls:
                context = authority.server_context()
                secure = web.TCPSite(site.runner, "127.0.0.1", 0, ssl_context=context)
                await secure.start()
                port = secure.port
                before += 1
            arguments = [str(port), first_bytes(protocol).hex(), str(CLIENTS)]
            clients = await asyncio.create_subprocess_exec(
                sys.executable, "-c", DOWNLOAD, *arguments, *([protocol] if tls else [])
            )
            assert await clients.wait() == 0
            await until(lambda: not site.exchanges())
            await until(lambda: len(descriptors()) <= before + 2)  # asyncio's watch on the child
    assert not errors
    assert not [record.getMessage() for record in caplog.records]


async def test_a_file_that_cannot_be_read_any_more(
    setup: Setup, large: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: int) -> Any:
        raise OSError(errno.EIO, "the disk is broken")

    monkeypatch.setattr(os, "sendfile", fail)
    monkeypatch.setattr(os, "pread", fail)
    monkeypatch.setattr(os, "preadv", fail)
    with caplog.at_level(logging.ERROR):
        async with setup.serve(app_of(sends(large))) as site:
            answer = (await site.connect()).request()
            await answer.broken()
            assert answer.body == b""
    assert "the disk is broken" in caplog.text


async def test_a_socket_that_fails_when_sent_by_hand(
    large: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: Any) -> Any:
        raise OSError(errno.EHOSTUNREACH, "no route to host")

    monkeypatch.setattr(os, "sendfile", fail)
    monkeypatch.setattr(os, "write", fail)
    with caplog.at_level(logging.WARNING):
        async with H1.serve(app_of(sends(large))) as site:
            await (await site.connect()).request().broken()
    assert not caplog.records


async def test_a_handler_that_is_cancelled(setup: Setup, huge: Path) -> None:
    async with setup.serve(app_of(sends(huge))) as site:
        client = await site.connect(SLOW)
        answer = client.request(hold=True)
        await answer.head_came.wait()
        cancel_handler(site)
        answer.hold = False
        answer.acknowledge(len(answer.body))
        await answer.broken()
        assert len(answer.body) < HUGE


async def test_a_handler_cannot_go_on_when_a_file_was_cut_off(huge: Path) -> None:
    """What it sends would be taken for the rest of the file."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.FileResponse(huge)
        with contextlib.suppress(asyncio.CancelledError):
            await response.prepare(request)
        await response.write_eof()
        return response

    async with H1.serve(app_of(handler)) as site:
        answer = (await site.connect(SLOW)).request(hold=True)
        await answer.head_came.wait()
        cancel_handler(site)
        answer.hold = False
        answer.acknowledge(len(answer.body))
        await answer.broken()


class Gate:
    """Opening a file waits here."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    made = Gate()
    real_open = web_fileresponse.open_file

    def open_file(*args: Any) -> files.OpenFile:
        made.reached.set()
        made.opened.wait(20)
        return real_open(*args)

    monkeypatch.setattr(web_fileresponse, "open_file", open_file)
    yield made
    made.opened.set()


@pytest.mark.parametrize("exists", [True, False])
async def test_a_handler_that_is_cancelled_while_the_file_is_opened(
    large: Path, gate: Gate, exists: bool
) -> None:
    path = large if exists else large.with_name("nothing")
    async with H1.serve(app_of(sends(path))) as site:
        answer = (await site.connect()).request()
        await until(gate.reached.is_set)
        before = descriptors()
        cancel_handler(site)
        await answer.broken()
        gate.opened.set()
        await asyncio.get_running_loop().run_in_executor(None, lambda: None)
        await until(lambda: len(descriptors()) <= len(before))


async def test_a_client_that_leaves_while_the_file_is_opened(
    setup: Setup, large: Path, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with setup.serve(app_of(sends(large))) as site:
            client = await site.connect()
            client.request()
            await until(gate.reached.is_set)
            await site.close(client)
            gate.opened.set()
            await until(lambda: not site.exchanges())
    assert not caplog.records


async def test_shutdown_waits_for_a_download(large: Path, tmp_path: Path) -> None:
    path = make(tmp_path / "some", LARGE * 16)
    async with H1.serve(app_of(sends(path))) as site:
        client = await site.connect(SLOW)
        answer = client.request(hold=True)
        await answer.head_came.wait()
        closing = asyncio.create_task(site.runner.cleanup())
        await asyncio.sleep(0)
        answer.hold = False
        answer.acknowledge(len(answer.body))
        await answer.complete()
        assert answer.body == LARGE * 16
        await closing


async def test_shutdown_ends_a_download_that_does_not_end(huge: Path) -> None:
    async with H1.serve(app_of(sends(huge)), shutdown_timeout=0.4) as site:
        answer = (await site.connect(SLOW)).request(hold=True)
        await answer.head_came.wait()
        async with asyncio.timeout(5):
            await site.runner.cleanup()
        answer.hold = False
        answer.acknowledge(len(answer.body))
        await answer.broken()
