"""Forms to send: ``application/x-www-form-urlencoded``, or ``multipart/form-data`` (RFC 7578).

A form with a file, or with anything else that says more than a name and a text, is multipart.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import AsyncIterable, Iterable
from typing import Any
from urllib.parse import urlencode

from multidict import MultiDict, MultiDictProxy

from plait_engine.headers import find_bad_value_char

from . import hdrs
from .helpers import guess_filename
from .multipart import MultipartWriter
from .payload import BytesPayload, Payload, get_payload

__all__ = ("FormData",)


class FormData:
    """A form: fields in order.  It can be sent several times if its files can seek.

    Args:
        fields: a mapping, or an iterable of pairs, mappings with several values, and files.
        quote_fields: in multipart forms, percent-encode file names and what a quoted string
            cannot hold; else send raw text, as browsers do.
        charset: the encoding of text, UTF-8 by default.
        default_to_multipart: make a multipart form even without a file.
    """

    def __init__(
        self,
        fields: Iterable[Any] = (),
        quote_fields: bool = True,
        charset: str | None = None,
        *,
        default_to_multipart: bool = False,
    ) -> None:
        self._fields: list[tuple[dict[str, str], str | None, Any]] = []
        """Parameters of Content-Disposition, media type, value."""
        self._writer = MultipartWriter("form-data")
        self._is_multipart = default_to_multipart
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
        return self._is_multipart

    def add_field(
        self,
        name: str,
        value: Any,
        *,
        content_type: str | None = None,
        filename: str | None = None,
        content_transfer_encoding: str | None = None,
    ) -> None:
        """Add a field.  In an urlencoded form what is no text becomes text, and each item of a
        list is a field.

        Args:
            name: of the field.
            value: text, bytes, an open file, or anything that can be a payload.
            content_type: the media type of the part.
            filename: of the part; that of the file by default.
            content_transfer_encoding: deprecated, it says nothing but that the form is multipart
                (RFC 7578 section 4.7).

        Raises ValueError for control characters, TypeError for arguments that are no text.
        """
        if isinstance(value, bytes | bytearray | memoryview):
            if filename is None and content_transfer_encoding is None:
                warnings.warn(
                    "bytes will not create a file field in v4: pass a filename, or io.BytesIO",
                    DeprecationWarning,
                    stacklevel=2,
                )
                filename = name
        elif isinstance(value, io.IOBase):
            self._is_multipart = True
            if filename is None:
                filename = guess_filename(value, name)
        elif isinstance(value, Payload | AsyncIterable):
            self._is_multipart = True
        _check("name", name)
        parameters = {"name": name}
        if filename is not None:
            _check("filename", filename)
            parameters["filename"] = filename
            self._is_multipart = True
        if content_type is not None:
            _check("content_type", content_type)
            self._is_multipart = True
        if content_transfer_encoding is not None:
            _check("content_transfer_encoding", content_transfer_encoding)
            warnings.warn(
                "content_transfer_encoding is deprecated: pass a BytesPayload",
                DeprecationWarning,
                stacklevel=2,
            )
            self._is_multipart = True
        self._fields.append((parameters, content_type, value))

    def add_fields(self, *fields: Any) -> None:
        """Add pairs, mappings with several values, or files."""
        for field in fields:
            if isinstance(field, MultiDict | MultiDictProxy):
                for name, value in field.items():
                    self.add_field(name, value)
            elif isinstance(field, list | tuple) and len(field) == 2:
                self.add_field(field[0], field[1])
            elif isinstance(field, io.IOBase):
                self.add_field(guess_filename(field) or "unknown", field)
            else:
                raise TypeError(
                    "Only io.IOBase, MultiDict and (name, value) pairs can be added,"
                    f" not {type(field).__name__}"
                )

    def __call__(self) -> Payload:
        """Return the form as a payload.

        Raises TypeError when no payload can be made of a value.
        """
        return self._multipart() if self._is_multipart else self._urlencoded()

    def _urlencoded(self) -> Payload:
        charset = self._charset or "utf-8"
        content_type = "application/x-www-form-urlencoded"
        if charset != "utf-8":
            content_type += f"; charset={charset}"
        pairs = [(parameters["name"], value) for parameters, _, value in self._fields]
        body = urlencode(pairs, doseq=True, encoding=charset).encode()
        return BytesPayload(body, content_type=content_type)

    def _multipart(self) -> Payload:
        # A field becomes a part once: a file is sent again from where it stood then.
        fields, self._fields = self._fields, []
        for parameters, content_type, value in fields:
            self._writer.append_payload(self._part(parameters, content_type, value))
        return self._writer

    def _part(self, parameters: dict[str, str], content_type: str | None, value: Any) -> Payload:
        options = {} if content_type is None else {"content_type": content_type}
        try:
            part = get_payload(value, encoding=self._charset, **options)
        except Exception as error:
            raise TypeError(f"no payload type takes a {type(value)!r}: {value!r}") from error
        part.set_content_disposition("form-data", self._quote_fields, **parameters)
        part.headers.popall(hdrs.CONTENT_LENGTH, None)
        return part


def _check(argument: str, value: object) -> None:
    """Raise TypeError or ValueError for what cannot stand in a header field."""
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be a str, not {value!r}")
    if find_bad_value_char(value):
        raise ValueError(f"control character in {argument}: {value!r}")
