"""Accept-Encoding (RFC 9110 section 12.5.3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine.content.negotiation import choose_coding, parse_accept_encoding

AVAILABLE = ("deflate", "gzip")


@pytest.mark.parametrize(
    ("field", "coding"),
    [
        (None, "identity"),
        ("", "identity"),
        ("gzip", "gzip"),
        ("GZip", "gzip"),
        ("x-gzip", "gzip"),
        ("deflate", "deflate"),
        ("gzip, deflate", "deflate"),
        ("gzip, deflate;q=0.9", "gzip"),
        ("gzip;q=0.2,deflate;q=0.3", "deflate"),
        ("deflate;q=0.001, gzip;q=0.002", "gzip"),
        ("gzip;q=0", "identity"),
        ("gzip;q=0.000, deflate; Q=0.", "identity"),
        ("gzip;q=0, *", "deflate"),
        ("deflate;q=0, *;q=0.1", "gzip"),
        ("*", "deflate"),
        ("*;q=0", "identity"),
        ("*;q=0, gzip", "gzip"),
        ("identity", "identity"),
        ("identity;q=0", "identity"),  # Nothing that it accepts is there.
        ("identity;q=0, gzip;q=0.5", "gzip"),
        ("identity, gzip;q=0.5", "identity"),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("identity;q=0.5, *;q=0.4", "identity"),
        ("xgzip", "identity"),
        ("gzipx", "identity"),
        ("not-deflate-at-all", "identity"),
        ("br, zstd", "identity"),
        ("gzip;q=1.5", "identity"),
        ("gzip;q=-1", "identity"),
        ("gzip;q=0.0001", "identity"),
        ("gzip;q=", "identity"),
        ("gzip;level=9", "identity"),
        ("gzip deflate", "identity"),
        (" , gzip ,,", "gzip"),
        ("\tgzip\t;\tq=1.000\t", "gzip"),
        ("gzip;q=0, gzip", "identity"),
    ],
)
def test_the_choice(field: str | None, coding: str) -> None:
    assert choose_coding([] if field is None else [field], AVAILABLE) == coding


def test_several_fields_are_one_list() -> None:
    fields = ["gzip;q=0", "br", "deflate;q=0.5"]
    assert parse_accept_encoding(fields) == {"gzip": 0, "br": 1, "deflate": 0.5}
    assert choose_coding(fields, AVAILABLE) == "deflate"


WEIGHTS = st.integers(0, 1000)
NAMES = st.sampled_from(["gzip", "deflate", "identity", "br", "*"])


@given(st.dictionaries(NAMES, WEIGHTS), st.permutations(["gzip", "deflate", "br"]))
def test_what_is_chosen_is_acceptable_and_nothing_is_better(
    weights: dict[str, int], available: list[str]
) -> None:
    field = ",".join(f"{name};q={weight / 1000:.3f}" for name, weight in weights.items())
    chosen = choose_coding([field], available)
    ranks = {name: weights.get(name, weights.get("*", 0)) for name in available}
    best = max(ranks.values())
    if chosen == "identity":
        assert best < weights.get("identity", 1) or best == 0
    else:
        assert ranks[chosen] == best >= max(1, weights.get("identity", 0))
        assert chosen == next(name for name in available if ranks[name] == best)


@given(st.lists(st.text()))
def test_any_text_gives_a_coding(fields: list[str]) -> None:
    assert choose_coding(fields, AVAILABLE) in {"identity", *AVAILABLE}
    assert all(0 <= weight <= 1 for weight in parse_accept_encoding(fields).values())
