"""plait_trio's Session: its pool, redirects, cookies, credentials, retries and cancellation.

Most tests run in memory, in time that is only counted; those about TLS on real sockets.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio
import trio.lowlevel
import trio.testing

import plait_trio
from plait_engine import (
    Config,
    EndOfMessage,
    ErrorCode,
    LocalProtocolError,
    Request,
    Response,
    Role,
    StreamReset,
    Timeouts,
)
from plait_engine.engines import EngineName
from plait_engine.policy.pool_events import PoolClosedError
from plait_trio import ServerRequest, ServerResponse, Session
from plait_trio.client import _authority, parse_url, server_of
from plait_trio.driver import Driver, Exchange
from tests.adapters.trio_site import (
    URL,
    CancelAt,
    Run,
    Site,
    assert_at_rest,
    handler,
    make_run,
    pieces,
)


@pytest.fixture(params=["native", "reference"])
def engine(request: pytest.FixtureRequest) -> EngineName:
    return request.param


@pytest.fixture(params=["http/1.1", "h2"])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(engine: EngineName, protocol: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs ``async test(site)`` in time that is only counted."""
    return make_run(engine, protocol, monkeypatch)


# -- connections -----------------------------------------------------------------------


def test_requests_share_a_connection_one_after_the_other(run: Run) -> None:
    async def test(site: Site) -> None:
        async with site.session() as session:
            for _ in range(3):
                response = await session.get(f"{URL}/")
                assert (response.status, response.body) == (200, b"hello")
                assert response.http_version == ("2" if site.http2 else "1.1")
            assert session.pool.idle == 1
            await session.get("http://127.0.0.1:81/")
        assert site.addresses == [("127.0.0.1", 8080), ("127.0.0.1", 81)]

    run(test)


def test_requests_at_once_share_a_connection_or_the_limit(run: Run) -> None:
    async def test(site: Site) -> None:
        async with site.session(limit=3) as session:
            async with trio.open_nursery() as nursery:
                for _ in range(20):
                    nursery.start_soon(session.get, f"{URL}/large/100000")
            assert len(site.servers) == (1 if site.http2 else 3)
            assert_at_rest(session)

    run(test)


def test_an_idle_connection_is_closed_in_time(run: Run) -> None:
    async def test(site: Site) -> None:
        async with site.session(keep_alive=7.0) as session:
            await session.get(f"{URL}/")
            await trio.sleep(6.9)
            assert session.pool.idle == 1
            await trio.sleep(0.2)
            assert session.pool.connections == 0
            await site.servers[0].closed.wait()
            await session.get(f"{URL}/")
        assert len(site.servers) == 2

    run(test)


def test_leaving_a_session_closes_its_connections_at_once(run: Run) -> None:
    async def test(site: Site) -> None:
        async with trio.open_nursery() as nursery, site.session() as session:
            await session.get(f"{URL}/")
            await session.get("http://127.0.0.1:81/")
            nursery.start_soon(fails, session)
            await trio.testing.wait_all_tasks_blocked()
            began = trio.current_time()
        assert trio.current_time() == began
        await site.servers[1].closed.wait()
        with pytest.raises(PoolClosedError):
            await session.get(f"{URL}/")

    async def fails(session: Session) -> None:
        with pytest.raises((plait_trio.StreamError, PoolClosedError)):
            await session.get(f"{URL}/silent")

    run(test)


def test_what_fails_inside_a_session_keeps_its_cause(run: Run) -> None:
    async def test(site: Site) -> None:
        cause = ValueError()

        async def fail() -> None:
            async with site.session() as session:
                await session.get(f"{URL}/")
                raise KeyError from cause

        with pytest.raises(KeyError) as caught:
            await fail()
        assert caught.value.__cause__ is cause

    run(test)


def test_a_session_is_used_once_and_with_async_with(run: Run) -> None:
    async def test(site: Site) -> None:
        session = site.session()
        with pytest.raises(RuntimeError, match="async with"):
            await session.get(f"{URL}/")
        async with session:
            pass
        with pytest.raises(RuntimeError, match="once"):
            await session.__aenter__()

    run(test)


# -- bodies ------------------------------------------------------------------------------


