"""Link fields (RFC 8288 section 3).  That their cost is linear is in ``tests/attacks``."""

from __future__ import annotations

import pytest

from plait_engine.semantics.links import parse_links

Links = list[tuple[str, list[tuple[str, str]]]]


@pytest.mark.parametrize(
    ("value", "links"),
    [
        ("", []),
        ("</a>", [("/a", [])]),
        ('<>; rel=""', [("", [("rel", "")])]),
        ('</a>; rel="next"; title="a, b"', [("/a", [("rel", "next"), ("title", "a, b")])]),
        ("</a>;rel=prev, </b>", [("/a", [("rel", "prev")]), ("/b", [])]),
        ("</a> ; crossorigin ; rel = x ", [("/a", [("crossorigin", ""), ("rel", "x")])]),
        ("nonsense, </a>", [("/a", [])]),
        # A quote that nothing closes takes what follows along.
        ('</a>; title="x, </b>', [("/a", [("title", "")])]),
    ],
)
def test_links(value: str, links: Links) -> None:
    assert parse_links(value) == links
