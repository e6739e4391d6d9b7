"""Errors of a program that uses the API as it is not made to be used.

aiohttp checks that with ``assert``, and programs have tests that expect an AssertionError.  These
are that, too, and are raised under ``python -O`` as well.
"""

from __future__ import annotations


class MisuseError(RuntimeError, AssertionError):
    """A method is called at the wrong time."""


class MisuseTypeError(TypeError, AssertionError):
    """An argument has the wrong type."""
