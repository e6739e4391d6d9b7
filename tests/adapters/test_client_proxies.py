"""The client by proxies of every kind, over both versions."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import trustme
import uvloop
from yarl import URL

import plait
from plait import web
from tests.adapters.proxy_peer import ProxyPeer, serve_proxy
from tests.adapters.raw_server import OK, always, raw_server
from tests.conftest import Authority
from tests.serving import serve
from tests.sessions import H1, H1_TLS, H2, H2C, Way

pytestmark = pytest.mark.anyio

LOGIN = ("user", "pass word")


@dataclass(frozen=True)
class Kind:
    """A kind of proxy: the scheme of its URL, and how it asks for a login."""

    scheme: str
    login: str | None = None

    def __str__(self) -> str:
        return self.scheme if self.login is None else f"{self.scheme}-{self.login}"

    def forwards(self, way: Way) -> bool:
        """Tell whether requests are in absolute form."""
        return self.scheme.startswith("http") and not way.tls and way.version != "2.0"

    def make_peer(self) -> ProxyPeer:
        return ProxyPeer(login=LOGIN if self.login else None, scheme=self.login or "")

    def url(self, peer: ProxyPeer) -> URL:
        url = URL.build(scheme=self.scheme, host="localhost", port=peer.port)
        if self.login is None:
            return url
        if self.scheme.startswith("socks4"):
            return url.with_user(LOGIN[0])
        return url.with_user(LOGIN[0]).with_password(LOGIN[1])


KINDS = [
    Kind("http"),
    Kind("http", "Basic"),
    Kind("http", "Digest"),
    Kind("https"),
    Kind("https", "Basic"),
    Kind("https", "Digest"),
    Kind("socks4"),
    Kind("socks4a", "user"),
    Kind("socks5"),
    Kind("socks5", "password"),
    Kind("socks5h"),
]

all_kinds = pytest.mark.parametrize("kind", KINDS, ids=str)
all_ways = pytest.mark.parametrize("way", [H1, H1_TLS, H2C, H2], ids=str)


async def hello(request: web.Request) -> web.Response:
    body = await request.text()
    names = ",".join(name for name in request.headers if name.lower().startswith("proxy"))
    return web.Response(text=f"{request.method} {request.path_qs} {body} {names}")


async def echo(request: web.Request) -> web.WebSocketResponse[Any]:
    ws = web.WebSocketResponse[Any]()
    await ws.prepare(request)
    async for message in ws:
        await ws.send_str(message.data)
    return ws


async def redirect(request: web.Request) -> web.Response:
    raise web.HTTPTemporaryRedirect(request.query["to"])


@asynccontextmanager
async def running(
    way: Way, kind: Kind, authority: Authority
) -> AsyncIterator[tuple[str, ProxyPeer, URL]]:
    """Run a server and a proxy; give the server's URL, the proxy and its URL."""
    app = web.Application()
    app.router.add_route("*", "/hello", hello)
    app.router.add_get("/ws", echo)
    app.router.add_get("/redirect", redirect)
    tls = authority.server_context("h2", "http/1.1") if way.tls else None
    proxy_tls = authority.server_context() if kind.scheme == "https" else None
    async with serve(app, tls) as served, serve_proxy(kind.make_peer(), proxy_tls) as peer:
        yield served.url.replace("127.0.0.1", "localhost"), peer, kind.url(peer)


def check_baseline(session: plait.ClientSession) -> None:
    places = session.connector._places  # type: ignore[union-attr]
    assert (places.pool.acquired, places.pool.waiting) == (0, 0)
    assert not places._opening


# -- each kind, each version ------------------------------------------------------------


