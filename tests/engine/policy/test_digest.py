"""Digest access authentication: RFC 7616's examples, choices among challenges, nonces."""

from __future__ import annotations

import base64
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plait_engine.policy.digest import Challenge, DigestAuth, parse_challenges
from plait_engine.testing import counting_random

URL = "http://www.example.org/dir/index.html"
SHA_256 = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256,'
    ' nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",'
    ' opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
MD5 = SHA_256.replace("SHA-256", "MD5")


def fields_of(value: str | None) -> dict[str, str]:
    """Return the parameters of an Authorization; those in quotes without them."""
    assert value is not None
    assert value.startswith("Digest ")
    return {
        name: quoted.replace('\\"', '"').replace("\\\\", "\\") or token
        for name, quoted, token in re.findall(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|(\S+?))(?:,|$)', value)
    }


@pytest.mark.parametrize(
    ("challenge", "response"),
    [
        (MD5, "8ca523f5e9506fed4657c9700eebdbec"),
        (SHA_256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
    ids=["MD5", "SHA-256"],
)
def test_the_examples_of_the_rfc(challenge: str, response: str) -> None:
    """RFC 7616 section 3.9.1."""
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    auth = DigestAuth("Mufasa", "Circle of Life", lambda size: base64.b64decode(cnonce))
    assert auth.on_challenge([challenge], URL, answered=False)
    fields = fields_of(auth.authorize("GET", "/dir/index.html"))
    assert fields == {
        "username": "Mufasa",
        "realm": "http-auth@example.org",
        "uri": "/dir/index.html",
        "algorithm": challenge.split("algorithm=")[1].split(",")[0],
        "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "nc": "00000001",
        "cnonce": cnonce,
        "qop": "auth",
        "response": response,
        "opaque": "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
    }


def test_without_qop_it_is_that_of_rfc_2069() -> None:
    auth = make()
    assert auth.on_challenge(['Digest realm="r", nonce="n"'], URL, answered=False)
    fields = fields_of(auth.authorize("GET", "/"))
    assert fields.keys() == {"username", "realm", "nonce", "uri", "response"}


def test_a_hashed_user_name() -> None:
    """RFC 7616 section 3.4.4: the name does not travel."""
    auth = make("J\N{LATIN SMALL LETTER A WITH DIAERESIS}s")
    challenge = 'Digest realm="r", nonce="n", algorithm=SHA-256, qop=auth, userhash=true'
    assert auth.on_challenge([challenge], URL, answered=False)
    fields = fields_of(auth.authorize("GET", "/"))
    assert fields["userhash"] == "true"
    assert re.fullmatch("[0-9a-f]{64}", fields["username"])


def make(login: str = "user", password: str = "password") -> DigestAuth:
    return DigestAuth(login, password, counting_random)


# -- challenges ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (['Basic realm="a, b", Digest realm="c"'], [("basic", "a, b"), ("digest", "c")]),
        (["Negotiate", 'DIGEST REALM="c"'], [("negotiate", None), ("digest", "c")]),
        (['Negotiate YWJj=, Digest realm="c"'], [("negotiate", None), ("digest", "c")]),
        ([', ,Digest  realm = "c" ,, nonce=n'], [("digest", "c")]),
        (['Digest realm="a \\"b\\" \\\\"'], [("digest", 'a "b" \\')]),
        (['Digest realm="unfinished'], [("digest", None)]),
        (["=="], []),
        ([""], []),
    ],
)
def test_challenges(values: list[str], expected: list[tuple[str, str | None]]) -> None:
    found = [(scheme, fields.get("realm")) for scheme, fields in parse_challenges(values)]
    assert found == expected


@given(st.lists(st.text(alphabet='Digest =,"\\nonce\t/-', max_size=60), max_size=3))
def test_whatever_a_server_says_is_read(values: list[str]) -> None:
    assert all(isinstance(found, Challenge) for found in parse_challenges(values))
    make().on_challenge(values, URL, answered=False)


@given(st.lists(st.text(alphabet="htp:/[]@.%1a?#;", max_size=20), max_size=3))
@example(["http://["])
@example(["//[", "/a"])
@example(["http://[1]/"])
def test_whatever_the_space_is_said_to_be(members: list[str]) -> None:
    auth = make()
    challenge = f'Digest realm="r", nonce="n", domain="{" ".join(members)}"'
    assert auth.on_challenge([challenge], URL, answered=False)
    auth.protects(URL)
    auth.protects("http://[::1]/")


@pytest.mark.parametrize("name", ["realm", "nonce", "opaque"])
def test_bytes_that_are_no_text_are_sent_back(name: str) -> None:
    """They come as surrogates (``headers.decode``), and leave as the same bytes."""
    fields = {"realm": "r", "nonce": "n", "opaque": "o", name: "\udcff"}
    auth = make()
    challenge = "Digest " + ", ".join(f'{key}="{value}"' for key, value in fields.items())
    assert auth.on_challenge([challenge], URL, answered=False)
    answer = auth.authorize("GET", "/")
    assert answer is not None
    assert f'{name}="\udcff"' in answer


