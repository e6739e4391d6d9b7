"""WebSocket, the server's side of the wire: the invariants of ``fuzz.websocket``.

Input: options (a byte), cuts, then the frames of ``fuzz.frames``, or raw bytes.
"""

from __future__ import annotations

from fuzz import websocket
from plait_engine.connection import Role


def run(data: bytes) -> None:
    """Run one input."""
    websocket.run(Role.SERVER, data)
