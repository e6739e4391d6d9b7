"""``trust_env`` of plait_trio: proxies of the environment, and credentials of netrc files."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio.from_thread
import pytest
import trio

import plait_trio
from tests.adapters.proxy_peer import ProxyPeer, serve_proxy
from tests.adapters.test_client_environment import (
    clear_environment,
    running,
    write_netrc,
)
from tests.adapters.test_client_proxies import LOGIN, Kind, all_ways
from tests.adapters.test_trio_proxies import in_thread, open_session, run
from tests.conftest import Authority
from tests.sessions import H1, H1_TLS, Way


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    clear_environment(monkeypatch, tmp_path)
    return monkeypatch


def basic(login: str, password: str = "") -> bytes:
    return b"Basic " + base64.b64encode(f"{login}:{password}".encode())


@contextmanager
def serving(way: Way, authority: Authority) -> Iterator[str]:
    """Run a server that tells who asks, in a thread."""
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(running(way, authority)) as url,
    ):
        yield url


async def ask(session: plait_trio.Session, url: str, **options: Any) -> bytes:
    response = await session.get(url, **options)
    assert response.status == 200
    return response.body


# -- proxies ----------------------------------------------------------------------------


def test_which_hosts_need_no_proxy(authority: Authority, environment: pytest.MonkeyPatch) -> None:
    with in_thread(H1, Kind("http", "Basic"), authority) as (url, peer, proxy, _):
        environment.setenv("http_proxy", proxy)

        async def test() -> None:
            for trust_env, no_proxy, by_proxy in (
                (True, "", 1),
                (True, "localhost", 0),
                (True, "localhost:1", 1),
                (True, "*", 0),
                (False, "", 0),
            ):
                environment.setenv("no_proxy", no_proxy)
                before = peer.connections
                async with open_session(H1, authority, None, trust_env=trust_env) as session:
                    assert (await session.get(f"{url}/hello")).status == 200
                assert peer.connections - before == by_proxy

        run(test)


def test_a_redirect_asks_the_environment_again(
    authority: Authority, environment: pytest.MonkeyPatch
) -> None:
    with in_thread(H1, Kind("http"), authority) as (url, peer, proxy, _):
        environment.setenv("http_proxy", proxy)
        environment.setenv("no_proxy", "127.0.0.1")

        async def test() -> None:
            there = f"{url.replace('localhost', '127.0.0.1')}/hello"
            async with open_session(H1, authority, None, trust_env=True) as session:
                response = await session.get(f"{url}/redirect?to={there}")
            assert (response.status, response.url) == (200, there)

        run(test)
        assert len(peer.heads) == 1


@all_ways
def test_a_request_completes_what_the_environment_names(
    way: Way, authority: Authority, environment: pytest.MonkeyPatch
) -> None:
    """Or takes another proxy, or none."""
    with in_thread(way, Kind("http", "Basic"), authority) as (url, peer, _, _session):
        environment.setenv("all_proxy", f"http://localhost:{peer.port}")

        async def test() -> None:
            async with open_session(way, authority, None, trust_env=True) as session:
                response = await session.get(f"{url}/hello", proxy_auth=LOGIN)
                assert response.status == 200
                assert peer.connections == 1
                assert (await session.get(f"{url}/hello", proxy="")).status == 200
                assert peer.connections == 1
                with pytest.raises(plait_trio.ProxyError):
                    await session.get(f"{url}/hello", proxy="http://127.0.0.1:1")
                assert peer.connections == 1

        run(test)


def test_an_environment_that_names_no_proxy(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("http_proxy", "ftp://u:s3cret@a.test")

    async def test() -> None:
        async with plait_trio.Session(trust_env=True) as session:
            with pytest.raises(ValueError, match="not the URL of a proxy") as caught:
                await session.get("http://a.test/")
            assert "s3cret" not in str(caught.value)

    run(test)


# -- netrc ------------------------------------------------------------------------------


@all_ways
def test_credentials_of_the_server(
    way: Way, authority: Authority, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_netrc(environment, tmp_path, "machine localhost login user password secret\n")
    with serving(way, authority) as url:

        async def test() -> None:
            async with open_session(way, authority, None, trust_env=True) as session:
                assert await ask(session, url) == basic("user", "secret")
                # What the program says is more.
                assert await ask(session, url, headers=[("Authorization", "mine")]) == b"mine"
                assert await ask(session, url, auth=("third", "")) == basic("third")
                other = url.replace("localhost", "other@localhost")
                assert await ask(session, other) == basic("other")
                # By the host that the URL means (CVE-2024-47081).
                host = url.replace("localhost", "127.0.0.1")
                assert await ask(session, host) == b"nobody"
                scheme, _, host = host.partition("://")
                assert await ask(session, f"{scheme}://localhost:@{host}") == basic("localhost")
            async with open_session(
                way, authority, None, trust_env=True, headers=[("Authorization", "all")]
            ) as session:
                assert await ask(session, url) == b"all"
            async with open_session(
                way, authority, None, trust_env=True, digest=("me", "pw")
            ) as session:
                assert await ask(session, url) == b"nobody", "Digest keeps passwords secret"
            async with open_session(way, authority, None) as session:
                assert await ask(session, url) == b"nobody"

        run(test)


def test_credentials_of_redirects(
    authority: Authority, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (
        serving(H1, authority) as one,
        serving(H1, authority) as two,
        serving(H1_TLS, authority) as secure,
    ):
        other = two.replace("localhost", "127.0.0.1") + "/"

        async def test() -> None:
            async with open_session(H1, authority, None, trust_env=True) as session:

                async def follow(start: str, to: str) -> bytes:
                    return await ask(session, f"{start}/redirect?to={to}")

                write_netrc(environment, tmp_path, "machine localhost login a password 1\n")
                assert await follow(one, f"{one}/") == basic("a", "1")
                assert await follow(one, other) == b"nobody"
                assert await follow(secure, one) == b"nobody", "it leaves TLS"
                write_netrc(
                    environment,
                    tmp_path,
                    "machine localhost login a password 1\nmachine 127.0.0.1 login b password 2\n",
                )
                assert await follow(one, other) == basic("b", "2")
                write_netrc(environment, tmp_path, "default login any password 3\n")
                assert await ask(session, one) == basic("any", "3")
                assert await follow(one, other) == b"nobody", (
                    "it is for the host that was asked for"
                )

        run(test)


def test_credentials_of_the_proxy(
    authority: Authority, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_netrc(environment, tmp_path, "machine 127.0.0.1 login user password secret\n")
    with (
        serving(H1_TLS, authority) as url,
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve_proxy(ProxyPeer(login=("user", "secret")))) as peer,
    ):
        environment.setenv("https_proxy", f"http://127.0.0.1:{peer.port}")

        async def test() -> None:
            async with open_session(H1_TLS, authority, None, trust_env=True) as session:
                assert await ask(session, url) == b"nobody"
                assert peer.connections == 1

        run(test)


def test_a_netrc_file_that_cannot_be_read(
    authority: Authority,
    environment: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with serving(H1, authority) as url:

        async def test() -> None:
            async with open_session(H1, authority, None, trust_env=True) as session:
                assert await ask(session, url) == b"nobody"
                assert not caplog.records, "nobody asked for one"
                environment.setenv("NETRC", str(tmp_path / "missing"))
                assert await ask(session, url) == b"nobody"
                assert "netrc file cannot be read" in caplog.text
                caplog.clear()
                text = "machine a login b\npassword c passwort secret\n"
                write_netrc(environment, tmp_path, text)
                assert await ask(session, url) == b"nobody"
                assert "has an error in line 2" in caplog.text
                assert "secret" not in caplog.text
                caplog.clear()
                environment.delenv("NETRC")
                (tmp_path / ".netrc").mkdir()
                assert await ask(session, url) == b"nobody"
                assert "netrc file cannot be read" in caplog.text
                (tmp_path / ".netrc").rmdir()
                (tmp_path / ".netrc").write_text("machine localhost login me\n")
                assert await ask(session, url) == basic("me")

        run(test)


def test_the_loop_runs_while_a_file_is_read(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And a request is cancelled meanwhile."""
    reading = trio.Event()

    async def run_sync(*args: Any, abandon_on_cancel: bool) -> None:
        assert abandon_on_cancel
        reading.set()
        await trio.sleep_forever()

    environment.setattr(trio.to_thread, "run_sync", run_sync)

    async def test() -> None:
        async with plait_trio.Session(trust_env=True) as session:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(session.get, "http://a.test/")
                await reading.wait()
                nursery.cancel_scope.cancel()
            assert (session.pool.acquired, session.pool.waiting) == (0, 0)

    run(test)