@all_kinds
@all_ways
async def test_requests(way: Way, kind: Kind, authority: Authority) -> None:
    async with (
        running(way, kind, authority) as (url, peer, proxy),
        way.open_session(authority) as session,
    ):
        for number in range(3):
            async with session.post(
                f"{url}/hello?{number}", data="content", proxy=proxy
            ) as response:
                assert response.status == 200
                assert (
                    str(response.version)
                    == f"HttpVersion(major={way.version[0]}, minor={way.version[2]})"
                )
                text = await response.text()
                assert text.startswith(f"POST /hello?{number} content")
                # What a proxy is told is not told to the server; a real proxy drops it.
                assert text.endswith(" ") is not (kind.forwards(way) and bool(kind.login))
        check_baseline(session)
        asked = peer.heads[-1] if peer.heads else ""
        authority_of_server = URL(url).authority
        if kind.forwards(way):
            assert asked.startswith(f"POST {url}/hello?0 HTTP/1.1\r\n")
            assert peer.forwarded.count(b"Proxy-Authorization: ") == (3 if kind.login else 0)
            assert peer.forwarded.count(f"\r\nHost: {authority_of_server}\r\n".encode()) == 3
        elif kind.scheme.startswith("http"):
            assert asked.startswith(f"CONNECT {authority_of_server} HTTP/1.1\r\n")
            assert f"\r\nHost: {authority_of_server}\r\n" in asked
        else:
            remote = kind.scheme in ("socks4a", "socks5h")
            # Addresses of localhost: the first may be ::1, where nobody listens.
            assert peer.hosts[-1] == ("localhost" if remote else "127.0.0.1")
        # One connection for all, after the challenge if there was one.
        is_challenged = kind.login == "Digest" and not kind.forwards(way)
        assert peer.connections == len(peer.hosts or [1]) + is_challenged


@all_kinds
@pytest.mark.parametrize("way", [H1, H1_TLS, H2], ids=str)
async def test_websockets(way: Way, kind: Kind, authority: Authority) -> None:
    async with (
        running(way, kind, authority) as (url, peer, proxy),
        way.open_session(authority) as session,
        session.ws_connect(f"{url}/ws", proxy=proxy) as ws,
    ):
        await ws.send_str("text")
        assert await ws.receive_str() == "text"
        # RFC 6455 section 4.1: by a tunnel, also without TLS.
        assert peer.tunnels == 1
        assert all(head.startswith("CONNECT ") for head in peer.heads)


@all_ways
async def test_a_proxy_that_speaks_with_the_far_end(way: Way, authority: Authority) -> None:
    """Without TLS, an HTTP/2 server may speak at once; nobody else may."""
    kind = Kind("http")
    async with running(way, kind, authority) as (url, peer, proxy):
        peer.surplus = bytes.fromhex("000006040000000000000900000001")  # as ours begins
        async with way.open_session(authority) as session:
            if way.tls:
                with pytest.raises(plait.ClientProxyConnectionError, match="before TLS"):
                    await session.get(f"{url}/hello", proxy=proxy)
            elif way.version == "2.0":
                async with session.get(f"{url}/hello", proxy=proxy) as response:
                    assert response.status == 200
            check_baseline(session)


# -- errors -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Kind("http"), Kind("https"), Kind("socks5h")], ids=str)
@pytest.mark.parametrize("way", [H1, H2], ids=str)
async def test_nobody_listens(way: Way, kind: Kind, authority: Authority) -> None:
    async with raw_server(lambda _: asyncio.sleep(0)) as raw:
        port = raw.port
    async with way.open_session(authority) as session:
        proxy = f"{kind.scheme}://127.0.0.1:{port}"
        scheme = "https" if way.tls else "http"
        with pytest.raises(plait.ClientProxyConnectionError) as caught:
            await session.get(f"{scheme}://example.com/", proxy=proxy)
        assert (caught.value.host, caught.value.port) == ("127.0.0.1", port)
        check_baseline(session)
        with pytest.raises(plait.ClientConnectorDNSError):
            await session.get(
                f"{scheme}://example.com/", proxy=f"{kind.scheme}://nowhere.invalid:1"
            )
        check_baseline(session)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"SSH-2.0-proxy\r\n\r\n", "badly"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "badly"),
        (b"HTTP/1.1 200 ok\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", "badly"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 101, "badly"),
    ],
)
async def test_a_proxy_that_does_not_speak_http(
    answer: bytes, message: str, authority: Authority
) -> None:
    async with running(H1_TLS, Kind("http"), authority) as (url, peer, proxy):
        peer.answer = answer
        async with H1_TLS.open_session(authority) as session:
            with pytest.raises(plait.ClientProxyConnectionError, match=message):
                await session.get(f"{url}/hello", proxy=proxy)
            check_baseline(session)
        await _wait_until(lambda: peer.open == 0)


