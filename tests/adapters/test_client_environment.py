"""``trust_env``: proxies, hosts without one, and netrc files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

import plait
from plait import helpers, web
from tests.adapters.proxy_peer import ProxyPeer, serve_proxy
from tests.conftest import Authority
from tests.serving import serve
from tests.sessions import H1, H1_TLS, Way

pytestmark = pytest.mark.anyio

NAMES = ("http", "https", "ws", "wss", "all", "no")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    clear_environment(monkeypatch, tmp_path)
    return monkeypatch


def clear_environment(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Let the environment name no proxy, and no netrc file that is there."""
    for name in NAMES:
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)
    monkeypatch.delenv("NETRC", raising=False)
    monkeypatch.delenv("REQUEST_METHOD", raising=False)
    monkeypatch.setenv("HOME", str(home))


def write_netrc(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    path = folder / "netrc"
    path.write_text(text)
    path.chmod(0o600)
    monkeypatch.setenv("NETRC", str(path))


async def tell(request: web.Request) -> web.Response:
    return web.Response(text=request.headers.get("Authorization", "nobody"))


async def redirect(request: web.Request) -> web.Response:
    raise web.HTTPTemporaryRedirect(request.query["to"])


@asynccontextmanager
async def running(way: Way, authority: Authority) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/", tell)
    app.router.add_get("/redirect", redirect)
    async with serve(
        app, authority.server_context("h2", "http/1.1") if way.tls else None
    ) as served:
        yield served.url.replace("127.0.0.1", "localhost")


async def ask(session: plait.ClientSession, url: Any, **options: Any) -> str:
    async with session.get(url, **options) as response:
        assert response.status == 200
        return await response.text()


BASIC = helpers.encode_basic_auth


# -- proxies ----------------------------------------------------------------------------


@pytest.mark.parametrize("way", [H1, H1_TLS], ids=str)
@pytest.mark.parametrize("scheme", ["http", "socks5h"])
async def test_the_environment_names_a_proxy(
    way: Way, scheme: str, authority: Authority, environment: pytest.MonkeyPatch
) -> None:
    async with (
        running(way, authority) as url,
        serve_proxy() as peer,
        way.open_session(authority, trust_env=True) as session,
    ):
        assert session.trust_env
        await ask(session, url)
        assert peer.connections == 0
        environment.setenv(f"{URL(url).scheme}_proxy", f"{scheme}://u:p@127.0.0.1:{peer.port}")
        await ask(session, url)
        assert peer.connections == 1
        for no_proxy in ("localhost", "*", f"x, localhost:{URL(url).port}"):
            environment.setenv("no_proxy", no_proxy)
            await ask(session, url)
        assert peer.connections == 1
        environment.setenv("no_proxy", "localhost:1, host")
        await ask(session, url)
        assert peer.connections == 1  # It goes over the same connection.
        environment.setenv("no_proxy", "")
        await ask(session, url, proxy="")
        assert peer.connections == 1
        # What the call says is more than what the environment says.
        async with serve_proxy() as other:
            await ask(session, url, proxy=f"http://127.0.0.1:{other.port}")
            assert other.connections == 1
    async with way.open_session(authority) as session:
        assert not session.trust_env


@pytest.mark.parametrize("proxy", ["http://[::", "ftp://proxy.test", "http://"])
async def test_a_proxy_that_is_none(proxy: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("http_proxy", proxy)
    async with plait.ClientSession(trust_env=True) as session:
        with pytest.raises(plait.InvalidURL):
            await session.get("http://example.com/")


async def test_one_proxy_for_all_schemes(
    authority: Authority, environment: pytest.MonkeyPatch
) -> None:
    async with (
        running(H1_TLS, authority) as url,
        serve_proxy() as peer,
        H1_TLS.open_session(authority, trust_env=True) as session,
    ):
        environment.setenv("ALL_PROXY", f"127.0.0.1:{peer.port}")  # http:// is understood
        await ask(session, url)
        assert peer.heads[0].startswith("CONNECT ")


async def test_each_hop_is_asked_for(authority: Authority, environment: pytest.MonkeyPatch) -> None:
    """A redirect may lead to a host that has another proxy, or none."""
    async with (
        running(H1, authority) as plain,
        running(H1_TLS, authority) as secure,
        serve_proxy(ProxyPeer(login=("u", "p"))) as peer,
        serve_proxy() as other,
        H1_TLS.open_session(authority, trust_env=True) as session,
    ):
        environment.setenv("http_proxy", f"http://u:p@127.0.0.1:{peer.port}")
        environment.setenv("https_proxy", f"http://127.0.0.1:{other.port}")
        direct = plain.replace("localhost", "127.0.0.1")
        environment.setenv("no_proxy", "127.0.0.1")
        third = URL(f"{secure}/redirect").with_query(to=direct)
        first = URL(f"{plain}/redirect").with_query(to=str(third))
        assert await ask(session, first) == "nobody"
        assert (peer.connections, other.connections) == (1, 1)
        assert "Proxy-Authorization" in peer.heads[0]
        assert "Proxy-Authorization" not in other.heads[0]


async def test_a_unix_socket_needs_no_proxy(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    app = web.Application()
    app.router.add_get("/", tell)
    runner = web.AppRunner(app)
    await runner.setup()
    path = str(tmp_path / "socket")
    await web.UnixSite(runner, path).start()
    environment.setenv("http_proxy", "http://127.0.0.1:1")
    async with plait.ClientSession(connector=plait.UnixConnector(path), trust_env=True) as session:
        await ask(session, "http://localhost/")
    await runner.cleanup()


def test_names_of_aiohttp(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setenv("http_proxy", "http://user:pass%20word@proxy.test:3128")
    environment.setenv("https_proxy", "https://secure.test")
    assert helpers.proxies_from_env() == {
        "http": helpers.ProxyInfo(
            URL("http://proxy.test:3128"), helpers._basic_auth_no_warn("user", "pass word")
        ),
        "https": helpers.ProxyInfo(URL("https://secure.test"), None),
    }
    url, auth = helpers.get_env_proxy_for_url(URL("http://example.com/"))
    assert url == URL("http://proxy.test:3128")
    assert auth is not None
    assert auth.login == "user"
    with pytest.raises(LookupError, match="No proxies found"):
        helpers.get_env_proxy_for_url(URL("ws://example.com/"))
    environment.setenv("no_proxy", "example.com")
    with pytest.raises(LookupError, match="disallowed"):
        helpers.get_env_proxy_for_url(URL("http://www.example.com/"))
    # CVE-2025-22870
    assert helpers.get_env_proxy_for_url(URL("http://[::1%25.example.com]/"))[0] == url
    environment.setenv("no_proxy", "::1")
    with pytest.raises(LookupError):
        helpers.get_env_proxy_for_url(URL("http://[::1%25.example.com]/"))


def test_a_request_header_is_no_environment(environment: pytest.MonkeyPatch) -> None:
    """A CGI program finds the Proxy field of a request in HTTP_PROXY (CVE-2016-5386)."""
    environment.setenv("REQUEST_METHOD", "GET")
    environment.setenv("HTTP_PROXY", "http://evil.test")
    with pytest.raises(LookupError):
        helpers.get_env_proxy_for_url(URL("http://example.com/"))


# -- netrc ------------------------------------------------------------------------------


async def test_credentials_of_the_server(
    authority: Authority, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_netrc(environment, tmp_path, "machine localhost login user password secret\n")
    async with running(H1, authority) as url:
        async with H1.open_session(authority, trust_env=True) as session:
            assert await ask(session, url) == BASIC("user", "secret")
            # What the program says is more.
            assert await ask(session, url, headers={"Authorization": "mine"}) == "mine"
            with_auth = URL(url).with_user("other")
            assert await ask(session, with_auth) == BASIC("other")
            auth = helpers._basic_auth_no_warn("third")
            with pytest.warns(DeprecationWarning, match="'auth' parameter is deprecated"):
                assert await ask(session, url, auth=auth) == BASIC("third")
            # By the host that the URL means (CVE-2024-47081).
            host = url.replace("localhost", "127.0.0.1").removeprefix("http://")
            assert await ask(session, f"http://localhost:@{host}") == BASIC("localhost")
            assert await ask(session, f"http://{host}") == "nobody"
        async with H1.open_session(authority) as session:
            assert await ask(session, url) == "nobody"


async def test_credentials_of_redirects(
    authority: Authority, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with (
        running(H1, authority) as one,
        running(H1, authority) as two,
        running(H1_TLS, authority) as secure,
        H1_TLS.open_session(authority, trust_env=True) as session,
    ):
        other = two.replace("localhost", "127.0.0.1")

        async def follow(start: str, to: str) -> str:
            return await ask(session, URL(f"{start}/redirect").with_query(to=to))

        write_netrc(environment, tmp_path, "machine localhost login a password 1\n")
        assert await follow(one, f"{one}/") == BASIC("a", "1")
        assert await follow(one, other) == "nobody"
        assert await follow(secure, one) == "nobody", "it leaves TLS"
        write_netrc(
            environment,
            tmp_path,
            "machine localhost login a password 1\nmachine 127.0.0.1 login b password 2\n",
        )
        assert await follow(one, other) == BASIC("b", "2")
        write_netrc(environment, tmp_path, "default login any password 3\n")
        assert await ask(session, one) == BASIC("any", "3")
        assert await follow(one, other) == "nobody", "it is for the host that was asked for"


async def test_credentials_of_the_proxy(
    authority: Authority, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_netrc(environment, tmp_path, "machine 127.0.0.1 login user password secret\n")
    async with (
        running(H1_TLS, authority) as url,
        serve_proxy(ProxyPeer(login=("user", "secret"))) as peer,
        H1_TLS.open_session(authority, trust_env=True) as session,
    ):
        environment.setenv("https_proxy", f"http://127.0.0.1:{peer.port}")
        assert await ask(session, url) == "nobody"
        assert peer.connections == 1


def test_a_netrc_file_that_cannot_be_read(
    environment: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert helpers.netrc_from_env() is None
    assert not caplog.records, "nobody asked for one"
    environment.setenv("NETRC", str(tmp_path / "missing"))
    assert helpers.netrc_from_env() is None
    assert "netrc file cannot be read" in caplog.text
    caplog.clear()
    write_netrc(environment, tmp_path, "machine a login b\npassword c passwort secret\n")
    assert helpers.netrc_from_env() is None
    assert "has an error in line" in caplog.text
    assert "line 2" in caplog.text
    assert "secret" not in caplog.text
    caplog.clear()
    environment.delenv("NETRC")
    (tmp_path / ".netrc").mkdir()
    assert helpers.netrc_from_env() is None
    assert "netrc file cannot be read" in caplog.text
    with pytest.raises(LookupError):
        helpers.basicauth_from_netrc(None, "localhost")


def test_the_netrc_file_at_home(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / ".netrc"
    path.write_text("machine example.com login user password secret\n")
    path.chmod(0o600)
    found = helpers.basicauth_from_netrc(helpers.netrc_from_env(), "example.com")
    assert tuple(found)[:2] == ("user", "secret")
