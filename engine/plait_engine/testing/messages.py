"""Raw HTTP/1.1 messages for tests: written out, not checked, so that they may be wrong."""

from __future__ import annotations

from collections.abc import Iterable

Fields = Iterable[tuple[bytes | str, bytes | str]]


def data(text: bytes | str) -> bytes:
    """Return ``text`` as bytes; ``str`` is encoded as Latin-1, so any byte can be said."""
    return text.encode("latin-1") if isinstance(text, str) else text


def head(first_line: bytes | str, fields: Fields = ()) -> bytes:
    """Return a message head: the first line, the field lines, the empty line."""
    lines = [data(first_line)]
    lines += [data(name) + b": " + data(value) for name, value in fields]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def request(
    method: bytes | str = "GET",
    target: bytes | str = "/",
    fields: Fields = (("Host", "example.org"),),
    body: bytes = b"",
    *,
    version: bytes | str = "HTTP/1.1",
) -> bytes:
    """Return a request; ``body`` is put behind the head as it is."""
    line = b" ".join((data(method), data(target), data(version)))
    return head(line, fields) + body


def response(
    status: int = 200,
    fields: Fields = (),
    body: bytes = b"",
    *,
    reason: bytes | str = "OK",
    version: bytes | str = "HTTP/1.1",
) -> bytes:
    """Return a response; ``body`` is put behind the head as it is."""
    line = b" ".join((data(version), b"%d" % status, data(reason)))
    return head(line, fields) + body


def chunked(chunks: Iterable[bytes], trailers: Fields = ()) -> bytes:
    """Return ``chunks`` in the chunked coding (RFC 9112 section 7.1)."""
    coded = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    lines = b"".join(data(name) + b": " + data(value) + b"\r\n" for name, value in trailers)
    return coded + b"0\r\n" + lines + b"\r\n"