async def _wait_until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - it is in the loop of the test
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    "kind", [Kind("http"), Kind("https"), Kind("socks4a"), Kind("socks5h")], ids=str
)
async def test_a_proxy_that_hangs_up(
    kind: Kind, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    async def hang_up(connection: Any) -> None:
        await connection.reader.read(3)
        connection.close()

    tls = authority.server_context() if kind.scheme == "https" else None
    async with raw_server(hang_up, tls) as raw, H1_TLS.open_session(authority) as session:
        with pytest.raises(plait.ClientProxyConnectionError, match="closed"):
            await session.get("https://example.com/", proxy=f"{kind.scheme}://localhost:{raw.port}")
        check_baseline(session)
    assert not caplog.records


@pytest.mark.parametrize(
    "kind", [Kind("http"), Kind("https"), Kind("socks4a"), Kind("socks5h")], ids=str
)
async def test_a_proxy_that_says_nothing(kind: Kind, authority: Authority) -> None:
    ended = asyncio.Event()

    async def listen(connection: Any) -> None:
        await connection.read_to_end()
        ended.set()

    tls = authority.server_context() if kind.scheme == "https" else None
    timeout = plait.ClientTimeout(sock_connect=0.2)
    async with (
        raw_server(listen, tls) as raw,
        H1_TLS.open_session(authority, timeout=timeout) as session,
    ):
        words = f"example.com:443 by the proxy localhost:{raw.port}"
        with pytest.raises(plait.ConnectionTimeoutError, match=words):
            await session.get("https://example.com/", proxy=f"{kind.scheme}://localhost:{raw.port}")
        check_baseline(session)
        await asyncio.wait_for(ended.wait(), 10)


async def test_the_answer_of_a_proxy_has_a_deadline_of_its_own(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plait.calls.tunnel.HANDSHAKE_TIME", 0.05)
    timeout = plait.ClientTimeout(total=None, sock_connect=None)
    async with (
        raw_server(lambda connection: connection.read_to_end()) as raw,
        H1_TLS.open_session(authority, timeout=timeout) as session,
    ):
        with pytest.raises(plait.ClientProxyConnectionError, match="did not answer within"):
            await session.get("https://example.com/", proxy=f"http://127.0.0.1:{raw.port}")
        check_baseline(session)


async def test_connect_is_refused(authority: Authority) -> None:
    async with running(H1_TLS, Kind("http"), authority) as (url, peer, proxy):
        peer.answer = b"HTTP/1.1 403 No Way\r\nX-Why: rules\r\nContent-Length: 4\r\n\r\nbody"
        async with H1_TLS.open_session(authority) as session:
            with pytest.raises(plait.ClientHttpProxyError) as caught:
                await session.get(f"{url}/hello", proxy=proxy)
            error = caught.value
            assert (error.status, error.message) == (403, "No Way")
            assert error.headers is not None
            assert error.headers["X-Why"] == "rules"
            assert error.request_info.method == "CONNECT"
            assert error.unprocessed
            asked, wanted = (f"{where.host}:{where.port}" for where in (proxy, URL(url)))
            (note,) = error.__notes__
            assert f"The proxy {asked} refused a tunnel to {wanted}" in note
            check_baseline(session)
        assert peer.connections == 1


@pytest.mark.parametrize("scheme", ["Basic", "Digest"])
@pytest.mark.parametrize("way", [H1, H1_TLS], ids=str)
async def test_the_login_is_wrong(way: Way, scheme: str, authority: Authority) -> None:
    kind = Kind("http", scheme)
    async with (
        running(way, kind, authority) as (url, peer, proxy),
        way.open_session(authority) as session,
    ):
        for wrong in (proxy.with_password("wrong"), proxy.with_user(None)):
            before = len(peer.heads)
            if way.tls:
                with pytest.raises(plait.ClientHttpProxyError) as caught:
                    await session.get(f"{url}/hello", proxy=wrong)
                assert caught.value.status == 407
                assert "Proxy-Authorization" not in caught.value.request_info.headers
            else:
                async with session.get(f"{url}/hello", proxy=wrong) as response:
                    assert response.status == 407
                    assert await response.text() == "secret"
            # A challenge is answered once, by who has an answer.
            answers = 1 if scheme == "Digest" and wrong.user else 0
            assert len(peer.heads) - before == 1 + answers
            check_baseline(session)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Kind("socks4a", "user"), "different users"),
        (Kind("socks5h", "password"), "does not accept the login"),
    ],
    ids=str,
)
async def test_the_login_of_socks_is_wrong(kind: Kind, message: str, authority: Authority) -> None:
    async with (
        running(H1, kind, authority) as (url, _, proxy),
        H1.open_session(authority) as session,
    ):
        with pytest.raises(plait.ClientProxyConnectionError, match=message):
            await session.get(f"{url}/hello", proxy=proxy.with_user("nobody"))
        check_baseline(session)


