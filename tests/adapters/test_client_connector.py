"""Connectors: names, addresses, TLS, Unix sockets, and what is said when they fail."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest
import uvloop
from yarl import URL

import plait
from plait import web
from plait.abc import AbstractResolver, ResolveResult
from tests.adapters.raw_server import OK, RawConnection, RawServer, always, raw_server
from tests.conftest import Authority
from tests.serving import serve

pytestmark = pytest.mark.anyio


class Resolver(AbstractResolver):
    """Knows one address; counts the look-ups."""

    def __init__(self, *hosts: str) -> None:
        self.hosts = hosts
        self.count = 0
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()
        self.answer.set()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.count += 1
        self.asked.set()
        await self.answer.wait()
        if not self.hosts:
            raise OSError(None, "no such name")
        return [
            ResolveResult(
                hostname=host, host=each, port=port, family=socket.AF_INET, proto=0, flags=0
            )
            for each in self.hosts
        ]

    async def close(self) -> None:
        raise AssertionError("a resolver that was given is not closed")


async def get(server: RawServer, connector: plait.BaseConnector, url: str | None = None) -> bytes:
    async with (
        plait.ClientSession(connector=connector, connector_owner=False) as session,
        session.get(url or server.url) as response,
    ):
        return await response.read()


async def test_addresses_are_remembered() -> None:
    resolver = Resolver("127.0.0.1")
    async with (
        raw_server(always(OK)) as server,
        plait.TCPConnector(resolver=resolver, force_close=True) as connector,
    ):
        url = f"http://some.name:{server.port}/"
        for _ in range(2):
            assert await get(server, connector, url) == b"ok"
        assert resolver.count == 1
        connector.clear_dns_cache("some.name", server.port)
        assert await get(server, connector, url) == b"ok"
        connector.clear_dns_cache()
        assert await get(server, connector, url) == b"ok"
        assert resolver.count == 3
        with pytest.raises(ValueError, match="host and port go together"):
            connector.clear_dns_cache("some.name")


async def test_look_ups_at_the_same_time_are_one_and_survive_a_cancel() -> None:
    resolver = Resolver("127.0.0.1")
    resolver.answer.clear()
    async with (
        raw_server(always(OK)) as server,
        plait.TCPConnector(resolver=resolver) as connector,
    ):
        url = f"http://some.name:{server.port}/"
        first, second = (asyncio.ensure_future(get(server, connector, url)) for _ in range(2))
        await resolver.asked.wait()
        first.cancel()
        await asyncio.wait([first])
        resolver.answer.set()
        assert await second == b"ok"
        assert resolver.count == 1


async def test_the_next_address_is_tried() -> None:
    # Nobody listens there: the loopback network has more than one address.
    resolver = Resolver("127.9.9.9", "127.0.0.1")
    async with (
        raw_server(always(OK)) as server,
        plait.TCPConnector(resolver=resolver) as connector,
    ):
        assert await get(server, connector, f"http://some.name:{server.port}/") == b"ok"


async def test_the_next_address_is_tried_when_tls_fails(authority: Authority) -> None:
    async def no_tls(connection: RawConnection) -> None:
        connection.send(b"no TLS here\r\n")
        await connection.read_to_end()

    cleartext = RawServer(no_tls)
    resolver = Resolver("127.0.0.2", "127.0.0.1")
    async with (
        raw_server(always(OK), authority.server_context("http/1.1")) as server,
        plait.TCPConnector(
            resolver=resolver, use_dns_cache=False, ssl=authority.client_context()
        ) as connector,
    ):
        other = await asyncio.start_server(cleartext.accept, "127.0.0.2", server.port)
        url = f"https://some.name:{server.port}/"
        async with plait.ClientSession(connector=connector, connector_owner=False) as session:
            async with session.get(url, server_hostname="localhost") as response:
                assert await response.read() == b"ok"
            with pytest.raises(plait.ServerFingerprintMismatch):
                await session.get(url, ssl=plait.Fingerprint(bytes(32)))
        assert cleartext.connections == 2
        other.close()
        await cleartext.finish()
    assert not connector._places.alive


async def test_an_address_that_is_written_in_another_way_is_tried_once() -> None:
    """The system calls it 127.0.0.1."""

    async def no_tls(connection: RawConnection) -> None:
        connection.send(b"no TLS here\r\n")
        await connection.read_to_end()

    async with (
        raw_server(no_tls) as server,
        plait.TCPConnector(resolver=Resolver("127.1"), use_dns_cache=False) as connector,
        plait.ClientSession(connector=connector) as session,
    ):
        async with asyncio.timeout(20):
            with pytest.raises(plait.ClientConnectorError):
                await session.get(f"https://some.name:{server.port}/")
        assert server.connections == 1


@pytest.mark.parametrize("host", ["some.name", "127.0.0.1"])
async def test_only_addresses_of_the_family_are_tried(host: str) -> None:
    resolver = Resolver("127.0.0.1")
    async with (
        raw_server(always(OK)) as server,
        plait.TCPConnector(resolver=resolver, family=socket.AF_INET6) as connector,
    ):
        with pytest.raises(plait.ClientConnectorDNSError, match="no address of the family"):
            await get(server, connector, f"http://{host}:{server.port}/")
        assert server.connections == 0


# -- what fails -------------------------------------------------------------------


async def test_a_name_that_nobody_knows() -> None:
    async with plait.TCPConnector(resolver=Resolver()) as connector:
        session = plait.ClientSession(connector=connector, connector_owner=False)
        with pytest.raises(plait.ClientConnectorDNSError, match=r"no.such.name:80.*no such name"):
            await session.get("http://no.such.name/")
        await session.close()


async def test_a_port_where_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        async with plait.ClientSession() as session:
            with pytest.raises(plait.ClientConnectorError) as caught:
                await session.get(f"http://127.0.0.1:{port}/")
    error = caught.value
    assert (error.host, error.port, error.ssl) == ("127.0.0.1", port, True)
    assert f"Cannot connect to host 127.0.0.1:{port} ssl:default" in str(error)
    assert isinstance(error, OSError)


async def test_the_deadline_for_connecting() -> None:
    resolver = Resolver("127.0.0.1")
    resolver.answer.clear()
    async with plait.ClientSession(connector=plait.TCPConnector(resolver=resolver)) as session:
        with pytest.raises(plait.ConnectionTimeoutError, match=r"some.name:80 after 0.02 s"):
            await session.get("http://some.name/", timeout=plait.ClientTimeout(sock_connect=0.02))


# -- TLS ------------------------------------------------------------------------------


async def test_a_certificate_that_nobody_vouches_for(authority: Authority) -> None:
    async with (
        raw_server(always(OK), authority.server_context("http/1.1")) as server,
        plait.ClientSession() as session,
    ):
        with pytest.raises(plait.ClientConnectorCertificateError) as caught:
            await session.get(server.url)
        assert isinstance(caught.value.certificate_error, ssl.SSLCertVerificationError)
        async with session.get(server.url, ssl=False) as response:
            assert await response.read() == b"ok"


async def test_a_certificate_for_another_name(authority: Authority) -> None:
    async with (
        raw_server(always(OK), authority.server_context("http/1.1")) as server,
        plait.ClientSession(
            connector=plait.TCPConnector(ssl=authority.client_context())
        ) as session,
    ):
        with pytest.raises(plait.ClientConnectorCertificateError):
            await session.get(server.url, server_hostname="other.example")
        async with session.get(f"https://127.0.0.1:{server.port}/", server_hostname="localhost"):
            pass


async def test_sessions_that_offer_something_else_on_one_context(authority: Authority) -> None:
    """What a context offers is its attribute: they must not get each other's."""
    context = authority.client_context()
    app = web.Application()

    async def tell_version(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.version.major}")

    app.router.add_get("/", tell_version)
    async with serve(app, authority.server_context("h2", "http/1.1"), host="localhost") as served:

        async def ask(http2: bool) -> str:
            connector = plait.TCPConnector(ssl=context, http2=http2)
            async with (
                plait.ClientSession(connector=connector) as session,
                session.get(served.url) as response,
            ):
                return await response.text()

        answers = await asyncio.gather(*(ask(http2) for http2 in (True, False) * 4))
    assert answers == ["2", "1"] * 4


