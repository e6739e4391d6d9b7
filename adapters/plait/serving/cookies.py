"""The cookies that a response sets (RFC 6265bis section 4.1)."""

from __future__ import annotations

import re
from http.cookies import CookieError, SimpleCookie
from typing import Any

# RFC 6265bis section 4.1.1: an attribute's value has no control characters and no ";".
_find_attribute_end = re.compile(r"[\x00-\x1f\x7f;]").search

_LONG_AGO = "Thu, 01 Jan 1970 00:00:00 GMT"


class CookieMixin:
    """Set-Cookie for responses.

    ``cookies`` is made when first asked for: most responses set none.
    """

    _cookies: SimpleCookie | None = None

    @property
    def cookies(self) -> SimpleCookie:
        """The cookies that the response sets."""
        cookies = self._cookies
        if cookies is None:
            cookies = self._cookies = SimpleCookie()
        return cookies

    def set_cookie(
        self,
        name: str,
        value: str,
        *,
        expires: str | None = None,
        domain: str | None = None,
        max_age: int | str | None = None,
        path: str = "/",
        secure: bool | None = None,
        httponly: bool | None = None,
        version: str | None = None,
        samesite: str | None = None,
        partitioned: bool | None = None,
    ) -> None:
        """Set the cookie ``name``.  ``None`` leaves an attribute out.

        Raises http.cookies.CookieError for a name that a cookie cannot have, and for an
        attribute with a character that would end it.
        """
        cookies = self.cookies
        # A cookie that was deleted before would keep its expiry.
        cookies.pop(name, None)
        cookies[name] = value
        morsel = cookies[name]
        attributes: dict[str, Any] = {
            # Flags are true, not text: Any.
            "expires": expires,
            "domain": domain,
            "max-age": None if max_age is None else str(max_age),
            "path": path,
            "secure": secure,
            "httponly": httponly,
            "version": version,
            "samesite": samesite,
        }
        for key, text in attributes.items():
            if isinstance(text, str) and _find_attribute_end(text):
                raise CookieError(f"illegal character in the attribute {key}: {text!r}")
        morsel.update({key: value for key, value in attributes.items() if value is not None})
        if partitioned:
            # http.cookies knows the attribute only since Python 3.14.
            morsel._reserved.setdefault("partitioned", "partitioned")  # type: ignore[attr-defined]
            morsel._flags.add("partitioned")  # type: ignore[attr-defined]  # likewise
            dict.__setitem__(morsel, "partitioned", True)

    def del_cookie(
        self,
        name: str,
        *,
        domain: str | None = None,
        path: str = "/",
        secure: bool | None = None,
        httponly: bool | None = None,
        samesite: str | None = None,
    ) -> None:
        """Ask the client to forget the cookie ``name``."""
        self.cookies.pop(name, None)
        self.set_cookie(
            name,
            "",
            expires=_LONG_AGO,
            domain=domain,
            max_age=0,
            path=path,
            secure=secure,
            httponly=httponly,
            samesite=samesite,
        )

    def _cookie_fields(self) -> list[str]:
        """Return the values of the Set-Cookie fields."""
        if self._cookies is None:
            return []
        return [morsel.OutputString() for morsel in self._cookies.values()]