async def test_socks_cannot_reach_the_server(authority: Authority) -> None:
    async with raw_server(lambda _: asyncio.sleep(0)) as raw:
        port = raw.port
    async with (
        running(H1, Kind("socks5h"), authority) as (_, _, proxy),
        H1.open_session(authority) as session,
    ):
        with pytest.raises(plait.ClientProxyConnectionError, match="connection refused"):
            await session.get(f"http://127.0.0.1:{port}/", proxy=proxy)


@pytest.mark.parametrize("untrusted", ["proxy", "server"])
async def test_both_certificates_are_verified(untrusted: str, authority: Authority) -> None:
    """Row A31: each for itself, and by its own name."""
    stranger = authority.server_context()
    trustme.CA().issue_cert("localhost").configure_cert(stranger)
    trusted = authority.server_context()
    async with (
        raw_server(always(OK), stranger if untrusted == "server" else trusted) as server,
        serve_proxy(tls=stranger if untrusted == "proxy" else trusted) as peer,
        H1_TLS.open_session(authority) as session,
    ):
        with pytest.raises(plait.ClientConnectorCertificateError) as caught:
            await session.get(server.url, proxy=f"https://localhost:{peer.port}")
        assert caught.value.port == (peer.port if untrusted == "proxy" else server.port)
        assert len(peer.heads) == (0 if untrusted == "proxy" else 1)
        check_baseline(session)
        # The name that the server is to have is not one that the proxy has to have.
        if untrusted == "server":
            with pytest.raises(plait.ClientConnectorCertificateError):
                await session.get(
                    server.url,
                    proxy=f"https://localhost:{peer.port}",
                    server_hostname="other.test",
                )
            assert len(peer.heads) == 2


async def test_uvloop(authority: Authority) -> None:
    def run() -> None:
        async def main() -> None:
            for way, kind in itertools.product((H1, H1_TLS, H2C, H2), KINDS):
                async with (
                    running(way, kind, authority) as (url, _, proxy),
                    way.open_session(authority) as session,
                    session.get(f"{url}/hello", proxy=proxy) as response,
                ):
                    assert response.status == 200

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())

    await asyncio.to_thread(run)


async def test_a_fingerprint_is_the_servers(authority: Authority) -> None:
    """It does not take the place of the verification of the proxy."""
    certificate = ssl.PEM_cert_to_DER_cert(
        authority.certificate_file.read_text().split("-----END")[0] + "-----END CERTIFICATE-----\n"
    )
    fingerprint = plait.Fingerprint(hashlib.sha256(certificate).digest())
    async with (
        running(H1_TLS, Kind("http"), authority) as (url, _, proxy),
        plait.ClientSession() as session,
    ):
        async with session.get(f"{url}/hello", proxy=proxy, ssl=fingerprint) as response:
            assert response.status == 200
        wrong = plait.Fingerprint(bytes(32))
        with pytest.raises(plait.ServerFingerprintMismatch):
            await session.get(f"{url}/hello", proxy=proxy, ssl=wrong)
        check_baseline(session)
    async with (
        running(H1_TLS, Kind("https"), authority) as (url, _, proxy),
        plait.ClientSession() as session,
    ):
        with pytest.raises(plait.ClientConnectorCertificateError) as caught:
            await session.get(f"{url}/hello", proxy=proxy, ssl=fingerprint)
        assert caught.value.port == proxy.port


