"""What Python's import system asks about ``aiohttp``, once plait stands in its place.

``AliasFinder`` is the first on ``sys.meta_path``.  It knows the package ``aiohttp``, each module
of it that plait has, and the distribution ``aiohttp`` for ``importlib.metadata``.

The package's ``__path__`` is the folder ``private``.  There Python finds the few modules that
only other libraries use, and neither an installed aiohttp nor a second copy of a module of plait.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import pkgutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from importlib.metadata import Distribution, DistributionFinder
from importlib.util import find_spec, spec_from_loader
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import Final

from plait import log

__all__ = ("AIOHTTP_VERSION", "AliasFinder", "install")

AIOHTTP_VERSION: Final = "3.14.5"
"""The version of aiohttp whose API plait has."""

NEEDS_ANOTHER_PACKAGE: Final = frozenset({"pytest_plugin", "worker"})
"""Modules that are not imported before a program imports them."""

HOMES: Final = {
    "plait.calls.base_connector": "connector",
    "plait.calls.media": "client_reqrep",
    "plait.calls.request": "client_reqrep",
    "plait.calls.response": "client_reqrep",
    "plait.calls.target": "client_reqrep",
    "plait.calls.timeouts": "client",
    "plait.calls.upload": "client_reqrep",
    "plait.calls.verification": "client_reqrep",
    "plait.parts.writer": "multipart",
    "plait.websocket.queues": "streams",
    "plait.serving.compression": "web_response",
    "plait.serving.keyed_state": "web_exceptions",
    "plait.serving.exchange": "web_protocol",
    "plait.serving.form": "web_request",
    "plait.serving.domain": "web_urldispatcher",
    "plait.serving.resource": "web_urldispatcher",
    "plait.serving.route": "web_urldispatcher",
    "plait.serving.static": "web_urldispatcher",
    "plait.serving.stream_response": "web_response",
}
"""A module that aiohttp has no name for -> the module of aiohttp that has its classes."""

_PRIVATE: Final = Path(__file__).with_name("private")


def install() -> None:
    """See ``plait.install_as_aiohttp``."""
    if any(isinstance(finder, AliasFinder) for finder in sys.meta_path):
        return
    if "aiohttp" in sys.modules:
        raise RuntimeError(
            "aiohttp has been imported already: call plait.install_as_aiohttp() before"
            " anything imports it, or start the program with python -m plait.as_aiohttp"
        )
    sys.meta_path.insert(0, AliasFinder())
    # Now, and not when they are asked for: a class must not change its name later.
    for name in sorted(_modules() - NEEDS_ANOTHER_PACKAGE):
        import_module(f"aiohttp.{name}")
    extra = import_module("plait.as_aiohttp.names")
    for name, names in [*extra.NAMES.items(), *extra.UNUSED.items()]:
        vars(import_module(f"plait.{name}")).update(names)
        _rename_private_classes(names, name)
    for owner, methods in import_module("plait.as_aiohttp.methods").METHODS.items():
        for name, method in methods.items():
            setattr(owner, name, method)
    _rename_loggers()


class AliasFinder(DistributionFinder):
    """Finds plait's modules where aiohttp's are looked for."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Return how to load ``aiohttp`` or ``aiohttp.NAME``, ``None`` for other names."""
        if fullname == "aiohttp":
            spec = ModuleSpec(fullname, _PackageLoader(), origin=__file__, is_package=True)
            spec.submodule_search_locations = [str(_PRIVATE)]
            return spec
        package, _, name = fullname.partition(".")
        if package != "aiohttp":
            return None
        if name not in _modules():
            return None
        module = find_spec(f"plait.{name}")
        origin = module.origin if module else None
        return spec_from_loader(fullname, _ModuleLoader(), origin=origin)

    def find_distributions(
        self, context: DistributionFinder.Context | None = None
    ) -> Iterable[Distribution]:
        """Return the distribution ``aiohttp`` to whoever looks for it, or for all."""
        name = context.name if context else None
        return [_AliasDistribution()] if name in {None, "aiohttp"} else []


class _PackageLoader(Loader):
    """Makes the package ``aiohttp``: a module with plait's names, and a version of its own."""

    def exec_module(self, module: ModuleType) -> None:
        plait = import_module("plait")
        names = {name: value for name, value in vars(plait).items() if not _is_special(name)}
        vars(module).update(
            names,
            __all__=plait.__all__,
            __doc__=plait.__doc__,
            __file__=plait.__file__,
            __getattr__=plait.__getattr__,
            __version__=AIOHTTP_VERSION,
        )


class _ModuleLoader(Loader):
    """Gives a module of plait as the module of aiohttp with the same name."""

    def exec_module(self, module: ModuleType) -> None:
        _, _, name = module.__name__.partition(".")
        ours = import_module(f"plait.{name}")
        _rename_classes(ours, name)
        # The import system takes what stands here for the module that it was to load.
        sys.modules[module.__name__] = ours


class _AliasDistribution(Distribution):
    """What ``importlib.metadata`` tells about aiohttp."""

    _FILES: Final = {
        "METADATA": f"Metadata-Version: 2.1\nName: aiohttp\nVersion: {AIOHTTP_VERSION}\n",
        "top_level.txt": "aiohttp\n",
    }

    def read_text(self, filename: str) -> str | None:
        return self._FILES.get(filename)

    def locate_file(self, path: str | PathLike[str]) -> Path:
        return Path(__file__).parent / path


def _modules() -> set[str]:
    """Return the modules of plait that aiohttp has too: those at the top, which are no packages."""
    path = import_module("plait").__path__
    return {info.name for info in pkgutil.iter_modules(path) if not info.ispkg}


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _rename_classes(module: ModuleType, name: str) -> None:
    """Say ``aiohttp.NAME`` as the module of the classes that aiohttp has in it."""
    for public, value in vars(module).items():
        if not inspect.isclass(value) or value.__name__ != public:
            continue
        if value.__module__ == module.__name__ or HOMES.get(value.__module__) == name:
            _evaluate_annotations(value)
            value.__module__ = f"aiohttp.{name}"


def _evaluate_annotations(cls: type) -> None:
    """Replace the texts that annotate ``cls``, which ``typing`` reads in the module it says.

    Those of types that its module imports for type checkers alone stay.
    """
    annotations = vars(cls).get("__annotations__", {})
    fields = vars(cls).get("__dataclass_fields__", {})
    names = vars(sys.modules[cls.__module__])
    for attribute, text in annotations.items():
        if isinstance(text, str):
            with contextlib.suppress(NameError):
                annotations[attribute] = eval(text, names)
                if attribute in fields:
                    fields[attribute].type = annotations[attribute]


def _rename_private_classes(names: Mapping[str, object], module: str) -> None:
    """Say aiohttp's name as that of the classes which aiohttp has by a private one."""
    for name, value in names.items():
        if inspect.isclass(value) and value.__module__.startswith("plait."):
            value.__name__ = value.__qualname__ = name
            value.__module__ = f"aiohttp.{module}"


def _rename_loggers() -> None:
    """Let plait's loggers be those that programs configure, ``aiohttp.access`` and others."""
    loggers = logging.root.manager.loggerDict
    for logger in [getattr(log, name) for name in log.__all__]:
        known = logging.getLogger(logger.name.replace("plait", "aiohttp", 1))
        # ``logging.config`` disables the loggers that a configuration does not name.
        del loggers[logger.name]
        # One logger from now on, whichever of both somebody holds.
        logger.__dict__ = known.__dict__
        loggers[known.name] = logger
