"""Cookie jars, on aiohttp and on plait."""

from __future__ import annotations

import json
import os
import stat
import sys
from http.cookies import Morsel, SimpleCookie
from pathlib import Path
from types import MappingProxyType
from typing import Any

import aiohttp
import pytest
from yarl import URL

import plait
from tests.same.conftest import Library
from tests.same.recorder import recording

pytestmark = pytest.mark.anyio

A = URL("http://a.example/")
SECURE = URL("https://a.example/")


def sent(jar: Any, url: URL | str) -> dict[str, str]:
    """Return the cookies that the jar sends to ``url``."""
    return {name: morsel.value for name, morsel in jar.filter_cookies(URL(url)).items()}


def store(jar: Any, *fields: str, url: URL = A) -> None:
    jar.update_cookies_from_headers(fields, url)


# -- limits, and what is told of them ----------------------------------------------------------


async def test_what_does_not_fit_is_left_out_and_told(
    plain: Library, caplog: pytest.LogCaptureFixture
) -> None:
    jar = plain.top.CookieJar()
    jar.update_cookies({"small": "1", "big": "x" * 8200}, A)
    with caplog.at_level("DEBUG", logger=f"{plain.name}.internal"):
        assert sent(jar, A) == {"small": "1"}
    (message,) = caplog.messages
    assert all(word in message for word in ("1 ", "a.example", "150", "8190"))


async def test_a_full_domain_is_purged_and_that_is_told(
    plain: Library, caplog: pytest.LogCaptureFixture
) -> None:
    jar = plain.top.CookieJar()
    with caplog.at_level("DEBUG", logger=f"{plain.name}.internal"):
        jar.update_cookies({f"c{number}": "1" for number in range(181)}, A)
    assert len(jar) == 150
    (message,) = caplog.messages
    assert all(word in message for word in ("31", "a.example", "180"))


async def test_a_value_is_measured_as_it_is_sent(plain: Library) -> None:
    jar = plain.top.CookieJar(quote_cookie=False)
    jar.update_cookies({"a": "\u00e9" * 4089}, A)  # With "Cookie: a=", 8188 bytes.
    assert sent(jar, A) == {"a": "\u00e9" * 4089}
    assert jar.filter_cookies(A)["a"].coded_value == "\u00e9" * 4089


# -- which cookies go where --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "to", "goes"),
    [
        ("a=1", "http://a.example/", True),
        ("a=1", "http://a.example/x/y", True),
        ("a=1", "https://a.example/", True),
        ("a=1", "http://a.example:8080/", True),
        ("a=1", "http://b.a.example/", False),
        ("a=1", "http://example/", False),
        ("a=1", "http://xa.example/", False),
        ("a=1; Domain=a.example", "http://b.a.example/", True),
        ("a=1; Domain=.a.example", "http://b.a.example/", True),
        ("a=1; Domain=b.example", "http://b.example/", False),
        ("a=1; Domain=c.a.example", "http://c.a.example/", False),
        ("a=1; Path=/x", "http://a.example/x", True),
        ("a=1; Path=/x", "http://a.example/x/y", True),
        ("a=1; Path=/x", "http://a.example/xy", False),
        ("a=1; Path=/x", "http://a.example/", False),
        ("a=1; Path=x", "http://a.example/", True),
        ('a=1; Domain="a.example"', "http://b.a.example/", True),
        ('a=1; Path="/x"', "http://a.example/x/y", True),
        ('a=1; Path="/x"', "http://a.example/y", False),
        ("a=1; Path=/ Max-Age=0", "http://a.example/", False),
        ("a=1; Path=/x HttpOnly Expires=Fri, 01 Jan 2100 00:00:00 GMT", "http://a.example/", False),
        ("a=1; Max-Age=100", "http://a.example/", True),
        ("a=1; Max-Age=0", "http://a.example/", False),
        ("a=1; Max-Age=-1", "http://a.example/", False),
        ("a=1; Max-Age=nonsense", "http://a.example/", True),
        ("a=1; Expires=Fri, 02 Jan 1970 00:00:00 GMT", "http://a.example/", False),
        ("a=1; Expires=Fri, 01 Jan 2100 00:00:00 GMT", "http://a.example/", True),
        ("a=1; Expires=nonsense", "http://a.example/", True),
        (
            "a=1; Max-Age=100; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "http://a.example/",
            True,
        ),
    ],
)
async def test_where_a_cookie_goes(plain: Library, field: str, to: str, goes: bool) -> None:
    jar = plain.top.CookieJar()
    store(jar, field)
    assert sent(jar, to) == ({"a": "1"} if goes else {})


