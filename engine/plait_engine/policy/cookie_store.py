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
  domains above it: who has a sibling host cannot crowd them out.  Of those that fit equally
  well, the newest come first.
* A domain that is full makes room by dropping cookies without Secure; Secure ones only make
  room for another Secure one (section 5.7).
* Nothing is dropped without a word to ``tell``.

Speed
-----
What a host and path get is remembered until a cookie changes or the first of them expires, so
a request that follows another one like it sorts and matches nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final, NamedTuple

from .cookies import MAX_AGE, SetCookie, expiry, is_sendable, keeps_prefix_promise
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
MAX_REMEMBERED: Final = 256
"""Selections that are kept; see Speed."""


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
    partitioned: bool = False
    form: Any = field(default=None, compare=False, repr=False)
    """What the user of the store made of this cookie and wants to find again (hence Any)."""


class _Selection(NamedTuple):
    """What was found for a host and path."""

    cookies: Sequence[Cookie]
    until: float
    """When the first of them expires."""


def specificity(cookie: Cookie) -> tuple[int, int, bool]:
    """Return how closely a cookie fits where it is sent to: by its domain, then its path."""
    return len(cookie.domain), len(cookie.path), cookie.host_only


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
        one_per_name: of cookies with one name, a request gets the most specific alone; the RFC
            sends them all.  So that the newest is not hidden, a host that sets a cookie for its
            own domain replaces one with the same path and name, host-only or not; hosts below
            it cannot replace its host-only ones.
        tell: is given a sentence for each cookie that is refused, dropped or not sent.
    """

    __slots__ = (
        "_count",
        "_domains",
        "_remembered",
        "_uses",
        "allow_ip",
        "is_public_suffix",
        "one_per_name",
        "tell",
    )

    def __init__(
        self,
        *,
        allow_ip: bool = False,
        is_public_suffix: Callable[[str], bool] | None = None,
        one_per_name: bool = False,
        tell: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.allow_ip = allow_ip
        self.is_public_suffix = is_public_suffix
        self.one_per_name = one_per_name
        self.tell = tell
        # Name, domain, path and host-only-flag identify a cookie (section 5.7, step 23).
        self._domains: dict[str, dict[tuple[str, str, bool], Cookie]] = {}
        self._count = 0
        self._uses = 0
        self._remembered: dict[tuple[str, str, bool], _Selection] = {}

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Cookie]:
        for cookies in self._domains.values():
            yield from cookies.values()

    def set(
        self,
        cookie: SetCookie,
        *,
        host: str,
        path: str,
        secure: bool,
        now: float,
        deadline: float | None = None,
    ) -> Cookie | None:
        """Store what a response of ``host`` asks for, if that is allowed.

        ``path`` is that of the request, ``secure`` whether its channel is.  An expired
        cookie removes the one that it replaces.  ``host=""``: the application sets it.
        ``deadline`` is when the cookie expires, in seconds since 1970, whatever it says itself.
        """
        scope = self._scope(cookie, host)
        problem = self._problem(cookie, host, secure)
        if scope is None:
            problem = "its domain is refused"
        if problem:
            self.tell(f"Dropped cookie {cookie.name!r} for {host}: {problem}")
            return None
        assert scope is not None
        domain, host_only = scope
        own_path = cookie.path
        if not own_path or not own_path.startswith("/"):
            own_path = default_path(path)
        if not secure and host and self._would_shadow_secure(cookie.name, domain, own_path):
            self.tell(f"Dropped cookie {cookie.name!r} for {host}: a Secure one is there")
            return None
        expires = expiry(cookie, now) if deadline is None else min(deadline, now + MAX_AGE)
        if self.one_per_name and host == domain:
            self._remove_at(domain, own_path, cookie.name, not host_only)
        before = self._domains.get(domain, {}).get((own_path, cookie.name, host_only))
        if expires is not None and expires <= now:
            if before is not None:
                self.remove(before)
            return None
        if before is None and not self._make_room(domain, cookie, now):
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
            cookie.partitioned,
        )
        if before is not None and _is_renewed(before, stored):
            before.used = self._uses
            return before
        self._domains.setdefault(domain, {})[own_path, cookie.name, host_only] = stored
        self._count += before is None
        self._remembered.clear()
        return stored

    def replace(self, other: CookieStore) -> None:
        """Take over the cookies of ``other``, which is not used any more."""
        self._domains = other._domains
        self._count = other._count
        self._uses = other._uses
        self._remembered.clear()

    def select(self, *, host: str, path: str, secure: bool, now: float) -> Sequence[Cookie]:
        """Return the cookies to send to ``host``, in order."""
        if not self._count:
            return ()
        selection = self._remembered.get((host, path, secure))
        if selection is None or selection.until <= now:
            selection = self._select(host, path, secure, now)
        self._uses += 1
        for cookie in selection.cookies:
            cookie.used = self._uses
        return selection.cookies

    def _select(self, host: str, path: str, secure: bool, now: float) -> _Selection:
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
        until = inf
        for cookie in found:
            if cookie.expires is not None and cookie.expires <= now:
                self.remove(cookie)
            elif (secure or not cookie.secure) and path_matches(path, cookie.path):
                chosen.append(cookie)
                if cookie.expires is not None:
                    until = min(until, cookie.expires)
        if self.one_per_name:
            chosen = list({c.name: c for c in sorted(chosen, key=specificity)}.values())
        cookies, is_whole = self._within_limits(chosen, host)
        cookies.sort(key=lambda cookie: (-len(cookie.path), cookie.created))
        selection = _Selection(cookies, until)
        if is_whole:
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[host, path, secure] = selection
        return selection

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
            self._remembered.clear()
            if not cookies:
                del self._domains[cookie.domain]

    def _remove_at(self, domain: str, path: str, name: str, host_only: bool) -> None:
        cookie = self._domains.get(domain, {}).get((path, name, host_only))
        if cookie is not None:
            self.remove(cookie)

    def clear(self) -> None:
        """Remove all cookies."""
        self._domains.clear()
        self._remembered.clear()
        self._count = 0

    # -- rules ----------------------------------------------------------------------

    @staticmethod
    def _problem(cookie: SetCookie, host: str, secure: bool) -> str | None:
        """Return what is wrong with a cookie itself."""
        if not is_sendable(cookie):
            return "it cannot be sent in a Cookie field"
        if not keeps_prefix_promise(cookie):
            return "it lacks what the prefix of its name promises"
        if cookie.secure and host and not secure:
            return "it is Secure, and the channel is not"
        return None

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
        return any(
            cookie.secure and cookie.name == name and path_matches(path, cookie.path)
            for other, cookies in self._domains.items()
            if domain_matches(domain, other) or domain_matches(other, domain)
            for cookie in cookies.values()
        )

    def _make_room(self, domain: str, cookie: SetCookie, now: float) -> bool:
        """Make room for a cookie that is new to ``domain``; tell whether there is any."""
        if len(self._domains.get(domain, {})) >= MAX_PER_DOMAIN or self._count >= MAX_COOKIES:
            self.expire(now)
        cookies = self._domains.get(domain, {}).values()
        if len(cookies) >= MAX_PER_DOMAIN:
            candidates = [other for other in cookies if not other.secure]
            if not candidates and cookie.secure:
                candidates = list(cookies)
            if not candidates:
                self.tell(f"Dropped cookie {cookie.name!r} for {domain}: it is full of Secure ones")
                return False
            excess = len(cookies) + 1 - PURGED_PER_DOMAIN
            self._purge(candidates, excess, f"{domain} has {MAX_PER_DOMAIN} of them")
        if self._count >= MAX_COOKIES:
            excess = self._count + 1 - PURGED_COOKIES
            self._purge(self, excess, f"there are {MAX_COOKIES} of them")
        return True

    def _purge(self, cookies: Iterable[Cookie], number: int, reason: str) -> None:
        """Remove ``number`` of ``cookies``: those without Secure first, then the least used."""
        order = sorted(cookies, key=lambda cookie: (cookie.secure, cookie.used))
        for cookie in order[:number]:
            self.remove(cookie)
        self.tell(f"Removed cookies: {len(order[:number])}, for {reason}")

    def _within_limits(self, cookies: list[Cookie], host: str) -> tuple[list[Cookie], bool]:
        """Return as many as one request has, the best first, and whether these are all."""
        if len(cookies) <= MAX_SENT and _field_size(cookies) <= MAX_SENT_SIZE:
            return cookies, True
        cookies.sort(key=lambda cookie: (specificity(cookie), cookie.created), reverse=True)
        room = MAX_SENT_SIZE - _field_size(())
        sent: list[Cookie] = []
        for cookie in cookies:
            size = _pair_size(cookie)
            if len(sent) < MAX_SENT and size <= room:
                sent.append(cookie)
                room -= size
        self.tell(
            f"Did not send all cookies to {host}: {len(cookies) - len(sent)} are left out, for a"
            f" request has {MAX_SENT} at most, in {MAX_SENT_SIZE} bytes"
        )
        return sent, False


def _is_renewed(before: Cookie, after: Cookie) -> bool:
    """Tell whether ``after`` is ``before`` and only lives longer, and note that in ``before``.

    What was selected holds on then: it looked at an expiry that is earlier.
    """
    for name in ("value", "secure", "http_only", "same_site", "partitioned"):
        if getattr(before, name) != getattr(after, name):
            return False
    if before.expires is not None and after.expires is not None:
        if after.expires < before.expires:
            return False
        before.expires = after.expires
        return True
    return before.expires is after.expires


def _field_size(cookies: Sequence[Cookie]) -> int:
    """Return the bytes of the line with these cookies."""
    return len("Cookie: ") - len("; ") + sum(map(_pair_size, cookies))


def _pair_size(cookie: Cookie) -> int:
    return len("; ") + _bytes(cookie.name) + len("=") + _bytes(cookie.value)


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogateescape"))
