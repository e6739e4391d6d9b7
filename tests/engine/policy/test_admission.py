"""Which requests get a handler: each rule by an example, and all of them by a model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine.policy.admission import Admission


def start_all(admission: Admission[str]) -> list[str]:
    started = []
    while (request := admission.start_next()) is not None:
        started.append(request)
    return started


def arrived(admission: Admission[str], requests: str) -> None:
    for request in requests:
        admission.arrived(request)


def test_handlers_start_in_order_up_to_the_limit() -> None:
    admission = Admission[str](2)
    arrived(admission, "abcd")
    assert start_all(admission) == ["a", "b"]
    admission.ended("b")
    assert start_all(admission) == ["c"]
    assert start_all(admission) == []
    assert admission.running == {"a", "c"}


def test_a_request_that_is_reset_in_its_batch_gets_no_handler() -> None:
    admission = Admission[str](2)
    arrived(admission, "abc")
    admission.withdrawn("a")
    assert start_all(admission) == ["b", "c"]


def test_a_reset_does_not_make_room_while_the_handler_runs() -> None:
    admission = Admission[str](1)
    arrived(admission, "ab")
    assert start_all(admission) == ["a"]
    admission.withdrawn("a")
    assert start_all(admission) == []


def test_patience_is_counted_for_each_request() -> None:
    admission = Admission[str](1, patience=2.0)
    arrived(admission, "ab")
    start_all(admission)
    assert admission.next_timeout(10.0) == 12.0
    admission.arrived("c")
    assert start_all(admission) == []
    assert admission.next_timeout(11.0) == 12.0
    assert admission.refused(11.9) == []
    assert admission.refused(12.0) == ["b"]
    assert admission.next_timeout(12.0) == 13.0
    admission.ended("a")
    assert start_all(admission) == ["c"]
    assert admission.next_timeout(12.5) is None
    assert admission.refused(99.0) == []


def test_the_end_of_a_connection_refuses_all_that_wait() -> None:
    admission = Admission[str](1)
    arrived(admission, "abc")
    start_all(admission)
    assert admission.refused() == ["b", "c"]
    assert not admission.waiting


@pytest.mark.parametrize("limit", [0, -1])
def test_without_room_nothing_starts(limit: int) -> None:
    admission = Admission[str](limit)
    admission.arrived("a")
    assert start_all(admission) == []


@given(
    limit=st.integers(1, 3),
    steps=st.lists(
        st.one_of(
            st.just(("arrive", 0)),
            st.tuples(st.sampled_from(["withdraw", "end"]), st.integers(0, 9)),
            st.tuples(st.just("wait"), st.integers(0, 3)),
        ),
        max_size=40,
    ),
)
def test_each_request_has_one_fate(limit: int, steps: list[tuple[str, int]]) -> None:
    """Started, withdrawn, refused, or still waiting: once, in order, and in time."""
    admission = Admission[int](limit, patience=2.0)
    came = 0
    now = 0.0
    since: dict[int, float] = {}
    fates: list[int] = []
    for step, argument in steps:
        if step == "arrive":
            admission.arrived(came)
            since[came] = now
            came += 1
        elif step == "withdraw" and argument in admission.waiting:
            admission.withdrawn(argument)
            fates.append(argument)
        elif step == "end":
            admission.ended(argument)
        else:
            now += argument
            refused = admission.refused(now)
            assert all(now - since[request] >= 2.0 for request in refused)
            fates += refused
        while (request := admission.start_next()) is not None:
            assert all(request < other for other in admission.waiting)
            fates.append(request)
        assert len(admission.running) <= limit
        assert not admission.waiting or len(admission.running) == limit
        when = admission.next_timeout(now)
        assert (when is None) == (not admission.waiting)
        assert when is None or when == since[next(iter(admission.waiting))] + 2.0
    assert sorted([*fates, *admission.waiting]) == list(range(came))
