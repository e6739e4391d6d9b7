"""What requests and responses carry for the application: a mapping made on first use.

Keys are ``RequestKey`` and ``ResponseKey``, which know the type of their value, or strings.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any, TypeVar, overload

from plait.helpers import BaseKey

_T = TypeVar("_T")


class KeyedState(MutableMapping[str | BaseKey[Any], Any]):
    """The mapping; whoever has it equals only itself, empty or not, and is true."""

    _state: dict[str | BaseKey[Any], Any] | None = None

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

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __bool__(self) -> bool:
        return True
