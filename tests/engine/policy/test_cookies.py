"""Cookies: fields as servers write them, and the rules of storing and sending."""

from __future__ import annotations

from http.cookies import SimpleCookie

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine.policy.cookie_store import (
    MAX_COOKIES,
    MAX_PER_DOMAIN,
    MAX_REMEMBERED,
    MAX_SENT,
    MAX_SENT_SIZE,
    PURGED_COOKIES,
    PURGED_PER_DOMAIN,
    CookieStore,
    default_path,
    domain_matches,
    path_matches,
)
from plait_engine.policy.cookies import (
    MAX_AGE,
    MAX_ATTRIBUTE_SIZE,
    MAX_ATTRIBUTES,
    MAX_COOKIE_SIZE,
    SetCookie,
    expiry,
    parse_cookie_date,
    parse_set_cookie,
    unquote_value,
)

NOW = 1_700_000_000.0


# -- fields -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("a=b", SetCookie("a", "b")),
        (" a = b ; ; x", SetCookie("a", "b")),
        ("a=", SetCookie("a", "")),
        ("a=b=c", SetCookie("a", "b=c")),
        ('a="quoted; not"', SetCookie("a", '"quoted')),
        ('a="%0d%0a"', SetCookie("a", '"%0d%0a"')),
        ('g_state={"i":1,"x":[2]}', SetCookie("g_state", '{"i":1,"x":[2]}')),
        ("we ird[]=1", SetCookie("we ird[]", "1")),
        (
            "a=b; DOMAIN=.x.org; path=/p; Max-Age=5; expires=Wed; secure; HttpOnly=no; SameSite=Lax",
            SetCookie("a", "b", ".x.org", "/p", "5", "Wed", True, True, "Lax"),
        ),
        ("a=b; path=/1; path=/2", SetCookie("a", "b", path="/2")),
        ("a=b; Partitioned; secure", SetCookie("a", "b", secure=True, partitioned=True)),
        ("a=b; other=c", SetCookie("a", "b")),
        # A semicolon is missing.
        ("a=b; path=/ Expires=Tue, 1", SetCookie("a", "b", path="/", expires="Tue, 1")),
        ("a=b; HttpOnly\tMAX-AGE = 5", SetCookie("a", "b", max_age="5", http_only=True)),
        ("a=b path=/; path=/x y", SetCookie("a", "b path=/", path="/x y")),
        # Quotes as in RFC 2109; they hold no semicolon.
        ('a=b; domain="x.org"; path="/p"', SetCookie("a", "b", "x.org", "/p")),
        ('a=b; path="/p;v=1"', SetCookie("a", "b", path='"/p')),
    ],
)
def test_fields(field: str, expected: SetCookie) -> None:
    assert parse_set_cookie(field) == expected


@pytest.mark.parametrize(
    "field",
    ["", "no equals", "=nameless", "=__Host-x=bad", "a=b\0", "a\x7f=b", "a=b\r\nX: y", "a=\x01"],
)
def test_ignored_fields(field: str) -> None:
    assert parse_set_cookie(field) is None


def test_limits_of_a_field() -> None:
    assert parse_set_cookie("a=" + "x" * (MAX_COOKIE_SIZE - 1)) is not None
    assert parse_set_cookie("a=" + "x" * MAX_COOKIE_SIZE) is None
    long = parse_set_cookie("a=b; path=/" + "x" * MAX_ATTRIBUTE_SIZE)
    assert long == SetCookie("a", "b")
    many = parse_set_cookie("a=b" + "; x" * MAX_ATTRIBUTES + "; secure")
    assert many == SetCookie("a", "b")


@given(st.text())
def test_no_field_is_too_odd(field: str) -> None:
    cookie = parse_set_cookie(field)
    if cookie is not None:
        store = CookieStore()
        store.set(cookie, host="a.example.org", path="/", secure=True, now=NOW)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784111777),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 784111777),
        ("Sun Nov  6 08:49:37 1994", 784111777),
        ("06 nov 94 8:49:37", 784111777),
        ("Thu, 29 Feb 2024 00:00:00 GMT", 1709164800),
        ("1 Jan 69 0:0:0", 3124224000),
        ("", None),
        ("06 Nov 1994", None),
        ("Thu, 29 Feb 2023 00:00:00 GMT", None),
        ("32 Jan 2024 00:00:00", None),
        ("01 Jan 1600 00:00:00", None),
        ("01 Jan 2024 24:00:00", None),
        ("01 Jan 2024 00:60:00", None),
        ("\u0660\u0661 Jan 2024 00:00:00", None),
    ],
)
def test_dates(text: str, expected: float | None) -> None:
    assert parse_cookie_date(text) == expected


