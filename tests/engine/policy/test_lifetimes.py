"""How many connections there are, and how long they live."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from plait_engine.policy.lifetimes import Lifetimes


def test_the_number() -> None:
    lifetimes: Lifetimes[str] = Lifetimes(max_connections=2)
    for name in "ab":
        assert not lifetimes.is_full
        lifetimes.began(name, 0.0)
    assert lifetimes.is_full
    lifetimes.ended("a")
    assert not lifetimes.is_full
    assert (list(lifetimes), len(lifetimes)) == (["b"], 1)
    assert lifetimes.next_timeout() is None
    assert lifetimes.expired(1e9) == []


def test_no_limit() -> None:
    lifetimes: Lifetimes[int] = Lifetimes()
    for number in range(1000):
        lifetimes.began(number, 0.0)
    assert not lifetimes.is_full
    assert lifetimes.last_stream_id > 2**31 - 1


def test_the_last_request() -> None:
    assert [Lifetimes[str](max_requests=n).last_stream_id for n in (1, 2, 3)] == [1, 3, 5]


@given(
    st.lists(st.tuples(st.floats(0, 10), st.sampled_from(["begin", "end", "look"])), max_size=40),
    st.floats(0, 20),
)
def test_each_is_told_once_and_in_time(steps: list[tuple[float, str]], age: float) -> None:
    lifetimes: Lifetimes[int] = Lifetimes(max_age=age)
    now, number = 0.0, 0
    young: dict[int, float] = {}
    for pause, step in steps:
        now += pause
        if step == "begin":
            number += 1
            lifetimes.began(number, now)
            young[number] = now + age
        elif step == "end" and young:
            gone = next(iter(young))
            del young[gone]
            lifetimes.ended(gone)
            lifetimes.ended(gone)
        else:
            due = [name for name, end in young.items() if end <= now]
            assert lifetimes.expired(now) == due
            for name in due:
                del young[name]
                assert name in lifetimes
                if name % 2:
                    lifetimes.ended(name)
                    assert name not in lifetimes
        assert lifetimes.next_timeout() == next(iter(young.values()), None)
