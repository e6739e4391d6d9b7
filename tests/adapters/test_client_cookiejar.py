"""The cookie jar: aiohttp's interface over the rules of the engine."""

from __future__ import annotations

import json
import stat
from http.cookies import SimpleCookie
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from plait import CookieJar, DummyCookieJar
from plait.cookiejar import MAX_COOKIES_PER_RESPONSE, parse_set_cookies

pytestmark = pytest.mark.anyio

SITE = URL("https://www.example.org/a/page")


def sent(jar: CookieJar, url: URL = SITE) -> dict[str, str]:
    return {name: morsel.coded_value for name, morsel in jar.filter_cookies(url).items()}


def test_cookies_of_the_application_go_everywhere() -> None:
    jar = CookieJar()
    jar.update_cookies({"a": "1", "b": "x y"})
    assert sent(jar) == sent(jar, URL("http://10.0.0.1/")) == {"a": "1", "b": '"x y"'}
    assert jar.filter_cookies(SITE)["b"].value == "x y"


def test_without_quoting() -> None:
    jar = CookieJar(quote_cookie=False)
    jar.update_cookies({"b": "x y"})
    assert sent(jar) == {"b": "x y"}


def test_what_a_server_set_is_sent_back_unchanged() -> None:
    jar = CookieJar()
    jar.update_cookies_from_headers(['a="x\\054y"; Path=/', "odd name={1}; Path=/"], SITE)
    assert sent(jar) == {"a": '"x\\054y"', "odd name": "{1}"}
    assert jar.filter_cookies(SITE)["a"].value == "x,y"


def test_morsels_and_simple_cookies() -> None:
    cookie = SimpleCookie("a=1; Domain=example.org; Path=/; Secure; Max-Age=100")
    jar = CookieJar()
    jar.update_cookies(cookie, SITE)
    assert sent(jar, URL("https://other.example.org/")) == {"a": "1"}
    assert sent(jar, URL("http://other.example.org/")) == {}
    (morsel,) = jar
    assert (morsel["domain"], morsel["path"], morsel["secure"]) == ("example.org", "/", True)
    assert list(jar.cookies) == [("example.org", "/")]
    assert jar.host_only_cookies == frozenset()


def test_of_one_name_the_cookie_of_the_host_is_sent() -> None:
    jar = CookieJar()
    domain = "id=of-the-domain; Domain=example.org; Path=/"
    jar.update_cookies_from_headers([domain], URL("https://other.example.org/"))
    jar.update_cookies_from_headers(["id=of-the-host; Path=/"], SITE)
    assert sent(jar) == {"id": "of-the-host"}
    jar.update_cookies_from_headers(["id=of-the-path; Path=/a"], SITE)
    assert sent(jar) == {"id": "of-the-path"}
    jar.update_cookies_from_headers([domain + "a/page"], URL("https://other.example.org/"))
    assert sent(jar) == {"id": "of-the-path"}


def test_unsafe_and_secure_origins() -> None:
    address = URL("http://127.0.0.1:8080/")
    jar = CookieJar()
    jar.update_cookies({"a": "1"}, address)
    assert len(jar) == 0
    jar = CookieJar(unsafe=True, treat_as_secure_origin="http://127.0.0.1:8080")
    jar.update_cookies_from_headers(["a=1; Secure"], address)
    assert sent(jar, address) == {"a": "1"}
    assert sent(jar, URL("http://127.0.0.1:9090/")) == {}


def test_clearing() -> None:
    jar = CookieJar()
    jar.update_cookies({"a": "1", "b": "2"}, URL("http://www.example.org/"))
    jar.update_cookies({"c": "3"}, URL("http://example.com/"))
    jar.clear(lambda morsel: morsel.key == "a")
    assert {morsel.key for morsel in jar} == {"b", "c"}
    jar.clear_domain("example.org")
    assert {morsel.key for morsel in jar} == {"c"}
    jar.clear()
    assert len(jar) == 0


