"""Responses that are raised."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import pytest
from yarl import URL

from plait import web, web_exceptions
from plait_engine.http1.status import status_line

CLASSES: list[type[Any]] = [
    value
    for value in vars(web_exceptions).values()
    if isinstance(value, type) and issubclass(value, web.HTTPException) and value.status_code > 0
]
ARGUMENTS: dict[type[Any], tuple[Any, ...]] = {
    web.HTTPMethodNotAllowed: ("GET", ["PUT", "POST"]),
    web.HTTPRequestEntityTooLarge: (10, 12),
    web.HTTPUnavailableForLegalReasons: ("http://a.test/",),
}


def make(cls: type[Any], **options: Any) -> web.HTTPException:
    default = ("/there",) if issubclass(cls, web.HTTPMove) else ()
    made: web.HTTPException = cls(*ARGUMENTS.get(cls, default), **options)
    return made


@pytest.mark.parametrize("cls", CLASSES)
def test_each_status(cls: type[Any]) -> None:
    error = make(cls)
    assert isinstance(error, web.Response)
    assert isinstance(error, Exception)
    assert error
    assert error.status == cls.status_code
    assert error.reason == HTTPStatus(cls.status_code).phrase
    # The same words are sent where nothing else is asked for.
    assert status_line(error.status, None) == f"HTTP/1.1 {error.status} {error.reason}\r\n".encode()
    family = {2: web.HTTPSuccessful, 3: web.HTTPRedirection, 4: web.HTTPClientError}
    assert issubclass(cls, family.get(cls.status_code // 100, web.HTTPServerError))
    assert issubclass(cls, web.HTTPError) == (cls.status_code >= 400)
    assert getattr(web, cls.__name__) is cls
    if cls.empty_body:
        assert error.body is None
    elif cls is web.HTTPRequestEntityTooLarge:
        assert error.text == "Maximum request body size 10 exceeded."
    else:
        assert error.text == f"{error.status}: {error.reason}"
        assert error.content_type == "text/plain"


def test_every_status_has_one_class() -> None:
    statuses = [cls.status_code for cls in CLASSES]
    assert len(statuses) == len(set(statuses)) == 51


@pytest.mark.parametrize("cls", CLASSES)
def test_options(cls: type[Any]) -> None:
    error = make(cls, headers={"X-A": "1"}, reason="Why", text="text", content_type="text/html")
    assert (error.reason, error.text, str(error)) == ("Why", "text", "Why")
    assert (error.headers["X-A"], error.content_type) == ("1", "text/html")
    with pytest.raises(ValueError, match="Reason"):
        make(cls, reason="a\nb")
    with pytest.warns(DeprecationWarning, match="body"):
        assert make(cls, body=b"bytes").body == b"bytes"


def test_redirections() -> None:
    error = web.HTTPFound("/a b?q=é")
    assert error.headers["Location"] == "/a%20b?q=%C3%A9"
    assert error.location == "/a b?q=é"
    assert web.HTTPFound(URL("/a")).location == URL("/a")
    assert web.HTTPFound(URL("http://a.test/")).headers["Location"] == "http://a.test/"
    with pytest.raises(ValueError, match="location"):
        web.HTTPFound("")


def test_what_some_classes_say_more() -> None:
    error = web.HTTPMethodNotAllowed("brew", ["PUT", "GET"])
    assert error.headers["Allow"] == "GET,PUT"
    assert (error.method, error.allowed_methods) == ("BREW", {"GET", "PUT"})
    too_large = web.HTTPRequestEntityTooLarge(10, 12, text="no")
    assert (too_large.max_size, too_large.actual_size, too_large.text) == (10, 12, "no")
    blocked = web.HTTPUnavailableForLegalReasons("http://a.test/")
    assert blocked.headers["Link"] == '<http://a.test/>; rel="blocked-by"'
    assert blocked.link == URL("http://a.test/")
    assert web.HTTPUnavailableForLegalReasons(None).link is None