def test_bodies_stream_both_ways(run: Run) -> None:
    async def test(site: Site) -> None:
        async with site.session() as session:
            body = pieces(60, 50_000)
            async with session.stream("POST", f"{URL}/stream-back", body=body) as response:
                with pytest.raises(RuntimeError, match="not read"):
                    response.body  # noqa: B018
                size = 0
                async for chunk in response.stream():
                    size += len(chunk)
            assert size == 3_000_000
            assert (await session.post(f"{URL}/echo", body=b"x")).body == b"x"
            assert (await session.put(f"{URL}/echo", body=b"y")).body == b"y"
            assert (await session.delete(f"{URL}/")).body == b"hello"
            assert (await session.head(f"{URL}/")).body == b""
            assert_at_rest(session)
        assert len(site.servers) == 1

    run(test)


def test_what_is_not_read_is_given_up(run: Run) -> None:
    async def test(site: Site) -> None:
        async with site.session() as session:
            async with session.stream("GET", f"{URL}/endless") as response:
                async for _ in response.stream():
                    break
            await trio.testing.wait_all_tasks_blocked()
            assert_at_rest(session)
            assert (await session.get(f"{URL}/")).body == b"hello"
        assert len(site.servers) == (1 if site.http2 else 2)

    run(test)


def test_what_came_and_is_not_read_gives_its_window_back(run: Run) -> None:
    """On HTTP/2, 100 times 60,000 bytes are six times the window of the connection."""

    async def test(site: Site) -> None:
        async with site.session() as session:
            for _ in range(100):
                async with session.stream("GET", f"{URL}/large/60000"):
                    await trio.testing.wait_all_tasks_blocked()
            assert len((await session.get(f"{URL}/large/200000")).body) == 200_000
        assert len(site.servers) == 1

    run(test)


# -- redirects, cookies, credentials -------------------------------------------------------


def test_redirects(run: Run) -> None:
    async def test(site: Site) -> None:
        async with site.session(max_redirects=3) as session:
            response = await session.post(f"{URL}/to/303/echo", body=b"x")
            assert (response.status, response.body, response.url) == (200, b"", f"{URL}/echo")
            assert (await session.post(f"{URL}/to/307/echo", body=b"x")).body == b"x"
            with pytest.raises(plait_trio.RedirectError, match="too many"):
                await session.get(f"{URL}/to/302/to/302/to/302/")
            with pytest.raises(plait_trio.RedirectError, match="leads nowhere"):
                await session.get(f"{URL}/to/302/ftp@a")
            with pytest.raises(plait_trio.RedirectError, match="must not have a colon") as caught:
                await session.get(f"{URL}/to-colon")
            assert "'http://d/'" in str(caught.value), "it shows no credentials"
            with pytest.raises(plait_trio.RedirectError, match="cannot be sent twice"):
                await session.post(f"{URL}/to/307/echo", body=pieces(1))
            assert_at_rest(session)
        async with site.session(max_redirects=None) as session:
            assert (await session.get(f"{URL}/to/302/")).status == 302

    run(test)


def test_cookies_go_where_they_belong(run: Run) -> None:
    async def test(site: Site) -> None:
        async with site.session() as session:
            response = await session.get("http://a.test/login")
            assert b"\ncookie=a=1\n" in response.body
            response = await session.get("http://a.test/fields", headers=[("Cookie", "c=3")])
            assert b"\ncookie=c=3; a=1\n" in response.body
            assert b"\ncookie=None\n" in (await session.get("http://b.test/fields")).body
            assert [cookie.name for cookie in session.cookies] == ["a", "b"]

    run(test)


def test_credentials_stay_with_their_origin(run: Run) -> None:
    async def test(site: Site) -> None:
        async with site.session() as session:
            auth = ("user", "secret")
            basic = b"authorization=Basic dXNlcjpzZWNyZXQ=\n"
            for url, is_known in (
                ("http://a.test/fields", True),
                ("http://a.test/to/302/fields", True),
                ("http://a.test/to/302/http@b.test/fields", False),
            ):
                body = (await session.get(url, auth=auth)).body
                assert (basic in body) is is_known
                body = (await session.get(url.replace("a.test", "user:secret@a.test"))).body
                assert (basic in body) is is_known
            response = await session.get("http://a.test/to/302/http@user:secret@b.test/fields")
            assert basic in response.body
            assert response.url == "http://b.test/fields"

    run(test)


