"""State of the application on applications, requests and responses: a mapping made on first use.

Keys are ``AppKey``, ``RequestKey`` and ``ResponseKey``, which know the type of their value, or
strings.  A string warns with ``NotAppKeyWarning``, once for each.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, MutableMapping
from typing import Any, ClassVar, Final, TypeVar, overload

from plait.helpers import BaseKey

_T = TypeVar("_T")

_MAX_WARNED: Final = 1024
"""Keys that are remembered, so that nobody is warned of them again."""

_GUIDE: Final = "https://docs.aiohttp.org/en/stable/web_advanced.html#application-s-config"
"""Where it is told what such keys are good for."""


class NotAppKeyWarning(UserWarning):
    """A string is used as a key where an ``AppKey`` or its like would know the type."""


class KeyedState(MutableMapping[str | BaseKey[Any], Any]):
    """The mapping.  Its owner equals only itself and is always true, even when it is empty."""

    _key_type: ClassVar[type[BaseKey[Any]]]
    _warned: set[str]
    """Strings that were warned of: those of the class, unless an instance has its own."""
    _state: dict[str | BaseKey[Any], Any] | None = None
    _stacklevel: ClassVar[int] = 3
    """Of the program's line, where it sets a key."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "_key_type" in cls.__dict__:
            cls._warned = set()

    @overload
    def __getitem__(self, key: BaseKey[_T]) -> _T: ...
    @overload
    def __getitem__(self, key: str) -> Any: ...
    def __getitem__(self, key: str | BaseKey[_T]) -> Any:
        return self._storage[key]

    @overload
    def __setitem__(self, key: BaseKey[_T], value: _T) -> None: ...
    @overload
    def __setitem__(self, key: str, value: Any) -> None: ...
    def __setitem__(self, key: str | BaseKey[_T], value: Any) -> None:
        if isinstance(key, str) and key not in self._warned:
            self._warn_of(key)
        self._storage[key] = value

    def __delitem__(self, key: str | BaseKey[Any]) -> None:
        del self._storage[key]

    def __len__(self) -> int:
        return len(self._storage)

    def __iter__(self) -> Iterator[str | BaseKey[Any]]:
        return iter(self._storage)

    @property
    def _storage(self) -> dict[str | BaseKey[Any], Any]:
        state = self._state
        if state is None:
            state = self._state = {}
        return state

    def _warn_of(self, key: str) -> None:
        if len(self._warned) < _MAX_WARNED:
            self._warned.add(key)
        warnings.warn(
            f"It is recommended to use web.{self._key_type.__name__} instances for keys: {_GUIDE}",
            NotAppKeyWarning,
            stacklevel=self._stacklevel,
        )

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __bool__(self) -> bool:
        return True
