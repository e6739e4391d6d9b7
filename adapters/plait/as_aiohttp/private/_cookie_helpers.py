"""``aiohttp._cookie_helpers``: the limits of the cookies that a client takes."""

from __future__ import annotations

from plait.calls.cookies import MAX_COOKIES_PER_RESPONSE as _MAX_COOKIES_PER_RESPONSE
from plait_engine.policy.cookies import MAX_ATTRIBUTE_SIZE as _MAX_COOKIE_ATTRIBUTE_VALUE_LENGTH
from plait_engine.policy.cookies import MAX_ATTRIBUTES as _MAX_COOKIE_ATTRIBUTES

__all__ = (
    "_MAX_COOKIES_PER_RESPONSE",
    "_MAX_COOKIE_ATTRIBUTES",
    "_MAX_COOKIE_ATTRIBUTE_VALUE_LENGTH",
)