@pytest.mark.parametrize(
    ("cookie", "expected"),
    [
        (SetCookie("a", "b"), None),
        (SetCookie("a", "b", max_age="10"), NOW + 10),
        (SetCookie("a", "b", max_age="0"), 0.0),
        (SetCookie("a", "b", max_age="-1"), 0.0),
        (SetCookie("a", "b", max_age="9" * 30), NOW + MAX_AGE),
        (SetCookie("a", "b", max_age="-" + "9" * 30), 0.0),
        (SetCookie("a", "b", max_age="\u0669"), None),
        (SetCookie("a", "b", max_age="1x"), None),
        (SetCookie("a", "b", expires="Fri, 31 Dec 9999 23:59:59 GMT"), NOW + MAX_AGE),
        (SetCookie("a", "b", expires="junk"), None),
        (SetCookie("a", "b", max_age="5", expires="Thu, 01 Jan 1970 00:00:00 GMT"), NOW + 5),
    ],
)
def test_expiry(cookie: SetCookie, expected: float | None) -> None:
    assert expiry(cookie, NOW) == expected


# -- matching ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ("plain", "plain"),
        ('"', '"'),
        ('""', ""),
        ('"a b"', "a b"),
        ('a"b"', 'a"b"'),
        ('"a', '"a'),
        (r'"say \"no\""', 'say "no"'),
        (r'"\073\054"', ";,"),
        (r'"\400"', "400"),
        (r'"\1234"', "S4"),
        ('"\\"', "\\"),
    ],
)
def test_quoted_values(value: str, meaning: str) -> None:
    assert unquote_value(value) == meaning


@given(st.text(alphabet='\\"0137a;', max_size=12))
def test_quoted_values_are_those_of_http_cookies(text: str) -> None:
    assert unquote_value(f'"{text}"') == SimpleCookie().value_decode(f'"{text}"')[0]


def test_domains() -> None:
    assert domain_matches("example.org", "example.org")
    assert domain_matches("a.example.org", "example.org")
    assert not domain_matches("anexample.org", "example.org")
    assert not domain_matches("example.org", "a.example.org")
    assert not domain_matches("10.0.0.1", "0.0.1")


def test_paths() -> None:
    assert path_matches("/a", "/a")
    assert path_matches("/a/b", "/a")
    assert path_matches("/a/b", "/a/")
    assert not path_matches("/ab", "/a")
    assert not path_matches("/", "/a")
    assert [default_path(path) for path in ("", "x", "/", "/a", "/a/", "/a/b")] == [
        *("/", "/", "/", "/"),
        *("/a", "/a"),
    ]


# -- storing and sending -----------------------------------------------------------------


class Jar:
    """A store with the arguments that most tests do not care about."""

    def __init__(self, **options: bool) -> None:
        self.store = CookieStore(**options)  # type: ignore[arg-type]  # bools where they fit

    def set(
        self,
        field: str,
        host: str = "www.example.org",
        path: str = "/",
        secure: bool = True,
        now: float = NOW,
    ) -> bool:
        cookie = parse_set_cookie(field)
        assert cookie is not None
        return self.store.set(cookie, host=host, path=path, secure=secure, now=now) is not None

    def get(
        self, host: str = "www.example.org", path: str = "/", secure: bool = True, now: float = NOW
    ) -> str:
        found = self.store.select(host=host, path=path, secure=secure, now=now)
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in found)


def test_without_domain_a_cookie_is_of_its_host_only() -> None:
    jar = Jar()
    jar.set("a=1")
    assert jar.get() == "a=1"
    assert jar.get("sub.www.example.org") == jar.get("example.org") == ""


def test_with_domain_a_cookie_is_of_all_below() -> None:
    jar = Jar()
    jar.set("a=1; domain=.EXAMPLE.org")
    assert jar.get() == jar.get("example.org") == jar.get("a.b.example.org") == "a=1"
    assert jar.get("notexample.org") == ""


