"""Attacks on a ``ClientSession``: by servers, and by whoever gives it URLs and values.

A row is an id of the list of attacks, and what makes the row.
"""

from __future__ import annotations

import gzip
import socket
import sys
import warnings
import zlib
from typing import Any

import pytest
from yarl import URL

import plait
from plait_engine.content.codings import GzipDecoder
from tests.adapters.raw_server import OK, RawConnection, RawServer, always, raw_server
from tests.conftest import Authority
from tests.engine.chops import CHOPS, Chop

pytestmark = pytest.mark.anyio


def response(*fields: bytes, status: bytes = b"200 OK", body: bytes = b"ok") -> bytes:
    lines = [b"HTTP/1.1 " + status, *fields, b"Content-Length: %d" % len(body)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def pieces(answer: bytes, chop: Chop) -> Any:
    """Answer the first request of each connection in pieces, then wait for its end."""

    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        await connection.send_pieces(chop(answer))
        await connection.read_to_end()

    return script


# -- what is asked for --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        pytest.param("http://localhost\0/", "neither a name", id="C19-nul"),
        pytest.param("http://localhost\0.evil.test/", "neither a name", id="C19-nul-inside"),
        pytest.param("http://local host/", "neither a name", id="C19-space"),
        pytest.param("http://xn--example-.com/", "neither a name", id="C19-ascii-a-label"),
        pytest.param("http://a..b/", "neither a name", id="C19-empty-label"),
        pytest.param("http://.../", "neither a name", id="C19-dots"),
        pytest.param("http://" + "a" * 64 + ".test/", "neither a name", id="C19-long-label"),
        pytest.param("http://a%00b/", "neither a name", id="C19-encoded"),
        pytest.param("http://\u3002/", r".", id="C19-full-stop"),
        pytest.param("http://a\uff0fb/", r".", id="C19-full-width-slash"),
        pytest.param("http://1.2.3.4.5/", "no IPv4 address", id="A29-five-numbers"),
        pytest.param("http://\uff11\uff12\uff17.1/", "no IPv4 address", id="A29-full-width"),
        pytest.param("http://[::1", r".", id="A77-unclosed"),
        pytest.param("http://[1:2]/", r".", id="A77-short"),
        pytest.param("http://[::1]x/", r".", id="A77-behind"),
        pytest.param("http://a:99999/", r".", id="A77-port"),
        pytest.param("http://a" + "@" * 100_000, r".", id="A36-at"),
        pytest.param("http://u%3Ax:p@localhost/", "a login must not", id="C5-login-colon"),
        pytest.param("http://%E2%82%AC:p@localhost/", "cannot be sent", id="C5-login-latin1"),
    ],
)
async def test_bad_urls(url: str, problem: str) -> None:
    async with plait.ClientSession() as session:
        with pytest.raises(plait.InvalidURL, match=problem):
            await session.get(url)


@pytest.mark.parametrize("name", ["stra\xdfe.test", "STRASSE\u3002test", "\u212aelvin.test"])
async def test_c19_one_form_of_a_name_is_used_for_everything(name: str) -> None:
    asked: list[str] = []

    class Resolver(plait.abc.AbstractResolver):
        async def resolve(self, host: str, port: int = 0, family: int = 0) -> Any:
            asked.append(host)
            return [
                {
                    "hostname": host,
                    "host": "127.0.0.1",
                    "port": port,
                    "family": socket.AF_INET,
                    "proto": 0,
                    "flags": 0,
                }
            ]

        async def close(self) -> None:
            pass

    heads: list[bytes] = []

    async def script(connection: RawConnection) -> None:
        heads.append(await connection.read_head())
        connection.send(OK)

    async with (
        raw_server(script) as server,
        plait.ClientSession(connector=plait.TCPConnector(resolver=Resolver())) as session,
        session.get(f"http://{name}:{server.port}/") as answer,
    ):
        assert answer.status == 200
    (host,) = asked
    assert host.isascii()
    assert b"\r\nHost: %b:%d\r\n" % (host.encode(), server.port) in heads[0]


