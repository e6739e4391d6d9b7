"""Names, values and lists of header fields (RFC 9110 sections 5.5 and 5.6)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine import headers
from plait_engine.semantics.content import announced_length


@given(st.binary())
def test_every_byte_string_survives_the_way_there_and_back(data: bytes) -> None:
    assert headers.encode(headers.decode(data)) == data


@pytest.mark.parametrize("name", ["a", "Content-Length", "!#$%&'*+-.^_`|~09"])
def test_tokens(name: str) -> None:
    assert headers.is_token(name)


@pytest.mark.parametrize("name", ["", "a b", "a:", "\u212aelvin", "a\n", "\xe9", '"a"', "a\x00"])
def test_what_is_no_token(name: str) -> None:
    assert not headers.is_token(name)


@pytest.mark.parametrize("code", [*range(9), *range(10, 32), 127])
def test_control_characters_are_found_in_values(code: int) -> None:
    assert headers.find_bad_value_char(f"a{chr(code)}b")


def test_tab_and_text_are_no_control_characters() -> None:
    assert not headers.find_bad_value_char("a\tb \x80 \N{SNOWMAN}")


def test_lists_fold_ascii_only_and_drop_empty_members() -> None:
    assert list(headers.tokens("Close, ,\tKEEP-alive ,")) == ["close", "keep-alive"]
    # U+212A KELVIN SIGN would fold to "k": it must equal no token.
    assert list(headers.tokens("\u212aeep-alive")) == ["\u212aeep-alive"]


def test_looking_up() -> None:
    section = [("Host", "a"), ("Connection", "x, Upgrade"), ("CONNECTION", "close"), ("host", "b")]
    assert headers.get(section, "host") == "a"
    assert headers.get(section, "none") is None
    assert headers.get_all(section, "connection") == ["x, Upgrade", "close"]
    assert headers.has_token(section, "connection", "upgrade")
    assert not headers.has_token(section, "connection", "up")


@pytest.mark.parametrize(
    ("value", "length"), [("0", 0), ("12", 12), ("+1", None), ("1, 1", None), ("9" * 19, None)]
)
def test_the_length_that_fields_announce(value: str, length: int | None) -> None:
    assert announced_length([("x-a", "1"), ("Content-Length", value)]) == length
    assert announced_length([("x-a", "1")]) is None
