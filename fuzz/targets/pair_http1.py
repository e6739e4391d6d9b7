"""HTTP/1, a client and a server that talk to each other: the invariants of ``fuzz.pair``.

Input: calls on either side, with their arguments.
"""

from __future__ import annotations

from fuzz import pair
from fuzz.choices import Choices
from fuzz.harness import config
from plait_engine.config import Limits
from plait_engine.connection import Role
from plait_engine.engines import create_connection

LIMITS = Limits(read_high_water=64, write_high_water=2048, write_low_water=100)
"""Low, so that the fuzzer reaches them."""


def run(data: bytes) -> None:
    """Run one input."""
    choices = Choices(data)
    settings = config(limits=LIMITS)
    client, server = (
        pair.Side(create_connection(role, "http/1.1", settings), choices)
        for role in (Role.CLIENT, Role.SERVER)
    )
    pair.run(client, server, choices)