def test_a_cookie_of_a_host_and_one_of_its_domain_are_two() -> None:
    """RFC 6265bis section 5.7, step 23: the host-only-flag is part of the identity."""
    jar = Jar()
    jar.set("a=host", host="example.org")
    jar.set("a=domain; domain=example.org", host="example.org")
    assert len(jar.store) == 2
    assert jar.get("sub.example.org") == "a=domain"
    assert jar.get("example.org") == "a=host; a=domain"
    jar.set("a=; domain=example.org; max-age=0", host="example.org")
    assert jar.get("example.org") == "a=host"
    assert jar.get("sub.example.org") == ""


@pytest.mark.parametrize(
    "domain",
    ["org", ".org", "example.com", "sub.www.example.org", "ww.example.org", "example.org."],
)
def test_refused_domains(domain: str) -> None:
    assert not Jar().set(f"a=1; domain={domain}")


def test_public_suffixes() -> None:
    jar = Jar()
    jar.store.is_public_suffix = lambda domain: domain == "co.uk"
    assert not jar.set("a=1; domain=co.uk", host="shop.co.uk")
    assert jar.set("a=1; domain=shop.co.uk", host="www.shop.co.uk")
    assert jar.set("a=1; domain=co.uk", host="co.uk")
    assert jar.get("other.co.uk") == ""
    assert jar.set("a=1; domain=localhost", host="localhost")


def test_ip_addresses() -> None:
    assert not Jar().set("a=1", host="10.0.0.1")
    jar = Jar(allow_ip=True)
    assert jar.set("a=1", host="10.0.0.1")
    assert jar.set("b=1; domain=10.0.0.1", host="10.0.0.1")
    assert not jar.set("c=1; domain=0.0.1", host="10.0.0.1")
    assert jar.get("10.0.0.1") == "a=1; b=1"
    assert jar.get("::1") == ""


def test_secure_cookies() -> None:
    jar = Jar()
    assert not jar.set("a=1; secure", secure=False)
    assert jar.set("a=1; secure")
    assert jar.get(secure=False) == ""
    assert jar.get() == "a=1"
    assert not jar.set("a=2", secure=False), "it would take the place of a Secure one"
    assert not jar.set("a=2; domain=example.org; path=/x", secure=False)
    assert jar.set("b=2", secure=False)


@pytest.mark.parametrize(
    ("field", "allowed"),
    [
        ("__Secure-a=1", False),
        ("__secure-a=1; Secure", True),
        ("__Host-a=1; Secure; Path=/", True),
        ("__HOST-a=1; Path=/", False),
        ("__Host-a=1; Secure", False),
        ("__Host-a=1; Secure; Path=/; Domain=www.example.org", False),
    ],
)
def test_prefixes(field: str, allowed: bool) -> None:
    assert Jar().set(field) is allowed


def test_paths_decide_and_order() -> None:
    jar = Jar()
    jar.set("a=root")
    jar.set("a=deep; path=/x/y")
    jar.set("b=default", path="/x/page")
    assert jar.get(path="/") == "a=root"
    assert jar.get(path="/x/y/z") == "a=deep; b=default; a=root"


def test_a_new_value_keeps_the_place_in_the_order() -> None:
    jar = Jar()
    for field in ("a=1", "b=1", "a=2"):
        jar.set(field)
    assert jar.get() == "a=2; b=1"
    assert len(jar.store) == 2


def test_expired_cookies_go() -> None:
    jar = Jar()
    jar.set("a=1; max-age=10")
    assert jar.get(now=NOW + 9.9) == "a=1"
    assert jar.get(now=NOW + 10) == ""
    assert len(jar.store) == 0
    jar.set("a=1")
    assert not jar.set("a=1; max-age=0")
    assert len(jar.store) == 0
    assert not jar.set("a=1; max-age=0"), "nor was there one"
    assert jar.get() == ""


def test_the_cookies_of_another_store_take_the_place_of_all() -> None:
    jar, other, empty = Jar(), Jar(), Jar()
    jar.set("a=1")
    assert jar.get() == "a=1"
    other.set("b=2", now=NOW)
    other.set("c=3; secure", now=NOW)
    jar.store.replace(other.store)
    assert (jar.get(), len(jar.store)) == ("b=2; c=3", 2)
    jar.set("d=4")
    assert jar.get() == "b=2; c=3; d=4", "what is new is newer than what was taken over"
    jar.store.replace(empty.store)
    assert (jar.get(), len(jar.store)) == ("", 0)


