"""plait under aiohttp's name.

``plait.install_as_aiohttp()`` makes ``import aiohttp`` mean plait from then on, in this process
alone, for programs and libraries that cannot be changed.  ``python -m plait.as_aiohttp`` does it
for a script, a module or pytest that knows nothing of plait.

* ``aiohttp.NAME`` is the object ``plait.NAME``, and ``aiohttp.web`` is the module ``plait.web``.
  Only the package ``aiohttp`` is a module of its own, since its ``__version__`` is aiohttp's.
* ``aiohttp.__version__`` and ``importlib.metadata`` give a version that libraries accept,
  whether or not aiohttp is installed.  An installed aiohttp is never imported.
* Classes are named after aiohttp's modules (``aiohttp.web_exceptions.HTTPNotFound``), and the
  loggers too (``aiohttp.access``).
* Nothing of this happens before it is asked for.  It cannot be undone.

==============  ==============================================================
``finder``      what Python's import system talks to
``names``       private names in aiohttp's modules that libraries import
``methods``     private methods of its classes that libraries call or override
``connectors``  connectors that connect in a way of their own
``requests``    requests that a program makes from aiohttp's messages
``takeover``    a client's connection that a program takes over behind a 101
``shims``       private objects that plait has nothing of the same shape for
``children``    plait in aiohttp's place in the Pythons that a program starts
``pytest``      a plugin of pytest that puts plait there
==============  ==============================================================
"""

from __future__ import annotations

__all__ = ("install_as_aiohttp",)


def install_as_aiohttp() -> None:
    """Let ``import aiohttp``, and the import of every module of it, give plait's objects.

    Call it before anything imports aiohttp.  A second call changes nothing.

    Raises ``RuntimeError`` if aiohttp itself has been imported.
    """
    from .finder import install  # what most programs never need is not loaded for them

    install()
