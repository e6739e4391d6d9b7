"""plait_trio by proxies of every kind, over both versions; the proxies run in a thread."""

from __future__ import annotations

import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import anyio.from_thread
import pytest
import trio
import trio.abc
import trio.testing

import plait_trio
from plait_engine import LocalProtocolError
from plait_trio.dialing import read_proxy
from tests.adapters.proxy_peer import ProxyPeer
from tests.adapters.raw_server import RawConnection, raw_server
from tests.adapters.test_client_proxies import KINDS, LOGIN, Kind, all_kinds, all_ways, running
from tests.conftest import Authority
from tests.sessions import H1, H1_TLS, H2, Way


@contextmanager
def in_thread(
    way: Way, kind: Kind, authority: Authority
) -> Iterator[tuple[str, ProxyPeer, str, plait_trio.Session]]:
    """Run a server and a proxy; give the server's URL, the proxy, its URL and a session."""
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(running(way, kind, authority)) as (url, peer, proxy),
    ):
        yield url, peer, str(proxy), open_session(way, authority, str(proxy))


def open_session(
    way: Way, authority: Authority, proxy: str | None, **options: Any
) -> plait_trio.Session:
    context = authority.client_context()
    return plait_trio.Session(
        proxy=proxy, ssl_context=context, http2=way.version == "2.0", **options
    )


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        with trio.fail_after(30):
            await test()

    trio.run(main)


def assert_at_rest(session: plait_trio.Session) -> None:
    pool = session.pool
    assert (pool.acquired, pool.waiting, pool.connections - pool.idle) == (0, 0, 0)


@all_kinds
@all_ways
def test_requests(way: Way, kind: Kind, authority: Authority) -> None:
    with in_thread(way, kind, authority) as (url, peer, _, session):

        async def test() -> None:
            async with session:
                for number in range(3):
                    response = await session.post(f"{url}/hello?{number}", body=b"content")
                    assert response.status == 200
                    assert response.http_version == ("2" if way.version == "2.0" else "1.1")
                    assert response.body.startswith(b"POST /hello?%d content" % number)
                    # What a proxy is told is not told to the server; a real proxy drops it.
                    told = kind.forwards(way) and bool(kind.login)
                    assert response.body.endswith(b" ") is not told
                assert session.pool.connections == 1
                assert_at_rest(session)

        run(test)
        asked = peer.heads[-1] if peer.heads else ""
        if kind.scheme.startswith("http"):
            verb = "POST http://localhost:" if kind.forwards(way) else "CONNECT localhost:"
            assert asked.startswith(verb)
        else:
            named = kind.scheme in ("socks4a", "socks5h")
            assert (peer.hosts == ["localhost"]) is named
        # A challenge is met once, whatever follows.
        digest = kind.login == "Digest" and not kind.forwards(way)
        assert peer.connections == (2 if digest else 1)


@pytest.mark.parametrize("kind", [Kind("http"), Kind("https"), Kind("socks5", "password")], ids=str)
@pytest.mark.parametrize("way", [H1, H1_TLS], ids=str)
def test_websockets(way: Way, kind: Kind, authority: Authority) -> None:
    with in_thread(way, kind, authority) as (url, peer, proxy, _):

        async def test() -> None:
            async with plait_trio.open_websocket(
                f"{url}/ws", proxy=proxy, ssl_context=authority.client_context()
            ) as websocket:
                await websocket.send("hello")
                assert await websocket.receive() == "hello"

        run(test)
        assert peer.tunnels == 1


def test_one_connection_and_one_url(authority: Authority) -> None:
    with in_thread(H1, Kind("http", "Basic"), authority) as (url, peer, proxy, _):

        async def test() -> None:
            async with (
                plait_trio.open_connection(url, proxy=proxy) as connection,
                connection.request("GET", "/hello") as response,
            ):
                assert (await response.read()).startswith(b"GET /hello")
            assert (await plait_trio.fetch(f"{url}/hello", proxy=proxy)).status == 200

        run(test)
        assert [head.split()[0] for head in peer.heads] == ["GET", "GET"]


# -- what goes wrong --------------------------------------------------------------------


@pytest.mark.parametrize("way", [H1, H1_TLS], ids=str)
@pytest.mark.parametrize("scheme", ["Basic", "Digest"])
def test_the_login_is_wrong(way: Way, scheme: str, authority: Authority) -> None:
    with in_thread(way, Kind("http", scheme), authority) as (url, peer, proxy, _):

        async def test() -> None:
            wrong = proxy.replace(LOGIN[0], "s3cret")
            async with open_session(way, authority, wrong) as session:
                if way.tls:
                    with pytest.raises(plait_trio.ProxyError, match="407") as caught:
                        await session.get(f"{url}/hello")
                    assert caught.value.status == 407
                    assert "s3cret" not in str(caught.value) + repr(caught.value)
                else:
                    assert (await session.get(f"{url}/hello")).status == 407
                assert_at_rest(session)

        run(test)
        assert len(peer.heads) == (2 if scheme == "Digest" else 1)


