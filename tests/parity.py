"""What aiohttp's public names are, and what of it another package has not: by introspection.

Two kinds of findings, each a short text that a test can list:

* a name: ``web.Request.multipart``;
* a parameter: ``web.Request.clone(remote)``, with what is different behind a colon, if it is there.

A class is compared by the parameters of its construction, its public attributes (those that
``self.NAME = ...`` makes, too), and the parameters of its methods.  A parameter is the same if it
has the same name, kind, default and, where it can be given by position, the same place.  Others may
follow it.  ``**kwargs`` that are typed with a ``TypedDict`` are the parameters of that.
"""

from __future__ import annotations

import ast
import enum
import inspect
import re
import types
from collections.abc import Callable, Iterator
from functools import cache
from inspect import Parameter
from pathlib import Path

_BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
_UNKNOWN = object()
"""The default of a parameter that a ``TypedDict`` names."""
_ANY = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


def public_names(module: types.ModuleType) -> list[str]:
    """Return the names that ``module`` exports; without ``__all__``, those that it defines.

    The hooks of a pytest plugin are for pytest.
    """
    exported = getattr(module, "__all__", None)
    if exported is not None:
        return sorted(exported)
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith(("_", "pytest_"))
        and getattr(value, "__module__", None) == module.__name__
    )


def differences(theirs: types.ModuleType, ours: types.ModuleType, name: str = "") -> Iterator[str]:
    """Yield what is in ``theirs`` and not, or not alike, in ``ours``."""
    for public in public_names(theirs):
        path = f"{name}.{public}" if name else public
        if not hasattr(ours, public):
            yield path
            continue
        one, other = getattr(theirs, public), getattr(ours, public)
        if inspect.isclass(one):
            yield from _differences_of_classes(path, one, other)
        elif inspect.isfunction(one):
            yield from _differences_of_calls(path, one, other)


def _differences_of_classes(path: str, one: type, other: type) -> Iterator[str]:
    if not issubclass(one, enum.Enum):
        yield from _differences_of_calls(path, one, other)
    there = _attributes(other)
    for name in sorted(_attributes(one)):
        if name not in there:
            yield f"{path}.{name}"
        elif inspect.isroutine(getattr(one, name, None)):
            yield from _differences_of_calls(
                f"{path}.{name}", getattr(one, name), getattr(other, name)
            )


def _attributes(cls: type) -> set[str]:
    return {name for name in {*dir(cls), *_of_instances(cls)} if not name.startswith("_")}


def _of_instances(cls: type) -> set[str]:
    """Return the attributes that the methods of a class, or its annotations, give to instances."""
    found: set[str] = set()
    for base in cls.__mro__:
        found.update(inspect.get_annotations(base))
        try:
            file = inspect.getsourcefile(base)
        except TypeError:  # It is built in.
            continue
        if file:
            found |= _assigned_in(file).get(base.__qualname__, set())
    return found


@cache
def _assigned_in(file: str) -> dict[str, set[str]]:
    """Return the NAMEs of ``self.NAME = ...`` in each class of a file that is in no other."""
    return {
        node.name: {
            inner.attr
            for inner in ast.walk(node)
            if isinstance(inner, ast.Attribute)
            and isinstance(inner.ctx, ast.Store)
            and isinstance(inner.value, ast.Name)
            and inner.value.id == "self"
        }
        for node in ast.parse(Path(file).read_text()).body
        if isinstance(node, ast.ClassDef)
    }


def _differences_of_calls(
    path: str, one: Callable[..., object], other: Callable[..., object]
) -> Iterator[str]:
    if inspect.iscoroutinefunction(one) != inspect.iscoroutinefunction(other):
        yield f"{path}: {'async' if inspect.iscoroutinefunction(one) else 'not async'}"
    theirs, ours = _parameters(one), _parameters(other)
    if all(parameter.kind in _ANY for parameter in theirs.values()):
        return  # They hand on what they do not know.
    for place, (name, parameter) in enumerate(theirs.items()):
        if parameter.kind in _ANY:
            if not any(found.kind is parameter.kind for found in ours.values()):
                yield f"{path}({name})"
            continue
        if name not in ours:
            yield f"{path}({name})"
            continue
        found = ours[name]
        if parameter.kind is not found.kind and found.kind not in _BY_NAME:
            yield f"{path}({name}): {found.kind.description}"
        elif parameter.kind is Parameter.POSITIONAL_OR_KEYWORD and (
            found.kind is Parameter.KEYWORD_ONLY or list(ours).index(name) != place
        ):
            yield f"{path}({name}): place"
        known = parameter.default is not Parameter.empty and found.default is not _UNKNOWN
        if known and _default(parameter) != _default(found):
            yield f"{path}({name}): {_default(parameter)} is {_default(found)}"
    for name, found in ours.items():
        if name not in theirs and found.kind not in _ANY and found.default is Parameter.empty:
            yield f"{path}({name}): is needed"


def _parameters(call: Callable[..., object]) -> dict[str, Parameter]:
    """Return the parameters of a call by name, without ``self``."""
    try:
        found = dict(inspect.signature(call).parameters)
    except (TypeError, ValueError):  # It is not written in Python.
        return {}
    found.pop("self", None)
    for parameter in list(found.values()):
        unpacked = re.fullmatch(r"Unpack\[(\w+)\]", str(parameter.annotation))
        if parameter.kind is Parameter.VAR_KEYWORD and unpacked and inspect.isroutine(call):
            options = inspect.unwrap(call).__globals__[unpacked[1]]  # type: ignore[attr-defined]
            for name in options.__annotations__:
                found[name] = Parameter(name, Parameter.KEYWORD_ONLY, default=_UNKNOWN)
    return found


def _default(parameter: Parameter) -> str:
    default = parameter.default
    if default is Parameter.empty:
        return "needed"
    if isinstance(default, float) and default.is_integer():
        default = int(default)
    if inspect.isclass(default) or inspect.isfunction(default):
        return default.__name__
    text = repr(default).partition(" at 0x")[0].replace("aiohttp", "plait")
    return "a sentinel" if "sentinel" in text.lower() else text