def test_a_request_has_one_authorization(run: Run) -> None:
    async def test(site: Site) -> None:
        own = [("Authorization", "Bearer b")]
        async with site.session(headers=[("authorization", "Bearer a")]) as session:
            for options, value in (
                ({}, b"Bearer a"),
                ({"headers": own}, b"Bearer b"),
                ({"auth": ("user", "secret")}, b"Basic dXNlcjpzZWNyZXQ="),
            ):
                body = (await session.get(f"{URL}/fields", **options)).body
                lines = [line for line in body.splitlines() if line.startswith(b"authorization=")]
                assert lines == [b"authorization=" + value]
            with pytest.raises(ValueError, match="exclude each other"):
                await session.get(f"{URL}/fields", headers=own, auth=("user", "secret"))

    run(test)


@pytest.mark.parametrize("url", ["ftp://user:secret@a.test/", "http://user:secret@1.2/"])
def test_an_error_does_not_tell_credentials(run: Run, url: str) -> None:
    async def test(site: Site) -> None:
        async with site.session() as session:
            with pytest.raises(ValueError, match="://") as caught:
                await session.get(url)
            assert "secret" not in str(caught.value)

    run(test)


def test_digest_authentication(run: Run) -> None:
    async def test(site: Site) -> None:
        async with site.session(digest=("user", "secret")) as session:
            for count in (1, 2):
                response = await session.post(f"{URL}/secret", body=b"x")
                assert response.status == 200
                assert f"nc={count:08x}".encode() in response.body
            response = await session.post(f"{URL}/secret", headers=[("Authorization", "own")])
            assert response.status == 401
            response = await session.get("http://other.test/secret")
            assert response.status == 401
            assert_at_rest(session)
        async with site.session(digest=("user", "secret")) as session:
            response = await session.post(f"{URL}/secret", body=pieces(1))
            assert response.status == 401
            assert (await session.get(f"{URL}/secret")).status == 200

    run(test)


def test_the_fields_of_a_session(run: Run) -> None:
    async def test(site: Site) -> None:
        fields = [("User-Agent", "me"), ("X-Own", "session")]
        async with site.session(headers=fields) as session:
            response = await session.get(f"{URL}/fields", headers=[("x-own", "request")])
            assert response.body.endswith(b"user-agent=me\nx-own=request")

    run(test)


# -- retries --------------------------------------------------------------------------------


def test_a_stale_connection_is_replaced_where_that_is_safe(run: Run) -> None:
    """The server ends each connection when its second request comes."""
    seen: list[str] = []

    async def serve(request: ServerRequest) -> ServerResponse:
        seen.append(request.head.method)
        server = request._exchange.driver
        if hasattr(server, "has_answered"):
            server.abort()
        server.has_answered = True
        return ServerResponse()

    async def test(site: Site) -> None:
        async with site.session() as session:
            await session.get(f"{URL}/")
            assert (await session.get(f"{URL}/")).status == 200
            with pytest.raises(plait_trio.StreamError):
                await session.post(f"{URL}/")
            assert_at_rest(session)
        assert seen == ["GET", "GET", "GET", "POST"]

    run(test, serve)


def refuse_first(
    authority: Any,
    refuse: Callable[[Exchange], None],
    test: Callable[[str], Awaitable[None]],
) -> list[str]:
    """Run ``test(url)`` beside a server that refuses its first request, and answers the others.

    Return the versions of the requests.
    """
    versions: list[str] = []

    async def on_request(exchange: Exchange, head: Request) -> None:
        versions.append(head.http_version)
        if len(versions) == 1:
            refuse(exchange)
        else:
            await exchange.send(Response(exchange.stream_id, 200), EndOfMessage(exchange.stream_id))

    async def main() -> None:
        context = authority.server_context("h2", "http/1.1")

        async def serve(transport: trio.SocketStream) -> None:
            stream = trio.SSLStream(transport, context, server_side=True, https_compatible=True)
            await stream.do_handshake()
            await Driver(stream, Role.SERVER, Config(scheme="https"), on_request=on_request).run()

        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
            with trio.fail_after(10):
                await test(f"https://127.0.0.1:{listeners[0].socket.getsockname()[1]}/")
            nursery.cancel_scope.cancel()

    trio.run(main)
    return versions


@pytest.mark.parametrize("code", [ErrorCode.REFUSED_STREAM, ErrorCode.HTTP_1_1_REQUIRED])
def test_an_unprocessed_request_is_sent_again(
    code: ErrorCode, engine: EngineName, authority: Any
) -> None:
    async def test(url: str) -> None:
        async with Session(ssl_context=authority.client_context(), engine=engine) as session:
            assert (await session.post(url, body=b"x")).status == 200
            assert_at_rest(session)

    def refuse(exchange: Exchange) -> None:
        exchange.driver.send(StreamReset(exchange.stream_id, code))

    second = "1.1" if code is ErrorCode.HTTP_1_1_REQUIRED else "2"
    assert refuse_first(authority, refuse, test) == ["2", second]


