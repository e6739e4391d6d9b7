"""The cookie jar: aiohttp's interface over the rules of the engine."""

from __future__ import annotations

import json
import logging
import pickle
import re
import stat
from dataclasses import replace
from http.cookies import Morsel, SimpleCookie
from pathlib import Path
from typing import ClassVar

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from plait import CookieJar, DummyCookieJar
from plait.abc import AbstractCookieJar
from plait.calls.cookies import MAX_COOKIES_PER_RESPONSE, parse_set_cookies
from plait.log import internal_logger
from plait.typedefs import LooseCookies
from plait_engine.policy.cookie_store import Cookie

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
    jar.update_cookies(SimpleCookie('c="x,y"'))
    jar.update_cookies_from_headers(['d="x z"', "e=1"], SITE)
    assert sent(jar) == {"b": "x y", "c": "x,y", "d": "x z", "e": "1"}


def test_what_cannot_be_sent_without_quotes_has_them() -> None:
    jar = CookieJar(quote_cookie=False)
    jar.update_cookies({"a": "1; admin=1", "b": "1\r\nX: y"})
    assert sent(jar) == {"a": '"1\\073 admin=1"', "b": '"1\\015\\012X: y"'}


@pytest.mark.parametrize(
    ("value", "quoted", "plain"),
    [("a/b", '"a/b"', "a/b"), ('"a"', '"a"', "a"), ("a", "a", "a")],
)
def test_quoting_holds_for_morsels(value: str, quoted: str, plain: str) -> None:
    cookies = SimpleCookie(f"c={value}")
    for quote_cookie, expected in ((True, quoted), (False, plain)):
        jar = CookieJar(quote_cookie=quote_cookie)
        jar.update_cookies(cookies)
        assert sent(jar) == {"c": expected}


def test_what_holds_cookies_may_be_a_value() -> None:
    jar = CookieJar()
    jar.update_cookies({"x": SimpleCookie("a=1; b=2"), "empty": SimpleCookie()})
    jar.update_cookies([("y", SimpleCookie("c=3")), ("none", Morsel())])
    assert sent(jar) == {"a": "1", "b": "2", "c": "3"}


def test_a_view_is_live_and_a_place_has_no_last_slash() -> None:
    jar = CookieJar()
    view = jar.cookies
    assert (len(view), dict(view)) == (0, {})
    jar.update_cookies_from_headers(["a=1; Path=/", "b=2; Path=/x/; Domain=example.org"], SITE)
    assert set(view) == {("www.example.org", ""), ("example.org", "/x")}
    assert view["www.example.org", ""]["a"].value == "1"
    assert view["example.org", "/x"]["b"]["path"] == "/x/"
    assert jar.host_only_cookies == {("www.example.org", "", "a")}
    assert ("example.org", "") not in view
    jar.clear()
    assert len(view) == 0
    assert repr(view) == "mappingproxy({})"


def test_what_is_given_out_can_be_changed() -> None:
    jar = CookieJar()
    jar.update_cookies({"a": "1", "b": "2"})
    found = jar.filter_cookies(SITE)
    found["a"] = "changed"
    found.load("b=changed; c=3")
    found.load({"d": "4"})
    assert found.output(header="", sep=";") == " a=changed; b=changed; c=3; d=4"
    assert sent(jar) == {"a": "1", "b": "2"}


def test_a_partitioned_cookie_stays_one() -> None:
    """Its attribute is kept; Python before 3.14 does not know it."""
    morsel = parse_set_cookies(["a=1; Secure; Partitioned"])["a"]
    assert morsel["partitioned"] is True
    jar = CookieJar()
    jar.update_cookies({"a": morsel}, SITE)
    (stored,) = jar
    assert stored["partitioned"] is True
    assert sent(jar) == {"a": "1"}


def test_names_with_a_prefix_get_what_it_promises() -> None:
    """RFC 6265bis section 4.1.3; an application names no attributes."""
    jar = CookieJar()
    jar.update_cookies({"__Host-a": "1", "__Secure-b": "2"}, SITE)
    assert sent(jar) == {"__Host-a": "1", "__Secure-b": "2"}
    assert sent(jar, URL("http://www.example.org/")) == {}