async def test_a_server_without_tls() -> None:
    async def script(connection: RawConnection) -> None:
        connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with raw_server(script) as server, plait.ClientSession() as session:
        with pytest.raises(plait.ClientConnectorSSLError):
            await session.get(f"https://localhost:{server.port}/")


async def test_fingerprints(authority: Authority) -> None:
    pem = authority.certificate_file.read_text().partition("-----END CERTIFICATE-----")
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem[0] + pem[1])).digest()
    async with (
        raw_server(always(OK), authority.server_context("http/1.1")) as server,
        plait.ClientSession() as session,
    ):
        async with session.get(server.url, ssl=plait.Fingerprint(digest)) as response:
            assert await response.read() == b"ok"
        with pytest.raises(plait.ServerFingerprintMismatch) as caught:
            await session.get(server.url, ssl=plait.Fingerprint(bytes(32)))
        assert caught.value.got == digest


async def test_a_fingerprint_checks_a_transport(authority: Authority) -> None:
    pem = authority.certificate_file.read_text().partition("-----END CERTIFICATE-----")
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem[0] + pem[1])).digest()
    async with raw_server(always(OK), authority.server_context("http/1.1")) as server:
        _, writer = await asyncio.open_connection(
            "localhost", server.port, ssl=authority.client_context()
        )
        plait.Fingerprint(digest).check(writer.transport)
        with pytest.raises(plait.ServerFingerprintMismatch) as caught:
            plait.Fingerprint(bytes(32)).check(writer.transport)
        assert caught.value.port == server.port
        writer.close()
        await writer.wait_closed()
    async with raw_server(always(OK)) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        plait.Fingerprint(bytes(32)).check(writer.transport)
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("size", [0, 16, 20, 31])
def test_fingerprints_of_another_length(size: int) -> None:
    with pytest.raises(ValueError, match=r"fingerprint|insecure"):
        plait.Fingerprint(bytes(size))