@pytest.mark.parametrize(
    "challenge",
    [
        'Basic realm="r"',
        'Digest realm="r"',
        'Digest nonce="n"',
        'Digest realm="r", nonce=""',
        'Digest realm="r", nonce="n", algorithm=ROT13',
        'Digest realm="r", nonce="n", qop="auth-conf"',
    ],
)
def test_what_cannot_be_answered(challenge: str) -> None:
    auth = make()
    assert not auth.on_challenge([challenge], URL, answered=False)
    assert auth.authorize("GET", "/") is None
    assert not auth.protects(URL)


def test_the_first_that_can_be_answered() -> None:
    auth = make()
    values = ['Digest realm="r", nonce="n", algorithm=NEW', SHA_256, MD5]
    assert auth.on_challenge(values, URL, answered=False)
    assert fields_of(auth.authorize("GET", "/"))["algorithm"] == "SHA-256"


@pytest.mark.parametrize(
    "algorithm", ["MD5", "md5-sess", "SHA", "SHA-256-SESS", "SHA256", "SHA-512", "SHA512-SESS"]
)
def test_algorithms(algorithm: str) -> None:
    auth = make()
    challenge = f'Digest realm="r", nonce="n", qop="auth", algorithm={algorithm}'
    assert auth.on_challenge([challenge], URL, answered=False)
    fields = fields_of(auth.authorize("GET", "/"))
    assert fields["algorithm"] == algorithm
    bits = {"MD5": 128, "SHA": 160}.get(algorithm.upper().removesuffix("-SESS"))
    bits = bits or int(re.search(r"256|512", algorithm)[0])  # type: ignore[index]  # it is there
    assert len(fields["response"]) == bits // 4


def test_the_content_is_hashed_if_nothing_else_is_offered() -> None:
    auth = make()
    challenge = 'Digest realm="r", nonce="n", qop="auth-int"'
    assert auth.on_challenge([challenge], URL, answered=False)
    assert auth.needs_content
    responses = set()
    for content in (b"", b"a", b"b"):
        fresh = make()
        fresh.on_challenge([challenge], URL, answered=False)
        responses.add(fields_of(fresh.authorize("POST", "/", content))["response"])
    assert len(responses) == 3


# -- what follows ---------------------------------------------------------------------------------


def test_requests_with_a_nonce_are_counted() -> None:
    auth = make()
    counts = []
    for nonce in ("a", "a", "b"):
        challenge = f'Digest realm="r", nonce="{nonce}", qop="auth"'
        auth.on_challenge([challenge], URL, answered=False)
        counts += [fields_of(auth.authorize("GET", "/"))["nc"] for _ in range(2)]
    assert [int(count, 16) for count in counts] == [1, 2, 3, 4, 1, 2]


@pytest.mark.parametrize(
    ("nonce", "stale", "again"),
    [("n", "true", True), ("n", "TRUE", True), ("n", "false", False), ("other", "false", True)],
)
def test_an_answer_that_was_refused(nonce: str, stale: str, again: bool) -> None:
    auth = make()
    assert auth.on_challenge(['Digest realm="r", nonce="n", qop="auth"'], URL, answered=False)
    challenge = f'Digest realm="r", nonce="{nonce}", qop="auth", stale={stale}'
    assert auth.on_challenge([challenge], URL, answered=True) is again


@pytest.mark.parametrize(
    ("domain", "url", "inside"),
    [
        (None, "http://www.example.org/anything", True),
        (None, "https://www.example.org/dir/", False),
        (None, "http://www.example.org:81/dir/", False),
        ("/dir", "http://www.example.org/dir", True),
        ("/dir", "http://www.example.org/dir/a?b", True),
        ("/dir", "http://www.example.org/directory", False),
        ("/dir/", "http://www.example.org/dir/a", True),
        ("http://other.example/", "http://other.example/", True),
        ("http://other.example/ /a", "http://www.example.org/a", True),
        ("http://other.example/", "http://www.example.org/", False),
        ('\\"', "http://www.example.org/anything", True),
    ],
)
def test_the_space_that_is_protected(domain: str | None, url: str, inside: bool) -> None:
    auth = make()
    challenge = 'Digest realm="r", nonce="n"'
    if domain is not None:
        challenge += f', domain="{domain}"'
    assert auth.on_challenge([challenge], URL, answered=False)
    assert auth.protects(url) is inside


def test_other_origins_are_not_answered() -> None:
    auth = make()
    assert not auth.on_request(URL)
    assert not auth.on_challenge([SHA_256], "http://other.example/", answered=False)
    assert auth.authorize("GET", "/") is None
    vouched = SHA_256 + ', domain="/dir http://other.example/a/"'
    assert auth.on_challenge([vouched], URL, answered=False)
    assert auth.on_request("http://other.example/a/b")
    assert auth.on_challenge([SHA_256], "http://other.example/a/b", answered=False)
    assert not auth.on_challenge([SHA_256], "http://other.example/b", answered=False)


def test_what_is_quoted_is_escaped() -> None:
    auth = make('a"b\\c')
    assert auth.on_challenge(['Digest realm="a\\"b", nonce="n\\\\"'], URL, answered=False)
    fields = fields_of(auth.authorize("GET", "/"))
    assert (fields["username"], fields["realm"], fields["nonce"]) == ('a"b\\c', 'a"b', "n\\")


def test_a_login_with_a_colon() -> None:
    with pytest.raises(ValueError, match="7616"):
        make("a:b")
