"""Forms to send: fields become ``application/x-www-form-urlencoded``.

A form with a file in it is ``multipart/form-data`` (RFC 7578).
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from multidict import MultiDict, MultiDictProxy

from .payload import BytesPayload, Payload

__all__ = ("FormData",)


class FormData:
    """A form: fields in order.

    Args:
        fields: a mapping, or an iterable of pairs.
        quote_fields: percent-encode names in multipart forms.
        charset: the encoding of text, UTF-8 by default.
        default_to_multipart: make a multipart form even without a file.

    Multipart forms are not available yet: a file in ``fields`` raises
    NotImplementedError.
    """

    def __init__(
        self,
        fields: Iterable[Any] = (),
        quote_fields: bool = True,
        charset: str | None = None,
        *,
        default_to_multipart: bool = False,
    ) -> None:
        if default_to_multipart:
            raise NotImplementedError("multipart forms are not available yet")
        self._fields: list[tuple[str, str]] = []
        self._quote_fields = quote_fields
        self._charset = charset
        if isinstance(fields, dict):
            fields = list(fields.items())
        elif not isinstance(fields, list | tuple):
            fields = (fields,)
        self.add_fields(*fields)

    @property
    def is_multipart(self) -> bool:
        """True when the form will be multipart."""
        return False

    def add_field(
        self,
        name: str,
        value: Any,
        *,
        content_type: str | None = None,
        filename: str | None = None,
        content_transfer_encoding: str | None = None,
    ) -> None:
        """Add a field.  What is no text becomes text; each item of a list is a field."""
        is_file = isinstance(value, io.IOBase | bytes | bytearray | memoryview)
        if is_file or content_type or filename or content_transfer_encoding:
            raise NotImplementedError("multipart forms are not available yet")
        values = value if isinstance(value, list | tuple) else (value,)
        self._fields += [(name, str(each)) for each in values]

    def add_fields(self, *fields: Any) -> None:
        """Add pairs, mappings with several values, or files."""
        for field in fields:
            if isinstance(field, MultiDict | MultiDictProxy):
                for name, value in field.items():
                    self.add_field(name, value)
            elif isinstance(field, list | tuple) and len(field) == 2:
                self.add_field(field[0], field[1])
            elif isinstance(field, io.IOBase):
                self.add_field(getattr(field, "name", "unknown"), field)
            else:
                raise TypeError(
                    "only io.IOBase, MultiDict and (name, value) pairs can be added,"
                    f" not {type(field).__name__}"
                )

    def __call__(self) -> Payload:
        """Return the form as a payload."""
        charset = self._charset or "utf-8"
        content_type = "application/x-www-form-urlencoded"
        if charset != "utf-8":
            content_type += f"; charset={charset}"
        body = urlencode(self._fields, encoding=charset).encode()
        return BytesPayload(body, content_type=content_type)