async def test_ssl_arguments() -> None:
    async with plait.ClientSession() as session:
        with pytest.raises(TypeError, match="ssl should be"):
            await session.get("http://localhost/", ssl="yes")
        with (
            pytest.warns(DeprecationWarning, match="verify_ssl"),
            pytest.raises(ValueError, match="exclude each other"),
        ):
            await session.get("http://localhost/", ssl=False, verify_ssl=False)


@pytest.mark.parametrize("url", ["//127.0.0.1/", "tcp://127.0.0.1/"])
async def test_a_url_without_a_port(url: str) -> None:
    async with plait.ClientSession() as session:
        with pytest.raises(plait.ClientConnectorError, match="the URL names no port"):
            await session.get(url)


# -- Unix sockets -----------------------------------------------------------------------


async def test_unix_sockets(tmp_path: Path) -> None:
    served = RawServer(always(OK))
    path = str(tmp_path / "socket")
    server = await asyncio.start_unix_server(served.accept, path)
    async with (
        plait.ClientSession(connector=plait.UnixConnector(path)) as session,
        session.get("http://any.host/") as response,
    ):
        assert await response.read() == b"ok"
    server.close()
    await served.finish()


async def test_a_unix_socket_that_is_not_there(tmp_path: Path) -> None:
    path = str(tmp_path / "nothing")
    async with plait.ClientSession(connector=plait.UnixConnector(path)) as session:
        with pytest.raises(plait.UnixClientConnectorError, match="nothing") as caught:
            await session.get("http://any.host/")
        assert caught.value.path == path


async def test_tls_on_a_unix_socket_is_verified(tmp_path: Path, authority: Authority) -> None:
    served = RawServer(always(OK))
    path = str(tmp_path / "socket")
    server = await asyncio.start_unix_server(served.accept, path, ssl=authority.server_context())
    pem = authority.certificate_file.read_text().partition("-----END CERTIFICATE-----")
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem[0] + pem[1])).digest()
    url = "https://localhost/"
    async with plait.ClientSession(connector=plait.UnixConnector(path)) as session:
        for good in (authority.client_context(), plait.Fingerprint(digest), False):
            async with session.get(url, ssl=good) as response:
                assert await response.read() == b"ok"
        with pytest.raises(plait.ServerFingerprintMismatch) as caught:
            await session.get(url, ssl=plait.Fingerprint(bytes(32)))
        assert (caught.value.got, caught.value.host) == (digest, "localhost")
        assert caught.value.unprocessed
        with pytest.raises(plait.ClientConnectorCertificateError):
            await session.get(url)
    server.close()
    await served.finish()