@pytest.mark.parametrize(
    "proxy", ["ftp://localhost:1", "localhost:3128", "http://", "http://[::", "/", "http://a b/"]
)
async def test_what_is_no_proxy(proxy: str) -> None:
    async with plait.ClientSession() as session:
        with pytest.raises(plait.InvalidURL):
            await session.get("http://example.com/", proxy=proxy)
    with pytest.raises(plait.InvalidURL):
        plait.ClientSession(proxy=proxy)


async def test_credentials_that_are_none(authority: Authority) -> None:
    async with plait.ClientSession() as session:
        with (
            pytest.raises(ValueError, match="BasicAuth"),
            pytest.warns(DeprecationWarning, match="proxy_auth"),
        ):
            await session.get(
                "http://example.com/",
                proxy="http://localhost:1",
                proxy_auth=("user", "password"),  # type: ignore[arg-type]
            )
        with pytest.raises(ValueError, match="at most 255"):
            await session.get("http://example.com/", proxy=f"socks5h://{'u' * 256}@localhost:1")
        check_baseline(session)


async def test_a_unix_socket_has_no_proxy() -> None:
    async with plait.ClientSession(connector=plait.UnixConnector("/nowhere")) as session:
        with pytest.raises(plait.ClientConnectionError, match="without a proxy"):
            await session.get("http://example.com/", proxy="http://localhost:1")


# -- what is told to whom ---------------------------------------------------------------


async def test_fields_for_the_proxy(authority: Authority) -> None:
    headers = {"X-For-Proxy": "1", "Proxy-Authorization": "Basic dXNlcjpwYXNzIHdvcmQ="}
    for way in (H1, H1_TLS):
        async with (
            running(way, Kind("http", "Basic"), authority) as (url, peer, proxy),
            way.open_session(authority, headers={"X-Mine": "1"}) as session,
        ):
            async with session.get(
                f"{url}/hello", proxy=proxy.with_user(None), proxy_headers=headers
            ) as response:
                assert response.status == 200
            head = peer.heads[0]
            assert "\r\nProxy-Authorization: Basic dXNlcjpwYXNzIHdvcmQ=\r\n" in head
            # A field of a request that is forwarded would reach the server, and a field for the
            # server is not for the proxy.
            assert ("X-For-Proxy" in head) is way.tls
            assert ("X-Mine" in head) is not way.tls


async def test_proxy_authorization_of_a_request_ends_at_a_tunnel(authority: Authority) -> None:
    async with (
        running(H1_TLS, Kind("http"), authority) as (url, _, proxy),
        H1_TLS.open_session(authority) as session,
        session.get(
            f"{url}/hello", proxy=proxy, headers={"Proxy-Authorization": "Basic eDp5"}
        ) as response,
    ):
        assert (await response.text()).endswith(" ")


async def test_fields_that_cannot_be_sent(authority: Authority) -> None:
    for way in (H1, H1_TLS):
        async with (
            running(way, Kind("http"), authority) as (url, peer, proxy),
            way.open_session(authority) as session,
        ):
            headers = {"Proxy-X": "1\r\nY: 2"}
            with pytest.raises(ValueError, match="Proxy-X"):
                await session.get(f"{url}/hello", proxy=proxy, proxy_headers=headers)
            check_baseline(session)
            assert peer.heads == []


