"""The keywords of a request, for type checkers and editors."""

from __future__ import annotations

import ssl as ssl_module
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypedDict

from plait.client_middlewares import ClientMiddlewareType
from plait.helpers import _SENTINEL, BasicAuth
from plait.typedefs import LooseCookies, LooseHeaders, Query, StrOrURL

from .fields import InformationalCallback
from .response import ClientResponse
from .timeouts import ClientTimeout
from .upload import UploadTracker
from .verification import Fingerprint

RaiseForStatus = bool | Callable[[ClientResponse], Awaitable[None]]


class RequestOptions(TypedDict, total=False):
    """The keywords of the session's methods that make a request."""

    params: Query
    data: Any
    json: Any
    cookies: LooseCookies | None
    headers: LooseHeaders | None
    skip_auto_headers: Iterable[str] | None
    auth: BasicAuth | None
    allow_redirects: bool
    max_redirects: int
    compress: str | bool | None
    chunked: bool | None
    expect100: bool
    raise_for_status: RaiseForStatus | None
    read_until_eof: bool
    proxy: StrOrURL | None
    proxy_auth: BasicAuth | None
    timeout: ClientTimeout | _SENTINEL | float | None
    verify_ssl: bool | None
    fingerprint: bytes | None
    ssl_context: ssl_module.SSLContext | None
    ssl: ssl_module.SSLContext | bool | Fingerprint
    server_hostname: str | None
    proxy_headers: LooseHeaders | None
    trace_request_ctx: Any
    read_bufsize: int | None
    auto_decompress: bool | None
    max_line_size: int | None
    max_field_size: int | None
    max_headers: int | None
    middlewares: Sequence[ClientMiddlewareType] | None
    upload_tracker: UploadTracker | None
    on_informational: InformationalCallback | None
