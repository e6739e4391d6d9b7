"""``aiohttp._cookie_helpers``: the cookies that a client takes, and their limits."""

from __future__ import annotations

from collections.abc import Sequence
from http.cookies import Morsel

from plait.calls.cookies import MAX_COOKIES_PER_RESPONSE as _MAX_COOKIES_PER_RESPONSE
from plait.calls.cookies import parse_set_cookies
from plait_engine.policy.cookies import MAX_ATTRIBUTE_SIZE as _MAX_COOKIE_ATTRIBUTE_VALUE_LENGTH
from plait_engine.policy.cookies import MAX_ATTRIBUTES as _MAX_COOKIE_ATTRIBUTES

__all__ = (
    "_MAX_COOKIES_PER_RESPONSE",
    "_MAX_COOKIE_ATTRIBUTES",
    "_MAX_COOKIE_ATTRIBUTE_VALUE_LENGTH",
    "parse_set_cookie_headers",
)


def parse_set_cookie_headers(headers: Sequence[str]) -> list[tuple[str, Morsel[str]]]:
    """Return the cookies of Set-Cookie fields by name."""
    return list(parse_set_cookies(headers).items())
