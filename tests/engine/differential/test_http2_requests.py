"""The same frames of a client, whole and damaged, into the native and the reference server."""

from __future__ import annotations

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from plait_engine import Config, Role, create_connection
from plait_engine.engines import EngineName
from plait_engine.http2.frames import PREFACE
from plait_engine.testing import Fragmenter, counting_random
from plait_engine.testing.strategies import fragmenters, http2_client_frames, mutated
from tests.engine.differential import rules
from tests.engine.differential.conftest import budget
from tests.engine.differential.harness import ENGINES, Outcome, Run, differences
from tests.engine.differential.http2_faults import whole_frames
from tests.engine.differential.http2_rules import HTTP2_RULES

CONFIG = Config(random=counting_random)

streams = http2_client_frames().map(lambda frames: PREFACE + b"".join(frames))
odd_streams = http2_client_frames(odd=True).map(lambda frames: PREFACE + b"".join(frames))


LATE = st.booleans()
"""Whether the application answers when all has come, or each request when it is complete."""


def serve(engine: EngineName, data: bytes, fragment: Fragmenter, *, late: bool = False) -> Outcome:
    # What is answered when would depend on the cuts, so that one more is at the end of each
    # frame; but for answers that come late.
    cut = fragment if late else between_frames(fragment)
    connection = create_connection(Role.SERVER, "h2", CONFIG, engine=engine)
    run = Run(connection, cut, answers_late=late)
    run.receive(data)
    return run.finish()


def between_frames(fragment: Fragmenter) -> Fragmenter:
    """Cut at the end of each frame, too."""

    def cut(data: bytes) -> list[bytes]:
        start, parts = 0, []
        for frame in whole_frames(data):
            parts.append(data[start : frame.end])
            start = frame.end
        return [piece for part in [*parts, data[start:]] for piece in fragment(part)]

    return cut


def compare(data: bytes, fragment: Fragmenter, late: bool) -> None:
    rules.compare(HTTP2_RULES, partial(serve, late=late), data, fragment)


@budget(150)
@given(streams, fragmenters(), LATE)
def test_valid_frames(data: bytes, fragment: Fragmenter, late: bool) -> None:
    compare(data, fragment, late)


@budget(150)
@given(odd_streams, fragmenters(), LATE)
def test_odd_frames(data: bytes, fragment: Fragmenter, late: bool) -> None:
    compare(data, fragment, late)


@budget(300)
@given(mutated(st.one_of(streams, odd_streams)), fragmenters(), LATE)
def test_damaged_frames(data: bytes, fragment: Fragmenter, late: bool) -> None:
    compare(data, fragment, late)


@budget(150)
@given(mutated(st.one_of(streams, odd_streams)), fragmenters(), fragmenters(), LATE)
def test_how_bytes_are_cut_makes_no_difference(
    data: bytes, one: Fragmenter, other: Fragmenter, late: bool
) -> None:
    for engine in ENGINES:
        first, second = (serve(engine, data, cut, late=late) for cut in (one, other))
        assert first.same_as(second), differences(first, second)
