"""Which fields can be sent (``semantics.fields``): the quick look and the careful one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine import LocalProtocolError
from plait_engine.semantics import fields
from plait_engine.semantics.fields import check_field, check_fields


class Text(str):
    """Text that is no plain ``str``, as a field name of multidict is."""


names = st.sampled_from(["Accept", "x-a", Text("Accept"), "", "a b", "é", "a\n", b"Accept", 1, []])
values = st.sampled_from(["", "text", "t\tt", "é", "a\r", "\ud800", "\x7f", Text("t"), b"b", 1, []])
pairs = st.tuples(names, values) | st.tuples(st.just("Accept"), st.just("text"))


def outcome(*checks: Any) -> tuple[type[Exception], str] | None:
    try:
        for check, *arguments in checks:
            check(*arguments)
    except LocalProtocolError as error:
        return type(error), str(error)
    return None


@given(st.lists(pairs, max_size=4))
def test_the_quick_look_finds_what_the_careful_one_finds(headers: list[Any]) -> None:
    one_by_one = outcome(*((check_field, *field) for field in headers))
    fields._names.clear()
    for _ in range(2):  # with names that were not seen before, and with known ones
        assert outcome((check_fields, headers)) == one_by_one


@pytest.mark.parametrize("headers", [[("a",)], [("a", "b", "c")], [1], [None], 1])
def test_what_is_no_list_of_pairs_is_a_type_error(headers: Any) -> None:
    with pytest.raises(TypeError, match="pairs"):
        check_fields(headers)


def test_names_take_bounded_memory() -> None:
    for number in range(2000):
        check_fields([(f"x-{number}", ""), (f"{number}" * 100, "")])
        assert len(fields._names) <= 512
    assert max(map(len, fields._names)) <= 64


def test_a_long_name_is_not_remembered() -> None:
    name = "x" * (fields._MAX_NAME + 1)
    for _ in range(2):
        check_fields([(name, "1")])
    assert name not in fields._names