@pytest.mark.parametrize("host", ["[::1%25lo]", "[::1%lo]"])
async def test_a28_the_zone_of_an_address_stays_here(host: str) -> None:
    """RFC 6874 section 4."""
    request = plait.ClientRequest("GET", URL(f"http://{host}:8080/"))
    assert request.headers["Host"] == "[::1]:8080"
    assert request.connection_key.host == "::1%lo"


async def sent_for(method: str = "GET", *, path: str, encoded: bool, **options: Any) -> list[bytes]:
    """Return the heads that a request, and one behind it, put on the wire."""
    heads: list[bytes] = []

    async def script(connection: RawConnection) -> None:
        while head := await connection.read_head():
            heads.append(head)
            connection.send(OK)

    async with raw_server(script) as server, plait.ClientSession() as session:
        try:
            await (
                await session.request(method, URL(server.url + path, encoded=encoded), **options)
            ).read()
        finally:
            await (await session.get(server.url + "after")).read()
            assert heads[-1].startswith(b"GET /after HTTP/1.1\r\n")
    return heads


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("\r\nX: y", b"/X:%20y"),
        (" a?b c", b"/%20a?b+c"),
        ("\u010a", b"/%C4%8A"),
        ("\0", b"/%00"),
        ("\u2028", b"/%E2%80%A8"),
        ("%0d%0a", b"/%0D%0A"),
        ("%" * 10_000, None),
    ],
)
async def test_c3_targets_are_encoded(path: str, target: bytes | None) -> None:
    head = (await sent_for(path=path, encoded=False))[0]
    request_target = head.split(b" ")[1]
    assert head.split(b"\r\n")[0].count(b" ") == 2
    assert b"\r\nX: y" not in head
    assert target is None or request_target == target


@pytest.mark.parametrize("path", ["X: y", "a b", "\u010a", "\0", "\u2028", "\x7f", "?q=a b"])
async def test_c3_encoded_targets_are_checked(path: str) -> None:
    with pytest.raises(plait.InvalidUrlClientError, match="invalid request target"):
        await sent_for(path=path, encoded=True)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"cookies": {"a\r\n": "b"}}, id="C5-cookie-name"),
        pytest.param({"cookies": {"a;": "b"}}, id="C5-cookie-name-semicolon"),
        pytest.param({"headers": {"Connection": "close\r\nX: y"}}, id="C5-connection"),
        pytest.param({"headers": {"Upgrade": "x\r\nX: y"}}, id="C5-upgrade"),
        pytest.param({"headers": {"Content-Type": "a\r\nX: y"}}, id="C5-content-type"),
        pytest.param({"headers": {"Host": "a b"}}, id="C4-host-space"),
        pytest.param({"headers": {"Host": "u@a"}}, id="C4-host-userinfo"),
        pytest.param({"headers": {"Host": "a/b"}}, id="C4-host-path"),
        pytest.param({"headers": {"Transfer-Encoding": "gzip"}, "data": b"x"}, id="C6-te"),
        pytest.param({"headers": {"Transfer-Encoding": "identity"}, "data": b"x"}, id="C6-te-id"),
        pytest.param({"json": {}, "headers": {"Content-Length": "3"}}, id="C6-json-length"),
        pytest.param({"method": "CONNECT"}, id="C1-connect"),
    ],
)
async def test_nothing_is_sent_of_what_cannot_be_said(options: dict[str, Any]) -> None:
    with pytest.raises(Exception, match=r".") as caught:
        await sent_for(**{"method": "POST", **options}, path="x", encoded=False)
    assert type(caught.value).__name__ in ("ValueError", "CookieError")


async def test_c2_a_version_cannot_be_smuggled_in() -> None:
    with pytest.raises(ValueError, match="in HTTP"):
        async with plait.ClientSession(version=("1", "1\r\nX: y")) as session:  # type: ignore[arg-type]  # what is tested
            await session.get("http://localhost:1/")


@pytest.mark.parametrize("protocol", ["a\r\nX: y", "a b", "", "\xe9", "\0"])
async def test_c5_subprotocols(protocol: str) -> None:
    heads: list[bytes] = []

    async def script(connection: RawConnection) -> None:
        while head := await connection.read_head():
            heads.append(head)
            connection.send(OK)

    async with raw_server(script) as server, plait.ClientSession() as session:
        with pytest.raises(ValueError, match="tokens"):
            await session.ws_connect(server.url, protocols=(protocol,))
        assert await (await session.get(server.url + "after")).read() == b"ok"
    assert [head.split(b" ")[1] for head in heads] == [b"/after"]


