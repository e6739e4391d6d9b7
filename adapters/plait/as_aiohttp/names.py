"""Names in aiohttp's modules that are not for others, and that libraries and test suites import.

They are in plait's modules only while plait stands in aiohttp's place.  A test file that cannot
import one of them fails as a whole, with all the tests in it that need no such name.

Most are plait's own objects by aiohttp's names.  ``UNUSED`` are the numbers that describe how
aiohttp works inside: nothing here reads them.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import MappingProxyType
from typing import Final

from yarl import URL

from plait.calls.context import (
    RequestContextManager,
    SessionRequestContextManager,
    WSRequestContextManager,
)
from plait.calls.timeouts import DEFAULT_TIMEOUT
from plait.calls.tls import default_context
from plait.calls.verification import merge_ssl_params
from plait.compression_utils import ACCEPT_ENCODING
from plait.http_writer import encode_head
from plait.resolver import NUMERIC_NAMES, SharedResolvers
from plait.serving.form import MAX_IN_MEMORY
from plait.serving.response_fields import DEFAULT_TYPE
from plait.serving.route import check_expectation
from plait.web_response import StreamResponse
from plait_engine.policy import cookie_store
from plait_engine.semantics.forwarded import FORWARDED_PAIR

from . import shims

__all__ = ("NAMES",)

_PROTOCOLS: Final = ("h2", "http/1.1")


def _module(name: str, *names: str) -> dict[str, object]:
    """Return ``names`` of a module of the folder ``private``."""
    module = import_module(f"aiohttp.{name}")
    return {name: getattr(module, name) for name in names}


_PARSED: Final = _module("http_parser", "HttpParser", "RawRequestMessage", "RawResponseMessage")
_WEBSOCKET: Final = {
    **_module("_websocket.reader", "WebSocketReader"),
    **_module("_websocket.writer", "WebSocketWriter"),
}

UNUSED: Final[dict[str, dict[str, int]]] = {
    "client_reqrep": {"_MAX_UPLOAD_CHECKPOINTS": 1024},
    "compression_utils": {"MEMBER_WINDOW_MIN": 64, "MEMBER_WINDOW_MAX": 65536},
}
"""The module -> its names -> what they are in aiohttp."""

NAMES: Final[dict[str, dict[str, object]]] = {
    "abc": {"StreamResponse": StreamResponse},
    "client": {
        "DEFAULT_TIMEOUT": DEFAULT_TIMEOUT,
        "_RequestContextManager": RequestContextManager,
        "_SessionRequestContextManager": SessionRequestContextManager,
        "_WSRequestContextManager": WSRequestContextManager,
    },
    "client_middleware_digest_auth": {
        "DigestAuthChallenge": shims.DigestAuthChallenge,
        "DigestFunctions": shims.DIGEST_FUNCTIONS,
        "_HEADER_PAIRS_PATTERN": shims.HEADER_PAIR,
        "escape_quotes": shims.escape_quotes,
        "parse_header_pairs": shims.parse_header_pairs,
        "unescape_quotes": shims.unescape_quotes,
    },
    "client_reqrep": {
        "MappingProxyType": MappingProxyType,
        "URL": URL,
        "_gen_default_accept_encoding": lambda: ACCEPT_ENCODING,
        "_merge_ssl_params": merge_ssl_params,
    },
    "connector": {
        "_ConnectTunnelConnection": shims.ConnectTunnelConnection,
        "_DNSCacheTable": shims.DNSCacheTable,
        "_SSL_CONTEXT_UNVERIFIED": default_context(False, _PROTOCOLS),
        "_SSL_CONTEXT_VERIFIED": default_context(True, _PROTOCOLS),
    },
    "cookiejar": {
        "_COOKIE_HEADER_PREFIX_LENGTH": len("Cookie: "),
        "_COOKIE_QUOTA_PER_DOMAIN": cookie_store.PURGED_PER_DOMAIN,
        "_COOKIE_QUOTA_TOTAL": cookie_store.PURGED_COOKIES,
        "_MAX_COOKIES_PER_DOMAIN": cookie_store.MAX_PER_DOMAIN,
        "_MAX_COOKIES_PER_REQUEST": cookie_store.MAX_SENT,
        "_MAX_COOKIES_TOTAL": cookie_store.MAX_COOKIES,
        "_MAX_COOKIE_HEADER_LENGTH": cookie_store.MAX_SENT_SIZE,
        **_module("_cookie_helpers", "parse_set_cookie_headers"),
    },
    "helpers": {
        "EMPTY_BODY_METHODS": frozenset({"HEAD"}),
        "IS_MACOS": sys.platform == "darwin",
        "IS_WINDOWS": sys.platform == "win32",
        "must_be_empty_body": shims.must_be_empty_body,
    },
    "http": {**_PARSED, **_WEBSOCKET},
    "http_websocket": _WEBSOCKET,
    "http_writer": {"_serialize_headers": encode_head},
    "resolver": {"_DNSResolverManager": SharedResolvers, "_NAME_SOCKET_FLAGS": NUMERIC_NAMES},
    "web_fileresponse": {"FALLBACK_CONTENT_TYPE": DEFAULT_TYPE},
    "web_request": {"_FILE_SPOOL_MAX_SIZE": MAX_IN_MEMORY, "_FORWARDED_PAIR_RE": FORWARDED_PAIR},
    "web_urldispatcher": {"_default_expect_handler": check_expectation},
}
"""The module -> its names -> what they are."""