def test_a_connection_that_ends_for_http1_is_replaced_by_one(
    engine: EngineName, authority: Any
) -> None:
    """RFC 9113 section 7: GOAWAY with HTTP_1_1_REQUIRED."""

    async def test(url: str) -> None:
        async with Session(ssl_context=authority.client_context(), engine=engine) as session:
            assert (await session.get(url)).status == 200
            assert_at_rest(session)

    def refuse(exchange: Exchange) -> None:
        exchange.driver.close(ErrorCode.HTTP_1_1_REQUIRED)

    assert refuse_first(authority, refuse, test) == ["2", "1.1"]


def test_who_wants_only_http2_gets_no_http1(engine: EngineName, authority: Any) -> None:
    async def test(url: str) -> None:
        context = authority.client_context()
        async with Session(ssl_context=context, http2=True, engine=engine) as session:
            with pytest.raises(plait_trio.StreamError, match="HTTP_1_1_REQUIRED"):
                await session.get(url)
            assert_at_rest(session)

    def refuse(exchange: Exchange) -> None:
        exchange.driver.send(StreamReset(exchange.stream_id, ErrorCode.HTTP_1_1_REQUIRED))

    assert refuse_first(authority, refuse, test) == ["2"]


# -- cancellation ---------------------------------------------------------------------------


def test_a_deadline_holds_for_all_of_a_request(run: Run) -> None:
    async def test(site: Site) -> None:
        async with site.session(limit=1, limit_per_host=1) as session:
            for path in ("silent", "endless"):
                began = trio.current_time()
                with trio.move_on_after(5) as scope:
                    await session.get(f"{URL}/{path}")
                assert scope.cancelled_caught
                assert trio.current_time() - began == pytest.approx(5)
                await trio.testing.wait_all_tasks_blocked()
                assert_at_rest(session)
            assert (await session.get(f"{URL}/")).body == b"hello"

    run(test)


def test_who_sets_no_deadline_has_none(run: Run) -> None:
    async def test(site: Site) -> None:
        async with site.session() as session:
            assert (await session.get(f"{URL}/slow")).body == b"ab"

    run(test, config=Config(timeouts=Timeouts(keep_alive=None)))


def test_a_server_that_vanishes_is_noticed_on_http2(run: Run) -> None:
    async def test(site: Site) -> None:
        async with site.session() as session:
            with trio.move_on_after(500) as scope:
                async with session.stream("GET", f"{URL}/endless") as response:
                    content = response.stream()
                    await anext(content)
                    site.servers[0]._carrier.pause_reading()
                    site.servers[0].pause_writing()
                    with contextlib.suppress(plait_trio.StreamError):
                        async for _ in content:
                            pass
            assert scope.cancelled_caught is not site.http2
            assert_at_rest(session)

    run(test, config=Config(timeouts=Timeouts(write=None)))


def test_nobody_waits_for_a_connection_that_is_not_wanted(run: Run) -> None:
    async def test(site: Site) -> None:
        async def never(host: str, port: int) -> None:
            await trio.sleep_forever()

        async with site.session() as session:
            trio.open_tcp_stream = never  # The fixture's own stand-in is put back.
            with trio.move_on_after(1):
                await session.get(f"{URL}/")
            await trio.testing.wait_all_tasks_blocked()
            assert session.pool.connections == 0

    run(test)


@pytest.mark.parametrize("path", ["/echo", "/to/307/echo", "/stream-back"])
def test_a_request_may_be_cancelled_at_any_point(run: Run, path: str) -> None:
    async def test(site: Site) -> None:
        async with site.session(limit=1) as session:
            step = 1
            while True:
                with trio.CancelScope() as scope, CancelAt(step, scope, all_tasks=False):
                    await session.post(f"{URL}{path}", body=b"x" * 200_000)
                await trio.testing.wait_all_tasks_blocked()
                assert_at_rest(session)
                response = await session.post(f"{URL}{path}", body=b"y")
                assert response.body == b"y"
                if not scope.cancelled_caught:
                    break
                step += 1
            assert step > 3

    run(test)


# -- errors ----------------------------------------------------------------------------------


