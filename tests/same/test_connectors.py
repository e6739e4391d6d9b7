"""Connectors, resolvers, fingerprints and what is deprecated of sessions, on aiohttp and on plait."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from plait import web
from tests.conftest import Authority
from tests.same.conftest import Library
from tests.same.recorder import recording
from tests.serving import serve

pytestmark = pytest.mark.anyio


async def say(request: web.Request) -> web.Response:
    return web.Response(text=f"{request.scheme} {request.headers.get('Connection')}")


def app_of() -> web.Application:
    app = web.Application()
    app.router.add_get("/", say)
    return app


def app_that_waits(go_on: asyncio.Event, **cookies: str) -> web.Application:
    """Return an application whose responses end when ``go_on`` is set."""

    async def wait(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        for name, value in cookies.items():
            response.set_cookie(name, value)
        await response.prepare(request)
        await go_on.wait()
        return response

    app = web.Application()
    app.router.add_get("/", wait)
    return app


# -- connectors --------------------------------------------------------------------------------


async def test_with_is_deprecated_and_closes(plain: Library) -> None:
    connector = plain.top.TCPConnector()
    with pytest.warns(DeprecationWarning, match="async with Connector"):
        assert connector.__enter__() is connector
    assert connector.closed is False
    connector.__exit__(None, None, None)
    assert connector.closed is True
    await connector.close()


async def test_what_a_library_copies_from_a_session(plain: Library) -> None:
    context = ssl.create_default_context()
    jar, timeout = plain.top.CookieJar(), plain.top.ClientTimeout(total=5)
    connector = plain.top.TCPConnector(limit=5, limit_per_host=2, force_close=True, ssl=context)
    async with plain.top.ClientSession(
        connector=connector, cookie_jar=jar, timeout=timeout, headers={"A": "1"}, trust_env=True
    ) as session:
        assert session._connector is connector
        assert (connector._limit, connector._limit_per_host) == (5, 2)
        assert (connector._force_close, connector._ssl) == (True, context)
        assert (session._cookie_jar, session._timeout) == (jar, timeout)
        assert (session._trust_env, session._trace_configs) == (True, [])
        assert session._default_headers == {"A": "1"}


async def test_what_a_library_counts(library: Library) -> None:
    go_on = asyncio.Event()
    async with serve(app_that_waits(go_on)) as served, library.session() as session:
        assert len(session.connector._acquired) == 0
        async with session.get(f"http://127.0.0.1:{served.port}/") as response:
            assert len(session.connector._acquired) == 1
            go_on.set()
            await response.read()
        assert len(session.connector._acquired) == 0


async def test_a_cookie_jar_that_fails_keeps_no_connection(library: Library) -> None:
    go_on = asyncio.Event()

    class Failing(library.top.CookieJar):  # type: ignore[misc,name-defined]
        def update_cookies_from_headers(self, headers: Any, response_url: Any) -> None:
            raise LookupError("no room")

    app = app_that_waits(go_on, a="b")
    async with serve(app) as served, library.session(cookie_jar=Failing()) as session:
        with pytest.raises(LookupError, match="no room"):
            await session.get(f"http://127.0.0.1:{served.port}/")
        assert len(session.connector._acquired) == 0
        go_on.set()


@pytest.mark.parametrize("way", ["read", "close", "release"])
async def test_who_waits_for_the_end_of_a_response_is_called(library: Library, way: str) -> None:
    goes_on = asyncio.Event()
    told: list[str] = []
    async with serve(app_that_waits(goes_on)) as served, library.session() as session:
        async with session.get(f"http://127.0.0.1:{served.port}/") as response:
            connection = response.connection
            assert connection is not None
            with pytest.warns(DeprecationWarning, match="deprecated"):
                assert connection.loop is asyncio.get_running_loop()
            connection.add_callback(lambda: told.append(way))
            assert not told
            goes_on.set()
            if way == "read":
                await response.read()
            else:
                getattr(response, way)()
            assert told == [way]
        assert told == [way]


async def test_a_callback_that_raises_harms_nobody(library: Library) -> None:
    goes_on = asyncio.Event()
    problems: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    async with serve(app_that_waits(goes_on)) as served, library.session() as session:
        url = f"http://127.0.0.1:{served.port}/"
        async with session.get(url) as response:
            response.connection.add_callback(lambda: [][0])
            goes_on.set()
            assert await response.read() == b""
        async with session.get(url) as response:
            assert response.status == 200
    told = [IndexError] if library.name == "plait" else []  # aiohttp drops what was raised.
    assert [type(problem["exception"]) for problem in problems] == told


async def test_a_connector_whose_loop_will_not_run_any_more(library: Library) -> None:
    async with serve(app_of()) as served:
        session = library.session()
        async with session.get(f"http://127.0.0.1:{served.port}/") as response:
            assert response.status == 200
        session.connector._close()
        assert session.connector.closed
        assert session.closed
        session.connector._close()


async def test_what_a_connector_tells(plain: Library) -> None:
    connector = plain.top.TCPConnector()
    assert (connector.limit, connector.limit_per_host) == (100, 0)
    assert (connector.force_close, connector.closed) == (False, False)
    assert (connector.use_dns_cache, connector.family) == (True, socket.AF_UNSPEC)
    assert {"http", "https", "ws", "wss", ""} <= connector.allowed_protocol_schema_set
    await connector.close()
    assert connector.closed is True
    await connector.close()
    connector = plain.top.TCPConnector(
        limit=5, limit_per_host=2, force_close=True, use_dns_cache=False, family=socket.AF_INET
    )
    assert (connector.limit, connector.limit_per_host, connector.force_close) == (5, 2, True)
    assert (connector.use_dns_cache, connector.family) == (False, socket.AF_INET)
    await connector.close()


async def test_arguments_that_contradict_each_other(plain: Library) -> None:
    with pytest.raises(ValueError, match="keepalive_timeout"):
        plain.top.TCPConnector(force_close=True, keepalive_timeout=5)
    with pytest.raises(TypeError):
        plain.top.TCPConnector(ssl="nonsense")


async def test_connections_that_are_not_kept(plain: Library) -> None:
    async with recording(plain, connector={"force_close": True}) as recorder:
        seen = await recorder.send("GET")
        assert seen.headers["Connection"] == "close"


async def test_a_limit(library: Library) -> None:
    running = most = 0
    both = asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 2:
            both.set()
        await asyncio.wait_for(both.wait(), 20)
        running -= 1
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handler)

    async def ask(session: Any, url: str) -> None:
        async with session.get(url) as response:
            assert response.status == 200

    async with serve(app) as served, library.session(connector={"limit": 2}) as session:
        await asyncio.gather(*(ask(session, served.url) for _ in range(6)))
    assert most == 2 or library.is_h2  # Streams of one connection are not counted.


async def test_a_unix_socket(plain: Library, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    runner = web.AppRunner(app_of())
    await runner.setup()
    await web.UnixSite(runner, path).start()
    connector = plain.top.UnixConnector(path=path)
    assert connector.path == path
    async with (
        plain.top.ClientSession(connector=connector) as session,
        session.get("http://a.example/") as response,
    ):
        assert (await response.text()).startswith("http ")
    connector = plain.top.UnixConnector(path=f"{path}.none")
    async with plain.top.ClientSession(connector=connector) as session:
        with pytest.raises(plain.client_exceptions.UnixClientConnectorError) as caught:
            await session.get("http://a.example/")
        assert isinstance(caught.value, plain.top.ClientConnectorError)
        assert caught.value.path == f"{path}.none"
    await runner.cleanup()


# -- names and addresses -----------------------------------------------------------------------


async def test_a_resolver_of_ones_own(library: Library) -> None:
    seen: list[Any] = []
    closed: list[str] = []

    class Resolver(library.abc.AbstractResolver):  # type: ignore[misc, name-defined]
        async def resolve(
            self, host: str, port: int = 0, family: Any = socket.AF_INET
        ) -> list[dict[str, Any]]:
            seen.append((host, port))
            return [
                {
                    "hostname": host,
                    "host": "127.0.0.1",
                    "port": port,
                    "family": socket.AF_INET,
                    "proto": 0,
                    "flags": socket.AI_NUMERICHOST,
                }
            ]

        async def close(self) -> None:
            closed.append("closed")

    async with (
        serve(app_of()) as served,
        library.session(connector={"resolver": Resolver()}) as session,
    ):
        url = f"http://a.example:{served.port}/"
        for _ in range(3):
            async with session.get(url) as response:
                assert response.status == 200
        assert seen == [("a.example", served.port)]
        session.connector.clear_dns_cache("a.example", served.port)
        session.connector.clear_dns_cache()
        with pytest.raises(ValueError, match=r"."):
            session.connector.clear_dns_cache("a.example")
    assert closed == []


async def test_the_address_tells_its_family_not_the_resolver(library: Library) -> None:
    class Resolver(library.abc.AbstractResolver):  # type: ignore[misc, name-defined]
        async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[dict[str, Any]]:
            address = {"hostname": host, "host": "127.0.0.1", "port": port}
            said = socket.AF_INET6 if host.startswith("six") else socket.AF_UNSPEC
            return [{**address, "family": said, "proto": 0, "flags": 0}]

        async def close(self) -> None:
            pass

    async with (
        serve(app_of()) as served,
        library.session(connector={"resolver": Resolver()}) as session,
    ):
        for host in ("unspecified.example", "six.example"):
            async with session.get(f"http://{host}:{served.port}/") as response:
                assert response.status == 200


async def test_a_connector_of_ones_own_that_gives_up(plain: Library) -> None:
    class Connector(plain.top.TCPConnector):  # type: ignore[misc, name-defined]
        async def connect(self, *args: Any, **options: Any) -> Any:
            raise TimeoutError

    async with plain.top.ClientSession(connector=Connector()) as session:
        with pytest.raises(plain.top.ConnectionTimeoutError, match=r"a\.example") as caught:
            await session.get("http://a.example/")
    assert type(caught.value.__cause__) is TimeoutError


async def test_the_own_resolver(plain: Library) -> None:
    resolver = plain.top.ThreadedResolver()
    found = await resolver.resolve("127.0.0.1", 80, socket.AF_INET)
    assert found[0]["host"] == "127.0.0.1"
    assert found[0]["port"] == 80
    assert set(found[0]) == {"hostname", "host", "port", "family", "proto", "flags"}
    await resolver.close()
    assert issubclass(plain.top.DefaultResolver, plain.abc.AbstractResolver)


async def test_the_local_address(library: Library) -> None:
    seen: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.remote)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handler)
    options = {"local_addr": ("127.0.0.2", 0)}
    async with (
        serve(app) as served,
        library.session(connector=options) as session,
        session.get(f"http://127.0.0.1:{served.port}/") as response,
    ):
        assert response.status == 200
    assert seen == ["127.0.0.2"]


async def test_sockets_of_ones_own(library: Library) -> None:
    made: list[Any] = []

    def factory(info: Any) -> socket.socket:
        family, kind, proto, _, address = info
        made.append(address)
        sock = socket.socket(family, kind, proto)
        sock.setblocking(False)
        return sock

    async with (
        serve(app_of()) as served,
        library.session(connector={"socket_factory": factory}) as session,
        session.get(f"http://127.0.0.1:{served.port}/") as response,
    ):
        assert response.status == 200
    assert [address[:2] for address in made] == [("127.0.0.1", served.port)]


# -- TLS ---------------------------------------------------------------------------------------


async def test_tls(plain: Library, authority: Authority) -> None:
    context = authority.client_context()
    der = authority.certificate_file.read_text()
    async with serve(app_of(), authority.server_context()) as served:
        url = served.url.replace("127.0.0.1", "localhost")
        digest = hashlib.sha256(
            ssl.PEM_cert_to_DER_cert(der[: der.index("-----END CERTIFICATE-----") + 26])
        ).digest()
        async with plain.top.ClientSession() as session:
            for good in (context, False, plain.top.Fingerprint(digest)):
                async with session.get(url, ssl=good) as response:
                    assert (await response.text()).startswith("https ")
            with pytest.raises(plain.top.ServerFingerprintMismatch) as caught:
                await session.get(url, ssl=plain.top.Fingerprint(bytes(32)))
            assert (caught.value.expected, caught.value.got) == (bytes(32), digest)
            with pytest.raises(plain.top.ClientConnectorCertificateError) as refused:
                await session.get(url)
            assert refused.value.host == "localhost"
            assert isinstance(refused.value.certificate_error, Exception)
            with pytest.raises(TypeError):
                await session.get(url, ssl="nonsense")


def test_fingerprints(plain: Library) -> None:
    assert plain.top.Fingerprint(bytes(32)).fingerprint == bytes(32)
    for size in (16, 20, 31):
        with pytest.raises(ValueError, match=r"."):
            plain.top.Fingerprint(bytes(size))


# -- deprecated --------------------------------------------------------------------------------


async def test_deprecated_arguments_of_a_request(plain: Library, authority: Authority) -> None:
    async with serve(app_of(), authority.server_context()) as served:
        url = served.url.replace("127.0.0.1", "localhost")
        async with plain.top.ClientSession() as session:
            for options in ({"verify_ssl": False}, {"ssl_context": authority.client_context()}):
                with pytest.warns(DeprecationWarning, match="deprecated"):
                    response = await session.get(url, **options)
                assert response.status == 200
                response.close()
            with (
                pytest.warns(DeprecationWarning, match="verify_ssl"),
                pytest.raises(ValueError, match=r"."),
            ):
                await session.get(url, verify_ssl=False, ssl=authority.client_context())


async def test_deprecated_parts_of_a_session(plain: Library) -> None:
    session = plain.top.ClientSession()
    with pytest.warns(DeprecationWarning, match="deprecated"):
        assert session.loop is asyncio.get_running_loop()
    with pytest.warns(DeprecationWarning, match="deprecated"):
        session.requote_redirect_url = False
    assert session.requote_redirect_url is False
    await session.close()
    for options in ({"read_timeout": 5}, {"conn_timeout": 5}):
        with pytest.warns(DeprecationWarning, match="timeout"):
            session = plain.top.ClientSession(**options)
        await session.close()
    with pytest.warns(DeprecationWarning, match="discouraged"):
        type("Mine", (plain.top.ClientSession,), {})
