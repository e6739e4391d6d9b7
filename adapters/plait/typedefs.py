"""Names for the types that arguments take, as aiohttp has them."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http.cookies import BaseCookie, Morsel
from typing import TYPE_CHECKING, Any, ForwardRef, Protocol, TypeAlias

from multidict import CIMultiDict, CIMultiDictProxy, istr
from yarl import URL
from yarl import Query as Query  # the type of ``params``

if TYPE_CHECKING:
    from .web_request import Request
    from .web_response import StreamResponse

DEFAULT_JSON_ENCODER = json.dumps
DEFAULT_JSON_DECODER = json.loads

Byteish: TypeAlias = bytes | bytearray | memoryview
# Anything can be given to a JSON encoder and come from a decoder, hence Any.
JSONEncoder: TypeAlias = Callable[[Any], str]
JSONBytesEncoder: TypeAlias = Callable[[Any], bytes]
JSONDecoder: TypeAlias = Callable[[str], Any]
LooseHeaders: TypeAlias = (
    Mapping[str, str]
    | Mapping[istr, str]
    | CIMultiDict[str]
    | CIMultiDictProxy[str]
    | Iterable[tuple[str | istr, str]]
)
RawHeaders: TypeAlias = tuple[tuple[bytes, bytes], ...]
StrOrURL: TypeAlias = str | URL
# Morsel is generic over the coded value, which nobody looks at: Any.
LooseCookiesMappings: TypeAlias = Mapping[str, str | BaseCookie[str] | Morsel[Any]]
LooseCookiesIterables: TypeAlias = Iterable[tuple[str, str | BaseCookie[str] | Morsel[Any]]]
LooseCookies: TypeAlias = LooseCookiesMappings | LooseCookiesIterables | BaseCookie[str]
PathLike: TypeAlias = str | os.PathLike[str]

if TYPE_CHECKING:
    Handler: TypeAlias = Callable[[Request], Awaitable[StreamResponse]]
else:  # In the annotations of any module the names mean the types of these modules.
    Handler = Callable[
        [ForwardRef("Request", module="plait.web_request")],
        Awaitable[ForwardRef("StreamResponse", module="plait.web_response")],
    ]


class Middleware(Protocol):
    """A server middleware: calls ``handler`` or answers itself."""

    def __call__(self, request: Request, handler: Handler) -> Awaitable[StreamResponse]: ...