async def test_what_is_refused_or_left_out_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, internal_logger.name)
    jar = CookieJar()
    jar.update_cookies_from_headers(["a=1; Domain=example.com"], SITE)
    jar.update_cookies({"big": "x" * 8200, "small": "1"}, SITE)
    assert sent(jar) == {"small": "1"}
    assert [record.message for record in caplog.records] == [
        "Dropped cookie 'a' for www.example.org: its domain is refused",
        "Did not send all cookies to www.example.org: 1 are left out, for a"
        " request has 150 at most, in 8190 bytes",
    ]


def test_a_public_suffix_has_no_cookies() -> None:
    jar = CookieJar(is_public_suffix=lambda domain: domain == "co.uk")
    jar.update_cookies_from_headers(["a=1; Domain=co.uk"], URL("https://shop.co.uk/"))
    assert len(jar) == 0
    jar.update_cookies_from_headers(["a=1; Domain=shop.co.uk"], URL("https://www.shop.co.uk/"))
    assert sent(jar, URL("https://shop.co.uk/")) == {"a": "1"}


def test_a_jar_of_ones_own() -> None:
    """It needs no ``treat_as_secure_origin``, and hears of Set-Cookie fields as cookies."""

    class Own(DummyCookieJar):
        treat_as_secure_origin = AbstractCookieJar.treat_as_secure_origin
        update_cookies_from_headers = AbstractCookieJar.update_cookies_from_headers
        heard: ClassVar[list[tuple[object, URL]]] = []

        def update_cookies(self, cookies: LooseCookies, response_url: URL = URL()) -> None:  # noqa: B008
            self.heard.append((cookies, response_url))

    jar = Own()
    assert jar.treat_as_secure_origin == frozenset()
    assert "treat_as_secure_origin" not in AbstractCookieJar.__abstractmethods__
    jar.update_cookies_from_headers(["odd name=1; Path=/a", "junk"], SITE)
    jar.update_cookies_from_headers(["junk"], SITE)
    ((cookies, url),) = jar.heard
    assert isinstance(cookies, SimpleCookie)
    assert [(m.key, m.value, m["path"]) for m in cookies.values()] == [("odd name", "1", "/a")]
    assert url == SITE


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
    assert list(jar.cookies) == [("example.org", "")]
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


FIELDS = [
    "a=1; Max-Age=1000; Path=/",
    "b=2; Domain=example.org; Secure; SameSite=Lax",
    "b=3; HttpOnly",
    'c="x\\054y"; Path=/a/',
    "c={1}; Path=/a",
    "d=4; Secure; Partitioned",
]


def facts(jar: CookieJar) -> list[Cookie]:
    """Return what a jar stores, without when it was set and used."""
    return [replace(cookie, created=0, used=0) for cookie in jar._store]


def test_files_keep_everything(tmp_path: Path) -> None:
    path = tmp_path / "cookies"
    jar = CookieJar()
    jar.update_cookies_from_headers(FIELDS, SITE)
    assert len(jar) == len(FIELDS)
    jar.update_cookies({"shared": "x y"})
    jar.save(path)
    loaded = CookieJar()
    loaded.update_cookies({"gone": "1"})
    view = loaded.cookies
    loaded.load(path)
    assert facts(loaded) == facts(jar)
    assert sent(loaded) == sent(jar)
    assert loaded.host_only_cookies == jar.host_only_cookies
    assert view == jar.cookies, "a view shows what was loaded"
    again = tmp_path / "again"
    loaded.save(again)
    assert again.read_text() == path.read_text()


