"""Retries: what is sent again, and how often."""

from __future__ import annotations

import pytest

from plait_engine.connection import ConnectionState
from plait_engine.errors import ErrorCode
from plait_engine.policy.retry import RECONNECTS, Attempt, Failure, RetryPolicy

STALE = Failure(
    "GET",
    reused=True,
    response_started=False,
    unprocessed=False,
    connection=ConnectionState.CLOSED,
    replayable=True,
)
UNPROCESSED = STALE._replace(
    method="POST", reused=False, unprocessed=True, connection=ConnectionState.OPEN
)


def test_a_stale_connection_is_retried_once() -> None:
    retry = RetryPolicy().after(STALE)
    assert retry is not None
    assert retry.delay == 0
    assert retry.policy.after(STALE) is None


@pytest.mark.parametrize(
    "facts",
    [
        {"method": "POST"},
        {"method": "PATCH"},
        {"reused": False},
        {"response_started": True},
        {"connection": ConnectionState.OPEN},
        {"connection": ConnectionState.DRAINING},
        {"replayable": False},
    ],
)
def test_what_may_have_been_processed_is_not_retried(facts: dict[str, object]) -> None:
    assert RetryPolicy().after(Failure(**{**STALE._asdict(), **facts})) is None


def test_an_unprocessed_request_is_retried_whatever_its_method() -> None:
    policy = RetryPolicy(unprocessed=2)
    count = 0
    while (retry := policy.after(UNPROCESSED)) is not None:
        count += 1
        policy = retry.policy
    assert count == 2
    assert RetryPolicy().after(UNPROCESSED._replace(replayable=False)) is None


def delays(policy: RetryPolicy, failure: Failure) -> list[float]:
    """Return the pauses of a request that fails again and again."""
    found = []
    while (retry := policy.after(failure)) is not None:
        found.append(retry.delay)
        policy = retry.policy
    return found


def test_a_server_that_always_refuses_is_given_more_and_more_time() -> None:
    policy = RetryPolicy(unprocessed=6, pause=0.5, longest_pause=3.0)
    assert delays(policy, UNPROCESSED) == [0.0, 0.5, 1.0, 2.0, 3.0, 3.0]


def test_another_connection_is_tried_at_once_a_few_times() -> None:
    policy = RetryPolicy(unprocessed=RECONNECTS + 3, pause=0.5)
    ended = UNPROCESSED._replace(connection=ConnectionState.DRAINING)
    assert delays(policy, ended) == [0.0] * (RECONNECTS + 1) + [0.5, 1.0]


def test_retries_can_be_switched_off() -> None:
    never = RetryPolicy(stale=0, unprocessed=0)
    assert never.after(STALE) is None
    assert never.after(UNPROCESSED) is None


def test_a_policy_does_not_change() -> None:
    policy = RetryPolicy()
    policy.after(STALE)
    assert policy == RetryPolicy()


# -- what a connection knows -------------------------------------------------------------

FAILED = Attempt(
    "GET",
    begun=True,
    reused=False,
    response_started=False,
    unprocessed=False,
    reset_code=None,
    goaway_code=None,
    connection=ConnectionState.OPEN,
    replayable=True,
)


@pytest.mark.parametrize(
    ("facts", "retried"),
    [
        ({}, False),
        ({"unprocessed": True}, True),
        ({"reset_code": ErrorCode.INTERNAL_ERROR}, False),
        ({"reset_code": ErrorCode.HTTP_1_1_REQUIRED}, True),
        ({"reset_code": ErrorCode.HTTP_1_1_REQUIRED, "method": "POST"}, True),
        ({"goaway_code": ErrorCode.HTTP_1_1_REQUIRED}, False),
        ({"goaway_code": ErrorCode.HTTP_1_1_REQUIRED, "connection": ConnectionState.CLOSED}, True),
        (
            {
                "goaway_code": ErrorCode.HTTP_1_1_REQUIRED,
                "connection": ConnectionState.CLOSED,
                "method": "POST",
            },
            False,
        ),
        ({"goaway_code": ErrorCode.NO_ERROR, "connection": ConnectionState.CLOSED}, False),
        ({"reused": True, "connection": ConnectionState.CLOSED}, True),
        ({"begun": False, "connection": ConnectionState.CLOSED, "method": "POST"}, True),
        ({"begun": False, "connection": ConnectionState.CLOSED, "replayable": False}, False),
    ],
)
def test_attempts_that_failed(facts: dict[str, object], retried: bool) -> None:
    attempt = Attempt(**{**FAILED._asdict(), **facts})
    assert not attempt.lost_its_place
    assert (RetryPolicy().after(attempt.failure()) is not None) is retried
    codes = (facts.get("reset_code"), facts.get("goaway_code"))
    assert attempt.requires_http1 is (ErrorCode.HTTP_1_1_REQUIRED in codes)


def test_a_place_is_lost_before_the_request_began() -> None:
    assert FAILED._replace(begun=False).lost_its_place
    assert not FAILED._replace(begun=False, connection=ConnectionState.DRAINING).lost_its_place