def test_a_cookie_is_removed_once() -> None:
    jar = Jar()
    jar.set("a=1")
    jar.set("b=2")
    first, _ = jar.store
    for _ in range(2):
        jar.store.remove(first)
    assert (jar.get(), len(jar.store)) == ("b=2", 1)
    jar.store.remove(next(iter(jar.store)))
    assert (jar.get(), len(jar.store)) == ("", 0)


def test_cookies_of_the_application_go_everywhere() -> None:
    jar = Jar()
    jar.set("a=1", host="")
    assert jar.get("any.where") == jar.get("10.0.0.1") == "a=1"


def test_limits_of_the_store() -> None:
    jar = Jar()
    for number in range(MAX_PER_DOMAIN):
        jar.set(f"c{number}=1{'; secure' if number < 10 else ''}")
    assert len(jar.store) == MAX_PER_DOMAIN
    jar.set("one-more=1")
    assert len(jar.store) == PURGED_PER_DOMAIN
    names = {cookie.name for cookie in jar.store}
    assert {"c0", "c9", "one-more"} <= names, "those with Secure go last, and the new one stays"
    assert "c10" not in names


def test_limits_of_all_stores() -> None:
    jar = Jar()
    for number in range(MAX_COOKIES + 1):
        jar.set("a=1", host=f"h{number}.example.org")
    assert len(jar.store) == PURGED_COOKIES
    assert jar.get("h0.example.org") == ""


def test_limits_of_one_request() -> None:
    jar = Jar()
    for number in range(MAX_PER_DOMAIN):
        jar.set(f"c{number}=1")
    assert len(jar.store.select(host="www.example.org", path="/", secure=True, now=NOW)) == MAX_SENT
    jar.store.clear()
    for number in range(9):
        jar.set(f"c{number}={'x' * 1000}")
    assert len("Cookie: " + jar.get()) <= MAX_SENT_SIZE
    assert jar.get().count("=") == 8


@pytest.mark.parametrize("letter", ["x", "é"])
def test_the_largest_cookie_field(letter: str) -> None:
    jar = Jar()
    room = MAX_SENT_SIZE - len("Cookie: a=1; b=")
    fitting = letter * (room // len(letter.encode()))
    jar.set("a=1", host="")
    jar.store.set(SetCookie("b", fitting), host="", path="/", secure=True, now=NOW)
    assert jar.get() == f"a=1; b={fitting}"
    jar.store.set(SetCookie("b", fitting + letter), host="", path="/", secure=True, now=NOW)
    assert jar.get() == f"b={fitting + letter}", "the newest has room first"
    jar.store.set(SetCookie("b", letter * 9000), host="", path="/", secure=True, now=NOW)
    assert jar.get() == "a=1", "what has no room leaves it to others"


def test_sibling_hosts_cannot_crowd_out_a_hosts_own_cookies() -> None:
    jar = Jar()
    for number in range(MAX_SENT):
        jar.set(f"c{number}=1; domain=example.org", host="other.example.org")
    jar.set("own=1", host="www.example.org")
    sent = jar.get("www.example.org")
    assert sent.endswith("; own=1"), "the order is still that of RFC 6265bis section 5.8.3"
    assert sent.count("=") == MAX_SENT


def test_what_expired_makes_room_before_anything_is_purged() -> None:
    jar = Jar()
    for number in range(MAX_PER_DOMAIN):
        jar.set(f"c{number}=1{'; max-age=1' if number == 0 else ''}")
    jar.store.set(SetCookie("new", "1"), host="www.example.org", path="/", secure=True, now=NOW + 2)
    assert len(jar.store) == MAX_PER_DOMAIN
    jar.store.clear()
    for number in range(MAX_COOKIES):
        jar.set(f"a=1{'; max-age=1' if number == 0 else ''}", host=f"h{number}.example.org")
    jar.store.set(SetCookie("new", "1"), host="www.example.org", path="/", secure=True, now=NOW + 2)
    assert len(jar.store) == MAX_COOKIES


# -- what is remembered -----------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from(["1", "2"]),
        st.sampled_from(["", "; domain=example.org", "; path=/x", "; secure", "; max-age=0"]),
        st.sampled_from(["", "; max-age=2", "; max-age=5"]),
        st.sampled_from(["example.org", "www.example.org"]),
        st.sampled_from([0.0, 1.0, 3.0]),
    ),
    max_size=15,
)


