"""Replay the corpus of the fuzzer, without the fuzzer."""

from __future__ import annotations

import importlib
import tracemalloc
from pathlib import Path

import pytest

from fuzz.targets import TARGETS

CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus"
INPUTS = [
    pytest.param(target, path, id=f"{target}/{path.name}")
    for target in TARGETS
    for path in sorted((CORPUS / target).iterdir())
]
MAX_MEMORY = 8 * 1024 * 1024
"""Bytes; the engines' largest windows and buffers, for two connections of a target."""


@pytest.mark.parametrize(("target", "path"), INPUTS)
def test_the_invariants_hold(target, path):
    importlib.import_module(f"fuzz.targets.{target}").run(path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_no_input_takes_much_memory(target):
    run = importlib.import_module(f"fuzz.targets.{target}").run
    for path in sorted((CORPUS / target).iterdir()):
        data = path.read_bytes()
        tracemalloc.start()
        try:
            run(data)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < MAX_MEMORY, path.name


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_has_seeds_and_says_what_it_holds(target):
    assert any((CORPUS / target).iterdir())
    assert "nvariants" in importlib.import_module(f"fuzz.targets.{target}").__doc__
