"""HTTP dates (RFC 9110 section 5.6.7)."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine.semantics.dates import parse_date

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC).timestamp()
DATE = 784111777  # the date of the RFC's examples


@pytest.mark.parametrize(
    "field",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    ],
)
def test_the_three_forms(field: str) -> None:
    assert parse_date(field, NOW) == DATE


@pytest.mark.parametrize(
    "field",
    [
        "",
        "yesterday",
        "784111777",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 006 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Thu, 29 Feb 2001 00:00:00 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, ०६ Nov 1994 08:49:37 GMT",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun Nov  6 08:49:37 94",
    ],
)
def test_no_dates(field: str) -> None:
    assert parse_date(field, NOW) is None


@pytest.mark.parametrize(
    ("short", "year"), [("26", 2026), ("76", 2076), ("77", 1977), ("99", 1999), ("00", 2000)]
)
def test_a_year_of_two_digits_is_not_far_ahead(short: str, year: int) -> None:
    date = parse_date(f"Friday, 01-Jan-{short} 00:00:00 GMT", NOW)
    assert date is not None
    assert datetime.fromtimestamp(date, UTC).year == year


def test_a_leap_second_is_the_next_minute() -> None:
    assert parse_date("Sat, 31 Dec 2016 23:59:60 GMT", NOW) == parse_date(
        "Sun, 01 Jan 2017 00:00:00 GMT", NOW
    )


@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)))
def test_what_is_sent_is_read(moment: datetime) -> None:
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    assert parse_date(format_datetime(moment, usegmt=True), NOW) == moment.timestamp()


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} .*GMT"))
def test_nothing_raises(field: str) -> None:
    parse_date(field, NOW)