@given(STEPS, st.booleans())
def test_what_is_remembered_is_what_would_be_found(
    steps: list[tuple[str, str, str, str, str, float]], one_per_name: bool
) -> None:
    now = NOW
    remembering = CookieStore(one_per_name=one_per_name)
    looking = CookieStore(one_per_name=one_per_name)
    for name, value, scope, age, host, pause in steps:
        cookie = parse_set_cookie(f"{name}={value}{age}{scope}")
        assert cookie is not None
        for store in (remembering, looking):
            store.set(cookie, host=host, path="/", secure=True, now=now)
        now += pause
        looking._remembered.clear()
        for path in ("/", "/x"):
            found, again, expected = (
                store.select(host=host, path=path, secure=True, now=now)
                for store in (remembering, remembering, looking)
            )
            assert again is found or not found
            assert [(cookie.name, cookie.value, cookie.path) for cookie in found] == [
                (cookie.name, cookie.value, cookie.path) for cookie in expected
            ]


def test_of_one_name_the_most_specific_is_sent_alone() -> None:
    jar = Jar(one_per_name=True)
    jar.set("a=domain; domain=example.org", host="sub.example.org")
    jar.set("a=host", host="www.example.org")
    assert jar.get("www.example.org") == "a=host"
    assert jar.get("example.org") == "a=domain"
    jar.set("a=path; path=/x; domain=www.example.org", host="www.example.org")
    assert jar.get("www.example.org", path="/x") == "a=path"


def test_of_one_name_a_host_replaces_its_own_and_no_other_host_does() -> None:
    jar = Jar(one_per_name=True)
    jar.set("a=host", host="example.org")
    jar.set("a=tossed; domain=example.org", host="evil.example.org")
    assert jar.get("example.org") == "a=host"
    jar.set("a=domain; domain=example.org", host="example.org")
    assert jar.get("example.org") == jar.get("www.example.org") == "a=domain"
    jar.set("a=host", host="example.org")
    assert jar.get("example.org") == "a=host"
    assert jar.get("www.example.org") == ""
    jar.set("a=; domain=example.org; max-age=0", host="example.org")
    assert jar.get("example.org") == ""


def test_selections_are_not_kept_for_ever() -> None:
    jar = Jar()
    jar.set("a=1")
    for number in range(MAX_REMEMBERED + 1):
        assert jar.get(path=f"/{number}") == "a=1"
    assert len(jar.store._remembered) <= MAX_REMEMBERED


def test_a_domain_full_of_secure_cookies_takes_no_other() -> None:
    told: list[str] = []
    jar = Jar()
    jar.store.tell = told.append
    for number in range(MAX_PER_DOMAIN):
        jar.set(f"c{number}=1; secure")
    assert not jar.set("plain=1")
    assert told == ["Dropped cookie 'plain' for www.example.org: it is full of Secure ones"]
    assert jar.set("c0=2; secure"), "what is there already needs no room"
    assert len(jar.store) == MAX_PER_DOMAIN
    assert jar.set("new=1; secure")
    assert len(jar.store) == PURGED_PER_DOMAIN


@pytest.mark.parametrize(
    "cookie",
    [
        SetCookie("", "1"),
        SetCookie("a=b", "1"),
        SetCookie("a;b", "1"),
        SetCookie("a", "1;2"),
        SetCookie("a", "1\r\nX: y"),
        SetCookie("a", "\ud800"),
    ],
)
def test_what_cannot_be_sent_is_not_stored(cookie: SetCookie) -> None:
    store = CookieStore()
    assert store.set(cookie, host="", path="/", secure=True, now=NOW) is None


def test_bytes_that_are_no_text_are_sent_back() -> None:
    jar = Jar()
    jar.set("a=\udcff")
    assert jar.get() == "a=\udcff"


def test_secure_counts_whatever_its_value() -> None:
    jar = Jar()
    jar.set(f"a=1; Secure={'x' * 2000}")
    assert jar.get(secure=False) == ""
    assert jar.get() == "a=1"
