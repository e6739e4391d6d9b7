"""How long connections live."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from plait_engine.policy.lifetimes import last_request_id, retire


def test_the_last_request() -> None:
    assert [last_request_id(n) for n in (1, 2, 3)] == [1, 3, 5]
    assert last_request_id(None) > 2**31 - 1


def test_no_limit() -> None:
    assert retire({"a": math.inf, "b": math.inf}, 1e9) == ([], None)
    assert retire({}, 0.0) == ([], None)


@given(
    st.lists(st.tuples(st.floats(0, 10), st.sampled_from(["begin", "end", "look"])), max_size=40),
    st.floats(0, 20),
)
def test_each_is_told_once_and_in_time(steps: list[tuple[float, str]], age: float) -> None:
    now, number = 0.0, 0
    ends: dict[int, float] = {}
    young: dict[int, float] = {}
    for pause, step in steps:
        now += pause
        if step == "begin":
            number += 1
            ends[number] = young[number] = now + age
        elif step == "end" and young:
            gone = next(iter(young))
            del young[gone], ends[gone]
        else:
            due = [name for name, end in young.items() if end <= now]
            young = {name: end for name, end in young.items() if end > now}
            assert retire(ends, now) == (due, next(iter(young.values()), None))
            for name in due:
                assert name in ends
                if name % 2:
                    del ends[name]
