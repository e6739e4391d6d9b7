"""What is said to a proxy: byte by byte, in any pieces, and answers of every kind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine import LocalProtocolError, Request
from plait_engine.proxy.attempts import TunnelAttempts
from plait_engine.proxy.choice import Way
from plait_engine.proxy.connect import ConnectHandshake
from plait_engine.proxy.forward import Forwarding, without_authorization
from plait_engine.proxy.handshake import (
    Handshake,
    HandshakeState,
    TunnelError,
    TunnelRefusedError,
)
from plait_engine.proxy.login import ProxyLogins
from plait_engine.proxy.socks import Socks4Handshake, Socks5Handshake
from tests.engine.chops import CHOPS, Chop


def run(handshake: Handshake, answers: list[bytes]) -> list[bytes]:
    """Give ``answers`` to ``handshake``; return what it says, in turn."""
    handshake.start(0.0)
    said = [handshake.data_to_send()]
    for answer in answers:
        handshake.receive_data(answer, 0.0)
        said.append(handshake.data_to_send())
    return said


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({min(place, len(data)) for place in cuts})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


# -- SOCKS ------------------------------------------------------------------------------


def test_socks_4() -> None:
    handshake = Socks4Handshake("192.0.2.1", 443, "me")
    assert run(handshake, [b"\x00\x5a\x00\x00\x00\x00\x00\x00"]) == [
        b"\x04\x01\x01\xbb\xc0\x00\x02\x01me\x00",
        b"",
    ]
    assert handshake.state is HandshakeState.OPEN


def test_socks_4a() -> None:
    (said,) = run(Socks4Handshake("example.com", 80), [])
    assert said == b"\x04\x01\x00\x50\x00\x00\x00\x01\x00example.com\x00"


def test_socks_5() -> None:
    # RFC 1928 sections 3 and 4.
    handshake = Socks5Handshake("example.com", 443)
    said = run(handshake, [b"\x05\x00", b"\x05\x00\x00\x01\xc0\x00\x02\x01\x10\x00"])
    assert said == [b"\x05\x01\x00", b"\x05\x01\x00\x03\x0bexample.com\x01\xbb", b""]
    assert handshake.state is HandshakeState.OPEN
    said = run(Socks5Handshake("192.0.2.1", 80), [b"\x05\x00"])
    assert said[1] == b"\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x50"
    said = run(Socks5Handshake("fe80::1%eth0", 80), [b"\x05\x00"])
    assert said[1] == b"\x05\x01\x00\x04\xfe\x80" + bytes(13) + b"\x01\x00\x50"


def test_socks_5_with_a_login() -> None:
    # RFC 1929 section 2.
    handshake = Socks5Handshake("a", 1, ("user", "pw"))
    said = run(handshake, [b"\x05\x02", b"\x01\x00"])
    assert said == [
        b"\x05\x02\x00\x02",
        b"\x01\x04user\x02pw",
        b"\x05\x01\x00\x03\x01a\x00\x01",
    ]


@pytest.mark.parametrize("login", [("", "pw"), ("user", ""), ("", "")])
def test_socks_5_has_no_empty_logins(login: tuple[str, str]) -> None:
    # RFC 1929 section 2: ULEN and PLEN are from 1 to 255.
    with pytest.raises(ValueError, match="empty user or password"):
        Socks5Handshake("a", 1, login)


def test_a_socks_proxy_that_answers_ahead_is_told_everything() -> None:
    """Whether an answer was waited for, nobody can tell: the login must not get lost."""
    handshake = Socks5Handshake("a", 1, ("user", "pw"))
    said = run(handshake, [b"\x05\x02\x01\x00"])
    assert said == [
        b"\x05\x02\x00\x02",
        b"\x01\x04user\x02pw" + b"\x05\x01\x00\x03\x01a\x00\x01",
    ]


@pytest.mark.parametrize(
    ("handshake", "answers", "message"),
    [
        (Socks4Handshake("1.2.3.4", 1), b"\x00\x5b" + bytes(6), "rejected or failed"),
        (Socks4Handshake("1.2.3.4", 1), b"\x00\x00" + bytes(6), "answer 0x00"),
        (Socks4Handshake("1.2.3.4", 1), b"HTTP/1.1", "does not speak SOCKS 4"),
        (Socks5Handshake("a", 1), b"HT", "does not speak SOCKS 5"),
        (Socks5Handshake("a", 1), b"\x05\xff", "another authentication"),
        (Socks5Handshake("a", 1), b"\x05\x02", "another authentication"),
        (Socks5Handshake("a", 1, ("u", "p")), b"\x05\x01", "another authentication"),
        (Socks5Handshake("a", 1, ("u", "p")), b"\x05\x02\x01\x01", "not accept the login"),
        (Socks5Handshake("a", 1), b"\x05\x00\x05\x02\x00\x01", "not allowed"),
        (Socks5Handshake("a", 1), b"\x05\x00\x05\x63\x00\x01", "answer 0x63"),
        (Socks5Handshake("a", 1), b"\x05\x00\x04\x00\x00\x01", "does not speak SOCKS 5"),
        (Socks5Handshake("a", 1), b"\x05\x00\x05\x00\x00\x07", "unknown type: 7"),
    ],
)
def test_socks_fails(handshake: Handshake, answers: bytes, message: str) -> None:
    run(handshake, [answers])
    assert handshake.state is HandshakeState.FAILED
    assert message in str(handshake.error)


@pytest.mark.parametrize(
    ("bound", "size"),
    [(b"\x01" + bytes(6), 6), (b"\x04" + bytes(18), 18), (b"\x03\x05hello\x00\x01", 8)],
)
@given(cuts=st.lists(st.integers(0, 40)), surplus=st.binary(max_size=10))
def test_socks_5_in_pieces(bound: bytes, size: int, cuts: list[int], surplus: bytes) -> None:
    handshake = Socks5Handshake("a", 1, ("u", "p"))
    said = run(handshake, cut(b"\x05\x02\x01\x00\x05\x00\x00" + bound + surplus, cuts))
    assert b"".join(said) == b"\x05\x02\x00\x02\x01\x01u\x01p\x05\x01\x00\x03\x01a\x00\x01"
    # What comes behind the answer in pieces of its own is the transport's to hold.
    assert handshake.state is HandshakeState.OPEN
    assert surplus.startswith(handshake.surplus)


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize("surplus", [b"", b"first bytes"])
def test_socks_4_in_pieces(chop: Chop, surplus: bytes) -> None:
    handshake = Socks4Handshake("a", 1)
    run(handshake, chop(b"\x00\x5a\x01\xbb\xc0\x00\x02\x01" + surplus))
    assert handshake.state is HandshakeState.OPEN
    assert surplus.startswith(handshake.surplus)


@given(st.binary(), st.booleans())
def test_socks_takes_anything(data: bytes, version_4: bool) -> None:
    handshake = Socks4Handshake("a", 1) if version_4 else Socks5Handshake("a", 1, ("u", "p"))
    run(handshake, [data])
    handshake.receive_eof(0.0)
    assert handshake.state is not HandshakeState.PENDING


def test_what_socks_cannot_say() -> None:
    with pytest.raises(ValueError, match="IPv6"):
        Socks4Handshake("::1", 1)
    for host in ("a" * 256, "a\x00b"):
        with pytest.raises(ValueError, match="at most 255"):
            Socks5Handshake(host, 1)
        with pytest.raises(ValueError, match="at most 255"):
            Socks4Handshake(host, 1)
    with pytest.raises(ValueError, match="at most 255"):
        Socks5Handshake("a", 1, ("u" * 256, ""))
    with pytest.raises(ValueError, match="at most 255"):
        Socks4Handshake("a", 1, "u\x00v")


# -- CONNECT ----------------------------------------------------------------------------


def test_connect() -> None:
    headers = [("X", "1"), ("Host", "other"), ("Content-Length", "5"), ("transfer-encoding", "x")]
    (said,) = run(ConnectHandshake("[::1]:443", headers), [])
    assert said == b"CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\nX: 1\r\n\r\n"


@pytest.mark.parametrize(
    "fields", [b"", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"]
)
@given(cuts=st.lists(st.integers(0, 100)), surplus=st.binary(max_size=20))
def test_connect_in_pieces(fields: bytes, cuts: list[int], surplus: bytes) -> None:
    """RFC 9110 section 9.3.6: what a 2xx says about content means nothing."""
    handshake = ConnectHandshake("a:1", [])
    answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 299 Fine\r\n" + fields + b"\r\n"
    run(handshake, cut(answer + surplus, cuts))
    assert handshake.state is HandshakeState.OPEN
    assert handshake.surplus == surplus


def test_connect_is_refused() -> None:
    handshake = ConnectHandshake("a:1", [])
    run(
        handshake,
        [b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\nContent-Length: 9\r\n\r\nsec"],
    )
    error = handshake.error
    assert isinstance(error, TunnelRefusedError)
    assert (error.status, error.reason) == (407, "Who")
    assert ("Proxy-Authenticate", "Basic") in error.headers
    assert handshake.surplus == b""


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        (b"HTTP/1.1 502 Go away", 502, "Go away"),
        # RFC 9112 section 4: the reason may be missing; then it is that of RFC 9110.
        (b"HTTP/1.1 502 ", 502, "Bad Gateway"),
        (b"HTTP/1.1 407 ", 407, "Proxy Authentication Required"),
        (b"HTTP/1.1 599 ", 599, ""),
        # RFC 9110 section 9.3.6: a redirect gives no tunnel, either.
        (b"HTTP/1.0 302 ", 302, "Found"),
    ],
)
@pytest.mark.parametrize("chop", CHOPS)
def test_why_connect_is_refused(chop: Chop, line: bytes, status: int, reason: str) -> None:
    handshake = ConnectHandshake("a:1", [])
    run(handshake, chop(line + b"\r\nContent-Length: 0\r\n\r\n"))
    error = handshake.error
    assert handshake.state is HandshakeState.FAILED
    assert isinstance(error, TunnelRefusedError)
    assert (error.status, error.reason) == (status, reason)
    assert str(error) == f"the proxy answers CONNECT with {status} {reason}".rstrip()


@pytest.mark.parametrize(
    "answer",
    [
        b"\x05\x00",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 200 ok\r\nX: " + b"x" * 70000,
        b"HTTP/1.1 200 ok\r\n\x00: 1\r\n\r\n",
        b"HTTP/1.1 200 ok\r\nX",
        b"",
    ],
)
def test_connect_fails(answer: bytes) -> None:
    handshake = ConnectHandshake("a:1", [])
    run(handshake, [answer])
    handshake.receive_eof(0.0)
    assert handshake.state is HandshakeState.FAILED
    assert not isinstance(handshake.error, TunnelRefusedError)


@given(st.binary())
def test_connect_takes_anything(data: bytes) -> None:
    handshake = ConnectHandshake("a:1", [])
    run(handshake, [data])
    handshake.receive_eof(0.0)
    assert handshake.state is not HandshakeState.PENDING


@pytest.mark.parametrize("authority", ["a\r\nX: 1:1", "a b:1", "a", "a:99999", ""])
def test_a_target_that_is_none(authority: str) -> None:
    with pytest.raises(LocalProtocolError):
        ConnectHandshake(authority, []).start(0.0)


def test_a_field_that_is_none() -> None:
    with pytest.raises(LocalProtocolError):
        ConnectHandshake("a:1", [("X", "1\r\nY: 2")]).start(0.0)


def test_an_address_with_a_zone() -> None:
    assert "CONNECT [fe80::1]:443 HTTP" in say(
        TunnelAttempts(Way.CONNECT, "http", ["fe80::1%eth0"], 443)
    )


# -- attempts ---------------------------------------------------------------------------

DIGEST = ("Proxy-Authenticate", 'Digest realm="r", nonce="n", qop="auth"')
LOGIN = ("user", "password", "latin1")


def logins() -> ProxyLogins:
    return ProxyLogins(bytes)


def say(attempts: TunnelAttempts) -> str:
    return run(attempts.begin(), [])[0].decode()


def test_a_challenge_is_answered_once() -> None:
    login = logins().find("proxy", LOGIN)
    attempts = TunnelAttempts(Way.CONNECT, "http", ["a"], 1, login=login, user_agent="me")
    assert "Proxy-Authorization: Basic dXNlcjpwYXNzd29yZA==\r\n" in say(attempts)
    refusal = TunnelRefusedError(407, "", [DIGEST])
    assert attempts.goes_on(refusal)
    said = say(attempts)
    assert said.startswith("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nUser-Agent: me\r\n")
    assert 'Proxy-Authorization: Digest username="user"' in said
    assert 'uri="a:1"' in said
    assert not attempts.goes_on(refusal)
    # What was learned is used at once by the next one.
    again = TunnelAttempts(Way.CONNECT, "http", ["b"], 1, login=login)
    assert "Proxy-Authorization: Digest" in say(again)


@pytest.mark.parametrize("challenge", ["Basic realm=x", "Negotiate", "Digest realm=x", ""])
def test_a_challenge_without_an_answer(challenge: str) -> None:
    login = logins().find("proxy", LOGIN)
    attempts = TunnelAttempts(Way.CONNECT, "http", ["a"], 1, login=login)
    attempts.begin()
    assert not attempts.goes_on(TunnelRefusedError(407, "", [("Proxy-Authenticate", challenge)]))


def test_who_gets_no_second_attempt() -> None:
    refusal = TunnelRefusedError(407, "", [DIGEST])
    assert not TunnelAttempts(Way.CONNECT, "http", ["a"], 1).goes_on(refusal)
    own = [("proxy-authorization", "x")]
    login = logins().find("proxy", LOGIN)
    attempts = TunnelAttempts(Way.CONNECT, "http", ["a"], 1, headers=own, login=login)
    assert say(attempts).lower().count("proxy-authorization") == 1
    assert not attempts.goes_on(refusal)
    other = TunnelAttempts(Way.CONNECT, "http", ["a"], 1, login=login)
    assert not other.goes_on(TunnelRefusedError(403, "", [DIGEST]))
    assert not other.goes_on(TunnelError("closed"))


def test_each_address_is_tried() -> None:
    attempts = TunnelAttempts(Way.SOCKS, "socks5", ["::1", "127.0.0.1"], 1)
    assert isinstance(attempts.begin(), Socks5Handshake)
    assert attempts.goes_on(TunnelError("unreachable"))
    assert not attempts.goes_on(TunnelError("unreachable"))


@pytest.mark.parametrize("scheme", ["socks4", "socks4a"])
@pytest.mark.parametrize(
    ("credentials", "user"), [(None, b""), (("me", "secret", "latin1"), b"me")]
)
def test_socks_4_is_told_who_asks(
    scheme: str, credentials: tuple[str, str, str] | None, user: bytes
) -> None:
    """SOCKS 4 has a name of the user, and no password."""
    login = logins().find("proxy", credentials)
    attempts = TunnelAttempts(Way.SOCKS, scheme, ["192.0.2.1"], 443, login=login)
    handshake = attempts.begin()
    assert isinstance(handshake, Socks4Handshake)
    (said,) = run(handshake, [])
    assert said == b"\x04\x01\x01\xbb\xc0\x00\x02\x01" + user + b"\x00"


def test_socks_5_gets_the_login() -> None:
    login = logins().find("proxy", LOGIN)
    attempts = TunnelAttempts(Way.SOCKS, "socks5h", ["a"], 1, login=login)
    said = run(attempts.begin(), [b"\x05\x02"])
    assert said == [b"\x05\x02\x00\x02", b"\x01\x04user\x08password"]


def test_logins_are_for_one_proxy_and_few() -> None:
    known = logins()
    one = known.find("a", LOGIN)
    assert known.find("a", LOGIN) is one
    assert known.find("b", LOGIN) is not one
    assert known.find("a", ("user", "other", "latin1")) is not one
    assert known.find("a", None) is None
    for number in range(100):
        known.find(number, LOGIN)
    assert known.find("a", LOGIN) is not one
    assert len(known._known) == 64


# -- forwarding -------------------------------------------------------------------------


def request(target: str, method: str = "GET", headers: tuple[tuple[str, str], ...] = ()) -> Request:
    return Request(1, method, "http", "virtual", target, headers)


def test_requests_that_are_forwarded() -> None:
    forwarding = Forwarding([("X", "1"), ("Proxy-Connection", "keep-alive")], None)
    addressed = forwarding.address(request("/a?b"), "server:8080")
    assert addressed.target == "http://server:8080/a?b"
    assert addressed.authority == "virtual"
    assert addressed.headers == [("Proxy-Connection", "keep-alive")]
    # RFC 9112 section 3.2.4.
    assert forwarding.address(request("*", "OPTIONS"), "server").target == "http://server"


def test_the_login_goes_with_each_request() -> None:
    login = logins().find("proxy", LOGIN)
    forwarding = Forwarding([], login)
    basic = ("Proxy-Authorization", "Basic dXNlcjpwYXNzd29yZA==")
    assert list(forwarding.address(request("/"), "a").headers) == [basic]
    own = ("proxy-AUTHORIZATION", "mine")
    assert list(forwarding.address(request("/", headers=(own,)), "a").headers) == [own]
    assert forwarding.on_challenge([DIGEST[1]], has_content=False)
    ((_name, value),) = forwarding.address(request("/x"), "a").headers
    assert 'uri="http://a/x"' in value
    assert not Forwarding([basic], login).on_challenge([DIGEST[1]], has_content=False)


def test_content_that_would_have_to_be_hashed() -> None:
    challenge = 'Digest realm="r", nonce="n", qop="auth-int"'
    forwarding = Forwarding([], logins().find("proxy", LOGIN))
    assert not forwarding.on_challenge([challenge], has_content=True)
    assert forwarding.on_challenge([challenge], has_content=False)


def test_a_server_behind_a_tunnel_gets_no_credentials_of_the_proxy() -> None:
    """RFC 9110 section 11.7.2: Proxy-Authorization is for the next proxy."""
    plain = [("X", "1"), ("Authorization", "mine"), ("Proxy-Connection", "keep-alive")]
    assert without_authorization(plain) is plain
    with_login = [plain[0], ("proxy-AUTHORIZATION", "Basic eDp5"), *plain[1:]]
    assert without_authorization(with_login) == plain
