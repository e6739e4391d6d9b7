"""What ``import aiohttp`` finds in a Python that inherits ``PYTHONPATH`` (see ``children``).

It puts plait in aiohttp's place and is gone: ``sys.modules["aiohttp"]`` is then what
``plait.install_as_aiohttp`` makes.  Where plait cannot be imported, since another Python was
started, it takes its folder off ``sys.path`` and leaves the name to an aiohttp that is installed.

A Python that is too old for plait reads this file, too.
"""

from __future__ import annotations

import sys

__all__ = ()

del sys.modules[__name__]  # First: the modules of aiohttp are not found in this package.
try:
    from plait.as_aiohttp import install_as_aiohttp
except (ImportError, SyntaxError):
    from os.path import dirname

    sys.path.remove(dirname(dirname(__file__)))
else:
    install_as_aiohttp()

# The import system gives what stands in sys.modules afterwards to whoever imports aiohttp.
import aiohttp  # noqa: E402, F401
