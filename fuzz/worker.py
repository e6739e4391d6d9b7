"""Run one target under atheris: ``python -m fuzz.worker TARGET [libFuzzer options and folders]``.

``fuzz.run`` starts this in a process of its own, because a fuzzer ends with its process.
"""

from __future__ import annotations

import importlib
import sys

import atheris

ENGINES = ("plait_engine.http1", "plait_engine.http2")


def main() -> None:
    """Fuzz the target of the command line until libFuzzer stops."""
    program, target, *options = sys.argv
    with atheris.instrument_imports(include=["plait_engine"]):
        module = importlib.import_module(f"fuzz.targets.{target}")
        for engine in ENGINES:  # which a connection of its version imports when it is made
            importlib.import_module(engine)
    atheris.Setup([program, *options], module.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