async def test_c5_values_are_encoded_not_truncated() -> None:
    """U+560D and U+560A end in the bytes of CR and LF (CVE-2018-12116)."""
    (head, _) = await sent_for(path="", encoded=False, headers={"X": "\u560d\u560aY: z"})
    assert b"\r\nX: \xe5\x98\x8d\xe5\x98\x8aY: z\r\n" in head
    (head, _) = await sent_for(path="", encoded=False, cookies={"a": "b\r\nX: y"})
    assert b'\r\nCookie: a="b\\015\\012X: y"\r\n' in head


# -- what comes back ------------------------------------------------------------------------


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nFoo: abc\x00def\r\n\r\n", id="C8-nul"),
        pytest.param(b"HTTP/1.1 200 OK\r\n: x\r\n\r\n", id="C8-no-name"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA : x\r\n\r\n", id="C8-space"),
        pytest.param(b"HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", id="C12-101"),
        pytest.param(b"HTTP/1.1 103 X\r\n\r\n" * 101, id="C12-flood"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"a" * 9000, id="C13-line"),
        pytest.param(b"HTTP/1.1 200 " + b"a" * 9000, id="C13-reason"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n", id="C9"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", id="C9-plus"),
        pytest.param(b"HTTP/2.0 200 OK\r\n\r\n", id="C9-version"),
        pytest.param(b"ICY 200 OK\r\n\r\n", id="C9-other-protocol"),
    ],
)
async def test_bad_heads(answer: bytes, chop: Chop) -> None:
    async with raw_server(pieces(answer, chop)) as server, plait.ClientSession() as session:
        with pytest.raises(plait.ClientResponseError, match="malformed response") as caught:
            await session.get(server.url)
        assert str(caught.value).isprintable()
        assert session._connector is not None
        assert not session._connector._places._clients, "nothing is left in the pool"


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"0\rX", id="C7-cr"),
        pytest.param(b"5\r\nhello\rX", id="C7-data-cr"),
        pytest.param(b"5\r\nhelloXY", id="C7-data-spill"),
        pytest.param(b"1\r\nA\rB", id="C7-data-cr-1"),
        pytest.param(b"0_2e\r\n", id="C7-size"),
        pytest.param(b"0" * 9000, id="C13-size-line"),
    ],
)
async def test_bad_chunks(body: bytes, chop: Chop) -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body
    async with raw_server(pieces(answer, chop)) as server, plait.ClientSession() as session:
        with pytest.raises(plait.ClientPayloadError) as caught:
            await (await session.get(server.url)).read()
        assert len(str(caught.value)) < 200, "what came is not repeated"


@pytest.mark.parametrize("alert", [True, False])
async def test_c16_a_body_until_close_needs_the_closure_alert(
    alert: bool, authority: Authority
) -> None:
    """RFC 9112 section 9.8."""

    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        connection.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
        await connection.writer.drain()
        if not alert:
            connection.writer.get_extra_info("socket").shutdown(socket.SHUT_WR)
            await connection.read_to_end()

    connector = plait.TCPConnector(ssl=authority.client_context(), http2=False)
    async with (
        raw_server(script, authority.server_context()) as server,
        plait.ClientSession(connector=connector) as session,
        session.get(server.url) as answer,
    ):
        if alert:
            assert await answer.read() == b"hello"
        else:
            with pytest.raises(plait.ClientPayloadError, match="lost"):
                await answer.read()


