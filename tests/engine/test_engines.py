"""Which class of connection an engine and a protocol mean."""

from __future__ import annotations

import pytest

from plait_engine import (
    CloseReason,
    Config,
    LocalProtocolError,
    Request,
    Role,
    create_connection,
)
from plait_engine.engines import websocket_class
from plait_engine.testing import TEST_CONFIG


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_protocols(engine: str) -> None:
    for protocol in ("http/1.1", "h2"):
        connection = create_connection(Role.CLIENT, protocol, TEST_CONFIG, engine=engine)
        assert connection.protocol == protocol
    with pytest.raises(ValueError, match="unknown protocol: 'h3'"):
        create_connection(Role.CLIENT, "h3", TEST_CONFIG, engine=engine)


def test_unknown_engines() -> None:
    with pytest.raises(ValueError, match="unknown engine: 'other'"):
        create_connection(Role.CLIENT, "h2", TEST_CONFIG, engine="other")
    with pytest.raises(ValueError, match="unknown engine: 'other'"):
        websocket_class("other")
    assert websocket_class("native") is not websocket_class("reference")


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
def test_an_engine_need_not_have_short_paths(protocol: str) -> None:
    connection = create_connection(Role.SERVER, protocol, TEST_CONFIG, engine="reference")
    assert connection.send_response(1, 200, (), b"body", 0.0) is None
    assert connection.send_data(1, b"body", 0.0) is None
    client = create_connection(Role.CLIENT, protocol, TEST_CONFIG, engine="reference")
    assert client.send_request(Request(1, "GET", "http", "a", "/", ()), 0.0) is None


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_what_a_protocol_does_not_have(engine: str) -> None:
    http1, http2 = (
        create_connection(Role.SERVER, protocol, TEST_CONFIG, engine=engine)
        for protocol in ("http/1.1", "h2")
    )
    with pytest.raises(LocalProtocolError, match=r"http/1\.1 has no PING"):
        http1.ping(b"12345678", 0.0)
    with pytest.raises(LocalProtocolError, match="h2 cannot reserve body bytes"):
        http2.reserve(1, 5, 0.0)


def test_a_config_without_random_bytes_says_so() -> None:
    with pytest.raises(RuntimeError, match=r"os\.urandom"):
        Config().random(4)


def test_reasons_are_phrases() -> None:
    phrases = [reason.explain() for reason in CloseReason]
    assert len(set(phrases)) == len(phrases)
    assert CloseReason.PEER.explain() == "closed by the peer"
