"""Digest access authentication of a client (RFC 7616), without I/O.

A server answers 401 with a challenge; the client proves with a hash that it knows the password,
and never sends it::

      DigestAuth.on_request(url)                       -> authorize it before it is asked?
      DigestAuth.on_challenge(WWW-Authenticate, url)   -> is there anything to answer?
      DigestAuth.authorize(method, url, content)       -> the value of Authorization, or None

Rules
-----
* Of several challenges the first one counts that can be answered: algorithm and qop known
  (section 3.7: a server lists the one it prefers first).
* ``nc`` counts the requests with a nonce (section 3.4).  A new nonce begins at 1.
* A challenge that follows an answer is not answered again, or the two would never stop; but
  ``stale=true`` says that only the nonce was too old (section 3.3).  So does a nonce that is not
  the one of the answer: there are servers that forget nonces, or take each once, and say nothing.
  Whoever sends the requests answers one challenge for each of them.
* A challenge protects a space: the URIs of ``domain``, or the whole origin (section 3.3).  Inside
  it the next requests are authorized before anybody asks.
* The password is for the origin of the first request, and for what that one says it protects.
  Another origin, to which a redirect may have led, is not answered: its hash could be tried
  against all passwords of a list.
* ``qop=auth`` is taken if it is offered, else ``auth-int``, which hashes the content too.
* What stands between the quotes of the field is escaped (RFC 9110 section 5.6.4).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple
from urllib.parse import urljoin, urlsplit

from plait_engine.headers import TOKEN_CHARS

HASHES: Final[dict[str, str]] = {
    "MD5": "md5",
    "SHA": "sha1",
    "SHA-256": "sha256",
    "SHA256": "sha256",
    "SHA-512": "sha512",
    "SHA512": "sha512",
    "SHA-512-256": "sha512_256",
}
"""The algorithms (RFC 7616 section 6.1, and those that servers have been seen with), and what
hashlib calls them.  Each has a variant with ``-SESS``."""

_CNONCE_BYTES: Final = 18

_TOKEN: Final = f"[{TOKEN_CHARS}]+"
PARAMETER: Final = re.compile(
    rf'\s*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))\s*(?=,|$)', re.DOTALL
)
_SCHEME: Final = re.compile(rf"\s*({_TOKEN})(?=\s|,|$)")
_URI: Final = re.compile(r"[!#$%&'()*+,\-./:;=?@_~\[\]0-9A-Za-z]+")  # RFC 3986 section 2
_TOKEN68: Final = re.compile(r"\s+[A-Za-z0-9\-._~+/]+=*\s*(?=,|$)")


class Challenge(NamedTuple):
    """One challenge of WWW-Authenticate: its scheme and its parameters, both in lower case."""

    scheme: str
    parameters: dict[str, str]


def parse_challenges(values: Iterable[str]) -> Iterator[Challenge]:
    """Yield the challenges of WWW-Authenticate fields (RFC 9110 section 11.6.1).

    What follows something that is none is left out.
    """
    for value in values:
        position, found = 0, None
        while position < len(value):
            parameter = PARAMETER.match(value, position)
            if parameter is not None and found is not None:
                name, quoted, token = parameter.groups()
                text = token if quoted is None else re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)
                found.parameters.setdefault(name.lower(), text)
                position = parameter.end() + 1
                continue
            scheme = _SCHEME.match(value, position)
            if scheme is None:
                if value[position] not in ", \t":
                    break
                position += 1
                continue
            if found is not None:
                yield found
            found = Challenge(scheme[1].lower(), {})
            position = scheme.end()
            token68 = _TOKEN68.match(value, position)
            if token68 is not None and PARAMETER.match(value, position) is None:
                position = token68.end() + 1
        if found is not None:
            yield found


class _Answerable(NamedTuple):
    """A challenge that can be answered."""

    realm: str
    nonce: str
    algorithm: str | None
    hash_name: str
    is_session: bool
    qop: str | None
    opaque: str | None
    userhash: bool
    space: tuple[str, ...]

    def hash(self, text: str | bytes) -> str:
        # Bytes of the server that are no UTF-8 are in the text as surrogates.
        data = text.encode(errors="surrogateescape") if isinstance(text, str) else text
        return hashlib.new(self.hash_name, data, usedforsecurity=False).hexdigest()


class DigestAuth:
    """Answers the challenges to one user; see the module.

    Args:
        login, password: those of the user.
        random: returns so many unpredictable bytes.

    Raises ValueError for a login with a colon, which the hash could not tell from the end of
    the login (section 3.4.2).
    """

    def __init__(self, login: str, password: str, random: Callable[[int], bytes]) -> None:
        if ":" in login:
            raise ValueError('A ":" is not allowed in username (RFC 7616 section 3.4.2)')
        self._login = login
        self._password = password
        self._random = random
        self._home: str | None = None
        self._challenge: _Answerable | None = None
        self._count = 0

    def on_request(self, url: str) -> bool:
        """A request for ``url`` begins; tell whether it is in the space of the last challenge."""
        if self._home is None:
            self._home = urljoin(url, "/")
        return self.protects(url)

    def on_challenge(self, values: Iterable[str], url: str, *, answered: bool) -> bool:
        """A request for ``url`` got 401 with these WWW-Authenticate fields.

        ``answered``: it had been authorized.  Return whether it is worth to send it again, with
        ``authorize``.
        """
        before = self._challenge
        is_home = self._home is None or _is_within(url, self._home)
        if not is_home and not self.protects(url):
            return False
        for challenge in parse_challenges(values):
            if challenge.scheme != "digest":
                continue
            answerable = _read(challenge.parameters, url)
            if answerable is None:
                continue
            if before is not None and not is_home:
                # What else is protected is not for those to say who are it themselves.
                answerable = answerable._replace(space=before.space)
            is_new = before is None or before.nonce != answerable.nonce
            if is_new:
                self._count = 0
            self._challenge = answerable
            is_stale = challenge.parameters.get("stale", "").lower() == "true"
            return not answered or is_new or is_stale
        return False

    def protects(self, url: str) -> bool:
        """Tell whether ``url`` is in the space of the last challenge."""
        challenge = self._challenge
        return challenge is not None and any(_is_within(url, root) for root in challenge.space)

    @property
    def needs_content(self) -> bool:
        """Tell whether the last challenge wants the content hashed, too."""
        return self._challenge is not None and self._challenge.qop == "auth-int"

    def authorize(self, method: str, target: str, content: bytes = b"") -> str | None:
        """Return the Authorization of a request, ``None`` before there was a challenge.

        ``target``: the request target, as it is sent.
        """
        challenge = self._challenge
        if challenge is None:
            return None
        self._count += 1
        count = f"{self._count:08x}"
        cnonce = base64.b64encode(self._random(_CNONCE_BYTES)).decode()
        digest = challenge.hash
        # Section 3.4.2.
        secret = f"{self._login}:{challenge.realm}:{self._password}"
        if challenge.is_session:
            secret = f"{digest(secret)}:{challenge.nonce}:{cnonce}"
        # Section 3.4.3.
        request = f"{method}:{target}"
        if challenge.qop == "auth-int":
            request = f"{request}:{digest(content)}"
        # Section 3.4.1; without qop as in RFC 2069, which old servers speak.
        middle = challenge.nonce
        if challenge.qop is not None:
            middle = f"{challenge.nonce}:{count}:{cnonce}:{challenge.qop}"
        response = digest(f"{digest(secret)}:{middle}:{digest(request)}")
        # Section 3.4.4.
        user = digest(f"{self._login}:{challenge.realm}") if challenge.userhash else self._login
        fields = [
            f'username="{escape_quoted(user)}"',
            f'realm="{escape_quoted(challenge.realm)}"',
            f'nonce="{escape_quoted(challenge.nonce)}"',
            f'uri="{escape_quoted(target)}"',
            f'response="{response}"',
        ]
        if challenge.algorithm is not None:
            fields.append(f"algorithm={challenge.algorithm}")
        if challenge.opaque is not None:
            fields.append(f'opaque="{escape_quoted(challenge.opaque)}"')
        if challenge.qop is not None:
            fields += [f"qop={challenge.qop}", f"nc={count}", f'cnonce="{cnonce}"']
        if challenge.userhash:
            fields.append("userhash=true")
        return f"Digest {', '.join(fields)}"


def _read(parameters: dict[str, str], url: str) -> _Answerable | None:
    """Return what can be answered of a challenge to a request for ``url``."""
    realm, nonce = parameters.get("realm"), parameters.get("nonce")
    if realm is None or not nonce:
        return None
    algorithm = parameters.get("algorithm")
    name = (algorithm or "MD5").upper()
    base = name.removesuffix("-SESS")
    hash_name = HASHES.get(base)
    if hash_name is None or hash_name not in hashlib.algorithms_available:
        return None
    qop = None
    if offered := parameters.get("qop"):
        options = {option.strip().lower() for option in offered.split(",")}
        qop = next((known for known in ("auth", "auth-int") if known in options), None)
        if qop is None:
            return None
    roots = (_root(url, text) for text in parameters.get("domain", "").split())
    space = tuple(root for root in roots if root is not None)
    return _Answerable(
        realm,
        nonce,
        algorithm,
        hash_name,
        base != name,
        qop,
        parameters.get("opaque"),
        parameters.get("userhash", "").lower() == "true",
        space or (urljoin(url, "/"),),
    )


def _root(url: str, text: str) -> str | None:
    """Return the URL that a member of ``domain`` is, from ``url``; ``None``: it is none."""
    if _URI.fullmatch(text) is None:
        return None
    try:
        root = urljoin(url, text)
        urlsplit(root)
    except ValueError:
        return None
    return root


def _is_within(url: str, root: str) -> bool:
    """Tell whether ``url`` is ``root``, or below it in its path."""
    ours, theirs = urlsplit(url), urlsplit(root)
    if (ours.scheme, ours.netloc.lower()) != (theirs.scheme, theirs.netloc.lower()):
        return False
    path = theirs.path.rstrip("/")
    return ours.path == path or ours.path.startswith(f"{path}/")


def escape_quoted(text: str) -> str:
    """Return what stands for ``text`` between quotes (RFC 9110 section 5.6.4)."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
