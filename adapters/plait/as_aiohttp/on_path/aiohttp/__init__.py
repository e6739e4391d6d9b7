"""What ``import aiohttp`` finds in a Python that inherits ``PYTHONPATH`` (see ``children``).

It puts plait in aiohttp's place and is gone: ``sys.modules["aiohttp"]`` is then what
``plait.install_as_aiohttp`` makes.  Where plait cannot be imported, since another Python was
started, it takes its folder off ``sys.path`` and leaves the name to an aiohttp that is installed.

Any Python reads this file, so it uses what every Python has.
"""

import sys

__all__ = ()

# First: the modules of aiohttp are not found in this package.
_this = sys.modules.pop(__name__)
try:
    if sys.version_info < (3, 11):  # noqa: UP036
        raise ImportError("plait needs a newer Python")
    from plait.as_aiohttp import install_as_aiohttp
except ImportError:
    from os.path import dirname

    sys.path[:] = [path for path in sys.path if path != dirname(dirname(__file__))]
else:
    install_as_aiohttp()

# The import system gives what stands in sys.modules afterwards to whoever imports aiohttp.
import aiohttp  # noqa: E402, F401
