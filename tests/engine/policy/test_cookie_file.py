"""Cookies as JSON: what is saved is what is loaded, and anything else is an error."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from operator import attrgetter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine.policy.cookie_file import dump_cookies, load_cookies
from plait_engine.policy.cookie_store import Cookie, CookieStore
from plait_engine.policy.cookies import MAX_AGE, SetCookie

NOW = 1_700_000_000.0

facts = attrgetter(
    *("domain", "path", "name", "host_only", "value", "secure", "http_only"),
    *("same_site", "expires", "partitioned"),
)


def load(text: str | bytes, **options: bool) -> CookieStore:
    store = CookieStore(**options)  # type: ignore[arg-type]  # bools where they fit
    load_cookies(text, store, now=NOW)
    return store


def described(cookies: Iterable[Cookie]) -> list[Any]:
    return sorted((facts(cookie) for cookie in cookies), key=repr)


def record(**changes: Any) -> dict[str, Any]:
    return {"key": "a", "value": "1", "coded_value": "1", **changes}


def file(place: str = "example.org|", **changes: Any) -> str:
    return json.dumps({place: {"a": record(**changes)}})


def only(text: str) -> Cookie:
    (cookie,) = load(text)
    return cookie


# -- what is saved is what is loaded ------------------------------------------------------

texts = st.text(st.characters(exclude_characters=";=", exclude_categories=["Cs", "Cc"]))
hosts = st.sampled_from(["example.org", "www.example.org", "localhost", "10.0.0.1", "::1", ""])
set_cookies = st.builds(
    SetCookie,
    name=st.sampled_from(["a", "a'", "a''", "__Host-a", "__Secure-a"]) | texts,
    value=texts | st.just("\udcff") | st.just(r'"\073 \"b"'),
    domain=st.sampled_from([None, "", "example.org", ".example.org"]),
    path=st.sampled_from([None, "", "/", "//", "/a", "/a/", "/a|b", "/a/b"]),
    max_age=st.sampled_from([None, "1", "9999999999"]),
    expires=st.sampled_from([None, "Fri, 31 Dec 9999 23:59:59 GMT"]),
    secure=st.booleans(),
    http_only=st.booleans(),
    same_site=st.sampled_from([None, "Lax", "odd"]),
    partitioned=st.booleans(),
)


@given(st.lists(st.tuples(set_cookies, hosts), max_size=12))
def test_what_is_saved_is_what_is_loaded(cookies: list[tuple[SetCookie, str]]) -> None:
    store = CookieStore(allow_ip=True)
    for cookie, host in cookies:
        store.set(cookie, host=host, path="/x/y", secure=True, now=NOW)
    text = dump_cookies(store)
    assert text.isascii()
    loaded = load(text, allow_ip=True)
    assert described(loaded) == described(store)
    assert described(load(text.encode(), allow_ip=True)) == described(store)
    assert described(load(dump_cookies(loaded), allow_ip=True)) == described(store)


def test_the_format() -> None:
    store = CookieStore()
    store.set(
        SetCookie("a", r'"x\073"', "example.org", "/p/", "60", None, True, True, "Lax", True),
        host="www.example.org",
        path="/",
        secure=True,
        now=NOW,
    )
    store.set(SetCookie("b", "2"), host="example.org", path="/", secure=True, now=NOW)
    assert json.loads(dump_cookies(store)) == {
        "example.org|/p": {
            "a": {
                "key": "a",
                "value": "x;",
                "coded_value": r'"x\073"',
                "domain": "example.org",
                "path": "/p/",
                "secure": True,
                "httponly": True,
                "samesite": "Lax",
                "partitioned": True,
                "expires_timestamp": NOW + 60,
            }
        },
        "example.org|": {
            "b": {
                "key": "b",
                "value": "2",
                "coded_value": "2",
                "domain": "example.org",
                "path": "/",
                "host_only": True,
            }
        },
    }


def test_cookies_of_one_place_and_name_are_kept_apart() -> None:
    store = CookieStore()
    for cookie in (
        SetCookie("a", "1"),
        SetCookie("a", "2", domain="example.org"),
        SetCookie("a'", "3"),
        SetCookie("b", "4", path="/a"),
        SetCookie("b", "5", path="/a/"),
    ):
        store.set(cookie, host="example.org", path="/", secure=True, now=NOW)
    content = json.loads(dump_cookies(store))
    assert list(content["example.org|"]) == ["a", "a'", "a''"]
    assert list(content["example.org|/a"]) == ["b", "b'"]
    assert described(load(dump_cookies(store))) == described(store)


def test_nothing_is_a_file_too() -> None:
    assert dump_cookies([]) == "{}"
    assert len(load("{}")) == 0


# -- what a record says ---------------------------------------------------------------------


def test_a_record_without_attributes_is_of_its_place() -> None:
    cookie = only(file("example.org|/p"))
    assert (cookie.domain, cookie.path, cookie.host_only) == ("example.org", "/p", False)
    assert cookie.expires is None
    assert (cookie.secure, cookie.http_only, cookie.partitioned) == (False, False, False)
    assert cookie.same_site is None
    assert only(file("example.org|")).path == "/"
    assert only(file("|")).domain == ""


def test_what_the_server_wrote_counts_and_not_what_it_means() -> None:
    assert only(file(value="x;", coded_value=r'"x\073"')).value == r'"x\073"'


@pytest.mark.parametrize(
    ("attributes", "expires"),
    [
        ({"max-age": "60"}, NOW + 60),
        ({"max-age": 60}, NOW + 60),
        ({"max-age": ""}, None),
        ({"max-age": "soon"}, None),
        ({"expires": "Fri, 31 Dec 9999 23:59:59 GMT"}, NOW + MAX_AGE),
        ({"expires_timestamp": NOW + 5}, NOW + 5),
        ({"expires_timestamp": str(NOW + 5)}, NOW + 5),
        # RFC 6265bis section 5.5: no cookie lives longer.
        ({"expires_timestamp": NOW * 2}, NOW + MAX_AGE),
        # When it was saved, Max-Age had been counted already.
        ({"expires_timestamp": NOW + 5, "max-age": "60"}, NOW + 5),
        ({"expires_timestamp": None, "max-age": "60"}, NOW + 60),
    ],
)
def test_when_a_cookie_expires(attributes: dict[str, Any], expires: float | None) -> None:
    assert only(file(**attributes)).expires == expires


@pytest.mark.parametrize("value", [True, "x"])
def test_flags(value: object) -> None:
    """``http.cookies`` writes ``True``, or whatever the field had there."""
    cookie = only(file(secure=value, httponly=value, partitioned=value))
    assert (cookie.secure, cookie.http_only, cookie.partitioned) == (True, True, True)
    cookie = only(file(secure="", httponly=False, partitioned=""))
    assert (cookie.secure, cookie.http_only, cookie.partitioned) == (False, False, False)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (file(domain="other.test"), "its domain is refused"),
        (file("10.0.0.1|"), "its domain is refused"),
        (file(key="__Host-a", path="/"), "it lacks what the prefix of its name promises"),
        (file(coded_value="1; Domain=org"), "it cannot be sent in a Cookie field"),
    ],
)
def test_what_a_server_could_not_set_is_left_out(text: str, reason: str) -> None:
    """A file gets no further than the host that it names would have."""
    told: list[str] = []
    store = CookieStore(tell=told.append)
    load_cookies(text, store, now=NOW)
    assert len(store) == 0
    (sentence,) = told
    assert sentence.endswith(reason)


def test_a_domain_where_everybody_registers_stays_with_its_host() -> None:
    # RFC 6265bis section 5.7.
    assert only(file("org|", domain="org")).host_only


@pytest.mark.parametrize(
    "attributes", [{"expires_timestamp": 1}, {"expires_timestamp": NOW}, {"max-age": 0}]
)
def test_what_has_expired_is_left_out(attributes: dict[str, Any]) -> None:
    assert len(load(file(**attributes))) == 0


# -- what is no such file ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is not JSON"),
        (b"\x80\x04\x95", "it is not JSON"),
        ("# Netscape HTTP Cookie File", "it is not JSON"),
        ("[" * 200_000, "it is not JSON"),
        ("[]", "the file is no JSON object"),
        ('"text"', "the file is no JSON object"),
        ('{"example.org": {}}', "'example.org' is not a domain and a path with '|' between"),
        ('{"a|": []}', "'a|' is no JSON object"),
        ('{"a|": {"n": 1}}', "cookie 'n' in 'a|' is no JSON object"),
        ('{"a|": {"n": {}}}', "cookie 'n' in 'a|': key must be text, not None"),
        (file(value=1), "value must be text, not 1"),
        (file(coded_value=None), "coded_value must be text, not None"),
        (file(domain=1), "domain must be text, not 1"),
        (file(path=["/"]), r"path must be text, not ['/']"),
        (file(samesite=True), "samesite must be text, not True"),
        (file(expires=1), "expires must be text, not 1"),
        (file(secure=1), "secure must be true or false, not 1"),
        (file(httponly=None), "httponly must be true or false, not None"),
        (file(partitioned=[]), "partitioned must be true or false, not []"),
        (file(host_only={}), "host_only must be true or false, not {}"),
        (file(**{"max-age": 1.5}), "max-age must be a number of seconds, not 1.5"),
        (file(expires_timestamp=[]), "expires_timestamp must be a finite number"),
        (file(expires_timestamp="soon"), "expires_timestamp must be a finite number"),
        (file(expires_timestamp=10**400), "expires_timestamp must be a finite number"),
        (file(expires_timestamp=float("inf")), "must be a finite number, not inf"),
        (file(expires_timestamp=float("nan")), "must be a finite number, not nan"),
    ],
)
def test_another_text_is_an_error_that_says_where(text: str | bytes, message: str) -> None:
    is_of_wrong_type = re.search("must be (text|true|a number)", message)
    with pytest.raises(TypeError if is_of_wrong_type else ValueError) as caught:
        load(text)
    assert message in str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
fields = st.sampled_from(
    [
        *("key", "value", "coded_value", "domain", "path", "samesite", "expires", "secure"),
        *("httponly", "partitioned", "host_only", "max-age", "expires_timestamp", "other"),
    ]
)


@given(st.dictionaries(fields, json_values, max_size=3), st.sampled_from(["a.b|", "|", "::1|/"]))
def test_any_record_is_loaded_or_an_error(changes: dict[str, Any], place: str) -> None:
    store = CookieStore(allow_ip=True)
    message = ""
    try:
        load_cookies(file(place, **changes), store, now=NOW)
    except (TypeError, ValueError) as error:
        message = str(error)
    if message:
        assert message.startswith(f"cookie 'a' in {place!r}: ")
        assert len(store) == 0
    saved = dump_cookies(store)
    assert dump_cookies(load(saved, allow_ip=True)) == saved


@given(st.integers(0, 200), st.binary(max_size=3))
def test_a_broken_file_is_loaded_or_an_error(place: int, instead: bytes) -> None:
    whole = file("example.org|/p", secure=True, expires_timestamp=NOW + 5).encode()
    text = whole[:place] + instead + whole[place + len(instead) :]
    try:
        store = load(text)
    except (TypeError, ValueError):
        return
    assert len(store) <= 1
    assert all(cookie.expires is None or cookie.expires > NOW for cookie in store)


@given(st.integers(0, 200))
def test_a_file_that_was_cut_is_an_error(size: int) -> None:
    whole = file("example.org|/p", secure=True)
    with pytest.raises(ValueError, match="it is not JSON"):
        load(whole[: min(size, len(whole) - 1)])
