"""Which class of connection an engine and a protocol mean."""

from __future__ import annotations

import pytest

from plait_engine import Role, create_connection
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
