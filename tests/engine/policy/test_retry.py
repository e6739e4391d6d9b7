"""Retries: what is sent again, and how often."""

from __future__ import annotations

import pytest

from plait_engine.policy.retry import Failure, RetryPolicy

STALE = Failure("GET", reused=True, response_started=False, unprocessed=False, replayable=True)
UNPROCESSED = STALE._replace(method="POST", reused=False, unprocessed=True)


def test_a_stale_connection_is_retried_once() -> None:
    policy = RetryPolicy().after(STALE)
    assert policy is not None
    assert policy.after(STALE) is None


@pytest.mark.parametrize(
    "facts",
    [
        {"method": "POST"},
        {"method": "PATCH"},
        {"reused": False},
        {"response_started": True},
        {"replayable": False},
    ],
)
def test_what_may_have_been_processed_is_not_retried(facts: dict[str, object]) -> None:
    assert RetryPolicy().after(Failure(**{**STALE._asdict(), **facts})) is None


def test_an_unprocessed_request_is_retried_whatever_its_method() -> None:
    policy: RetryPolicy | None = RetryPolicy(unprocessed=2)
    count = 0
    while policy is not None and (policy := policy.after(UNPROCESSED)) is not None:
        count += 1
    assert count == 2
    assert RetryPolicy().after(UNPROCESSED._replace(replayable=False)) is None


def test_retries_can_be_switched_off() -> None:
    never = RetryPolicy(stale=0, unprocessed=0)
    assert never.after(STALE) is None
    assert never.after(UNPROCESSED) is None


def test_a_policy_does_not_change() -> None:
    policy = RetryPolicy()
    policy.after(STALE)
    assert policy == RetryPolicy()