async def test_an_empty_proxy_is_none(authority: Authority) -> None:
    async with (
        running(H1, Kind("http"), authority) as (url, peer, proxy),
        H1.open_session(authority, proxy=proxy) as session,
    ):
        async with session.get(f"{url}/hello", proxy="") as response:
            assert response.status == 200
        assert peer.connections == 0
    async with plait.ClientSession(proxy="") as session:
        assert session._default_proxy is None


async def test_redirects_tell_no_server_the_login(authority: Authority) -> None:
    """From a request that is forwarded to a tunnel, and back."""
    kind = Kind("http", "Basic")
    async with (
        running(H1, kind, authority) as (plain, peer, proxy),
        running(H1_TLS, kind, authority) as (secure, _, _),
        H1_TLS.open_session(authority) as session,
    ):
        to = URL(f"{secure}/redirect").with_query(to=f"{secure}/hello")
        url = URL(f"{plain}/redirect").with_query(to=str(to))
        async with session.get(url, proxy=proxy) as response:
            assert response.url == URL(f"{secure}/hello")
            assert (await response.text()).endswith(" ")
        assert [head.split()[0] for head in peer.heads] == ["GET", "CONNECT"]


async def test_the_session_has_a_proxy(authority: Authority) -> None:
    kind = Kind("http", "Basic")
    auth = plait.helpers._basic_auth_no_warn(*LOGIN)
    deprecated = "'proxy_auth' parameter .* proxy_headers={'Proxy-Authorization'"
    async with running(H1, kind, authority) as (url, peer, proxy), serve_proxy() as other:
        bare = proxy.with_user(None)
        with pytest.warns(DeprecationWarning, match=deprecated):
            session = H1.open_session(authority, proxy=bare, proxy_auth=auth)
        async with session:
            async with session.get(f"{url}/hello") as response:
                assert response.status == 200
            assert len(peer.heads) == 1
            # The login is for that proxy, and not for another one.
            async with session.get(
                f"{url}/hello", proxy=f"http://127.0.0.1:{other.port}"
            ) as response:
                assert response.status == 200
            assert "Proxy-Authorization" not in other.heads[0]
        with pytest.warns(DeprecationWarning, match=deprecated):
            session = H1.open_session(authority, proxy_auth=auth)
        async with session, session.get(f"{url}/hello", proxy=bare) as response:
            assert response.status == 200
        async with H1.open_session(authority) as session:
            with pytest.warns(DeprecationWarning, match=deprecated):
                response = await session.get(f"{url}/hello", proxy=bare, proxy_auth=auth)
            assert response.status == 200


async def test_connections_are_for_one_proxy_and_one_login(authority: Authority) -> None:
    async with (
        running(H1_TLS, Kind("http"), authority) as (url, peer, proxy),
        H1_TLS.open_session(authority) as session,
    ):
        options: list[dict[str, Any]] = [
            {"proxy": None},
            {"proxy": proxy},
            {"proxy": proxy.with_user("one")},
            {"proxy": proxy.with_user("two")},
            {"proxy": proxy, "proxy_headers": {"X": "1"}},
            {"proxy": proxy, "proxy_headers": {"X": "2"}},
            {"proxy": proxy.with_host("127.0.0.1")},
            {"proxy": proxy.with_scheme("socks5h")},
            {"proxy": proxy, "server_hostname": "127.0.0.1"},
        ]
        for _ in range(2):
            for option in options:
                async with session.get(f"{url}/hello", **option) as response:
                    assert response.status == 200
        assert peer.connections == len(options) - 1
        assert len(session.connector._conns) == len(options)  # type: ignore[union-attr]


async def test_content_is_sent_again_after_a_challenge(authority: Authority) -> None:
    async with (
        running(H1, Kind("http", "Digest"), authority) as (url, peer, proxy),
        H1.open_session(authority) as session,
    ):
        async with session.post(f"{url}/hello", data=b"x" * 200_000, proxy=proxy) as response:
            assert response.status == 200
            assert "x" * 200_000 in await response.text()

        async def pieces() -> AsyncIterator[bytes]:
            yield b"once"

        async with (
            H1.open_session(authority) as session,
            session.post(f"{url}/hello", data=pieces(), proxy=proxy) as response,
        ):
            assert response.status == 407  # The content is gone.
        assert sum(head.startswith("POST") for head in peer.heads) == 3


