"""Run a program with plait in aiohttp's place.

Usage::

    python -m plait.as_aiohttp SCRIPT.py [ARGUMENT ...]
    python -m plait.as_aiohttp -m MODULE [ARGUMENT ...]
    python -m plait.as_aiohttp pytest [ARGUMENT ...]

The program sees the arguments, ``__name__`` and ``sys.path`` that it would see without plait, but
for one folder more in ``sys.path`` and in the environment's ``PYTHONPATH``: by it the Pythons that
the program starts have plait in aiohttp's place, too (``children``).
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from . import install_as_aiohttp
from .children import carry_into_children


def main(arguments: list[str]) -> None:
    """Run the program that the command line ``arguments`` name."""
    match arguments:
        case ["-m", "pytest", *rest] | ["pytest", *rest]:
            import pytest

            # As a plugin, so that pytest's workers have it too.
            sys.exit(pytest.main(["-p", "plait.as_aiohttp.pytest", *rest]))
        case ["-m", "aiohttp.web", *rest]:
            from plait.web import main as run_web

            _take_place()
            run_web(rest)
        case ["-m", module, *_]:
            _take_place()
            sys.argv = arguments[1:]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case [script, *_] if not script.startswith("-"):
            _take_place()
            sys.argv = arguments
            if not sys.flags.safe_path:  # Without "python -P" it is the current folder.
                sys.path[0] = str(Path(script).resolve().parent)
            runpy.run_path(script, run_name="__main__")
        case _:
            print((__doc__ or "").partition("::")[2].partition("The program")[0], file=sys.stderr)
            sys.exit(2)


def _take_place() -> None:
    install_as_aiohttp()
    carry_into_children()


if __name__ == "__main__":
    main(sys.argv[1:])
