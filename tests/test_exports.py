"""What the packages say they export is what they have, and every name of it is explained."""

from __future__ import annotations

import enum
import importlib
import inspect
import pkgutil
import types

import pytest

import plait_engine

# What a package exports is what its users import: a subpackage must be exact.
PACKAGES = [
    "plait_engine",
    *(
        f"plait_engine.{info.name}"
        for info in pkgutil.iter_modules(plait_engine.__path__)
        if info.ispkg
    ),
]


def public_names(module: types.ModuleType) -> set[str]:
    """Return the names that a user sees: no submodules, nothing private."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }


@pytest.mark.parametrize("name", PACKAGES)
def test_all_is_what_is_public(name: str) -> None:
    module = importlib.import_module(name)
    exported = getattr(module, "__all__", ())
    assert len(exported) == len(set(exported)), "a name stands in __all__ twice"
    assert set(exported) == public_names(module) - {"annotations"}


@pytest.mark.parametrize("name", PACKAGES)
def test_all_is_sorted(name: str) -> None:
    module = importlib.import_module(name)
    exported = list(getattr(module, "__all__", ()))
    # Constants, then classes, then functions, as ruff sorts them.
    assert exported == sorted(exported, key=lambda n: (not n.isupper(), not n[0].isupper(), n))


def classes_and_functions() -> list[tuple[str, object]]:
    found = []
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                found.append((f"{package}.{name}", value))
    return found


@pytest.mark.parametrize(
    ("name", "value"), classes_and_functions(), ids=[name for name, _ in classes_and_functions()]
)
def test_every_public_name_has_a_docstring(name: str, value: object) -> None:
    assert own_docstring(value), f"{name} has no docstring"


@pytest.mark.parametrize(
    ("name", "value"), classes_and_functions(), ids=[name for name, _ in classes_and_functions()]
)
def test_every_public_method_has_a_docstring(name: str, value: object) -> None:
    if not inspect.isclass(value) or issubclass(value, enum.Enum | Exception):
        return
    missing = [
        attribute
        for attribute, member in vars(value).items()
        if not attribute.startswith("_")
        and (inspect.isfunction(member) or isinstance(member, property))
        and not inspect.getdoc(getattr(value, attribute))
    ]
    assert missing == []


def own_docstring(value: object) -> str | None:
    """Return the docstring that was written; a dataclass without one makes up its own."""
    doc = value.__doc__
    if inspect.isclass(value) and doc and doc.startswith(f"{value.__name__}("):
        return None
    return doc


def test_a_name_without_a_docstring_is_found() -> None:
    class Bare:
        pass

    class Derived(list):
        pass

    assert own_docstring(Bare) is None
    assert own_docstring(Derived) is None