def test_who_may_read_a_file(tmp_path: Path) -> None:
    path = tmp_path / "cookies"
    jar = CookieJar()
    jar.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    jar.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_file_is_replaced_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cookies"
    link = tmp_path / "link"
    link.symlink_to(path)
    jar = CookieJar()
    jar.update_cookies({"a": "1"})
    jar.save(link)
    before = path.read_bytes()
    jar.update_cookies({"b": "2"})
    with monkeypatch.context() as patch:
        patch.setattr("plait.cookiejar.dump_cookies", lambda cookies: "\udc00")
        with pytest.raises(UnicodeEncodeError):
            jar.save(link)
    assert path.read_bytes() == before
    jar.save(link)
    assert link.is_symlink()
    assert path.read_bytes() != before
    assert sorted(tmp_path.iterdir()) == [path, link], "nothing else is left"


def test_expired_cookies_are_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "cookies"
    path.write_bytes(saved(expires_timestamp=0.0))
    jar = CookieJar()
    jar.update_cookies({"old": "1"})
    jar.load(path)
    assert len(jar) == 0


def saved(place: str = "example.org|", **changes: object) -> bytes:
    """Return what ``save`` writes for one cookie, but for ``changes``."""
    cookie = {"key": "b", "value": "2", "coded_value": "2", "domain": "example.org"}
    return json.dumps({place: {"b": {**cookie, **changes}}}).encode()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (saved(), {"b": "2"}),
        (saved(expires_timestamp=9999999999), {"b": "2"}),
        (saved(expires_timestamp="9999999999"), {"b": "2"}),
        (saved(host_only=True), {}),
        (saved("www.example.org|", host_only=True), {"b": "2"}),
        (saved("www.example.org|/x", path=""), {}),
        (saved(path="/a", secure=True, **{"max-age": 10}), {"b": "2"}),
        (saved(**{"max-age": "0"}), {}),
        (saved(secure="yes"), {"b": "2"}),
        (saved("|", domain=""), {"b": "2"}),
        (saved("10.0.0.1|", domain="10.0.0.1"), {}),
        (saved("com|", domain="example.org"), {}),
        (saved(key="b;x"), {}),
        (saved(key=""), {}),
        (saved(coded_value="2\r\nX: y"), {}),
        (saved(coded_value="2; admin=1"), {}),
        (saved(coded_value="\ud800"), {}),
        (saved(key="__Host-b"), {}),
    ],
)
def test_a_file_written_by_hand(tmp_path: Path, content: bytes, expected: dict[str, str]) -> None:
    path = tmp_path / "cookies"
    path.write_bytes(content)
    jar = CookieJar()
    jar.load(path)
    assert sent(jar) == expected
    assert len(jar) == (1 if expected or b"host_only" in content or b"/x" in content else 0)


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