def test_files_keep_everything(tmp_path: Path) -> None:
    path = tmp_path / "cookies"
    jar = CookieJar()
    jar.update_cookies_from_headers(
        ["a=1; Max-Age=1000; Path=/", "b=2; Domain=example.org; Secure; SameSite=Lax"], SITE
    )
    jar.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    loaded = CookieJar()
    loaded.update_cookies({"gone": "1"})
    loaded.load(path)
    assert list(loaded._store) == list(jar._store)
    path.chmod(0o640)
    jar.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert loaded.host_only_cookies == frozenset({("www.example.org", "/", "a")})


def saved(**changes: object) -> bytes:
    """Return what ``save`` writes for one cookie, but for ``changes``."""
    cookie = {
        "name": "b",
        "value": "2",
        "domain": "example.org",
        "path": "/",
        "host_only": True,
        "secure": False,
        "http_only": False,
        "same_site": None,
        "expires": None,
        "created": 1,
        "used": 1,
    }
    return json.dumps([{**cookie, **changes}]).encode()


def test_a_file_written_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "cookies"
    path.write_bytes(saved(expires=9999999999))
    jar = CookieJar()
    jar.load(path)
    assert [morsel.key for morsel in jar] == ["b"]


async def test_a_file_that_aiohttp_saved(tmp_path: Path) -> None:
    path = tmp_path / "cookies"
    theirs = aiohttp.CookieJar()
    theirs.update_cookies({"everywhere": "x y"})
    theirs.update_cookies_from_headers(
        [
            'own="q\\054r"; Path=/a; Secure; HttpOnly; SameSite=Lax',
            "all=2; Domain=example.org; Path=/; Max-Age=1000",
        ],
        SITE,
    )
    theirs.save(path)
    jar = CookieJar()
    jar.load(path)
    assert sent(jar) == {"own": '"q\\054r"', "everywhere": '"x y"', "all": "2"}
    assert set(sent(jar, URL("http://sub.www.example.org/a"))) == {"everywhere", "all"}
    own, forever, all_below = sorted(jar._store, key=lambda cookie: cookie.path, reverse=True)
    assert (own.host_only, own.secure, own.http_only, own.same_site) == (True, True, True, "Lax")
    assert own.expires is None
    assert forever.expires is None
    assert all_below.expires is not None


@pytest.mark.parametrize(
    "content",
    [
        b'{"example.org|/": {"a": {"value": "1"}}}',
        b'{"example.org|/": {"a": {"coded_value": 1}}}',
        b'{"example.org|/": {"a": 1}}',
        b"\x80\x04pickle",
        b"[{}]",
        b"{",
        b"[1]",
        b'{"a": 1}',
        saved(name=1),
        saved(domain=None),
        saved(secure="no"),
        saved(expires="never"),
        saved(created=None),
        saved(more=1),
    ],
)
def test_other_files_are_refused_and_change_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cookies"
    path.write_bytes(content)
    jar = CookieJar()
    jar.update_cookies({"a": "1"})
    with pytest.raises(ValueError, match="no cookies that save"):
        jar.load(path)
    assert sent(jar) == {"a": "1"}


def test_too_many_cookies_in_one_response() -> None:
    fields = [f"c{number}=1" for number in range(MAX_COOKIES_PER_RESPONSE + 10)]
    jar = CookieJar()
    jar.update_cookies_from_headers(fields, SITE)
    assert len(jar) == len(parse_set_cookies(fields)) == MAX_COOKIES_PER_RESPONSE


def test_the_jar_that_keeps_nothing() -> None:
    jar = DummyCookieJar()
    jar.update_cookies({"a": "1"})
    jar.update_cookies_from_headers(["a=1"], SITE)
    assert len(jar) == 0
    assert not list(jar)
    assert not jar.filter_cookies(SITE)
