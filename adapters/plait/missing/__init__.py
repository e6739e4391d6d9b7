"""The public modules of aiohttp that plait has not.

Whoever asks for one is told so, in a sentence: by ``AttributeError`` for ``plait.NAME``, by
``ImportError`` for ``from plait import NAME``.  ``hasattr`` says False.
"""

from __future__ import annotations

import dis
import sys

MODULES = frozenset(
    {
        "base_protocol",
        "client_proto",
        "http_parser",
        "tcp_helpers",
    }
)

_IMPORT_FROM = dis.opmap["IMPORT_FROM"]


def explain(module: str, name: str) -> AttributeError | ImportError:
    """Return what a module's ``__getattr__`` raises for a name that ``module`` has not.

    ``from module import name`` puts a sentence of its own in the place of an
    ``AttributeError``, so that statement gets an ``ImportError``.
    """
    if name not in MODULES:
        return AttributeError(f"module {module!r} has no attribute {name!r}", name=name)
    sentence = f"{name} is not in {module}: see docs/differences.md"
    asker = sys._getframe(2)
    if asker.f_code.co_code[asker.f_lasti] == _IMPORT_FROM:
        return ImportError(sentence, name=module)
    return AttributeError(sentence, name=name)
