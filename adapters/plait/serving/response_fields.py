"""Header fields of responses: those that have a type of their own, and those of most responses."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Final

from multidict import CIMultiDict

from plait import hdrs
from plait.helpers import (
    ETag,
    charset_of,
    content_type_of,
    parse_etag,
    parse_http_date,
    rfc822_formatted_time,
    validate_etag_value,
)
from plait.http import SERVER_SOFTWARE
from plait_engine import Headers

DEFAULT_TYPE: Final = "application/octet-stream"


def join_type(content_type: str, charset: str | None) -> str:
    """Return the value of Content-Type."""
    return content_type if charset is None else f"{content_type}; charset={charset}"


class UsualHeaders:
    """The header sections of responses without fields of their own, made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._by_type: dict[str | None, Headers] = {}

    def get(self, content_type: str | None) -> Headers:
        """Return Content-Type, unless that is ``None``, Date and Server."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._by_type = {}
        headers = self._by_type.get(content_type)
        if headers is None:
            pairs = [("Date", rfc822_formatted_time()), ("Server", SERVER_SOFTWARE)]
            if content_type is not None:
                pairs.insert(0, ("Content-Type", content_type))
            headers = self._by_type[content_type] = tuple(pairs)
        return headers


usual_headers: Final = UsualHeaders()


class FieldMixin(ABC):
    """Fields of ``headers`` as what they stand for."""

    @property
    @abstractmethod
    def headers(self) -> CIMultiDict[str]:
        """The header fields."""

    @property
    def content_type(self) -> str:
        """The media type, ``application/octet-stream`` when none is set."""
        return content_type_of(self.headers)

    @content_type.setter
    def content_type(self, value: str) -> None:
        self.headers[hdrs.CONTENT_TYPE] = join_type(str(value), self.charset)

    @property
    def charset(self) -> str | None:
        """The ``charset`` parameter of the media type; needs a media type to be set."""
        return charset_of(self.headers)

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
        if not (isinstance(tag, ETag) and isinstance(tag.value, str)):
            raise ValueError(f"Unsupported etag type: {value!r}: give a str, an ETag or None")
        validate_etag_value(tag.value)
        weak = "W/" if tag.is_weak else ""
        self.headers[hdrs.ETAG] = "*" if tag.value == "*" else f'{weak}"{tag.value}"'
