"""What plait_trio's Session sends by itself, and what it makes of a response: content that is
encoded, trailers, informational responses, redirects before it, and errors that say with whom."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing

import plait_trio
from plait_engine import Data, ErrorCode, Headers, InformationalResponse, Response, StreamReset
from plait_engine.content.codings import CodingError
from plait_engine.engines import EngineName
from plait_engine.headers import get
from plait_engine.policy.retry import RetryPolicy
from plait_trio import ServerRequest, ServerResponse
from plait_trio.call import URLS
from plait_trio.client import parse_url, target_of
from plait_trio.content import PIECE
from tests.adapters.trio_site import URL, Run, Site, assert_at_rest, make_run

TEXT = b"".join(b"line %d\n" % number for number in range(500))
ENCODED = {"gzip": gzip.compress(TEXT), "deflate": zlib.compress(TEXT)}

BOMB = gzip.compress(bytes(5_000_000))


@pytest.fixture(params=["native", "reference"])
def engine(request: pytest.FixtureRequest) -> EngineName:
    return request.param


@pytest.fixture(params=["http/1.1", "h2"])
def run(request: pytest.FixtureRequest, engine: EngineName, monkeypatch: pytest.MonkeyPatch) -> Run:
    return make_run(engine, request.param, monkeypatch)


async def cut(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def handler(request: ServerRequest) -> ServerResponse:
    target, _, query = request.head.target.partition("?")
    match target.split("/")[1:]:
        case ["encoded", coding, size]:
            fields = [("content-encoding", coding)]
            return ServerResponse(headers=fields, body=cut(ENCODED[coding.lower()], int(size)))
        case ["broken", coding]:
            body = {"gzip": ENCODED["gzip"][:-9], "deflate": b"not deflate"}[coding]
            return ServerResponse(headers=[("content-encoding", coding)], body=body)
        case ["empty"]:
            return ServerResponse(headers=[("content-encoding", "gzip")])
        case ["unknown"]:
            return ServerResponse(headers=[("content-encoding", "gzip, rot13")], body=b"uryyb")
        case ["bomb"]:
            return ServerResponse(headers=[("content-encoding", "gzip")], body=BOMB)
        case ["endless"]:
            await request._exchange.send(Response(request._exchange.stream_id, 200))
            await trio.sleep_forever()
            raise AssertionError
        case ["hints"]:
            exchange = request._exchange
            for status in (100, 102, 103):
                fields = [("link", f"</{status}>")]
                await exchange.send(InformationalResponse(exchange.stream_id, status, fields))
            return ServerResponse(body=b"done", trailers=[("x-sum", "1")])
        case ["secret", realm, *rest]:
            answer = get(request.head.headers, "authorization") or ""
            if f'realm="{realm}"' not in answer:
                space = f'domain="/secret/{realm}"'
                challenge = f'Digest realm="{realm}", nonce="n", qop="auth", {space}'
                return ServerResponse(401, headers=[("www-authenticate", challenge)])
            return ServerResponse(302, headers=[("location", "/" + "/".join(rest))])
        case ["to", *rest]:
            return ServerResponse(302, headers=[("location", "/" + "/".join(rest))])
        case ["reset"]:
            exchange = request._exchange
            exchange.driver.send(StreamReset(exchange.stream_id, ErrorCode.INTERNAL_ERROR))
            return ServerResponse()
        case ["short"]:
            exchange = request._exchange
            number = exchange.stream_id
            head = Response(number, 200, [("content-length", "1000")])
            await exchange.send(head, Data(number, b"7 bytes"))
            await trio.testing.wait_all_tasks_blocked()
            exchange.driver.send(StreamReset(number, ErrorCode.INTERNAL_ERROR))
            return ServerResponse()
        case ["goodbye"]:
            request._exchange.driver.close(ErrorCode.ENHANCE_YOUR_CALM)
            return ServerResponse()
        case ["wait"]:
            await trio.sleep(float(query))
            return ServerResponse()
        case _:
            names = ("accept", "accept-encoding", "user-agent")
            lines = [f"{name}={get(request.head.headers, name)}" for name in names]
            return ServerResponse(body="\n".join(lines).encode())


# -- content ------------------------------------------------------------------------------


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "deflate"])
@pytest.mark.parametrize("size", [1, 100, 1_000_000])
def test_encoded_content_is_decoded(run: Run, coding: str, size: int) -> None:
    async def test(site: Site) -> None:
        async with site.session() as session:
            url = f"{URL}/encoded/{coding}/{size}"
            assert (await session.get(url)).body == TEXT
            async with session.stream("GET", url) as response:
                raw = b"".join([piece async for piece in response.stream(decode=False)])
            assert raw == ENCODED[coding.lower()]
            assert_at_rest(session)

    run(test, handler)


def test_what_is_not_decoded(run: Run) -> None:
    async def test(site: Site) -> None:
        async with site.session() as session:
            assert (await session.get(f"{URL}/unknown")).body == b"uryyb"
            assert (await session.get(f"{URL}/empty")).body == b""
            assert (await session.head(f"{URL}/encoded/gzip/1000")).body == b""

    run(test, handler)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_content_that_is_not_in_its_coding(run: Run, coding: str) -> None:
    async def test(site: Site) -> None:
        async with site.session(limit=1) as session:
            with pytest.raises(CodingError):
                await session.get(f"{URL}/broken/{coding}")
            assert_at_rest(session)
            assert (await session.get(f"{URL}/")).status == 200

    run(test, handler)


def test_no_more_is_decoded_than_is_read(run: Run) -> None:
    async def test(site: Site) -> None:
        async with site.session(limit=1) as session:
            async with session.stream("GET", f"{URL}/bomb") as response:
                content = response.stream()
                for _ in range(3):
                    assert 0 < len(await anext(content)) <= PIECE
            with trio.move_on_after(0.5) as scope:
                async with session.stream("GET", f"{URL}/bomb") as response:
                    async for _ in response.stream():
                        scope.cancel()  # It is noticed, although nothing has to come.
            assert scope.cancelled_caught
            assert_at_rest(session)
            assert (await session.get(f"{URL}/")).status == 200

    run(test, handler)


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_a_read_that_is_cancelled_loses_nothing(run: Run, coding: str) -> None:
    """On either side: the next one gives all of it."""

    async def echo(request: ServerRequest) -> ServerResponse:
        while True:
            with trio.move_on_after(0.35) as scope:
                content = await request.read()
            if not scope.cancelled_caught:
                break
        fields = [("content-encoding", coding)]
        return ServerResponse(headers=fields, body=slowly(content))

    async def slowly(content: bytes) -> AsyncIterator[bytes]:
        async for piece in cut(content, len(content) // 10):
            await trio.sleep(0.1)
            yield piece

    async def test(site: Site) -> None:
        content = ENCODED["gzip"] if coding == "gzip" else TEXT
        async with (
            site.session() as session,
            session.stream("POST", URL, body=slowly(content)) as response,
        ):
            cancelled = 0
            while True:
                with trio.move_on_after(0.35) as scope:
                    await response.read()
                if not scope.cancelled_caught:
                    break
                cancelled += 1
            assert cancelled > 1
            assert response.body == TEXT

    run(test, echo)


def test_what_was_taken_of_a_stream_is_not_read_again(run: Run) -> None:
    async def test(site: Site) -> None:
        async with (
            site.session() as session,
            session.stream("GET", f"{URL}/encoded/gzip/100") as response,
        ):
            first = await anext(response.stream())
            assert first + await response.read() == TEXT

    run(test, handler)


def test_what_was_left_is_over(run: Run) -> None:
    """Whoever reads it, or does so still, is told, and does not wait for ever."""

    async def test(site: Site) -> None:
        async with site.session(limit=1) as session, trio.open_nursery() as nursery:
            told = trio.Event()

            async def read(response: plait_trio.ClientResponse) -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await response.read()
                told.set()

            for path in ("to/encoded/gzip/100", "endless"):
                async with session.stream("GET", f"{URL}/{path}") as response:
                    pass
                for left in (response, *response.history):
                    with pytest.raises(trio.ClosedResourceError):
                        await left.read()
            async with session.stream("GET", f"{URL}/endless") as response:
                nursery.start_soon(read, response)
                await trio.testing.wait_all_tasks_blocked()
            await told.wait()
            assert_at_rest(session)
            response = await session.get(f"{URL}/encoded/gzip/100")
            assert await response.read() == TEXT, "what was read is kept"

    run(test, handler)


# -- beside the content -------------------------------------------------------------------


def test_informational_responses_and_trailers(run: Run) -> None:
    async def test(site: Site) -> None:
        seen: list[tuple[int, str | None]] = []

        def note(status: int, headers: Headers) -> None:
            seen.append((status, get(headers, "link")))

        def fail(status: int, headers: Headers) -> None:
            raise LookupError(status)

        async with site.session(limit=1) as session:
            response = await session.get(f"{URL}/to/hints", on_informational=note)
            assert seen == [(102, "</102>"), (103, "</103>")]
            assert list(response.trailers) == [("x-sum", "1")]
            with pytest.raises(LookupError, match="102"):
                await session.get(f"{URL}/hints", on_informational=fail)
            assert_at_rest(session)
            assert (await session.get(f"{URL}/hints")).body == b"done"

    run(test, handler)


def test_what_redirected_there(run: Run) -> None:
    async def test(site: Site) -> None:
        async with site.session() as session:
            response = await session.get(f"{URL}/to/to/hints")
            assert [hop.url for hop in response.history] == [
                f"{URL}/to/to/hints",
                f"{URL}/to/hints",
            ]
            assert [hop.status for hop in response.history] == [302, 302]
            assert get(response.history[1].headers, "location") == "/hints"
            assert not (await session.get(f"{URL}/hints")).history

    run(test, handler)


@pytest.mark.parametrize(
    ("location", "where"),
    [
        ("?q", "http://a.test/to?q"),
        ("../x y", "http://a.test/x%20y"),
        ("//b.test/x", "http://b.test/x"),
        ("http:x", "http://a.test/x"),
        ("HTTPS://B.test", "https://b.test/"),
        ("http:///x", None),
        ("ws://b.test/", None),
        ("javascript:1", None),
        ("http://b.test:99999/", None),
        ("http://1.2/", None),
    ],
)
def test_where_a_location_leads(location: str, where: str | None) -> None:
    start = parse_url("http://a.test/to")
    if where is None:
        with pytest.raises(plait_trio.RedirectError, match="leads nowhere"):
            URLS.join(start, location)
    else:
        there = URLS.join(start, location)
        assert f"{there.origin()}{target_of(there)}" == where


def test_each_redirect_may_be_challenged(run: Run) -> None:
    async def test(site: Site) -> None:
        async with site.session(digest=("me", "pw")) as session:
            response = await session.get(f"{URL}/secret/one/secret/two/hints")
            assert (response.status, response.body) == (200, b"done")
            assert_at_rest(session)

    run(test, handler)


def test_fields_that_every_request_has(run: Run) -> None:
    async def test(site: Site) -> None:
        async with site.session(headers=[("accept", "text/html")]) as session:
            accept, coding, agent = (await session.get(f"{URL}/")).body.decode().splitlines()
            assert (accept, coding) == ("accept=text/html", "accept-encoding=deflate, gzip")
            assert agent.startswith("user-agent=plait_trio/")
            own = [("ACCEPT-encoding", "identity"), ("user-agent", "me")]
            lines = (await session.get(f"{URL}/", headers=own)).body.decode().splitlines()
            assert lines == ["accept=text/html", "accept-encoding=identity", "user-agent=me"]

    run(test, handler)


# -- errors -------------------------------------------------------------------------------


def test_an_error_says_with_whom_and_whether_to_repeat(run: Run) -> None:
    async def test(site: Site) -> None:
        async with site.session() as session:
            with pytest.raises(plait_trio.StreamError) as caught:
                await session.post(f"{URL}/reset", body=b"x")
            version = "HTTP/2" if site.http2 else "HTTP/1.1"
            assert caught.value.peer == f"127.0.0.1:8080, {version}"
            told = f"127.0.0.1:8080, {version}; it may have processed the request"
            assert told in str(caught.value)
            assert (caught.value.received, caught.value.unprocessed) == (None, False)
            with pytest.raises(plait_trio.StreamError, match="7 of 1000 bytes") as caught:
                await session.get(f"{URL}/short")
            assert (caught.value.received, caught.value.expected) == (7, 1000)
            assert_at_rest(session)

    run(test, handler)


def test_an_error_says_why_the_server_went(run: Run) -> None:
    async def test(site: Site) -> None:
        async with site.session(retry=RetryPolicy(stale=0, unprocessed=0)) as session:
            with pytest.raises(plait_trio.StreamError) as caught:
                await session.get(f"{URL}/goodbye")
            assert ("GOAWAY: ENHANCE_YOUR_CALM" in str(caught.value)) is site.http2

    run(test, handler)


def test_an_error_says_that_this_side_closed(run: Run) -> None:
    async def test(site: Site) -> None:
        async def ask(session: plait_trio.Session) -> None:
            with pytest.raises(plait_trio.StreamError, match="this side closed"):
                await session.get(f"{URL}/wait?100")

        async with trio.open_nursery() as nursery, site.session() as session:
            nursery.start_soon(ask, session)
            await trio.testing.wait_all_tasks_blocked()

    run(test, handler)


# -- connections --------------------------------------------------------------------------


def test_a_connection_that_is_old_takes_no_more_requests(run: Run) -> None:
    async def test(site: Site) -> None:
        async with site.session(max_age=10.0, keep_alive=None) as session:
            for _ in range(3):
                await session.get(f"{URL}/")
                await trio.sleep(2)
            assert len(site.servers) == 1
            await trio.sleep(5)
            await session.get(f"{URL}/")
            assert len(site.servers) == 2
            await site.servers[0].closed.wait()

    run(test, handler)
    with pytest.raises(ValueError, match="age"):
        plait_trio.Session(max_age=0)


def test_figures(run: Run) -> None:
    async def test(site: Site) -> None:
        async with site.session(limit=1) as session:
            assert session.stats().hosts == {}
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(session.get, f"{URL}/wait?5")
                await trio.sleep(1)
                stats = session.stats()
                assert list(stats.hosts) == [URL]
                streams = 3 if site.http2 else 1
                assert (stats.open, stats.idle, stats.in_use) == (1, 0, 1)
                assert (stats.streams, stats.waiting) == (streams, 3 - streams)
            stats = session.stats()
            assert (stats.open, stats.in_use, stats.waiting) == (1, 0, 0)

    run(test, handler)
