"""WebSocket, the client's side of the wire: the invariants of ``fuzz.websocket``.

Input: options (an octet), cuts, then the frames of ``fuzz.frames``, or raw octets.
"""

from __future__ import annotations

from fuzz import websocket
from plait_engine.connection import Role


def run(data: bytes) -> None:
    """Run one input."""
    websocket.run(Role.CLIENT, data)
