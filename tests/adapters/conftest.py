"""What the adapter's tests share."""

from __future__ import annotations

import pytest

from tests.adapters.web_peer import Setup


@pytest.fixture(params=["h1-native", "h2-native", "h1-reference", "h2-reference"])
def setup(request: pytest.FixtureRequest) -> Setup:
    """Both protocols on both engines."""
    protocol, engine = request.param.split("-")
    return Setup({"h1": "http/1.1", "h2": "h2"}[protocol], engine)
