"""Which version a client offers and speaks, in every combination of what decides it."""

from __future__ import annotations

import pytest

from plait_engine.policy.versions import MAX_HTTP1_SERVERS, Versions


@pytest.mark.parametrize(
    ("http2", "http1_only", "offers"),
    [
        (None, False, ("h2", "http/1.1")),
        (True, False, ("h2",)),
        (False, False, ("http/1.1",)),
        (None, True, ("http/1.1",)),
        (True, True, ("http/1.1",)),
        (False, True, ("http/1.1",)),
    ],
)
def test_what_is_offered(http2: bool | None, http1_only: bool, offers: tuple[str, ...]) -> None:
    assert Versions[str](http2).offers(http1_only=http1_only) == offers


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("http1_only", [False, True])
@pytest.mark.parametrize("http2", [None, False, True])
def test_what_is_spoken(http2: bool | None, http1_only: bool, secure: bool) -> None:
    versions = Versions[str](http2)
    # Without an answer by ALPN (RFC 7301), HTTP/2 needs prior knowledge (RFC 9113 section 3.3).
    knows = http2 is True and not secure and not http1_only
    spoken = versions.spoken(None, secure=secure, http1_only=http1_only)
    assert spoken == ("h2" if knows else "http/1.1")
    for chosen in versions.offers(http1_only=http1_only):
        assert versions.spoken(chosen, secure=True, http1_only=http1_only) == chosen
    may_share = versions.may_share(secure=secure, http1_only=http1_only)
    by_alpn = secure and not http1_only and http2 is not False
    assert may_share == (knows or by_alpn)


def test_a_server_that_wants_http1_is_remembered() -> None:
    versions = Versions[str](None)
    assert not versions.requires_http1("a")
    versions.require_http1("a")
    assert versions.requires_http1("a")
    assert not versions.requires_http1("b")


def test_servers_cannot_flood_the_memory() -> None:
    versions = Versions[int](None)
    for server in range(MAX_HTTP1_SERVERS + 10):
        versions.require_http1(server)
    remembered = [n for n in range(MAX_HTTP1_SERVERS + 10) if versions.requires_http1(n)]
    assert remembered == list(range(10, MAX_HTTP1_SERVERS + 10))
