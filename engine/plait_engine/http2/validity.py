"""Which heads and trailers make a valid message (RFC 9113 section 8); here: received.

Strategy
--------
``HeadReader`` turns the fields of a header block into a head, or raises RemoteProtocolError
of stream scope: the message is *malformed* (section 8.1.1), its stream is reset and the
application never sees it.  ``fields`` has the rules for names and values, this module those
for pseudo-header fields; ``outgoing`` holds what we send to the same rules.

What repeats is looked up.  The decoder returns the same list for a header block that
repeats, so a head is found by the identity of its list.  And a request that differs from
another in nothing but its target has the same head: it is found by the other fields.

Rules
-----
* 8.3: pseudo-header fields come first, once each, and only those defined for the message.
* 8.3.1: ``:method``, ``:scheme`` and ``:path`` are mandatory, ``:path`` is in origin form or
  ``*`` for OPTIONS; ``:authority`` or ``host`` is there, and they agree.  The scheme is
  ``http`` or ``https``, whatever the transport is (a proxy may have ended TLS); whether it
  fits is for the application to say.
* 8.3.2: ``:status`` is mandatory and has three digits.
* RFC 9110 section 5.3: a request has no second line of a field that is no list.
* 8.5: CONNECT has ``:authority`` with a port and neither ``:scheme`` nor ``:path``.
  RFC 8441 section 4: with ``:protocol`` it has all of them.
* 8.6: no 101.
* 8.1: trailers have no pseudo-header fields; those that are forbidden there are dropped.

Limits: ``_KEPT`` heads a connection, of header blocks of ``KEPT_SIZE`` bytes that
have no never-indexed field; of others nothing is remembered.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from plait_engine.config import Config
from plait_engine.headers import FORBIDDEN_TRAILERS, Headers, is_token
from plait_engine.semantics.authority import DEFAULT_PORTS, is_authority, same_authority
from plait_engine.semantics.cache import keep
from plait_engine.semantics.fields import find_repeated_singleton
from plait_engine.semantics.message import NO_LENGTH
from plait_engine.semantics.targets import is_origin_form

from .fields import Fields, Section, malformed, read_section

_STATUSES: Final = {str(status): status for status in range(100, 1000)}

_REQUEST_PSEUDO: Final = frozenset({":method", ":scheme", ":authority", ":path", ":protocol"})
_RESPONSE_PSEUDO: Final = frozenset({":status"})
_NO_PSEUDO: Final[frozenset[str]] = frozenset()
_KEPT: Final = 64
KEPT_SIZE: Final = 1024


class RequestHead:
    """A valid request head, but for its target.

    ``is_simple``: it asks for nothing but an ordinary response; if END_STREAM comes with
    it, the request needs no further look.
    """

    __slots__ = (
        "authority",
        "content_encoding",
        "content_length",
        "expect",
        "expects_continue",
        "headers",
        "is_simple",
        "is_tunnel",
        "method",
        "priority",
        "protocol",
        "scheme",
    )

    def __init__(self, pseudo: dict[str, str], section: Section) -> None:
        self.method = pseudo.get(":method", "")
        self.scheme = pseudo.get(":scheme", "")
        self.authority = pseudo.get(":authority", section.host or "")
        self.protocol = pseudo.get(":protocol")
        self.headers = section.headers
        self.expect = section.expect
        self.content_encoding = section.content_encoding
        self.expects_continue = section.expects_continue
        self.priority = section.priority
        self.is_tunnel = self.method == "CONNECT"
        # RFC 9110 section 9.3.6: a request for a tunnel has no content.
        self.content_length = NO_LENGTH if self.is_tunnel else section.content_length
        self.is_simple = (
            self.method not in ("CONNECT", "HEAD")
            and self.content_length <= 0
            and self.priority is None
        )


KnownRequest: TypeAlias = tuple[Fields, RequestHead, str]
"""What a request was read from, its head and its target."""


class ResponseHead:
    """A valid response head.  ``fields`` is what it was made from."""

    __slots__ = ("content_length", "fields", "headers", "status")

    def __init__(self, fields: Fields, status: int, section: Section) -> None:
        self.fields = fields
        self.status = status
        self.headers = section.headers
        self.content_length = section.content_length


class HeadReader:
    """Reads the heads of one connection."""

    __slots__ = ("_config", "_request_heads", "_requests", "_responses")

    def __init__(self, config: Config) -> None:
        self._config = config
        # By the identity of the decoder's list, which is kept alive; by the fields but ``:path``.
        self._requests: dict[int, KnownRequest] = {}
        self._request_heads: dict[tuple[tuple[str, str], ...], RequestHead] = {}
        self._responses: dict[int, ResponseHead] = {}

    def known_request(self, fields: Fields, keeps: bool) -> KnownRequest | None:
        """Return a request like one that was read before, whatever its target is.

        ``None`` for any other; ``request`` reads it.
        """
        known = self._requests.get(id(fields))
        if known is None:
            others, target = _split_target(fields)
            head = self._request_heads.get(others)
            if head is None or not is_origin_form(target):
                return None
            known = fields, head, target
            if keeps:
                keep(self._requests, id(fields), known, _KEPT)
        return known

    def request(self, fields: Fields, keeps: bool) -> KnownRequest:
        """Return the head of a request and its target.  ``keeps``: they may be remembered.

        Raises RemoteProtocolError when it is malformed.
        """
        pseudo = _read_pseudo(fields, _REQUEST_PSEUDO)
        section = read_section(fields[len(pseudo) :])
        repeated = find_repeated_singleton(fields)
        if repeated is not None:
            malformed(f"more than one {repeated} field")
        head = RequestHead(pseudo, section)
        self._check_request(head, pseudo)
        host = section.host
        if host == "":
            malformed("host is empty")
        if host is not None and not same_authority(head.authority, host, head.scheme):
            malformed(f"host {host!r} is not :authority {head.authority!r}")
        # RFC 9110 section 7.1: CONNECT asks for an authority.
        known = fields, head, pseudo.get(":path", head.authority)
        if keeps:
            keep(self._requests, id(fields), known, _KEPT)
            if ":path" in pseudo:
                keep(self._request_heads, _split_target(fields)[0], head, _KEPT)
        return known

    def response(self, fields: list[tuple[str, str]], keeps: bool) -> ResponseHead:
        """Return the head of a response.  ``keeps``: it may be remembered.

        Raises RemoteProtocolError when it is malformed.
        """
        head = self._responses.get(id(fields))
        if head is None:
            pseudo = _read_pseudo(fields, _RESPONSE_PSEUDO)
            text = pseudo.get(":status", "")
            status = _STATUSES.get(text)
            if status is None:
                malformed(f"the status is {text!r}" if text else "a response has no :status")
            if status == 101:
                malformed("the status is 101, which HTTP/2 does not have")  # section 8.6
            head = ResponseHead(fields, status, read_section(fields[1:]))
            if keeps:
                keep(self._responses, id(fields), head, _KEPT)
        return head

    def trailers(self, fields: list[tuple[str, str]]) -> Headers:
        """Return the trailers.  Raises RemoteProtocolError when they are malformed."""
        _read_pseudo(fields, _NO_PSEUDO)
        headers = read_section(fields).headers
        return [field for field in headers if field[0] not in FORBIDDEN_TRAILERS]

    def _check_request(self, head: RequestHead, pseudo: dict[str, str]) -> None:
        """RFC 9113 sections 8.3.1 and 8.5, RFC 8441 section 4."""
        if not is_token(head.method):
            if not head.method:
                malformed("a request has no :method")
            malformed(f"the method is {head.method!r}")
        if head.is_tunnel:
            self._check_connect(head, pseudo)
        elif head.protocol is not None:
            malformed("a request other than CONNECT has :protocol")
        else:
            _check_scheme_and_path(head, pseudo)
        if not is_authority(head.authority, needs_port=head.is_tunnel and head.protocol is None):
            malformed(f"the authority is {head.authority!r}")

    def _check_connect(self, head: RequestHead, pseudo: dict[str, str]) -> None:
        if ":authority" not in pseudo:
            malformed("CONNECT has no :authority")
        if head.protocol is None:
            if ":scheme" in pseudo or ":path" in pseudo:
                malformed("CONNECT has :scheme or :path")
            head.scheme = self._config.scheme
            return
        if not self._config.enable_connect_protocol:
            malformed("extended CONNECT was not offered")
        if not is_token(head.protocol):
            malformed(f"the protocol is {head.protocol!r}")
        head.protocol = head.protocol.lower()
        _check_scheme_and_path(head, pseudo)


def _split_target(fields: Fields) -> tuple[tuple[tuple[str, str], ...], str]:
    """Return all fields but ``:path``, and its value; nothing, if it is not where it should be."""
    for index, (name, value) in enumerate(fields):
        if name == ":path":
            return (*fields[:index], *fields[index + 1 :]), value
        if name[:1] != ":":
            break
    return (), ""


def _read_pseudo(fields: Fields, allowed: frozenset[str]) -> dict[str, str]:
    """Return the pseudo-header fields, which come first (section 8.3)."""
    pseudo: dict[str, str] = {}
    for name, value in fields:
        if name[:1] != ":":
            break
        if name not in allowed:
            malformed(f"the pseudo-header field {name!r} is not defined here")
        if name in pseudo:
            malformed(f"{name} comes twice")
        pseudo[name] = value
    return pseudo


def _check_scheme_and_path(head: RequestHead, pseudo: dict[str, str]) -> None:
    """RFC 9113 section 8.3.1."""
    if head.scheme not in DEFAULT_PORTS:
        head.scheme = head.scheme.lower()
        if head.scheme not in DEFAULT_PORTS:
            malformed(f"the scheme is {head.scheme!r}")
    path = pseudo.get(":path", "")
    if not is_origin_form(path) and (path != "*" or head.method != "OPTIONS"):
        malformed(f"the path is {path!r}" if path else "a request has no :path")
