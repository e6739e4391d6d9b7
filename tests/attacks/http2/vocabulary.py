"""What the attacks on HTTP/2 are written with: codes of errors, both roles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import pytest

from plait_engine import ErrorCode, Role
from tests.engine.http2.peers import Peer

PROTOCOL: Final = ErrorCode.PROTOCOL_ERROR
FLOW: Final = ErrorCode.FLOW_CONTROL_ERROR
SIZE: Final = ErrorCode.FRAME_SIZE_ERROR
CLOSED: Final = ErrorCode.STREAM_CLOSED
CALM: Final = ErrorCode.ENHANCE_YOUR_CALM

BOTH: Final = pytest.mark.parametrize("role", list(Role))
Open: TypeAlias = Callable[..., Peer]
"""The type of the fixture ``open_peer``."""
