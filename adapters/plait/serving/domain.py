"""Rules that choose a sub-application by what a request says, such as its host."""

from __future__ import annotations

import abc
import fnmatch
import re
from typing import TYPE_CHECKING, Any, ClassVar

from yarl import URL

from plait import hdrs

if TYPE_CHECKING:
    from plait.web_request import Request


class AbstractRuleMatching(abc.ABC):
    """A rule that a request satisfies or not."""

    @abc.abstractmethod
    async def match(self, request: Request) -> bool:
        """Tell whether ``request`` satisfies the rule."""

    @abc.abstractmethod
    def get_info(self) -> dict[str, Any]:
        """Return a description of the rule, of any shape."""

    @property
    @abc.abstractmethod
    def canonical(self) -> str:
        """The rule as text."""


class Domain(AbstractRuleMatching):
    """A host, on any port unless one is given.

    Raises TypeError for what is no text, ValueError for what is no host.
    """

    re_part: ClassVar[re.Pattern[str]] = re.compile(r"(?!-)[a-z\d-]{1,63}(?<!-)")

    def __init__(self, domain: str) -> None:
        super().__init__()
        self._domain = self.validation(domain)

    @property
    def canonical(self) -> str:
        """The host in lower case and ASCII, and the port if it is not 80."""
        return self._domain

    def validation(self, domain: str) -> str:
        """Return ``domain`` as hosts are compared.  Raises TypeError or ValueError."""
        if not isinstance(domain, str):
            raise TypeError(f"domain must be a str, not {type(domain).__name__}")
        domain = domain.rstrip(".").lower()
        if not domain:
            raise ValueError("domain is empty: give a host name")
        if "://" in domain:
            raise ValueError("domain is a host name: leave the scheme out")
        url = URL(f"http://{domain}")
        host = url.raw_host or ""
        is_host = url.raw_path in ("", "/") and not (url.query_string or url.fragment or url.user)
        if not is_host or not all(map(self.re_part.fullmatch, host.split("."))):
            raise ValueError("Domain not valid")
        return host if url.port == 80 else f"{host}:{url.port}"

    async def match(self, request: Request) -> bool:
        """Tell whether ``request`` is for this host."""
        return self.match_domain(request.headers.get(hdrs.HOST, ""))

    def match_domain(self, host: str) -> bool:
        """Tell whether ``host``, perhaps with a port, is this one."""
        name, port = _split(host)
        return self._domain in (name, f"{name}:{port}")

    def get_info(self) -> dict[str, Any]:
        """Return the host."""
        return {"domain": self._domain}


class MaskDomain(Domain):
    """Hosts by a mask, in which ``*`` stands for any characters."""

    re_part: ClassVar[re.Pattern[str]] = re.compile(r"(?!-)[a-z\d\*-]{1,63}(?<!-)")

    def __init__(self, domain: str) -> None:
        super().__init__(domain)
        mask, _, self._port = self._domain.partition(":")
        self._matches = re.compile(fnmatch.translate(mask)).match

    @property
    def canonical(self) -> str:
        """The mask as a regular expression."""
        return self._domain.replace(".", r"\.").replace("*", "[^:]*") + "(:.*)?"

    def match_domain(self, host: str) -> bool:
        """Tell whether ``host``, perhaps with a port, has this mask."""
        name, port = _split(host)
        return self._port in ("", port) and self._matches(name) is not None


def _split(host: str) -> tuple[str, str]:
    """Return the name, in lower case and without the dot of its root, and the port."""
    name, _, port = host.lower().partition(":")
    return name.removesuffix("."), port