async def test_secure_cookies(plain: Library) -> None:
    jar = plain.top.CookieJar()
    store(jar, "a=1; Secure", url=SECURE)
    assert sent(jar, SECURE) == {"a": "1"}
    assert sent(jar, A) == {}
    assert sent(jar, "wss://a.example/") == {"a": "1"}
    jar = plain.top.CookieJar(treat_as_secure_origin="http://a.example")
    store(jar, "a=1; Secure", url=SECURE)
    assert sent(jar, A) == {"a": "1"}
    assert jar.treat_as_secure_origin == frozenset({URL("http://a.example")})


async def test_the_default_path(plain: Library) -> None:
    jar = plain.top.CookieJar()
    store(jar, "a=1", url=URL("http://a.example/x/y"))
    assert sent(jar, "http://a.example/x/z") == {"a": "1"}
    assert sent(jar, "http://a.example/") == {}


async def test_addresses(plain: Library) -> None:
    address = URL("http://127.0.0.1/")
    jar = plain.top.CookieJar()
    assert jar.unsafe is False
    store(jar, "a=1", url=address)
    assert sent(jar, address) == {}
    jar = plain.top.CookieJar(unsafe=True)
    assert jar.unsafe is True
    store(jar, "a=1", url=address)
    assert sent(jar, address) == {"a": "1"}


async def test_shared_cookies(plain: Library) -> None:
    jar = plain.top.CookieJar()
    jar.update_cookies({"a": "1"})
    assert sent(jar, A) == sent(jar, "http://b.example/x") == {"a": "1"}


# -- what is stored ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cookies",
    [
        {"a": "1"},
        [("a", "1")],
        SimpleCookie("a=1"),
        {"a": SimpleCookie("a=1")["a"]},
        [("a", SimpleCookie("a=1")["a"])],
    ],
)
async def test_kinds_of_cookies(plain: Library, cookies: Any) -> None:
    jar = plain.top.CookieJar()
    jar.update_cookies(cookies, A)
    assert sent(jar, A) == {"a": "1"}
    assert sent(jar, "http://b.example/") == {}


async def test_a_cookie_replaces_another(plain: Library) -> None:
    jar = plain.top.CookieJar()
    store(jar, "a=1", "b=2")
    store(jar, "a=3")
    assert sent(jar, A) == {"a": "3", "b": "2"}
    store(jar, "a=; Max-Age=0")
    assert sent(jar, A) == {"b": "2"}


async def test_what_a_jar_holds(plain: Library) -> None:
    jar = plain.top.CookieJar()
    assert len(jar) == 0
    store(jar, "a=1; Path=/x; HttpOnly; SameSite=Lax", "b=2")
    assert len(jar) == 2
    found = {morsel.key: morsel for morsel in jar}
    assert sorted(found) == ["a", "b"]
    assert isinstance(found["a"], Morsel)
    assert (found["a"]["path"], found["a"]["domain"]) == ("/x", "a.example")
    assert found["a"]["httponly"]
    assert found["a"]["samesite"] == "Lax"
    assert ("a.example", "a", "/x") in jar.host_only_cookies or len(jar.host_only_cookies) == 2


async def test_clearing(plain: Library) -> None:
    jar = plain.top.CookieJar()
    store(jar, "a=1", "b=2")
    store(jar, "c=3", url=URL("http://b.example/"))
    store(jar, "d=4", url=URL("http://x.a.example/"))
    jar.clear(lambda morsel: morsel.key == "a")
    assert sorted(morsel.key for morsel in jar) == ["b", "c", "d"]
    jar.clear_domain("a.example")
    assert sorted(morsel.key for morsel in jar) == ["c"]
    jar.clear()
    assert len(jar) == 0


@pytest.mark.parametrize(("quote", "coded"), [(True, '"x y"'), (False, "x y")])
async def test_quotes(plain: Library, quote: bool, coded: str) -> None:
    jar = plain.top.CookieJar(quote_cookie=quote)
    assert jar.quote_cookie is quote
    jar.update_cookies({"a": "x y"}, A)
    morsel = jar.filter_cookies(A)["a"]
    assert morsel.value == "x y" or morsel.coded_value == coded
    assert morsel.OutputString().partition("=")[2] == coded


async def test_a_coded_value_is_sent_back_as_it_came(plain: Library) -> None:
    jar = plain.top.CookieJar()
    store(jar, 'a="1,2"')
    assert jar.filter_cookies(A)["a"].OutputString() == 'a="1,2"'


async def test_a_text_as_url_is_deprecated(plain: Library) -> None:
    jar = plain.top.CookieJar()
    store(jar, "a=1")
    with pytest.warns(DeprecationWarning, match="yarl"):
        assert len(jar.filter_cookies(str(A))) == 1


# -- files -------------------------------------------------------------------------------------


