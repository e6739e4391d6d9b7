"""How preconditions and ranges decide together (RFC 9110 section 13.2.2)."""

from __future__ import annotations

import re
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine.content.conditional import Conditions, EntityTag, Representation
from plait_engine.content.selection import Selection, select

SIZE = 100
MODIFIED = 784111777
NOW = MODIFIED + 1000
CURRENT = Representation(SIZE, EntityTag("a"), MODIFIED)
SAME = formatdate(MODIFIED, usegmt=True)
WHOLE = Selection(200, 0, SIZE)
PART = Selection(206, 5, 5, "bytes 5-9/100")


@pytest.mark.parametrize(
    ("fields", "selection"),
    [
        ({}, WHOLE),
        ({"range": "bytes=5-9"}, PART),
        ({"range": "bytes=-500"}, Selection(206, 0, 100, "bytes 0-99/100")),
        ({"range": "bytes=100-"}, Selection(416, content_range="bytes */100")),
        ({"range": "bytes=nonsense"}, Selection(416, content_range="bytes */100")),
        ({"range": "blocks=5-9"}, WHOLE),
        ({"range": "bytes=0-1,3-4"}, WHOLE),
        ({"range": "bytes=5-9", "if_range": '"a"'}, PART),
        ({"range": "bytes=5-9", "if_range": SAME}, PART),
        ({"range": "bytes=5-9", "if_range": '"b"'}, WHOLE),
        ({"range": "bytes=100-", "if_range": '"b"'}, WHOLE),
        ({"if_range": '"b"'}, WHOLE),
        # Preconditions come first.
        ({"range": "bytes=5-9", "if_match": '"a"'}, PART),
        ({"range": "bytes=5-9", "if_match": '"b"'}, Selection(412)),
        ({"range": "bytes=100-", "if_match": '"b"'}, Selection(412)),
        ({"range": "bytes=5-9", "if_none_match": '"a"'}, Selection(304)),
        ({"range": "bytes=5-9", "if_none_match": '"b"'}, PART),
        ({"range": "bytes=5-9", "if_modified_since": SAME}, Selection(304)),
    ],
)
def test_a_selection(fields: dict[str, str], selection: Selection) -> None:
    assert select("GET", Conditions(**fields), CURRENT, NOW) == selection


@pytest.mark.parametrize("field", ["bytes=5-9", "bytes=100-"])
def test_only_get_has_ranges(field: str) -> None:
    for method in ("HEAD", "POST", "PUT", "PROPFIND"):
        assert select(method, Conditions(range=field), CURRENT, NOW) == WHOLE


def test_another_status_has_no_range_and_an_error_no_precondition() -> None:
    range_ = Conditions(range="bytes=5-9")
    stale = Conditions(if_match='"b"')
    assert select("GET", range_, CURRENT, NOW, status=203) == Selection(203, 0, SIZE)
    assert select("GET", stale, CURRENT, NOW, status=203) == Selection(412)
    for conditions in (range_, stale):
        assert select("GET", conditions, CURRENT, NOW, status=404) == Selection(404, 0, SIZE)


def test_what_has_no_ranges_is_sent_whole() -> None:
    assert select("GET", Conditions(range="bytes=100-"), CURRENT, NOW, ranges=False) == WHOLE


@given(
    st.sampled_from(["GET", "HEAD", "POST"]),
    st.none() | st.sampled_from(["bytes=0-", "bytes=5-9", "bytes=-3", "bytes=x"]),
    st.none() | st.sampled_from(['"a"', '"b"', "*", SAME]),
    st.none() | st.sampled_from(['"a"', '"b"', "*", SAME]),
    st.integers(0, 12),
)
def test_a_selection_is_consistent(
    method: str, range_: str | None, tags: str | None, if_range: str | None, size: int
) -> None:
    conditions = Conditions(range=range_, if_none_match=tags, if_range=if_range)
    status, start, length, content_range = select(
        method, conditions, CURRENT._replace(size=size), NOW
    )
    assert status in (200, 206, 304, 412, 416)
    assert (content_range is not None) == (status in (206, 416))
    assert 0 <= start <= start + length <= size
    if status == 206:
        assert content_range is not None
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", content_range)
        assert match is not None
        first, last, whole = map(int, match.groups())
        assert (first, last - first + 1, whole) == (start, length, size)
        assert length > 0
    elif status == 200:
        assert (start, length) == (0, size)
    else:
        assert length == 0