def test_connect_is_refused(authority: Authority) -> None:
    with in_thread(H1_TLS, Kind("http"), authority) as (url, peer, _, session):
        peer.answer = b"HTTP/1.1 403 No Way\r\nX-Why: rules\r\nContent-Length: 4\r\n\r\nbody"

        async def test() -> None:
            async with session:
                with pytest.raises(plait_trio.ProxyError, match="403 No Way") as caught:
                    await session.get(f"{url}/hello")
                assert caught.value.status == 403
                assert ("X-Why", "rules") in caught.value.headers
                assert_at_rest(session)

        run(test)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_proxy_that_is_not_there(kind: Kind, authority: Authority) -> None:
    proxy = f"{kind.scheme}://user:s3cret@127.0.0.1:1"

    async def test() -> None:
        async with open_session(H1_TLS, authority, proxy) as session:
            with pytest.raises(plait_trio.ProxyError, match=r"127\.0\.0\.1:1") as caught:
                await session.get("https://127.0.0.1:2/")
            assert "s3cret" not in str(caught.value) + repr(caught.value)
            assert_at_rest(session)

    run(test)


@pytest.mark.parametrize("scheme", ["http", "socks4", "socks5"])
@pytest.mark.parametrize(
    "answer", [b"", b"\x00", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\n"], ids=str
)
def test_what_is_no_answer(scheme: str, answer: bytes, authority: Authority) -> None:
    async def script(connection: RawConnection) -> None:
        await connection.reader.read(1)
        connection.send(answer)
        connection.writer.write_eof()
        await connection.read_to_end()

    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(raw_server(script)) as raw,
    ):

        async def test() -> None:
            proxy = f"{scheme}://127.0.0.1:{raw.port}"
            async with open_session(H1_TLS, authority, proxy) as session:
                with pytest.raises(plait_trio.ProxyError, match=r"no tunnel to 127\.0\.0\.1:2"):
                    await session.get("https://127.0.0.1:2/")
                assert_at_rest(session)

        run(test)


def test_bytes_before_tls_are_not_the_servers(authority: Authority) -> None:
    with in_thread(H1_TLS, Kind("http"), authority) as (url, peer, _, session):
        peer.surplus = b"HTTP/1.1 200 OK\r\n"

        async def test() -> None:
            async with session:
                with pytest.raises(plait_trio.ProxyError, match="before TLS began"):
                    await session.get(f"{url}/hello")
                assert_at_rest(session)

        run(test)


@asynccontextmanager
async def silent_peers(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Any]]:
    peers: list[Any] = []

    async def open_tcp_stream(host: str, port: int) -> trio.abc.Stream:
        near, far = trio.testing.memory_stream_pair()
        peers.append(far)
        return near

    monkeypatch.setattr(trio, "open_tcp_stream", open_tcp_stream)
    yield peers


