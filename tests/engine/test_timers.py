"""The table of deadlines, against the simplest table that could be right."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from plait_engine.timers import Timer, Timers

TIMES = st.floats(0, 100)
SET = st.tuples(st.just("set"), st.sampled_from(Timer), TIMES)
STOP = st.tuples(st.just("stop"), st.sampled_from(Timer), st.just(0.0))
EXPIRE = st.tuples(st.just("expire"), st.just(Timer.HEAD), TIMES)


@given(st.lists(st.one_of(SET, STOP, EXPIRE), max_size=40))
def test_the_next_deadline_is_the_earliest(steps: list[tuple[str, Timer, float]]) -> None:
    timers = Timers()
    model: dict[Timer, float] = {}
    for action, timer, when in steps:
        if action == "set":
            timers.set(timer, when)
            model[timer] = when
        elif action == "stop":
            timers.stop(timer)
            model.pop(timer, None)
        else:
            due = [each for each, deadline in model.items() if deadline <= when]
            expired = timers.pop_expired(when)
            assert set(expired) == set(due)
            assert [model[each] for each in expired] == sorted(model[each] for each in due)
            for each in due:
                del model[each]
        assert timers.next_timeout() == min(model.values(), default=None)
        assert all(timers.deadline(each) == model.get(each) for each in Timer)
    timers.clear()
    assert timers.next_timeout() is None


def test_nothing_expires_before_its_time() -> None:
    timers = Timers()
    timers.set(Timer.PING, 2.0)
    assert timers.pop_expired(1.999) == []
    assert timers.pop_expired(2.0) == [Timer.PING]
    assert timers.pop_expired(3.0) == []
