"""Redirects: the table of methods, and what must not reach another origin."""

from __future__ import annotations

import pytest

from plait_engine.policy.redirect import Origin, follow_redirect

HOME = Origin("https", "example.org", 443)


@pytest.mark.parametrize(
    ("status", "method", "next_method", "keeps_content"),
    [
        (301, "POST", "GET", False),
        (302, "POST", "GET", False),
        (303, "POST", "GET", False),
        (303, "PUT", "GET", False),
        (303, "DELETE", "GET", False),
        (303, "HEAD", "HEAD", True),
        (301, "PUT", "PUT", True),
        (302, "GET", "GET", True),
        (302, "HEAD", "HEAD", True),
        (307, "POST", "POST", True),
        (308, "PATCH", "PATCH", True),
    ],
)
def test_method_and_content(
    status: int, method: str, next_method: str, keeps_content: bool
) -> None:
    headers = [("Content-Type", "a/b"), ("content-length", "3"), ("X-Kept", "1")]
    answer = follow_redirect(status, method, headers, HOME, HOME)
    assert answer.method == next_method
    assert answer.keeps_content is keeps_content
    assert answer.headers == (headers if keeps_content else [("X-Kept", "1")])


@pytest.mark.parametrize(
    "other",
    [
        Origin("http", "example.org", 80),
        Origin("https", "www.example.org", 443),
        Origin("https", "example.org", 8443),
        Origin("https", "example.com", 443),
    ],
)
def test_credentials_do_not_leave_their_origin(other: Origin) -> None:
    headers = [
        ("AUTHORIZATION", "Basic eA=="),
        ("authorization", "Basic eQ=="),
        ("Cookie", "a=b"),
        ("Proxy-Authorization", "x"),
        ("Proxy-Authenticate", "x"),
        ("Host", "virtual.example.org"),
        ("X-Kept", "1"),
    ]
    answer = follow_redirect(302, "GET", headers, HOME, other)
    assert answer.headers == [("X-Kept", "1")]
    assert not answer.keeps_credentials


def test_credentials_stay_at_home() -> None:
    headers = [("Authorization", "Basic eA=="), ("Cookie", "a=b")]
    answer = follow_redirect(307, "GET", headers, HOME, HOME)
    assert answer.headers == headers
    assert answer.keeps_credentials