@pytest.mark.parametrize("scheme", ["http", "socks4a", "socks5h"])
def test_a_proxy_that_says_nothing(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with (
            silent_peers(monkeypatch) as peers,
            plait_trio.Session(proxy=f"{scheme}://proxy.test") as session,
        ):
            with pytest.raises(plait_trio.ProxyError, match="did not answer within 60 s"):
                await session.get("https://example.test/")
            assert trio.current_time() - began == pytest.approx(60)
            assert_at_rest(session)
            with trio.move_on_after(1):
                await session.get("https://example.test/")
            await session._places.close(0)  # type: ignore[union-attr]
            await trio.testing.wait_all_tasks_blocked()
            for peer in peers:
                while await peer.receive_some(1000):
                    pass  # To the end: the socket is closed.

    began = 0.0

    async def timed() -> None:
        nonlocal began
        began = trio.current_time()
        with trio.fail_after(200):
            await main()

    trio.run(timed, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.mark.parametrize(
    "text",
    ["ftp://u:s3cret@a", "http://u:s3cret@", "http://u:s3cret@a:port", "socks5://u:s3cret@a b", ""],
)
def test_what_is_no_proxy(text: str) -> None:
    with pytest.raises(ValueError, match="URL") as caught:
        plait_trio.Session(proxy=text)
    assert "s3cret" not in str(caught.value)


def test_proxies_show_no_login() -> None:
    proxy = read_proxy("http://me:s3cret@a.test:8080")
    assert proxy.login == ("me", "s3cret")
    assert "s3cret" not in repr(proxy) + str(proxy)
    assert (read_proxy("a.test").port, read_proxy("socks5://[::1]").host) == (80, "::1")
    with pytest.raises(ValueError, match="colon"):
        read_proxy("http://a%3Ab:s3cret@a.test")


# -- for one request --------------------------------------------------------------------


@all_kinds
@all_ways
def test_a_proxy_for_one_request(way: Way, kind: Kind, authority: Authority) -> None:
    with in_thread(way, kind, authority) as (url, peer, _, _session):

        async def test() -> None:
            proxy = f"{kind.scheme}://localhost:{peer.port}"
            login = LOGIN if kind.login else None
            fields = [("X-Why", "test"), ("Proxy-Why", "test")]
            async with open_session(way, authority, None) as session:
                for _ in range(2):
                    response = await session.post(
                        f"{url}/hello",
                        body=b"content",
                        proxy=proxy,
                        proxy_auth=login,
                        proxy_headers=fields,
                    )
                    assert response.body.startswith(b"POST /hello content")
                assert session.pool.connections == 1
                connections = peer.connections
                assert (await session.get(f"{url}/hello")).body == b"GET /hello  "
                assert peer.connections == connections, "it was for that request"
                assert session.pool.connections == 2
                assert_at_rest(session)

        run(test)
        for head in peer.heads:
            assert "\r\nProxy-Why: test\r\n" in head
            # What a proxy forwards is told to the server.
            assert ("\r\nX-Why: test\r\n" in head) is not kind.forwards(way)


@pytest.mark.parametrize("way", [H1, H1_TLS, H2], ids=str)
def test_a_request_completes_or_replaces_the_proxy_of_the_session(
    way: Way, authority: Authority
) -> None:
    with (
        in_thread(way, Kind("http", "Basic"), authority) as (url, peer, proxy, _session),
        in_thread(way, Kind("socks5"), authority) as (_url, other, other_proxy, _unused),
    ):

        async def test() -> None:
            bare = f"http://localhost:{peer.port}"
            async with open_session(way, authority, bare) as session:
                assert (await session.get(f"{url}/hello", proxy_auth=LOGIN)).status == 200
                assert (peer.connections, other.connections) == (1, 0)
                assert (await session.get(f"{url}/hello", proxy=other_proxy)).status == 200
                assert (peer.connections, other.connections) == (1, 1)
                assert (await session.get(f"{url}/hello", proxy="")).status == 200
                assert (peer.connections, other.connections) == (1, 1)
                # What leads to the same proxy with another login is another connection.
                assert (await session.get(f"{url}/hello", proxy=proxy)).status == 200
                assert session.pool.connections == 3
                assert_at_rest(session)

        run(test)


def test_fields_that_no_proxy_can_be_told(authority: Authority) -> None:
    with in_thread(H1_TLS, Kind("http"), authority) as (url, peer, proxy, session):

        async def test() -> None:
            async with session:
                with pytest.raises(LocalProtocolError):
                    await session.get(f"{url}/hello", proxy_headers=[("X", "a\r\nb")])
                assert_at_rest(session)
                with pytest.raises(ValueError, match="colon"):
                    await session.get(f"{url}/hello", proxy=proxy, proxy_auth=("a:b", ""))
                with pytest.raises(ValueError, match="not the URL of a proxy"):
                    await session.get(f"{url}/hello", proxy="ftp://a.test")
                assert (await session.get(f"{url}/hello")).status == 200

        run(test)
        assert len(peer.heads) == 1


# -- trust --------------------------------------------------------------------------------


def test_certificates_are_read_once_and_not_on_the_loop(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []
    context = authority.client_context()

    def load() -> ssl.SSLContext:
        threads.append(threading.current_thread())
        return context

    with in_thread(H1_TLS, Kind("http"), authority) as (url, _, _proxy, _session):
        monkeypatch.setattr(ssl, "create_default_context", load)

        async def test() -> None:
            async with plait_trio.Session() as session, trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(partial(session.get, f"{url}/hello"))

        run(test)
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


# -- attacks: A24 and A31 of the list ---------------------------------------------------------


def test_a31_the_certificate_of_a_proxy_is_verified(authority: Authority) -> None:
    with in_thread(H1_TLS, Kind("https"), authority) as (url, peer, proxy, _):

        async def test() -> None:
            async with plait_trio.Session(proxy=proxy) as session:
                with pytest.raises(plait_trio.TLSError, match="no TLS with the proxy") as caught:
                    await session.get(f"{url}/hello")
                assert "not trusted" in str(caught.value)
                assert_at_rest(session)

        run(test)
        assert not peer.heads


def test_a24_no_server_is_told_a_login_of_a_proxy(authority: Authority) -> None:
    """Neither behind a tunnel, nor behind a redirect that leads into one."""
    with (
        in_thread(H1_TLS, Kind("http"), authority) as (secure_url, _, _proxy, _session),
        in_thread(H1, Kind("http", "Basic"), authority) as (url, peer, proxy, _unused),
    ):

        async def test() -> None:
            own = [("Proxy-Authorization", "Bearer s3cret")]
            async with open_session(H1, authority, proxy, headers=own) as session:
                # The server names what it is told; Basic is admitted, "own" stays behind.
                response = await session.get(f"{secure_url}/hello")
                assert response.body == b"GET /hello  "
            async with open_session(H1, authority, proxy) as session:
                response = await session.get(f"{url}/redirect?to={secure_url}/hello")
                assert (response.url, response.body) == (f"{secure_url}/hello", b"GET /hello  ")

        run(test)
        assert [head.split()[0] for head in peer.heads] == ["CONNECT", "GET", "CONNECT"]