@pytest.mark.parametrize(
    ("content_type", "text"),
    [
        pytest.param(b";" * 5000, "caf\xe9", id="C18-semicolons"),
        pytest.param(b"a/b; charset=nope", "caf\xe9", id="C18-unknown"),
        pytest.param(b"a/b; charset=base64", "caf\xe9", id="C18-codec"),
        pytest.param(b"a/b; charset=undefined", "caf\xe9", id="C18-undefined"),
        pytest.param(b'a/b; charset="', "caf\xe9", id="C18-quote"),
        pytest.param(b"a/b; charset=", "caf\xe9", id="C18-empty"),
        pytest.param(b"a/b; charset=\xff", "caf\xe9", id="C18-bytes"),
        pytest.param(b"a/b; charset*9999999999=x", "caf\xe9", id="C18-continuation"),
        pytest.param(b"a/b; charset=latin-1", "caf\xc3\xa9", id="C18-known"),
    ],
)
async def test_charsets(content_type: bytes, text: str) -> None:
    answer = response(b"Content-Type: " + content_type, body=b"caf\xc3\xa9")
    async with (
        raw_server(always(answer)) as server,
        plait.ClientSession() as session,
        session.get(server.url) as got,
    ):
        assert await got.text() == text
        assert isinstance(got.content_type, str)


@pytest.mark.parametrize(
    "part", ["<", ",<", '<a>\\"', '<a>"', '<a>;x="\\"', "<a>; rel=x, ", "<a>;"]
)
async def test_c18_links_cost_what_they_are_long(part: str) -> None:
    """If they cost the square of that, nobody would wait for this test to end."""
    value = part * 50_000
    headers = b"Link: " + value.encode()
    size = 2 * len(headers)
    async with (
        raw_server(always(response(headers))) as server,
        plait.ClientSession(max_field_size=size) as session,
        session.get(server.url) as got,
    ):
        assert isinstance(dict(got.links), dict)


@pytest.mark.parametrize("field", ['a; b="%d', "a; x*=%%%d", "a; %d", ";%d"])
async def test_c18_what_is_warned_of_is_not_kept(field: str) -> None:
    """Python keeps the text of each warning, where it was shown once."""
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("default")
        for number in range(100):
            answer = response(b"Content-Disposition: " + (field % number).encode())
            async with (
                raw_server(always(answer)) as server,
                plait.ClientSession() as session,
                session.get(server.url) as got,
            ):
                assert got.content_disposition is not None
        kept = [
            text
            for name, module in sys.modules.items()
            if name.startswith(("plait", "tests."))
            for text in vars(module).get("__warningregistry__", ())
            if "99" in str(text)
        ]
    assert not kept


GZIP = gzip.compress(b"text", mtime=0)


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize(
    ("fields", "body", "result"),
    [
        pytest.param([b"gzip"], b"", b"", id="Z10-empty"),
        pytest.param([b"GZIP"], GZIP, b"text", id="Z8-case"),
        pytest.param([b"x-gzip"], GZIP, b"text", id="Z8-alias"),
        pytest.param(["gz\u0131p".encode()], GZIP, GZIP, id="Z8-dotless-i"),
        pytest.param([b"unknown"], GZIP, GZIP, id="Z8-unknown"),
        pytest.param([b"gzip" + b", gzip" * 1000], GZIP, GZIP, id="Z4-list"),
        pytest.param([b"gzip"] * 100, GZIP, GZIP, id="Z4-lines"),
        pytest.param([b"deflate"], zlib.compress(b"text")[2:-4], b"text", id="Z6-bare"),
        pytest.param([b"deflate"], b"\x78", None, id="Z6-one-byte"),
        pytest.param([b"deflate"], zlib.compress(b"text")[:-1], None, id="Z6-cut"),
        pytest.param([b"gzip"], GZIP + GZIP, b"texttext", id="Z5-members"),
        pytest.param([b"gzip"], gzip.compress(b"") * 1025, None, id="Z5-too-many"),
        pytest.param([b"gzip"], GZIP + b"rest", None, id="Z5-rest"),
    ],
)
async def test_codings(fields: list[bytes], body: bytes, result: bytes | None, chop: Chop) -> None:
    answer = response(*[b"Content-Encoding: " + field for field in fields], body=body)
    async with raw_server(pieces(answer, chop)) as server, plait.ClientSession() as session:
        got = await session.get(server.url)
        if result is None:
            with pytest.raises(plait.ClientPayloadError, match="is not in its Content-Encoding"):
                await got.read()
        else:
            assert await got.read() == result


