"""What a response says about itself: status, header fields, framing, and the mapping.

``ResponseHead`` is the half of a ``StreamResponse`` that needs no request and sends
nothing.  Its header multidict is made only if somebody looks at it: until then the status
and the type of a plain response are two attributes (see ``web_response``).
"""

from __future__ import annotations

import enum
import warnings
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TypeVar

from multidict import CIMultiDict

from plait_engine.http1.status import REASONS

from . import hdrs
from .helpers import (
    ETag,
    HeadersMixin,
    parse_etag,
    parse_http_date,
    validate_etag_value,
)
from .serving.cookies import CookieMixin
from .serving.keyed_state import KeyedState
from .typedefs import LooseHeaders

__all__ = ("ContentCoding", "ResponseHead")

_T = TypeVar("_T")


class ContentCoding(enum.Enum):
    """The codings that a response can be compressed with, in the order of preference."""

    deflate = "deflate"
    gzip = "gzip"
    identity = "identity"


def join_type(content_type: str, charset: str | None) -> str:
    return content_type if charset is None else f"{content_type}; charset={charset}"


class ResponseHead(KeyedState, HeadersMixin, CookieMixin):
    """The head of a response, and the mapping that a response is.

    Args:
        status: the status code.
        reason: the reason phrase of HTTP/1.1; the standard one by default.  Raises
            ValueError when it has a CR or LF.
        headers: header fields.
    """

    _status: int
    # What most responses do not have is a default of the class, not of each instance.
    _reason: str | None = None
    _multidict: CIMultiDict[str] | None = None
    _type: str | None = None
    """Content-Type, while there is no ``_multidict``."""
    _plain = False
    _keep_alive: bool | None = None
    _chunked = False
    _compression = False
    _compression_force: ContentCoding | None = None
    _compression_strategy: int | None = None

    def __init__(
        self,
        *,
        status: int = 200,
        reason: str | None = None,
        headers: LooseHeaders | None = None,
        _real_headers: CIMultiDict[str] | None = None,
    ) -> None:
        if _real_headers is not None:
            self._multidict = _real_headers
        elif headers is not None:
            self._multidict = CIMultiDict(headers)
        self.set_status(status, reason)

    # -- status -------------------------------------------------------------------------

    @property
    def prepared(self) -> bool:
        """True once the head is made."""
        return False

    @property
    def status(self) -> int:
        """The status code."""
        return self._status

    @property
    def reason(self) -> str:
        """The reason phrase."""
        return REASONS.get(self._status, "") if self._reason is None else self._reason

    def set_status(self, status: int, reason: str | None = None) -> None:
        """Set status and reason; not after the head was made."""
        self._check_unprepared("change the response status code")
        self._status = int(status)
        if reason is not None:
            if "\r" in reason or "\n" in reason:
                raise ValueError("Reason cannot contain \\r or \\n")
            self._plain = False
        self._reason = reason

    def _check_unprepared(self, what: str) -> None:
        if self.prepared:
            raise RuntimeError(f"Cannot {what} after the headers have been sent")

    # -- framing and persistence ----------------------------------------------------------

    @property
    def keep_alive(self) -> bool | None:
        """Whether the connection lives on; ``None``: not decided yet."""
        return self._keep_alive

    def force_close(self) -> None:
        """Close an HTTP/1.1 connection after this response.  HTTP/2 has no such thing."""
        self._plain = False
        self._keep_alive = False

    @property
    def chunked(self) -> bool:
        """Whether chunked coding was asked for."""
        return self._chunked

    def enable_chunked_encoding(self, chunk_size: int | None = None) -> None:
        """Send the body without its length.

        Raises RuntimeError when a Content-Length is set.  ``chunk_size`` is deprecated.
        """
        if chunk_size is not None:
            warnings.warn("Chunk size is deprecated", DeprecationWarning, stacklevel=2)
        if hdrs.CONTENT_LENGTH in self.headers:
            raise RuntimeError("You can't enable chunked encoding when a content length is set")
        self._chunked = True

    @property
    def compression(self) -> bool:
        """Whether compression was asked for."""
        return self._compression

    def enable_compression(
        self, force: bool | ContentCoding | None = None, strategy: int | None = None
    ) -> None:
        """Compress the body, with ``force`` or what the client accepts.

        ``strategy`` is zlib's.  A boolean ``force`` is deprecated.
        """
        if isinstance(force, bool):
            warnings.warn("Using boolean for force is deprecated", DeprecationWarning, stacklevel=2)
            force = ContentCoding.deflate if force else None
        elif force is not None and not isinstance(force, ContentCoding):
            raise TypeError("force should be one of ContentCoding")
        self._plain = False
        self._compression = True
        self._compression_force = force
        self._compression_strategy = strategy

    # -- header fields ----------------------------------------------------------------------

    @property
    def headers(self) -> CIMultiDict[str]:
        """The header fields."""
        headers = self._multidict
        if headers is None:
            headers = self._multidict = CIMultiDict()
            if self._type is not None:
                headers["Content-Type"] = self._type
        self._plain = False
        return headers

    @property
    def _headers(self) -> CIMultiDict[str]:
        """The header fields, for ``HeadersMixin``."""
        return self.headers

    @property
    def content_length(self) -> int | None:
        """Content-Length, or ``None``; ``None`` removes it."""
        return HeadersMixin.content_length.fget(self)  # type: ignore[attr-defined,no-any-return]  # mypy takes the property for its value

    @content_length.setter
    def content_length(self, value: int | None) -> None:
        if value is None:
            self.headers.pop(hdrs.CONTENT_LENGTH, None)
            return
        if self._chunked:
            raise RuntimeError("You can't set content length when chunked encoding is enable")
        self.headers[hdrs.CONTENT_LENGTH] = str(int(value))

    @property
    def content_type(self) -> str:
        """The media type, ``application/octet-stream`` when none is set."""
        return HeadersMixin.content_type.fget(self)  # type: ignore[attr-defined,no-any-return]  # likewise

    @content_type.setter
    def content_type(self, value: str) -> None:
        self.headers[hdrs.CONTENT_TYPE] = join_type(str(value), self.charset)

    @property
    def charset(self) -> str | None:
        """The ``charset`` parameter of the media type; needs a media type to be set."""
        return HeadersMixin.charset.fget(self)  # type: ignore[attr-defined,no-any-return]  # likewise

    @charset.setter
    def charset(self, value: str | None) -> None:
        if hdrs.CONTENT_TYPE not in self.headers:
            raise RuntimeError("Setting charset for no content type doesn't make sense")
        charset = None if value is None else str(value).lower()
        self.headers[hdrs.CONTENT_TYPE] = join_type(self.content_type, charset)

    @property
    def last_modified(self) -> datetime | None:
        """Last-Modified; takes a datetime, a timestamp, or a string as it stands."""
        return parse_http_date(self.headers.get(hdrs.LAST_MODIFIED))

    @last_modified.setter
    def last_modified(self, value: float | datetime | str | None) -> None:
        if value is None:
            self.headers.pop(hdrs.LAST_MODIFIED, None)
            return
        if isinstance(value, int | float):
            value = datetime.fromtimestamp(-(-value // 1), UTC)
        elif isinstance(value, datetime):
            value = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
            if value.microsecond:
                value = value.replace(microsecond=0) + timedelta(seconds=1)
        elif not isinstance(value, str):
            raise TypeError(f"Unsupported type for last_modified: {type(value).__name__}")
        self.headers[hdrs.LAST_MODIFIED] = (
            value if isinstance(value, str) else format_datetime(value, usegmt=True)
        )

    @property
    def etag(self) -> ETag | None:
        """The entity tag, ``None`` if the field has none; takes an ``ETag`` or the text of a
        strong one."""
        value = self.headers.get(hdrs.ETAG)
        return None if value is None else parse_etag(value)

    @etag.setter
    def etag(self, value: ETag | str | None) -> None:
        if value is None:
            self.headers.pop(hdrs.ETAG, None)
            return
        tag = ETag(value) if isinstance(value, str) else value
        if not isinstance(tag, ETag):
            raise ValueError(
                f"Unsupported etag type: {type(value)}. etag must be str, ETag or None"
            )
        validate_etag_value(tag.value)
        weak = "W/" if tag.is_weak else ""
        self.headers[hdrs.ETAG] = "*" if tag.value == "*" else f'{weak}"{tag.value}"'
