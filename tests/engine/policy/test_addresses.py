"""The cache of addresses: age, rotation, room."""

from __future__ import annotations

import pytest

from plait_engine.policy.addresses import AddressCache

KEY = ("h", 1)


def test_an_answer_is_good_for_its_time() -> None:
    cache = AddressCache[str](10.0, 2)
    cache.add(KEY, ["a"], 5.0)
    assert cache.find(KEY, 15.0) == ["a"]
    assert cache.find(KEY, 15.1) is None
    assert len(cache) == 0


def test_an_answer_may_be_good_for_ever() -> None:
    cache = AddressCache[str](None, 1)
    cache.add(KEY, ["a"], 0.0)
    assert cache.find(KEY, 1e9) == ["a"]


def test_each_look_up_begins_with_another_address() -> None:
    cache = AddressCache[str](None, 1)
    cache.add(KEY, ["a", "b", "c"], 0.0)
    found = [cache.find(KEY, 0.0) for _ in range(4)]
    assert found == [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"], ["a", "b", "c"]]


def test_what_is_found_is_the_callers_own() -> None:
    cache = AddressCache[str](None, 1)
    addresses = ["a"]
    cache.add(KEY, addresses, 0.0)
    addresses.clear()
    found = cache.find(KEY, 0.0)
    assert found == ["a"]
    found.clear()
    assert cache.find(KEY, 0.0) == ["a"]


def test_an_empty_answer_is_an_answer() -> None:
    cache = AddressCache[str](None, 1)
    cache.add(KEY, [], 0.0)
    assert cache.find(KEY, 0.0) == []


def test_the_entry_used_least_recently_makes_room() -> None:
    cache = AddressCache[str](None, 2)
    cache.add(("h", 1), ["a"], 0.0)
    cache.add(("h", 2), ["a"], 0.0)
    cache.find(("h", 1), 0.0)
    cache.add(("h", 3), ["a"], 0.0)
    assert cache.find(("h", 2), 0.0) is None
    assert cache.find(("h", 1), 0.0) == ["a"]
    cache.add(("h", 1), ["b"], 0.0)
    assert len(cache) == 2


def test_what_is_removed() -> None:
    cache = AddressCache[str](None, 2)
    cache.add(("h", 1), ["a"], 0.0)
    cache.add(("h", 2), ["a"], 0.0)
    cache.remove(("h", 1))
    cache.remove(("unknown", 1))
    assert cache.find(("h", 1), 0.0) is None
    cache.clear()
    assert len(cache) == 0


def test_a_cache_without_room() -> None:
    with pytest.raises(ValueError, match="max_size"):
        AddressCache[str](None, 0)
