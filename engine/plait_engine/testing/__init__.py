"""Tools to test what is built on the engine, and the engine itself.

===============  =================================================================================
``pair``         ``Pair``: two engines back to back under a virtual clock; ``Endpoint``: one alone
``fragmenters``  how bytes are cut on their way
``recorder``     what a connection reported, and whether its order keeps the contract
``messages``     HTTP/1.1 on the wire: written out, not checked
``frames``       HTTP/2 and WebSocket on the wire: built and taken apart, not checked
``strategies``   strategies for hypothesis
===============  =================================================================================

``strategies`` is imported apart, because it is the only part that needs hypothesis.
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
