"""What may stand in a log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine.policy.secrecy import show_fields, without_credentials


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://a/b", "http://a/b"),
        ("http://me:pw@a/b", "http://a/b"),
        ("http://me:p@w@a/b@c", "http://a/b@c"),
        ("http://me:pw@[", "http://["),
        ("//me@a", "//a"),
        ("http://a?x=//b@c", "http://a?x=//c"),
        ("http://\udcff/", r"http://\udcff/"),
        ("", ""),
    ],
)
def test_urls(url: str, shown: str) -> None:
    assert without_credentials(url) == shown


@given(st.text())
def test_whatever_is_shown_can_be_written(text: str) -> None:
    without_credentials(f"http://{text}").encode()
    show_fields({"X": text}).encode()
    show_fields({text: text, "COOKIE": "id=s3cret"}).encode()


def test_fields() -> None:
    assert show_fields({"X": "1"}) == "{'X': '1'}"
    assert show_fields({"X": "1", "COOKIE": "id=s3cret"}) == "<dict('X': '1', 'COOKIE': ***)>"
    assert show_fields(None) == "None"
