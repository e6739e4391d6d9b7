"""Run inputs of a target without a fuzzer: ``python -m fuzz.replay TARGET FILE ...``."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def main() -> None:
    """Run the files of the command line; the first that breaks an invariant raises."""
    _, target, *files = sys.argv
    module = importlib.import_module(f"fuzz.targets.{target}")
    for file in files:
        module.run(Path(file).read_bytes())
        print(f"{file}: holds")


if __name__ == "__main__":
    main()
