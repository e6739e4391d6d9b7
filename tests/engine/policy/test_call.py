"""A call through its redirects and retries: the machine, without any URL library."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine.connection import ConnectionState
from plait_engine.policy.call import Call, CallState, Problem, Step
from plait_engine.policy.redirect import Origin
from plait_engine.policy.retry import Attempt, Failure, RetryPolicy

HOME = "http://home/start"
REFUSED = Failure(
    "GET",
    reused=False,
    response_started=False,
    unprocessed=True,
    connection=ConnectionState.OPEN,
    replayable=True,
)
LOST = Attempt(
    "POST",
    begun=False,
    reused=False,
    response_started=False,
    unprocessed=False,
    reset_code=None,
    goaway_code=None,
    connection=ConnectionState.OPEN,
    replayable=False,
)
SECRETS = [("Authorization", "secret"), ("Cookie", "a=b"), ("X", "y")]


class Urls:
    """Text as URLs."""

    def join(self, url: str, location: str) -> str:
        if location == "bad":
            raise ValueError("nowhere")
        return urljoin(url, location)

    def origin(self, url: str) -> Origin:
        parts = urlsplit(url)
        return Origin(parts.scheme, parts.hostname or "", parts.port)

    def has_credentials(self, url: str) -> bool:
        return urlsplit(url).username is not None


def make(
    method: str = "GET",
    headers: list[tuple[str, str]] = SECRETS,
    max_redirects: int | None = 10,
    retry: RetryPolicy | None = None,
) -> Call[str]:
    call = Call(
        method, HOME, headers, Urls(), retry=retry or RetryPolicy(), max_redirects=max_redirects
    )
    assert call.start() is Step.SEND
    return call


@pytest.mark.parametrize(
    ("status", "location"), [(200, None), (404, None), (200, "/x"), (304, "/x"), (302, None)]
)
def test_what_does_not_redirect_is_the_callers(status: int, location: str | None) -> None:
    call = make()
    assert call.on_response(status, location) is Step.DONE
    assert call.state is CallState.ENDED


def test_a_redirect_is_the_callers_when_none_is_followed() -> None:
    call = make(max_redirects=None)
    assert call.on_response(302, "/x") is Step.DONE
    assert call.url == HOME


@pytest.mark.parametrize(
    ("location", "url", "kept"),
    [
        ("/next", "http://home/next", SECRETS),
        ("next?q", "http://home/next?q", SECRETS),
        ("https://home/next", "https://home/next", [("X", "y")]),
        ("http://home:81/next", "http://home:81/next", [("X", "y")]),
        ("//else/next", "http://else/next", [("X", "y")]),
    ],
)
def test_credentials_go_to_their_origin_only(
    location: str, url: str, kept: list[tuple[str, str]]
) -> None:
    call = make()
    assert call.on_response(307, location) is Step.SEND
    assert call.url == url
    assert list(call.headers) == kept
    assert call.keeps_auth is call.keeps_cookies is (kept is SECRETS)


def test_credentials_do_not_come_back() -> None:
    call = make()
    call.on_response(302, "http://else/")
    call.on_response(302, HOME)
    assert list(call.headers) == [("X", "y")]
    assert not call.keeps_auth
    assert not call.keeps_cookies


def test_the_credentials_of_a_redirect_take_the_place_of_the_callers() -> None:
    call = make()
    assert call.on_response(302, "http://me:pw@home/") is Step.SEND
    assert list(call.headers) == SECRETS[1:]
    assert not call.keeps_auth
    assert call.keeps_cookies, "it is the same origin"


@pytest.mark.parametrize(
    ("status", "method", "keeps"),
    [(301, "GET", False), (302, "GET", False), (303, "GET", False), (307, "POST", True)],
)
def test_the_content_goes_with_the_method(status: int, method: str, keeps: bool) -> None:
    call = make("POST", [("Content-Type", "text/plain"), ("X", "y")])
    assert call.on_response(status, "/x") is Step.SEND
    assert (call.method, call.keeps_content) == (method, keeps)
    assert len(list(call.headers)) == (2 if keeps else 1)


def test_content_that_is_gone_cannot_be_sent_again() -> None:
    call = make("POST")
    assert call.on_response(308, "/x", replayable=False) is Step.FAIL
    assert call.problem is Problem.CONTENT_IS_GONE
    call = make("POST")
    assert call.on_response(303, "/x", replayable=False) is Step.SEND, "it is not needed"
    assert call.on_response(308, "/y", replayable=False) is Step.SEND


@pytest.mark.parametrize("limit", [1, 2, 10])
def test_redirects_are_counted(limit: int) -> None:
    call = make(max_redirects=limit)
    for _ in range(limit - 1):
        assert call.on_response(302, "/x") is Step.SEND
    assert call.on_response(302, "/x") is Step.FAIL
    assert call.problem is Problem.TOO_MANY_REDIRECTS


def test_what_join_raises_is_raised() -> None:
    with pytest.raises(ValueError, match="nowhere"):
        make().on_response(302, "bad")


def test_a_refused_request_is_sent_again_after_a_while() -> None:
    call = make(retry=RetryPolicy(unprocessed=2, pause=0.5))
    steps = []
    while (step := call.on_failure(REFUSED)) is Step.SEND:
        steps.append((call.delay, call.is_sent_again, call.url))
    assert steps == [(0.0, True, HOME), (0.5, True, HOME)]
    assert (step, call.problem) == (Step.FAIL, None)


def test_a_lost_place_is_no_attempt() -> None:
    call = make(retry=RetryPolicy(unprocessed=0, stale=0))
    for _ in range(20):
        assert call.on_attempt(LOST) is Step.SEND
        assert call.delay == 0
    assert call.on_failure(REFUSED) is Step.FAIL


def test_an_attempt_that_failed_is_sent_again_as_its_facts_allow() -> None:
    call = make(retry=RetryPolicy(unprocessed=1, stale=0))
    attempt = LOST._replace(connection=ConnectionState.CLOSED, replayable=True)
    assert call.on_attempt(attempt) is Step.SEND
    assert call.on_attempt(attempt) is Step.FAIL


def test_each_hop_has_its_own_retries() -> None:
    call = make(retry=RetryPolicy(unprocessed=1))
    for location in ("/x", "/y"):
        assert call.on_failure(REFUSED) is Step.SEND
        assert call.on_response(302, location) is Step.SEND
        assert not call.is_sent_again
    assert call.on_failure(REFUSED) is Step.SEND
    assert call.on_failure(REFUSED) is Step.FAIL


def test_who_wraps_a_hop_may_send_it_anew() -> None:
    call = make(retry=RetryPolicy(unprocessed=1, pause=0.5))
    for _ in range(3):
        assert call.on_failure(REFUSED) is Step.SEND
        assert call.on_failure(REFUSED) is Step.FAIL
        call.begin_anew()
        assert (call.delay, call.is_sent_again, call.url) == (0.0, False, HOME)
    assert call.on_response(200, None) is Step.DONE


def test_nothing_follows_the_end() -> None:
    call = make()
    call.cancel()
    call.cancel()
    for step in (
        call.start,
        lambda: call.on_attempt(LOST),
        lambda: call.on_response(200, None),
        lambda: call.on_failure(REFUSED),
    ):
        with pytest.raises(RuntimeError):
            step()


INPUTS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from([200, 301, 302, 303, 307, 308]),
            st.sampled_from([None, "/a", "b", "//else/", "https://home/", "http://u:p@home/"]),
            st.booleans(),
        ),
        st.booleans(),
    ),
    min_size=40,
    max_size=40,
)


@given(st.sampled_from(["GET", "HEAD", "POST", "PUT"]), INPUTS)
def test_every_call_ends_and_tells_no_stranger_a_secret(method: str, inputs: list[object]) -> None:
    retry = RetryPolicy(unprocessed=3)
    call = make(method, max_redirects=5, retry=retry)
    step, strange = Step.SEND, False
    for given_input in inputs:
        if step is not Step.SEND:
            break
        strange = strange or not call.url.startswith(("http://home/", "http://u:p@home/"))
        if strange:
            names = {name for name, _ in call.headers}
            assert not names & {"Authorization", "Cookie"}
            assert not call.keeps_auth
            assert not call.keeps_cookies
        if isinstance(given_input, tuple):
            status, location, replayable = given_input
            step = call.on_response(status, location, replayable=replayable)
        else:
            step = call.on_failure(REFUSED._replace(unprocessed=bool(given_input)))
    assert step is not Step.SEND, "five redirects with three retries each are the end"
    assert call.state is CallState.ENDED
