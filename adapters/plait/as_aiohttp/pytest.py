"""A pytest plugin that puts plait in aiohttp's place: ``pytest -p plait.as_aiohttp.pytest``.

pytest loads it before the plugins that are installed, and before any ``conftest.py``.  Write
``addopts = "-p plait.as_aiohttp.pytest"`` into a project's configuration to run its whole suite
on plait; pytest-xdist passes the option on to its workers, and Pythons that a test starts have plait
in aiohttp's place, too (``children``).
"""

from __future__ import annotations

from . import install_as_aiohttp
from .children import carry_into_children

install_as_aiohttp()
carry_into_children()