async def test_aiohttp_loads_what_the_jar_saved(tmp_path: Path) -> None:
    path = tmp_path / "cookies"
    jar = CookieJar()
    jar.update_cookies_from_headers(FIELDS[:4], SITE)
    jar.update_cookies({"shared": "x y"})
    jar.save(path)
    theirs = aiohttp.CookieJar()
    theirs.load(path)
    for url in (SITE, URL("https://example.org/a/"), URL("http://www.example.org/a/b/")):
        coded = {m.key: m.coded_value for m in theirs.filter_cookies(url).values()}
        assert coded == sent(jar, url)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "not JSON"),
        (b"(dp0", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"9" * 10_000, "not JSON"),
        (b"[{}]", "the file is no JSON object"),
        (b'{"a": 1}', "'a' is not a domain and a path"),
        (b'{"a|": 1}', "'a|' is no JSON object"),
        (b'{"a|": {"b": 1}}', "cookie 'b' in 'a|' is no JSON object"),
        (saved(key=1), "key must be text"),
        (saved(value=None), "value must be text"),
        (saved(coded_value=1), "coded_value must be text"),
        (saved(domain=None), "domain must be text"),
        (saved(path=5), "path must be text"),
        (saved(secure=1.5), "secure must be true or false"),
        (saved(host_only=[]), "host_only must be true or false"),
        (saved(**{"max-age": [1]}), "max-age must be a number"),
        (saved(expires_timestamp="never"), "expires_timestamp must be a finite number"),
        (saved(expires_timestamp=10**400), "expires_timestamp must be a finite number"),
        (saved(expires_timestamp=float("nan")), "expires_timestamp must be a finite number"),
        (saved(expires_timestamp="inf"), "expires_timestamp must be a finite number"),
    ],
)
def test_other_files_are_refused_and_change_nothing(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    path = tmp_path / "cookies"
    path.write_bytes(content)
    jar = CookieJar()
    jar.update_cookies({"a": "1"})
    kind = TypeError if re.search("must be (text|true|a number)", problem) else ValueError
    with pytest.raises(kind, match="no cookies that save") as caught:
        jar.load(path)
    assert problem in str(caught.value)
    assert sent(jar) == {"a": "1"}


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "cookies"
    path.write_bytes(pickle.dumps({("example.org", "/"): SimpleCookie("a=1")}))
    jar = CookieJar()
    with pytest.raises(ValueError, match=r"is a pickle.* CookieJar of aiohttp 3\.14"):
        jar.load(path)


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


# -- beside aiohttp's jar ---------------------------------------------------------------

HOSTS = ["example.org", "www.example.org", "a.www.example.org", "example.com", "10.0.0.1"]
PATHS = ["/", "/a", "/a/", "/a/b", "/ab", "/a/b/c"]
URLS = st.builds(
    lambda host, path: URL(f"https://{host}{path}"), st.sampled_from(HOSTS), st.sampled_from(PATHS)
)
ATTRIBUTES = st.lists(
    st.sampled_from(
        [
            *("", "; Path=/", "; Path=/a", "; Path=/a/b", "; Path=x"),
            *("; Max-Age=0", "; Max-Age=100", "; Secure", "; HttpOnly"),
            "; Expires=Thu, 01 Jan 1970 00:00:01 GMT",
        ]
    ),
    max_size=3,
).map("".join)
# A name says whether the cookie has a Domain: the two are one cookie for aiohttp.
OWN = st.builds("h{}={}{}".format, st.integers(0, 2), st.integers(0, 9), ATTRIBUTES)
OF_DOMAIN = st.builds(
    "d{}={}; Domain={}{}".format,
    st.integers(0, 2),
    st.integers(0, 9),
    st.sampled_from([".example.org", "www.example.org", "example.com", "other.example.org"]),
    ATTRIBUTES,
)


@given(
    st.lists(st.tuples(URLS, st.lists(OWN | OF_DOMAIN, max_size=3), URLS), max_size=12),
    st.booleans(),
)
async def test_the_jar_sends_what_that_of_aiohttp_sends(
    steps: list[tuple[URL, list[str], URL]], unsafe: bool
) -> None:
    ours, theirs = CookieJar(unsafe=unsafe), aiohttp.CookieJar(unsafe=unsafe)
    for source, fields, target in steps:
        ours.update_cookies_from_headers(fields, source)
        theirs.update_cookies_from_headers(fields, source)
        expected = theirs.filter_cookies(target)
        assert sent(ours, target) == {m.key: m.coded_value for m in expected.values()}
        assert len(ours) == len(theirs)
        assert ours.host_only_cookies == theirs.host_only_cookies
        assert set(ours.cookies) == {place for place, cookies in theirs.cookies.items() if cookies}


@given(
    st.dictionaries(st.from_regex(r"[a-z]{1,3}", fullmatch=True), st.text(max_size=8), max_size=4),
    st.booleans(),
)
async def test_values_are_quoted_as_by_aiohttp(values: dict[str, str], quote_cookie: bool) -> None:
    ours, theirs = (make(quote_cookie=quote_cookie) for make in (CookieJar, aiohttp.CookieJar))
    for jar in (ours, theirs):
        jar.update_cookies(values, SITE)
    expected = {m.key: m.coded_value for m in theirs.filter_cookies(SITE).values()}
    found = sent(ours)
    for name in found:
        if ";" in values[name]:  # aiohttp sends what others read as two cookies.
            expected[name] = SimpleCookie().value_encode(values[name])[1]
    assert found.keys() >= expected.keys()
    assert {name: found[name] for name in expected} == expected
    assert {m.key: m.value for m in ours.filter_cookies(SITE).values()} == {
        name: value for name, value in values.items() if name in found
    }