async def test_z10_no_content_is_no_coding() -> None:
    answer = b"HTTP/1.1 %b X\r\nContent-Encoding: gzip\r\nContent-Length: 99\r\n\r\n"
    for method, status in (("HEAD", b"200"), ("GET", b"304"), ("GET", b"204")):
        async with raw_server(always(answer % status)) as server, plait.ClientSession() as session:
            for _ in range(2):
                async with session.request(method, server.url) as got:
                    assert await got.read() == b""
            assert server.connections == 1


BOMB = gzip.compress(bytes(50_000_000))


@pytest.mark.parametrize("end", ["release", "close", "redirect"])
async def test_z2_a_bomb_that_nobody_reads_is_not_decoded(
    end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = 0
    decode = GzipDecoder.decode

    def count(self: GzipDecoder, data: bytes, max_length: int) -> bytes:
        nonlocal decoded
        piece = decode(self, data, max_length)
        decoded += len(piece)
        return piece

    monkeypatch.setattr(GzipDecoder, "decode", count)
    status = b"302 Go\r\nLocation: /after" if end == "redirect" else b"200 OK"
    bomb = response(b"Content-Encoding: gzip", status=status, body=BOMB)

    async def script(connection: RawConnection) -> None:
        while head := await connection.read_head():
            connection.send(OK if head.startswith(b"GET /after ") else bomb)

    async with raw_server(script) as server, plait.ClientSession() as session:
        got = await session.get(server.url)
        if end == "release":
            got.release()
        elif end == "close":
            got.close()
        assert await (await session.get(server.url + "after")).read() == b"ok"
    assert decoded < 1_000_000


# -- redirects --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("location", "error"),
    [
        pytest.param(b"http:///x", plait.InvalidUrlRedirectClientError, id="A28-no-host"),
        pytest.param(b"http:", plait.InvalidUrlRedirectClientError, id="A28-scheme-only"),
        pytest.param(b"gopher://x/", plait.NonHttpUrlRedirectClientError, id="A28-gopher"),
        pytest.param(b"javascript:alert(1)", plait.NonHttpUrlRedirectClientError, id="A28-script"),
        pytest.param(b"http://127.1/", plait.InvalidUrlClientError, id="A28-number"),
        pytest.param(b"http://local\x20host/", plait.InvalidUrlClientError, id="A28-space"),
        pytest.param(b"http://u%3Ax:p@localhost/", plait.InvalidUrlClientError, id="A28-login"),
        pytest.param(b"http://%E2%82%AC:p@localhost/", plait.InvalidUrlClientError, id="A28-euro"),
        pytest.param(b"http://" + b"a" * 300 + b"/", plait.InvalidUrlClientError, id="A28-label"),
        pytest.param(b"/" + b"x" * 10_000, plait.ClientResponseError, id="A28-long"),
        pytest.param(b"?x", plait.TooManyRedirects, id="A28-query"),
        pytest.param(b"#x", plait.TooManyRedirects, id="A28-fragment"),
        pytest.param(b"//", plait.TooManyRedirects, id="A28-slashes"),
        pytest.param(b"/\xff\xc3\xa9", plait.TooManyRedirects, id="A28-bytes"),
    ],
)
async def test_locations(location: bytes, error: type[Exception]) -> None:
    answer = response(b"Location: " + location, status=b"302 Go")
    async with raw_server(always(answer)) as server, plait.ClientSession() as session:
        with pytest.raises(error):
            await session.get(server.url)


async def test_a20_credentials_do_not_come_back_on_the_way_home() -> None:
    """From a to b and back to a; each is told apart by its port."""
    heads: list[tuple[str, bytes]] = []
    homes: dict[str, RawServer] = {}

    def home(name: str, target: str, path: str) -> Any:
        async def script(connection: RawConnection) -> None:
            while head := await connection.read_head():
                heads.append((name, head))
                if head.startswith(b"GET /end "):
                    connection.send(OK)
                else:
                    url = homes[target].url + path
                    connection.send(response(b"Location: " + url.encode(), status=b"307 Go"))

        return script

    async with (
        raw_server(home("a", "b", "")) as homes["a"],
        raw_server(home("b", "a", "end")) as homes["b"],
        plait.ClientSession(headers={"authorization": "secret", "X": "kept"}) as session,
        session.get(
            homes["a"].url,
            headers=[("Cookie", "secret"), ("cookie", "secret"), ("Proxy-Authorization", "secret")],
            cookies={"secret": "1"},
        ) as answer,
    ):
        assert answer.status == 200
    assert [name for name, _ in heads] == ["a", "b", "a"]
    assert [b"secret" in head for _, head in heads] == [True, False, False]
    assert all(b"\r\nX: kept\r\n" in head for _, head in heads)


