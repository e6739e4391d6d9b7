"""Conditional requests (RFC 9110 section 13)."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine.content.conditional import (
    Conditions,
    EntityTag,
    Representation,
    check_preconditions,
    holds_if_range,
    is_any,
    parse_entity_tags,
)

MODIFIED = 784111777
NOW = MODIFIED + 1000
CURRENT = Representation(10, EntityTag("a"), MODIFIED)


def at(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)


SAME, EARLIER, LATER = at(MODIFIED), at(MODIFIED - 1), at(MODIFIED + 1)

# -- entity tags ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "tags"),
    [
        ("", []),
        ('"a"', [("a", False)]),
        ('W/"a"', [("a", True)]),
        ('"a", W/"b" ,"c"', [("a", False), ("b", True), ("c", False)]),
        (',, "a",,', [("a", False)]),
        ('""', [("", False)]),
        ('"a,b", "c"', [("a,b", False), ("c", False)]),
        ('"a\udcff"', [("a\udcff", False)]),
        ('w/"a"', []),
        ('W/ "a"', []),
        ("a", []),
        ('"a" "b"', []),
        ('"a", b, "c"', [("a", False)]),
        ('"a b"', []),
        ('"a', []),
    ],
)
def test_a_list_of_tags(field: str, tags: list[tuple[str, bool]]) -> None:
    assert parse_entity_tags(field) == tuple(tags)


@pytest.mark.parametrize(
    ("field", "any_"), [("*", True), (" * ", True), ('"*"', False), ("", False)]
)
def test_the_star(field: str, any_: bool) -> None:
    assert is_any(field) is any_


@pytest.mark.parametrize("member", ['"a",', "W/", ",", '"', " ", 'W/"x" '])
def test_a_long_list_costs_no_more_than_its_length(member: str) -> None:
    field = member * (200_000 // len(member))
    start = time.thread_time()
    parse_entity_tags(field)
    assert time.thread_time() - start < 2


# -- preconditions --------------------------------------------------------------------------------

CASES = [
    # (conditions, answer to GET, answer to PUT); None: go on
    ({}, None, None),
    ({"if_match": '"a"'}, None, None),
    ({"if_match": '"b", "a"'}, None, None),
    ({"if_match": "*"}, None, None),
    ({"if_match": '"b"'}, 412, 412),
    ({"if_match": 'W/"a"'}, 412, 412),
    ({"if_match": ""}, 412, 412),
    ({"if_match": '"a"', "if_unmodified_since": EARLIER}, None, None),
    ({"if_match": '"b"', "if_unmodified_since": LATER}, 412, 412),
    ({"if_unmodified_since": EARLIER}, 412, 412),
    ({"if_unmodified_since": SAME}, None, None),
    ({"if_unmodified_since": LATER}, None, None),
    ({"if_unmodified_since": "yesterday"}, None, None),
    ({"if_unmodified_since": f"{EARLIER}, {EARLIER}"}, None, None),
    ({"if_none_match": '"a"'}, 304, 412),
    ({"if_none_match": 'W/"a"'}, 304, 412),
    ({"if_none_match": '"b", W/"a"'}, 304, 412),
    ({"if_none_match": "*"}, 304, 412),
    ({"if_none_match": '"b"'}, None, None),
    ({"if_none_match": '"*"'}, None, None),
    ({"if_none_match": '"b"', "if_modified_since": LATER}, None, None),
    ({"if_none_match": '"a"', "if_modified_since": EARLIER}, 304, 412),
    ({"if_modified_since": EARLIER}, None, None),
    ({"if_modified_since": SAME}, 304, None),
    ({"if_modified_since": LATER}, 304, None),
    ({"if_modified_since": "yesterday"}, None, None),
    ({"if_modified_since": f"{LATER}, {LATER}"}, None, None),
    ({"if_match": '"a"', "if_none_match": '"a"'}, 304, 412),
    ({"if_match": '"b"', "if_none_match": '"a"'}, 412, 412),
    ({"if_unmodified_since": EARLIER, "if_modified_since": LATER}, 412, 412),
    ({"if_unmodified_since": LATER, "if_modified_since": LATER}, 304, None),
    ({"if_range": '"b"', "range": "bytes=0-"}, None, None),
]


@pytest.mark.parametrize(("fields", "get", "put"), CASES)
def test_preconditions(fields: dict[str, str], get: int | None, put: int | None) -> None:
    conditions = Conditions(**fields)
    assert check_preconditions("GET", conditions, CURRENT, NOW) == get
    assert check_preconditions("HEAD", conditions, CURRENT, NOW) == get
    assert check_preconditions("PUT", conditions, CURRENT, NOW) == put


def test_a_weak_tag_is_current_but_not_the_same() -> None:
    weak = CURRENT._replace(etag=EntityTag("a", weak=True))
    none_match = Conditions(if_none_match='"a"')
    assert check_preconditions("GET", none_match, weak, NOW) == 304
    for field in ('"a"', 'W/"a"'):
        assert check_preconditions("GET", Conditions(if_match=field), weak, NOW) == 412
    assert check_preconditions("GET", Conditions(if_match="*"), weak, NOW) is None


@pytest.mark.parametrize(
    ("field", "holds"),
    [
        ('"a"', True),
        ('"b"', False),
        ('W/"a"', False),
        ('"a", "a"', False),
        ('"a', False),
        ("*", False),
        ("", False),
        ("a", False),
        (SAME, True),
        (EARLIER, False),
        (LATER, False),
        ("yesterday", False),
    ],
)
def test_if_range(field: str, holds: bool) -> None:
    assert holds_if_range(field, CURRENT, NOW) is holds


def test_a_date_is_strong_when_its_second_is_over() -> None:
    assert not holds_if_range(SAME, CURRENT, MODIFIED + 0.9)
    assert holds_if_range(SAME, CURRENT, MODIFIED + 1)


def test_a_weak_tag_lets_no_part_be_sent() -> None:
    weak = CURRENT._replace(etag=EntityTag("a", weak=True))
    assert not holds_if_range('W/"a"', weak, NOW)
    assert not holds_if_range('"a"', weak, NOW)


def test_the_conditions_of_a_request() -> None:
    assert Conditions.of((("Host", "x"), ("Accept", "*/*"))) == Conditions()
    headers = (
        ("IF-Match", '"a"'),
        ("if-match", '"b"'),
        ("If-None-Match", '"c"'),
        ("If-Modified-Since", SAME),
        ("If-Unmodified-Since", LATER),
        ("If-Range", '"d"'),
        ("Range", "bytes=0-1"),
        ("Range", "bytes=5-"),
    )
    assert Conditions.of(headers) == Conditions(
        if_match='"a", "b"',
        if_none_match='"c"',
        if_modified_since=SAME,
        if_unmodified_since=LATER,
        if_range='"d"',
        range="bytes=0-1, bytes=5-",
    )


FIELDS = st.none() | st.sampled_from(['"a"', 'W/"a"', '"b"', "*", SAME, EARLIER, LATER]) | st.text()


@given(st.builds(Conditions, *[FIELDS] * 6), st.sampled_from(["GET", "HEAD", "POST"]))
def test_nothing_raises(conditions: Conditions, method: str) -> None:
    assert check_preconditions(method, conditions, CURRENT, NOW) in (None, 304, 412)
    if conditions.if_range is not None:
        holds_if_range(conditions.if_range, CURRENT, NOW)
