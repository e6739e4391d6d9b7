"""Tools to test what is built on the engine, and the engine itself.

``Pair`` couples a client and a server engine under a virtual clock; ``Endpoint`` drives one
engine alone.  Fragmenters cut bytes; ``EventRecorder`` and ``OrderChecker`` hold the order
of events; ``messages`` and ``frames`` build and take apart what is on the wire.

``plait_engine.testing.strategies`` has strategies for hypothesis.  It is imported apart,
because it is the only part that needs hypothesis.
"""

from .fragmenters import Fragmenter, at, bytewise, random_cuts, whole
from .pair import TEST_CONFIG, Clock, Endpoint, EngineChoice, Pair, counting_random
from .recorder import EventRecorder, OrderChecker, OrderError, coalesce

__all__ = [
    "TEST_CONFIG",
    "Clock",
    "Endpoint",
    "EngineChoice",
    "EventRecorder",
    "Fragmenter",
    "OrderChecker",
    "OrderError",
    "Pair",
    "at",
    "bytewise",
    "coalesce",
    "counting_random",
    "random_cuts",
    "whole",
]
