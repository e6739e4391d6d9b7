"""A store of cookies: what is kept, and what is sent where (RFC 6265bis sections 5.7, 5.8).

Strategy
--------
Cookies are kept by domain, then by path and name.  A host has cookies of its own domain and
of those above it, so a request looks at as many domains as its host has labels, whatever
the number of cookies.  Time is an argument; what has expired goes when somebody looks.

Rules
-----
* A cookie without Domain goes to the host that set it only (*host-only*); with Domain, to
  that domain and its subdomains, if the host is one of them.
* A domain under which everybody can register is refused: one of a single label always,
  others if ``is_public_suffix`` says so.
* A Secure cookie comes and goes over secure channels only, and one that came over an
  insecure channel does not take the place of a Secure one (section 5.7).
* Hosts that are IP addresses have cookies only with ``allow_ip``; never with Domain.
* Domain ``""`` is for cookies that the application set: they go everywhere.
* The longest path first, then the oldest (section 5.8.3).
* Where a request has not room for all, those of the host itself come before those of the
  domains above it: who has a sibling host cannot crowd them out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from .cookies import SetCookie, expiry, keeps_prefix_promise
from .hosts import is_ip_literal

MAX_PER_DOMAIN: Final = 180
"""Above that, the domain is purged to ``PURGED_PER_DOMAIN`` (Chromium: 180, 150)."""
PURGED_PER_DOMAIN: Final = 150
MAX_COOKIES: Final = 3300
"""Above that, all are purged to ``PURGED_COOKIES`` (Chromium: 3300, 3000)."""
PURGED_COOKIES: Final = 3000
MAX_SENT: Final = 150
"""Cookies in one request."""
MAX_SENT_SIZE: Final = 8190
"""Bytes of the line ``Cookie: a=b; c=d`` (a server's usual limit of a line)."""


@dataclass(slots=True)
class Cookie:
    """A stored cookie.  Times are seconds since 1970."""

    name: str
    value: str
    domain: str
    path: str
    host_only: bool
    secure: bool
    http_only: bool
    same_site: str | None
    expires: float | None
    created: int
    """A number that grows with each cookie that is new."""
    used: int
    """A number that grows with each use."""


def specificity(cookie: Cookie) -> tuple[int, int]:
    """Return how closely a cookie fits where it is sent to: by its domain, then its path."""
    return len(cookie.domain), len(cookie.path)


def domain_matches(host: str, domain: str) -> bool:
    """Tell whether ``host`` is ``domain`` or below it (section 5.1.3)."""
    return host == domain or (host.endswith("." + domain) and not is_ip_literal(host))


def path_matches(path: str, cookie_path: str) -> bool:
    """Tell whether ``path`` is ``cookie_path`` or below it (section 5.1.4)."""
    return path.startswith(cookie_path) and (
        len(path) == len(cookie_path) or cookie_path[-1] == "/" or path[len(cookie_path)] == "/"
    )


def default_path(path: str) -> str:
    """Return the Path of a cookie that has none (section 5.1.4)."""
    return path[: path.rfind("/")] or "/" if path.startswith("/") else "/"


class CookieStore:
    """The cookies; see the module.

    Args:
        allow_ip: hosts that are IP addresses may set cookies.
        is_public_suffix: whether a domain is one under which everybody can register.
    """

    __slots__ = ("_count", "_domains", "_uses", "allow_ip", "is_public_suffix")

    def __init__(
        self,
        *,
        allow_ip: bool = False,
        is_public_suffix: Callable[[str], bool] | None = None,
    ) -> None:
        self.allow_ip = allow_ip
        self.is_public_suffix = is_public_suffix
        # Name, domain, path and host-only-flag identify a cookie (section 5.7, step 23).
        self._domains: dict[str, dict[tuple[str, str, bool], Cookie]] = {}
        self._count = 0
        self._uses = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Cookie]:
        for cookies in self._domains.values():
            yield from cookies.values()

    def set(
        self, cookie: SetCookie, *, host: str, path: str, secure: bool, now: float
    ) -> Cookie | None:
        """Store what a response of ``host`` asks for, if that is allowed.

        ``path`` is that of the request, ``secure`` whether its channel is.  An expired
        cookie removes the one that it replaces.  ``host=""``: the application sets it.
        """
        if not keeps_prefix_promise(cookie):
            return None
        scope = self._scope(cookie, host)
        if scope is None or (cookie.secure and host and not secure):
            return None
        domain, host_only = scope
        own_path = cookie.path
        if not own_path or not own_path.startswith("/"):
            own_path = default_path(path)
        if not secure and host and self._would_shadow_secure(cookie.name, domain, own_path):
            return None
        expires = expiry(cookie, now)
        key = (own_path, cookie.name, host_only)
        before = self._domains.get(domain, {}).get(key)
        if expires is not None and expires <= now:
            if before is not None:
                self.remove(before)
            return None
        self._uses += 1
        stored = Cookie(
            cookie.name,
            cookie.value,
            domain,
            own_path,
            host_only,
            cookie.secure,
            cookie.http_only,
            cookie.same_site,
            expires,
            self._uses if before is None else before.created,
            self._uses,
        )
        self.add(stored, now)
        return stored

    def add(self, cookie: Cookie, now: float) -> None:
        """Put a cookie that was stored before, in the place of one like it."""
        cookies = self._domains.setdefault(cookie.domain, {})
        key = (cookie.path, cookie.name, cookie.host_only)
        self._count += key not in cookies
        cookies[key] = cookie
        self._uses = max(self._uses, cookie.created, cookie.used)
        if len(cookies) > MAX_PER_DOMAIN:
            self.expire(now)
            if len(cookies) > MAX_PER_DOMAIN:
                self._purge(list(cookies.values()), PURGED_PER_DOMAIN)
        if self._count > MAX_COOKIES:
            self.expire(now)
            if self._count > MAX_COOKIES:
                self._purge(list(self), PURGED_COOKIES)

    def select(self, *, host: str, path: str, secure: bool, now: float) -> list[Cookie]:
        """Return the cookies to send to ``host``, in order."""
        if not self._count:
            return []
        found = list(self._domains.get("", {}).values())
        if not is_ip_literal(host):
            found += self._domains.get(host, {}).values()
            parent = host.partition(".")[2]
            while parent:
                above = self._domains.get(parent, {}).values()
                found += [cookie for cookie in above if not cookie.host_only]
                parent = parent.partition(".")[2]
        elif self.allow_ip:
            found += self._domains.get(host, {}).values()
        chosen: list[Cookie] = []
        for cookie in found:
            if cookie.expires is not None and cookie.expires <= now:
                self.remove(cookie)
            elif (secure or not cookie.secure) and path_matches(path, cookie.path):
                chosen.append(cookie)
        chosen = self._within_limits(chosen)
        chosen.sort(key=lambda cookie: (-len(cookie.path), cookie.created))
        for cookie in chosen:
            self._uses += 1
            cookie.used = self._uses
        return chosen

    def expire(self, now: float) -> None:
        """Remove what has expired."""
        for cookie in list(self):
            if cookie.expires is not None and cookie.expires <= now:
                self.remove(cookie)

    def remove(self, cookie: Cookie) -> None:
        """Remove one cookie."""
        cookies = self._domains.get(cookie.domain, {})
        if cookies.pop((cookie.path, cookie.name, cookie.host_only), None) is not None:
            self._count -= 1
            if not cookies:
                del self._domains[cookie.domain]

    def clear(self) -> None:
        """Remove all cookies."""
        self._domains.clear()
        self._count = 0

    # -- rules ----------------------------------------------------------------------

    def _scope(self, cookie: SetCookie, host: str) -> tuple[str, bool] | None:
        """Return the domain of a cookie and whether it is host-only; ``None``: refused."""
        domain = (cookie.domain or "").lower().removeprefix(".")
        if not host:
            return domain, False
        if is_ip_literal(host):
            return (host, True) if self.allow_ip and domain in ("", host) else None
        if not domain:
            return host, True
        if domain.endswith(".") or not domain_matches(host, domain):
            return None
        if "." not in domain or (self.is_public_suffix and self.is_public_suffix(domain)):
            # Section 5.7: of a public suffix only the host of that name may set a cookie,
            # and it is host-only then.
            return (host, True) if host == domain else None
        return domain, False

    def _would_shadow_secure(self, name: str, domain: str, path: str) -> bool:
        """Tell whether a Secure cookie is in the place of an insecure one (section 5.7)."""
        for cookie in self:
            if (
                cookie.secure
                and cookie.name == name
                and (domain_matches(domain, cookie.domain) or domain_matches(cookie.domain, domain))
                and path_matches(path, cookie.path)
            ):
                return True
        return False

    def _purge(self, cookies: list[Cookie], left: int) -> None:
        """Remove the least recently used, those without Secure first."""
        cookies.sort(key=lambda cookie: (cookie.secure, cookie.used))
        for cookie in cookies[: max(len(cookies) - left, 0)]:
            self.remove(cookie)

    def _within_limits(self, cookies: list[Cookie]) -> list[Cookie]:
        """Return as many as one request has, the most specific first."""
        cookies.sort(key=lambda cookie: (specificity(cookie), -cookie.created), reverse=True)
        size = len("Cookie: ") - len("; ")
        sent: list[Cookie] = []
        for cookie in cookies[:MAX_SENT]:
            size += len("; ") + _bytes(cookie.name) + len("=") + _bytes(cookie.value)
            if size > MAX_SENT_SIZE:
                break
            sent.append(cookie)
        return sent


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
