"""plait in aiohttp's place in the Pythons that a program starts.

The folder ``on_path`` has a package ``aiohttp`` that does nothing but put plait in its place.  It
goes to the front of ``PYTHONPATH``, for whoever starts ``sys.executable``, and of ``sys.path``,
which ``multiprocessing`` hands on instead.  So a child has plait when it imports aiohttp, and
knows nothing of plait before.

It does not reach a Python that ignores ``PYTHONPATH`` (``-E`` and ``-I``) or is started without
the environment, nor one that finds an ``aiohttp`` in the folder of its script.  Its
``importlib.metadata`` knows plait's version of aiohttp once aiohttp is imported.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

__all__ = ("carry_into_children",)

FOLDER: Final = str(Path(__file__).with_name("on_path"))


def carry_into_children() -> None:
    """Let ``import aiohttp`` give plait's objects in processes that are started from now on.

    A second call changes nothing.
    """
    paths = os.environ.get("PYTHONPATH")
    if not paths:  # An empty entry would be the current folder.
        os.environ["PYTHONPATH"] = FOLDER
    elif FOLDER not in paths.split(os.pathsep):
        os.environ["PYTHONPATH"] = FOLDER + os.pathsep + paths
    if FOLDER not in sys.path:
        # Where Python puts PYTHONPATH: behind the folder of the script, if that is there.
        sys.path.insert(0 if sys.flags.safe_path else 1, FOLDER)