# -- arguments ---------------------------------------------------------------------------


async def test_arguments_that_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="keepalive_timeout"):
        plait.TCPConnector(force_close=True, keepalive_timeout=5)
    async with plait.TCPConnector() as connector:
        with pytest.raises(ValueError, match="connector"):
            plait.ClientSession(connector=connector, engine="reference")


async def test_a_closed_connector_connects_no_more() -> None:
    connector = plait.TCPConnector()
    await connector.close()
    await connector.close()
    request = plait.ClientRequest("GET", URL("http://localhost/"))
    with pytest.raises(plait.ClientConnectionError, match="closed"):
        await connector.connect(request, [], plait.ClientTimeout())


@pytest.mark.parametrize(
    ("timeout", "reason"),
    [
        (plait.ClientTimeout(connect=0.05), r"within 0.05 s \(connect\)"),
        (plait.ClientTimeout(sock_connect=0.05), r"after 0.05 s \(sock_connect\)"),
    ],
)
async def test_the_timeout_of_who_asks_a_connector_itself(
    timeout: plait.ClientTimeout, reason: str
) -> None:
    resolver = Resolver("127.0.0.1")
    resolver.answer.clear()
    request = plait.ClientRequest("GET", URL("http://some.name/"))
    async with asyncio.timeout(10), plait.TCPConnector(resolver=resolver) as connector:
        with pytest.raises(plait.ConnectionTimeoutError, match=rf"some.name:80:? .*{reason}"):
            await connector.connect(request, [], timeout)
        assert connector.stats().waiting == 0


def test_a_session_may_be_made_before_its_loop_runs() -> None:
    loop = asyncio.new_event_loop()
    try:
        session = plait.ClientSession(loop=loop)
        assert session.connector is not None
        assert session.connector._loop is loop
        loop.run_until_complete(session.close())
    finally:
        loop.close()


async def test_addresses_that_python_cannot_read_are_left_out() -> None:
    class Loop:
        """What a Python without IPv6 gets from the operating system."""

        async def getaddrinfo(self, *args: Any, **kwargs: Any) -> list[Any]:
            return [
                (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (10, b"bytes")),
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80)),
            ]

    resolver = plait.ThreadedResolver(Loop())  # type: ignore[arg-type]  # as much as is used
    assert [found["host"] for found in await resolver.resolve("host")] == ["127.0.0.1"]


@pytest.mark.parametrize("timeout", [None, 0, 0.3])
async def test_a_server_that_never_closes_tls_is_not_waited_for(
    authority: Authority, timeout: float | None
) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        sock, _ = listener.accept()
        with authority.server_context().wrap_socket(sock, server_side=True) as secure:
            secure.recv(65536)
            secure.sendall(OK)
            over.wait(10)  # It reads nothing, and so takes no closure alert.

    serving = asyncio.create_task(asyncio.to_thread(serve))
    options: dict[str, Any] = {} if timeout is None else {"ssl_shutdown_timeout": timeout}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        connector = plait.TCPConnector(ssl=authority.client_context(), **options)
    session = plait.ClientSession(connector=connector)
    url = f"https://localhost:{listener.getsockname()[1]}/"
    assert await (await session.get(url)).read() == b"ok"
    loop = asyncio.get_running_loop()
    began = loop.time()
    await session.close()
    assert (timeout or 0) <= loop.time() - began < 1.5
    over.set()
    await serving
    listener.close()


@pytest.mark.parametrize("tls", [False, True])
async def test_a_connect_that_is_cancelled_on_uvloop(tls: bool, authority: Authority) -> None:
    """uvloop closes a transport without a word when it has just been made."""

    def run() -> None:
        async def main() -> None:
            context = authority.server_context() if tls else None
            async with raw_server(always(OK), context) as server:
                for turns in range(1, 40):
                    session = plait.ClientSession(
                        connector=plait.TCPConnector(ssl=authority.client_context())
                    )
                    request = asyncio.ensure_future(session.get(server.url))
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    request.cancel()
                    await asyncio.gather(request, return_exceptions=True)
                    connector = session.connector
                    assert connector is not None
                    await asyncio.wait_for(session.close(), 10)
                    assert not connector._places.alive

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())

    await asyncio.to_thread(run)
