"""Forwarded (RFC 7239): what is read, and what a damaged field cannot hide."""

from __future__ import annotations

import pytest

from plait_engine.semantics.forwarded import parse_forwarded


@pytest.mark.parametrize(
    ("fields", "elements"),
    [
        ([], []),
        (["For=a;PROTO=https , for=b"], [{"for": "a", "proto": "https"}, {"for": "b"}]),
        (["for=a", "for=b, for=c"], [{"for": "a"}, {"for": "b"}, {"for": "c"}]),
        (
            ['for="[2001:db8::1]:80"; by=1.2.3.4:5'],
            [{"for": "[2001:db8::1]:80", "by": "1.2.3.4:5"}],
        ),
        ([r'x="a\"b\\c, d;e"'], [{"x": r'a"b\c, d;e'}]),
        ([";;for=a;;"], [{"for": "a"}]),
        # What a client damages hides nothing of what a proxy adds.
        (['for=a;by=", for=b'], [{"for": "a"}, {"for": "b"}]),
        (['for=a;by="', "for=b"], [{"for": "a"}, {"for": "b"}]),
        (["nonsense for=a, for=b"], [{}, {"for": "b"}]),
        (["for=a by=x;proto=y, for=b"], [{"for": "a"}, {"for": "b"}]),
        (["for = a, for=b"], [{}, {"for": "b"}]),
        ([""], [{}]),
    ],
)
def test_forwarded(fields: list[str], elements: list[dict[str, str]]) -> None:
    """RFC 7239 section 4."""
    assert list(parse_forwarded(fields)) == elements