async def test_names_are_looked_up_where_the_scheme_says(authority: Authority) -> None:
    class Resolver(plait.abc.AbstractResolver):
        def __init__(self) -> None:
            self.asked: list[str] = []

        async def resolve(
            self, host: str, port: int = 0, family: Any = 0
        ) -> list[plait.abc.ResolveResult]:
            self.asked.append(host)
            return [
                plait.abc.ResolveResult(
                    hostname=host, host="127.0.0.1", port=port, family=2, proto=0, flags=0
                )
            ]

        async def close(self) -> None:
            pass

    for scheme, expected in [
        ("socks5", {"localhost", "proxy.test"}),
        ("socks5h", {"proxy.test"}),
        ("http", {"proxy.test"}),
    ]:
        async with running(H1, Kind("socks5"), authority) as (url, peer, _):
            resolver = Resolver()
            connector = plait.TCPConnector(resolver=resolver)
            async with (
                plait.ClientSession(connector=connector) as session,
                session.get(f"{url}/hello", proxy=f"{scheme}://proxy.test:{peer.port}") as response,
            ):
                assert response.status == 200
            assert set(resolver.asked) == expected


async def test_traces_hear_of_the_way_by_a_proxy(authority: Authority) -> None:
    heard: list[str] = []
    config = plait.TraceConfig()

    def hear(name: str) -> Any:
        async def note(session: Any, context: Any, params: Any) -> None:
            heard.append(f"{name} {params.host}" if hasattr(params, "host") else name)

        return note

    for name in (
        "connection_create_start",
        "connection_create_end",
        "connection_reuseconn",
        "dns_resolvehost_start",
        "dns_resolvehost_end",
    ):
        getattr(config, f"on_{name}").append(hear(name))
    async with (
        running(H1_TLS, Kind("http"), authority) as (url, _, proxy),
        H1_TLS.open_session(authority, trace_configs=[config]) as session,
    ):
        for _ in range(2):
            async with session.get(
                f"{url.replace('localhost', '127.0.0.1')}/hello", proxy=proxy
            ) as response:
                await response.read()
    assert heard == [
        "connection_create_start",
        "dns_resolvehost_start localhost",
        "dns_resolvehost_end localhost",
        "connection_create_end",
        "connection_reuseconn",
    ]


async def test_a_middleware_names_a_proxy(authority: Authority) -> None:
    async with running(H1_TLS, Kind("http"), authority) as (url, peer, proxy):

        async def by_proxy(
            request: plait.ClientRequest, handler: plait.ClientHandlerType
        ) -> plait.ClientResponse:
            request.update_proxy(proxy, None, {"X": "1"})
            return await handler(request)

        async with (
            H1_TLS.open_session(authority, middlewares=[by_proxy]) as session,
            session.get(f"{url}/hello") as response,
        ):
            assert response.status == 200
        assert "\r\nX: 1\r\n" in peer.heads[0]


@pytest.mark.parametrize("kind", [Kind("http"), Kind("https"), Kind("socks5h")], ids=str)
async def test_a_session_is_closed_while_a_proxy_is_asked(kind: Kind, authority: Authority) -> None:
    asked, ended = asyncio.Event(), asyncio.Event()

    async def listen(connection: Any) -> None:
        await connection.read(1)
        asked.set()
        await connection.read_to_end()
        ended.set()

    tls = authority.server_context() if kind.scheme == "https" else None
    async with raw_server(listen, tls) as raw:
        session = H1_TLS.open_session(authority)
        request = asyncio.ensure_future(
            session.get("https://example.com/", proxy=f"{kind.scheme}://localhost:{raw.port}")
        )
        await asyncio.wait_for(asked.wait(), 10)
        connector = session.connector
        await session.close()
        with pytest.raises(plait.ClientConnectionError):
            await request
        assert connector is not None
        assert not connector._places.alive
        assert not connector._places._given_up
        await asyncio.wait_for(ended.wait(), 10)
