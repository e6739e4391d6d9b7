"""Whole responses as they reach the client, and what the objects say, on aiohttp and on plait."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from http.cookies import SimpleCookie
from typing import Any

import pytest
from multidict import CIMultiDict

from tests.same.conftest import Library
from tests.same.tools import answer_of, fields

pytestmark = pytest.mark.anyio


# -- whole responses ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "status", "expected", "body"),
    [
        (lambda web: web.Response(), 200, {"content-length": "0"}, b""),
        (
            lambda web: web.Response(text="é"),
            200,
            {"content-length": "2", "content-type": "text/plain; charset=utf-8"},
            b"\xc3\xa9",
        ),
        (
            lambda web: web.Response(body=b"ab"),
            200,
            {"content-length": "2", "content-type": "application/octet-stream"},
            b"ab",
        ),
        (
            lambda web: web.Response(body=bytearray(b"ab")),
            200,
            {"content-length": "2", "content-type": "application/octet-stream"},
            b"ab",
        ),
        (
            lambda web: web.Response(text="é", content_type="text/html", charset="latin-1"),
            200,
            {"content-length": "1", "content-type": "text/html; charset=latin-1"},
            b"\xe9",
        ),
        (
            lambda web: web.Response(body=b"x", content_type="image/png"),
            200,
            {"content-length": "1", "content-type": "image/png"},
            b"x",
        ),
        (
            lambda web: web.Response(text="x", headers={"Content-Type": "text/css"}),
            200,
            {"content-length": "1", "content-type": "text/css; charset=utf-8"},
            b"x",
        ),
        (
            lambda web: web.Response(text="é", headers={"Content-Type": "a/b; charset=latin-1"}),
            200,
            {"content-length": "1", "content-type": "a/b; charset=latin-1"},
            b"\xe9",
        ),
        (
            lambda web: web.Response(text="x", headers={"X": "1"}),
            200,
            {"content-length": "1", "content-type": "text/plain; charset=utf-8", "x": "1"},
            b"x",
        ),
        (
            lambda web: web.Response(status=201, headers={"Location": "/a", "X-A": "1"}),
            201,
            {"content-length": "0", "location": "/a", "x-a": "1"},
            b"",
        ),
        (lambda web: web.Response(status=204), 204, {}, b""),
        (lambda web: web.Response(status=304), 304, {}, b""),
        (
            lambda web: web.Response(status=299, text="x"),
            299,
            {"content-length": "1", "content-type": "text/plain; charset=utf-8"},
            b"x",
        ),
        (
            lambda web: web.json_response({"a": "é"}),
            200,
            {"content-length": "15", "content-type": "application/json; charset=utf-8"},
            b'{"a": "\\u00e9"}',
        ),
        (
            lambda web: web.json_response(None, status=202, headers={"X": "1"}),
            202,
            {
                "content-length": "4",
                "content-type": "application/json; charset=utf-8",
                "x": "1",
            },
            b"null",
        ),
        (
            lambda web: web.json_response(text="1", content_type="application/x+json"),
            200,
            {"content-length": "1", "content-type": "application/x+json; charset=utf-8"},
            b"1",
        ),
        (
            lambda web: web.json_response(body=b"1"),
            200,
            {"content-length": "1", "content-type": "application/json"},
            b"1",
        ),
        (
            lambda web: web.json_response([1], dumps=lambda data: f"<{data}>"),
            200,
            {"content-length": "5", "content-type": "application/json; charset=utf-8"},
            b"<[1]>",
        ),
        (
            lambda web: web.json_bytes_response([1], dumps=lambda data: b"bytes"),
            200,
            {"content-length": "5", "content-type": "application/json"},
            b"bytes",
        ),
    ],
)
async def test_whole(
    library: Library,
    make: Callable[[Any], Any],
    status: int,
    expected: dict[str, str],
    body: bytes,
) -> None:
    answer = await answer_of(library, make)
    assert answer.status == status
    assert fields(answer) == expected
    assert answer.body == body
    names = [name.lower() for name, _ in answer.headers]
    assert {"date", "server"} <= set(names)
    assert len(names) == len(set(names))
    head = await answer_of(library, make, "HEAD")
    assert (head.status, head.body) == (status, b"")
    if body:
        assert head.header("content-length") == answer.header("content-length")


@pytest.mark.parametrize(
    "make",
    [
        lambda web: web.Response(text="a", body=b"b"),
        lambda web: web.Response(text="a", content_type="text/html; charset=utf-8"),
        lambda web: web.Response(
            text="a", headers={"Content-Type": "a/b"}, content_type="text/html"
        ),
        lambda web: web.Response(
            body=b"a", headers={"Content-Type": "a/b"}, content_type="text/html"
        ),
        lambda web: web.Response(body=b"a", headers={"Content-Type": "a/b"}, charset="utf-8"),
        lambda web: web.Response(body=object()),
        lambda web: web.Response(reason="a\r\nb"),
        lambda web: web.json_response({}, text="a"),
        lambda web: web.json_response({}, body=b"a"),
        lambda web: web.json_bytes_response({}, dumps=bytes, body=b"a"),
    ],
)
def test_arguments_that_contradict_each_other(plain: Library, make: Callable[[Any], Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        make(plain.web)


def test_text_that_is_none(plain: Library) -> None:
    with pytest.raises(TypeError):
        plain.web.Response(text=b"a")


async def test_the_order_of_fields(library: Library) -> None:
    def make(web: Any) -> Any:
        response = web.Response(body=b"a", headers={"X-A": "1", "X-B": "2", "Content-Type": "a/b"})
        response.set_cookie("c", "1")
        return response

    answer = await answer_of(library, make)
    names = [name.lower() for name, _ in answer.headers]
    wanted = ["x-a", "x-b", "content-type", "set-cookie", "date", "server"]
    if library.is_h2:  # There credentials may come last (RFC 9110 section 5.3).
        wanted.remove("set-cookie")
    assert [name for name in names if name in wanted] == wanted


async def test_fields_of_the_handler_win(library: Library) -> None:
    answer = await answer_of(
        library, lambda web: web.Response(headers={"Server": "mine", "Date": "today"})
    )
    assert answer.header("server") == "mine"
    assert answer.header("date") == "today"


async def test_the_reason(plain: Library) -> None:
    async def handler(request: Any) -> Any:
        return plain.web.Response(status=404, reason="Gone Fishing")

    answer = await plain.raw(handler, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 404 Gone Fishing\r\n")


async def test_a_kept_connection_of_http_1_0_says_so(plain: Library) -> None:
    async def handler(request: Any) -> Any:
        return plain.web.Response(text="a")

    answer = await plain.raw(
        handler,
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n",
    )
    assert answer.count(b" 200 OK\r\n") == 2
    assert b"connection: keep-alive\r\n" in answer.lower()


async def test_force_close(plain: Library) -> None:
    async def handler(request: Any) -> Any:
        response = plain.web.Response(text="a")
        response.force_close()
        assert response.keep_alive is False
        return response

    answer = await plain.raw(handler, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"connection: close\r\n" in answer.lower()


@pytest.mark.parametrize("status", [204, 304])
async def test_what_has_no_body_has_none(library: Library, status: int) -> None:
    answer = await answer_of(
        library,
        lambda web: web.Response(status=status, body=b"abc", headers={"Content-Length": "3"}),
    )
    assert answer.body == b""
    assert answer.header("content-length") is None
    assert answer.header("transfer-encoding") is None


# -- bodies of other kinds ---------------------------------------------------------------------


async def _pieces() -> Any:
    yield b"ab"
    yield b"cd"


def _writer(web: Any, library: Library) -> Any:
    with library.top.MultipartWriter("mixed", boundary="b") as writer:
        writer.append("x")
    return writer


@pytest.mark.parametrize(
    ("make", "body", "content_type"),
    [
        (lambda library: _pieces(), b"abcd", "application/octet-stream"),
        (lambda library: io.BytesIO(b"abcd"), b"abcd", "application/octet-stream"),
        (lambda library: io.StringIO("abcd"), b"abcd", "text/plain; charset=utf-8"),
        (lambda library: "abcd", b"abcd", "text/plain; charset=utf-8"),
        (lambda library: library.payload.JsonPayload([1]), b"[1]", "application/json"),
        (
            lambda library: _writer(library.web, library),
            b"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 1\r\n\r\nx"
            b"\r\n--b--\r\n",
            'multipart/mixed; boundary="b"',
        ),
    ],
    ids=["generator", "BytesIO", "StringIO", "str", "JSON", "multipart"],
)
async def test_payloads(
    library: Library, make: Callable[[Library], Any], body: bytes, content_type: str
) -> None:
    answer = await answer_of(library, lambda web: web.Response(body=make(library)))
    assert answer.status == 200
    assert answer.body == body
    found = answer.header("content-type")
    assert found is not None
    assert found.replace('"', "") == content_type.replace('"', "")


# -- what a response says ----------------------------------------------------------------------


def test_a_new_response(plain: Library) -> None:
    response = plain.web.Response()
    assert (response.status, response.reason) == (200, "OK")
    assert response.prepared is False
    assert response.body is None
    assert response.text is None
    assert response.content_length == 0
    assert response.content_type == "application/octet-stream"
    assert response.charset is None
    assert response.keep_alive is None
    assert response.chunked is False
    assert response.compression is False
    assert response.last_modified is None
    assert response.etag is None
    assert response.task is None
    assert isinstance(response.headers, CIMultiDict)
    assert isinstance(response.cookies, SimpleCookie)
    assert response.body_length == 0
    assert bool(response) is True
    assert len(response) == 0


def test_a_new_stream(plain: Library) -> None:
    response = plain.web.StreamResponse(status=202, headers={"A": "1"})
    assert (response.status, response.reason) == (202, "Accepted")
    assert response.content_length is None
    assert response.headers["a"] == "1"
    assert response.content_type == "application/octet-stream"


def test_status(plain: Library) -> None:
    response = plain.web.StreamResponse()
    response.set_status(404)
    assert (response.status, response.reason) == (404, "Not Found")
    response.set_status(404, "Gone")
    assert (response.status, response.reason) == (404, "Gone")
    response.set_status(599)
    assert (response.status, response.reason) == (599, "")
    response.set_status("204")
    assert response.status == 204
    with pytest.raises(ValueError, match=r"\\r|\\n|Reason"):
        response.set_status(200, "a\nb")


def test_the_content_type_can_be_set(plain: Library) -> None:
    response = plain.web.StreamResponse()
    response.content_type = "text/html"
    assert response.headers["Content-Type"] == "text/html"
    response.charset = "UTF-8"
    assert response.charset == "utf-8"
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    response.content_type = "text/css"
    assert response.headers["Content-Type"] == "text/css; charset=utf-8"
    response.charset = None
    assert response.headers["Content-Type"] == "text/css"


def test_a_charset_needs_a_type(plain: Library) -> None:
    response = plain.web.StreamResponse()
    with pytest.raises(RuntimeError):
        response.charset = "utf-8"


def test_the_length_can_be_set(plain: Library) -> None:
    response = plain.web.StreamResponse()
    response.content_length = 5
    assert response.headers["Content-Length"] == "5"
    assert response.content_length == 5
    with pytest.raises(RuntimeError):
        response.enable_chunked_encoding()
    response.content_length = None
    assert "Content-Length" not in response.headers
    response.enable_chunked_encoding()
    assert response.chunked is True
    with pytest.raises(RuntimeError):
        response.content_length = 5


def test_the_length_of_a_whole_response_is_its_own(plain: Library) -> None:
    response = plain.web.Response(body=b"abc")
    assert response.content_length == 3
    with pytest.raises(RuntimeError):
        response.content_length = 5
    response.enable_chunked_encoding()
    assert response.content_length is None


def test_text_and_body_can_be_set(plain: Library) -> None:
    response = plain.web.Response(text="é")
    assert (response.text, response.body) == ("é", b"\xc3\xa9")
    response.text = "a"
    assert response.body == b"a"
    response.body = b"bc"
    assert response.text == "bc"
    assert response.content_length == 2
    response.body = None
    assert response.text is None
    response = plain.web.Response()
    response.text = "a"
    assert response.content_type == "text/plain"
    assert response.charset == "utf-8"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (0.5, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
        (datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("Thu, 02 Jan 2020 03:04:05 GMT", datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)),
    ],
)
def test_last_modified(plain: Library, value: Any, expected: datetime | None) -> None:
    response = plain.web.StreamResponse()
    response.last_modified = value
    assert response.last_modified == expected
    response.last_modified = None
    assert "Last-Modified" not in response.headers


def test_last_modified_as_text(plain: Library) -> None:
    response = plain.web.StreamResponse()
    response.last_modified = 1577934245
    assert response.headers["Last-Modified"] == "Thu, 02 Jan 2020 03:04:05 GMT"


def test_etag(plain: Library) -> None:
    response = plain.web.StreamResponse()
    response.etag = "a"
    assert response.headers["ETag"] == '"a"'
    assert response.etag == plain.top.ETag("a")
    response.etag = plain.top.ETag("b", is_weak=True)
    assert response.headers["ETag"] == 'W/"b"'
    response.etag = "*"
    assert response.headers["ETag"] == "*"
    response.etag = None
    assert "ETag" not in response.headers
    for bad in ('"', plain.top.ETag("\n")):
        with pytest.raises(ValueError, match=r"."):
            response.etag = bad
    with pytest.raises(ValueError, match=r"."):
        response.etag = 5


def test_a_response_is_a_mapping(plain: Library) -> None:
    key = plain.web.ResponseKey("key", int)
    response = plain.web.Response()
    response[key] = 1
    assert (response[key], response.get(key), key in response) == (1, 1, True)
    assert list(response) == [key]
    del response[key]
    assert response.get(key) is None
    assert response == response
    assert response != plain.web.Response()
    assert hash(response) != hash(plain.web.Response())


# -- cookies -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"path": "/"}),
        ({"max_age": 10}, {"path": "/", "max-age": "10"}),
        ({"max_age": "10"}, {"path": "/", "max-age": "10"}),
        (
            {"expires": "Thu, 01 Jan 1970 00:00:00 GMT"},
            {"expires": "Thu, 01 Jan 1970 00:00:00 GMT"},
        ),
        ({"domain": "a.b", "path": "/x"}, {"domain": "a.b", "path": "/x"}),
        ({"secure": True, "httponly": True}, {"secure": True, "httponly": True}),
        ({"samesite": "Lax"}, {"samesite": "Lax"}),
        ({"version": "1"}, {"version": "1"}),
    ],
)
def test_set_cookie(plain: Library, options: dict[str, Any], expected: dict[str, Any]) -> None:
    response = plain.web.Response()
    response.set_cookie("name", "value", **options)
    morsel = response.cookies["name"]
    assert morsel.value == "value"
    for attribute, value in expected.items():
        found = morsel[attribute]
        assert found == value or str(found) == str(value)


def test_set_cookie_twice(plain: Library) -> None:
    response = plain.web.Response()
    response.set_cookie("name", "one", max_age=5)
    response.set_cookie("name", "two")
    assert response.cookies["name"].value == "two"
    assert len(response.cookies) == 1


def test_del_cookie(plain: Library) -> None:
    response = plain.web.Response()
    response.set_cookie("name", "one")
    response.del_cookie("name", path="/x", domain="a.b", secure=True)
    morsel = response.cookies["name"]
    assert (morsel.value, str(morsel["max-age"]), morsel["path"]) == ("", "0", "/x")
    assert morsel["expires"] == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert morsel["domain"] == "a.b"


async def test_cookies_as_they_are_sent(library: Library) -> None:
    def make(web: Any) -> Any:
        response = web.Response()
        response.set_cookie("a", "1", max_age=10, httponly=True, secure=True, samesite="Strict")
        response.set_cookie("b", "x y")
        response.del_cookie("c")
        return response

    answer = await answer_of(library, make)
    sent = [value for name, value in answer.headers if name.lower() == "set-cookie"]
    read = [SimpleCookie(text) for text in sent]
    assert [(name, m.value) for cookie in read for name, m in cookie.items()] == [
        ("a", "1"),
        ("b", "x y"),
        ("c", ""),
    ]
    assert set(sent[0].split("; ")) == {
        "a=1", "HttpOnly", "Max-Age=10", "Path=/", "SameSite=Strict", "Secure",
    }  # fmt: skip
    assert sent[1] == 'b="x y"; Path=/'
    assert "Max-Age=0" in sent[2]
    assert "expires=Thu, 01 Jan 1970 00:00:00 GMT" in sent[2]
