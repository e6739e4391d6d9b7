"""Each test that takes ``role`` runs as a server and as a client."""

from __future__ import annotations

import pytest

from plait_engine import Role
from plait_engine.websocket import masking, reader, writer

MASKS = [
    "python",
    pytest.param(
        "c",
        marks=pytest.mark.skipif("c" not in masking.MASKS, reason="websockets is not installed"),
    ),
]


def use_mask(name: str, monkeypatch: pytest.MonkeyPatch) -> masking.Mask:
    """Let the engine mask with one of ``masking.MASKS``."""
    mask = masking.MASKS[name]
    monkeypatch.setattr(reader, "apply_mask", mask)
    monkeypatch.setattr(writer, "apply_mask", mask)
    return mask


@pytest.fixture(params=[Role.SERVER, Role.CLIENT], ids=["server", "client"])
def role(request: pytest.FixtureRequest) -> Role:
    """The role of the connection under test."""
    assert isinstance(request.param, Role)
    return request.param


@pytest.fixture(params=MASKS)
def each_mask(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the test with each mask."""
    use_mask(request.param, monkeypatch)
