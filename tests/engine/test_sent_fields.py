"""Which fields can be sent (``semantics.fields``), one by one and together."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine import LocalProtocolError
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
def test_the_first_field_that_cannot_be_sent_is_named(headers: list[Any]) -> None:
    one_by_one = outcome(*((check_field, *field) for field in headers))
    assert outcome((check_fields, headers)) == one_by_one


@pytest.mark.parametrize("headers", [[("a",)], [("a", "b", "c")], [1], [None], 1])
def test_what_is_no_list_of_pairs_is_a_type_error(headers: Any) -> None:
    with pytest.raises(TypeError, match="pairs"):
        check_fields(headers)