def test_each_request_gets_an_error_of_its_own(run: Run) -> None:
    errors: list[BaseException] = []

    async def fail(session: Session) -> None:
        with pytest.raises(plait_trio.ConnectError, match=r"127\.0\.0\.1:8080: no such day") as c:
            await session.get(f"{URL}/")
        errors.append(c.value)

    async def test(site: Site) -> None:
        site.fails = OSError("no such day")
        async with site.session() as session:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(fail, session)
                nursery.start_soon(fail, session)
            assert_at_rest(session)
        assert errors[0] is not errors[1]
        assert errors[0].__cause__ is site.fails or errors[1].__cause__ is site.fails

    run(test)


@pytest.mark.parametrize(
    "url", ["ftp://a/", "a", "http:///a", "http://127.1/", "http://0x7f000001/", "http://a\0b/"]
)
def test_a_url_that_is_refused_before_a_name_is_looked_up(run: Run, url: str) -> None:
    async def test(site: Site) -> None:
        async with site.session() as session:
            with pytest.raises(ValueError, match=r"URL|host"):
                await session.get(url)
        assert site.addresses == []

    run(test)


def test_a_request_that_cannot_be_sent_leaves_nothing(run: Run) -> None:
    async def test(site: Site) -> None:
        async with site.session() as session:
            with pytest.raises(LocalProtocolError, match="field name"):
                await session.get(f"{URL}/", headers=[("a\n", "b")])
            with pytest.raises(ValueError, match="tunnel"):
                await session.request("CONNECT", f"{URL}/")
            assert_at_rest(session)
            assert (await session.get(f"{URL}/")).body == b"hello"

    run(test)


def test_a_body_that_fails_is_raised_as_it_is(run: Run) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise KeyError("a bug in the body")

    async def test(site: Site) -> None:
        async with site.session() as session:
            with pytest.raises(KeyError, match="a bug in the body"):
                await session.post(f"{URL}/echo", body=broken())
            await trio.testing.wait_all_tasks_blocked()
            assert_at_rest(session)

    run(test)


# -- TLS, on real sockets --------------------------------------------------------------------


def serve_tls(
    authority: Any, test: Callable[[str, list[trio.SocketStream]], Awaitable[None]]
) -> None:
    """Run ``test(url, accepted)`` beside a server with TLS that speaks both versions."""
    context: ssl.SSLContext = authority.server_context("h2", "http/1.1")
    accepted: list[trio.SocketStream] = []

    async def serve(transport: trio.SocketStream) -> None:
        accepted.append(transport)
        await plait_trio.server._serve_stream(handler, Config(), context, "native", transport)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
            with trio.fail_after(10):
                await test(f"https://127.0.0.1:{listeners[0].socket.getsockname()[1]}", accepted)
            nursery.cancel_scope.cancel()

    trio.run(main)


@pytest.mark.parametrize("http2", [None, False])
def test_alpn_chooses_and_requests_share_what_it_chose(
    authority: Any, http2: bool | None, engine: EngineName
) -> None:
    async def test(url: str, accepted: list[trio.SocketStream]) -> None:
        context = authority.client_context()
        async with Session(ssl_context=context, http2=http2, engine=engine, limit=4) as session:
            async with trio.open_nursery() as nursery:
                for _ in range(10):
                    nursery.start_soon(session.get, f"{url}/large/10000")
            response = await session.get(f"{url}/")
            assert response.http_version == ("2" if http2 is None else "1.1")
            assert len(accepted) == (1 if http2 is None else 4)

    serve_tls(authority, test)


def test_a_certificate_that_is_not_trusted(authority: Any) -> None:
    async def test(url: str, accepted: list[trio.SocketStream]) -> None:
        async with Session() as session:
            with pytest.raises(plait_trio.TLSError, match="its certificate is not trusted") as c:
                await session.get(url)
            assert isinstance(c.value.__cause__, ssl.SSLCertVerificationError)
            assert_at_rest(session)

    serve_tls(authority, test)


@pytest.mark.parametrize(
    ("url", "server", "host"),
    [
        ("http://a.test", ("a.test", 80, False), "a.test"),
        ("wss://a.test.", ("a.test", 443, True), "a.test"),
        ("http://a.test:0/", ("a.test", 0, False), "a.test:0"),
        ("http://[fe80::1%25lo]:8080/", ("fe80::1%lo", 8080, False), "[fe80::1]:8080"),
    ],
)
def test_whom_a_url_means(url: str, server: tuple[str, int, bool], host: str) -> None:
    """A zone stays here (RFC 6874 section 4), and port 0 is no other port."""
    parsed = parse_url(url)
    assert server_of(parsed)[:3] == server
    assert _authority(parsed) == host
