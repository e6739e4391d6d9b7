"""Content-Type: RFC 9110 section 8.3."""

from __future__ import annotations

import pytest

from plait_engine.content.media_types import find_media_parameter, parse_content_type


@pytest.mark.parametrize(
    ("field", "kind", "charset"),
    [
        ("text/plain", "text/plain", None),
        (" Text/HTML ; Charset=UTF-8", "text/html", "UTF-8"),
        ('text/plain; x="a;charset=b"; charset="utf-8"', "text/plain", "utf-8"),
        ('text/plain; charset="a\\"b"', "text/plain", 'a"b'),
        ("text/plain;charset=utf-8,text/html", "text/plain", "utf-8"),
        ("text/plain; charset='utf-8'", "text/plain", None),
        ("text/plain; charset=; charset=utf-8", "text/plain", None),
        ("text/plain; charset", "text/plain", None),
        ("", "application/octet-stream", None),
        ("text", "application/octet-stream", None),
        ("a/b/c; charset=x", "application/octet-stream", "x"),
        (";charset=x", "application/octet-stream", "x"),
    ],
)
def test_types_and_charsets(field: str, kind: str, charset: str | None) -> None:
    assert parse_content_type(field) == (kind, charset)


@pytest.mark.parametrize(
    ("field", "boundary"),
    [
        ("multipart/mixed; boundary=abc", "abc"),
        ("multipart/mixed; BOUNDARY = abc ", "abc"),
        ('multipart/mixed; boundary="a;b"; boundary=c', "a;b"),
        ('multipart/mixed; boundary="a\\"b\\\\"', 'a"b\\'),
        ("multipart/mixed; boundary='(),/:=?", "'(),/:=?"),
        ('multipart/mixed; boundary="', '"'),
        ("multipart/mixed; boundary=", ""),
        ("multipart/mixed; x=boundary", None),
        ("multipart/mixed", None),
        ("boundary=abc", None),
    ],
)
def test_parameters(field: str, boundary: str | None) -> None:
    assert find_media_parameter(field, "boundary") == boundary


def test_a_long_field() -> None:
    for field in (";" * 100_000, '"' * 100_001, 'a="\\' * 30_000):
        assert parse_content_type(field) == ("application/octet-stream", None)
