"""Named pipes of Windows, which only asyncio's proactor loop has."""

from __future__ import annotations

import asyncio


def check_has_pipes(loop: asyncio.AbstractEventLoop) -> None:
    """Raise RuntimeError when ``loop`` has no named pipes."""
    if not hasattr(loop, "create_pipe_connection"):
        raise RuntimeError("named pipes need the proactor event loop of Windows")
