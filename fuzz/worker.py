"""Run one target under atheris: ``python -m fuzz.worker TARGET [libFuzzer options and folders]``.

``fuzz.run`` starts this in a process of its own, because a fuzzer ends with its process.
"""

from __future__ import annotations

import importlib
import sys

import atheris


def main() -> None:
    """Fuzz the target of the command line until libFuzzer stops."""
    program, target, *options = sys.argv
    with atheris.instrument_imports(include=["plait_engine"]):
        module = importlib.import_module(f"fuzz.targets.{target}")
    atheris.Setup([program, *options], module.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
