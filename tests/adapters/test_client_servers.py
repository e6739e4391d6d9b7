"""What is kept of URLs: what their servers mean for a request, and no more."""

from __future__ import annotations

import pytest
from yarl import URL

from plait.calls import target
from plait.calls.target import ConnectionKey, Server, find_server
from plait.client_exceptions import InvalidUrlClientError
from plait_engine.semantics.cache import MAX_BYTES, MAX_FIELD, MAX_FIELDS


def known() -> dict[tuple[str, str], Server]:
    return target._known.entries


def test_a_server_is_worked_out_once_for_all_its_urls() -> None:
    first = find_server(URL("https://a.example:8443/one?x=1"))
    assert first == Server(
        host="a.example",
        port=8443,
        is_ssl=True,
        authority="a.example:8443",
        authorization=None,
        key=ConnectionKey("a.example", 8443, True),
    )
    assert find_server(URL("https://a.example:8443/two#there")) is first
    assert find_server(URL("http://a.example:8443/one")).is_ssl is False
    assert find_server(URL("https://a.example/one")).port == 443


def test_credentials_are_not_kept() -> None:
    server = find_server(URL("http://user:pass@b.example/"))
    assert server.authorization == "Basic dXNlcjpwYXNz"
    assert not [authority for _, authority in known() if "@" in authority]
    assert find_server(URL("http://b.example/")).authorization is None


def test_any_number_of_servers_takes_a_bounded_memory() -> None:
    for number in range(MAX_FIELDS + 10):
        find_server(URL(f"http://{number}.{'label.' * 20}example/"))
        size = sum(len(authority) for _, authority in known())
        assert len(known()) <= MAX_FIELDS
        assert size <= MAX_BYTES
    with pytest.raises(InvalidUrlClientError):
        find_server(URL(f"http://{'label.' * MAX_FIELD}example/"))