async def test_files(plain: Library, tmp_path: Path) -> None:
    path = tmp_path / "cookies"
    jar = plain.top.CookieJar()
    store(jar, "a=1; Path=/x; HttpOnly", "b=x%20y; Domain=a.example; Max-Age=1000")
    jar.save(path)
    if sys.platform != "win32":
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert json.loads(path.read_text())
    other = plain.top.CookieJar()
    store(other, "c=3")
    other.load(path)
    assert {m.key: m.value for m in other} == {"a": "1", "b": "x%20y"}
    assert sent(other, "http://a.example/x") == {"a": "1", "b": "x%20y"}
    assert sent(other, "http://b.a.example/x") == {"b": "x%20y"}


async def test_a_file_of_the_other_library(tmp_path: Path) -> None:
    for writes, reads in ((aiohttp, plait), (plait, aiohttp)):
        path = tmp_path / writes.__name__
        jar: Any = writes.CookieJar()
        store(jar, "a=1; Path=/x", "b=2; Domain=a.example")
        jar.save(path)
        other: Any = reads.CookieJar()
        other.load(path)
        assert sent(other, "http://a.example/x") == {"a": "1", "b": "2"}
        assert sent(other, "http://b.a.example/x") == {"b": "2"}


async def test_files_that_are_none(plain: Library, tmp_path: Path) -> None:
    path = tmp_path / "cookies"
    jar = plain.top.CookieJar()
    store(jar, "a=1")
    with pytest.raises(FileNotFoundError):
        jar.load(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(Exception, match=r"."):
        jar.load(path)
    assert sent(jar, A) == {"a": "1"}


# -- no jar ------------------------------------------------------------------------------------


async def test_a_jar_that_keeps_nothing(plain: Library) -> None:
    jar = plain.top.DummyCookieJar()
    jar.update_cookies({"a": "1"}, A)
    store(jar, "a=1")
    assert len(jar) == 0
    assert list(jar) == []
    assert len(jar.filter_cookies(A)) == 0
    jar.clear()
    jar.clear_domain("a.example")


async def test_a_jar_of_ones_own(plain: Library) -> None:
    seen: list[Any] = []

    class Mine(plain.abc.AbstractCookieJar):  # type: ignore[misc, name-defined]
        unsafe = quote_cookie = True
        cookies: Any = MappingProxyType({})
        host_only_cookies: Any = frozenset()
        treat_as_secure_origin: Any = frozenset()

        def __iter__(self) -> Any:
            return iter(())

        def __len__(self) -> int:
            return 0

        def clear(self, predicate: Any = None) -> None:
            """Nothing is here."""

        def clear_domain(self, domain: str) -> None:
            """Nothing is here."""

        def update_cookies(self, cookies: Any, response_url: Any = None) -> None:
            seen.append(list(cookies))

        def filter_cookies(self, request_url: URL) -> Any:
            return SimpleCookie("own=1")

    jar = Mine()
    async with recording(plain, cookie_jar=jar) as recorder:
        request = await recorder.send("GET", "/cookie?a=1")
        assert request.headers["Cookie"] == "own=1"
    assert seen


async def test_a_host_replaces_its_own_cookie_with_one_for_its_domain(plain: Library) -> None:
    jar = plain.top.CookieJar()
    store(jar, "a=host")
    store(jar, "a=domain; Domain=a.example")
    assert jar.host_only_cookies == frozenset()
    assert sent(jar, A) == sent(jar, "http://b.a.example/") == {"a": "domain"}
    store(jar, "a=host")
    assert sent(jar, A) == {"a": "host"}
    assert sent(jar, "http://b.a.example/") == {}


@pytest.mark.parametrize("field", [{"path": 5}, {"max-age": [1]}])
async def test_a_file_with_values_of_other_types(
    plain: Library, tmp_path: Path, field: dict[str, object]
) -> None:
    record = {"key": "a", "value": "1", "coded_value": "1", **field}
    (tmp_path / "cookies").write_text(json.dumps({"a.example|": {"a": record}}))
    jar = plain.top.CookieJar()
    jar.update_cookies({"b": "1"}, A)
    with pytest.raises(TypeError):
        jar.load(tmp_path / "cookies")
    assert sent(jar, A) == {"b": "1"}


# -- there and back ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    ["plain", "a b", "a,b", 'a"b', "a;b", "a\\b", "=", "", '{"a": [1]}', '"quoted"'],
)
async def test_a_value_comes_back_as_it_was_set(library: Library, value: str) -> None:
    seen: list[str | None] = []

    async def handler(request: Any) -> Any:
        seen.append(request.cookies.get("name"))
        response = library.web.Response()
        response.set_cookie("name", value)
        response.set_cookie("other", "1")
        return response

    jar = library.top.CookieJar(unsafe=True)
    async with library.serve(handler) as site, library.session(cookie_jar=jar) as session:
        for _ in range(2):
            async with session.get(f"http://127.0.0.1:{site.port}/") as response:
                assert response.cookies["name"].value == value
    assert seen == [None, value]