@pytest.mark.parametrize(
    ("status", "kept"),
    [(b"301 M", False), (b"302 F", False), (b"303 S", False), (b"307 T", True), (b"308 P", True)],
)
async def test_a23_content_and_its_fields_go_together(status: bytes, kept: bool) -> None:
    heads: list[bytes] = []

    async def script(connection: RawConnection) -> None:
        while head := await connection.read_head():
            heads.append(head)
            if b"\r\nContent-Length: 4\r\n" in head:
                assert await connection.read(4) == b"body"
            moved = response(b"Location: /end", status=status)
            connection.send(OK if b" /end " in head else moved)

    async with raw_server(script) as server, plait.ClientSession() as session:
        await (await session.post(server.url, data=b"body")).read()
    assert heads[1].startswith(b"POST /end " if kept else b"GET /end ")
    for name in (b"Content-Length", b"Content-Type"):
        assert (name in heads[1]) is kept


# -- cookies ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cookie", "sent"),
    [
        pytest.param(b"=x", None, id="A41-nameless"),
        pytest.param(b"=__Host-x=bad", None, id="A41-nameless-prefix"),
        pytest.param(b"__Host-x=bad; Path=/", None, id="A41-host-insecure"),
        pytest.param(b"__secure-x=bad", None, id="A41-secure-case"),
        pytest.param(b"a=%0d%0aX: y", b"a=%0d%0aX: y", id="A47-not-decoded"),
        pytest.param(b'a="\\015\\012X"', b'a="\\015\\012X"', id="A47-octal-not-decoded"),
        pytest.param(b"a=1; Domain=.com", None, id="A45-suffix"),
        pytest.param(b"a=1; Domain=example.com", None, id="A45-other"),
        pytest.param(b"a=1; Domain=localhost.", None, id="A45-dot"),
        pytest.param(b"a=1; Domain=", b"a=1", id="A45-empty"),
        pytest.param(b"a=1; Max-Age=1" + b"0" * 30, b"a=1", id="A48-large"),
        pytest.param(b"a=1; Max-Age=-1", None, id="A48-negative"),
        pytest.param("a=1; Max-Age=\u0969".encode(), b"a=1", id="A48-no-ascii-digit"),
        pytest.param(b"a=1; Expires=junk", b"a=1", id="A48-junk"),
        pytest.param(b"a=1; Expires=Fri, 01 Jan 1600 00:00:00 GMT", b"a=1", id="A48-1600"),
        pytest.param(b"a=1; Expires=Fri, 01 Jan 9999 00:00:00 GMT", b"a=1", id="A48-9999"),
        pytest.param(b"a=1; Secure", None, id="A49-secure"),
        pytest.param(b"a=1; Path=/b", None, id="A49-path"),
        pytest.param(b"\xff=\xfe", b"\xff=\xfe", id="A47-bytes"),
    ],
)
async def test_cookies(cookie: bytes, sent: bytes | None) -> None:
    heads: list[bytes] = []

    async def script(connection: RawConnection) -> None:
        while head := await connection.read_head():
            heads.append(head)
            connection.send(response(b"Set-Cookie: " + cookie))

    async with raw_server(script) as server, plait.ClientSession() as session:
        for _ in range(2):
            async with session.get(server.url) as answer:
                assert answer.status == 200
                assert isinstance(dict(answer.cookies), dict)
    found = [line[8:] for line in heads[1].split(b"\r\n") if line.startswith(b"Cookie: ")]
    assert found == ([] if sent is None else [sent])


async def test_a35_retry_after_makes_nobody_wait() -> None:
    answer = response(b"Retry-After: 999999999999999999999", status=b"503 No")
    async with (
        raw_server(always(answer)) as server,
        plait.ClientSession() as session,
        session.get(server.url) as got,
    ):
        assert got.status == 503
