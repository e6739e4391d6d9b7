"""Each test that takes ``role`` runs as a server and as a client."""

from __future__ import annotations

import pytest

from plait_engine import Role


@pytest.fixture(params=[Role.SERVER, Role.CLIENT], ids=["server", "client"])
def role(request: pytest.FixtureRequest) -> Role:
    """The role of the connection under test."""
    assert isinstance(request.param, Role)
    return request.param
