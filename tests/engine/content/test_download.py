"""A download that goes on where it was cut short (RFC 9110 sections 13.1.5, 14, 15.3.7)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine.content.download import ContentLengthError, Download, Part, Step
from plait_engine.headers import Headers

ANEW = [("Accept-Encoding", "identity")]
PART = Part(5, '"tag"')


def go_on(**fields: str) -> Headers:
    """Return the fields of a fitting 206, but for those in ``fields``."""
    given = {"content_range": "bytes 5-9/10", "etag": '"tag"', **fields}
    return [(name.replace("_", "-"), value) for name, value in given.items() if value]


def resumed() -> Download:
    download = Download(PART)
    assert download.request_fields() == [*ANEW, ("Range", "bytes=5-"), ("If-Range", '"tag"')]
    return download


def test_all_of_it() -> None:
    download = Download()
    assert download.request_fields() == ANEW
    assert download.on_response(200, [("ETag", '"tag"'), ("Content-Length", "3")]) is Step.BEGIN
    assert (download.size, download.total, download.etag) == (0, 3, '"tag"')
    download.receive_data(2)
    download.receive_data(1)
    assert download.on_end() is Step.DONE
    assert download.size == 3


def test_without_a_length_all_that_comes_is_all_of_it() -> None:
    download = Download()
    assert download.on_response(200, []) is Step.BEGIN
    download.receive_data(7)
    assert download.on_end() is Step.DONE
    assert (download.total, download.etag) == (None, None)


@pytest.mark.parametrize("etag", ['W/"tag"', "tag", '"a", "b"', ""])
def test_what_has_no_strong_tag_cannot_be_resumed(etag: str) -> None:
    download = Download()
    download.on_response(200, [("ETag", etag)])
    assert download.etag is None
    download.receive_data(5)
    assert download.request_fields() == ANEW


def test_encoded_content_has_no_length_and_cannot_be_resumed() -> None:
    download = Download()
    fields = [("ETag", '"tag"'), ("Content-Length", "3"), ("Content-Encoding", "gzip")]
    assert download.on_response(200, fields) is Step.BEGIN
    assert (download.total, download.etag) == (None, None)
    download.receive_data(100)
    assert download.on_end() is Step.DONE


def test_the_rest_of_it() -> None:
    download = resumed()
    assert download.on_response(206, go_on()) is Step.APPEND
    assert (download.size, download.total, download.etag) == (5, 10, '"tag"')
    download.receive_data(5)
    assert download.on_end() is Step.DONE


def test_the_representation_has_changed() -> None:
    download = resumed()
    assert download.on_response(200, [("ETag", '"new"'), ("Content-Length", "4")]) is Step.BEGIN
    assert (download.size, download.total, download.etag) == (0, 4, '"new"')
    download.receive_data(4)
    assert download.on_end() is Step.DONE


@pytest.mark.parametrize(
    "fields",
    [
        go_on(content_range="bytes 4-9/10"),
        go_on(content_range="bytes 6-9/10"),
        go_on(content_range="bytes 5-10/10"),
        go_on(content_range="bytes 5-4/10"),
        go_on(content_range="bytes */10"),
        go_on(content_range="lines 5-9/10"),
        go_on(content_range="bytes 5-9"),
        go_on(content_range="bytes 5-9/10, bytes 5-9/10"),
        go_on(content_range="bytes 5-\u0669/10"),
        go_on(content_range="bytes 5-" + "9" * 5000 + "/*"),
        go_on(content_range=""),
        go_on(etag=""),
        go_on(etag='"other"'),
        go_on(etag='W/"tag"'),
        go_on(content_length="4"),
        go_on(content_encoding="gzip"),
        go_on(content_range="", content_type="multipart/byteranges; boundary=b"),
    ],
)
def test_a_part_that_does_not_fit(fields: Headers) -> None:
    download = resumed()
    assert download.on_response(206, fields) is Step.ASK_AGAIN
    assert download.request_fields() == ANEW
    assert download.on_response(206, go_on()) is Step.REFUSED


@pytest.mark.parametrize("fields", [go_on(content_length="5"), go_on(content_encoding="identity")])
def test_a_part_that_says_more(fields: Headers) -> None:
    assert resumed().on_response(206, fields) is Step.APPEND


def test_a_server_may_send_less_than_it_was_asked_for() -> None:
    download = resumed()
    assert download.on_response(206, go_on(content_range="bytes 5-6/10")) is Step.APPEND
    download.receive_data(2)
    assert download.on_end() is Step.ASK_AGAIN
    assert ("Range", "bytes=7-") in download.request_fields()
    assert download.on_response(206, go_on(content_range="bytes 7-8/*")) is Step.APPEND
    download.receive_data(2)
    assert download.on_end() is Step.ASK_AGAIN
    fields = [("ETag", '"tag"'), ("Content-Range", "bytes */9")]
    assert download.on_response(416, fields) is Step.DONE
    assert (download.size, download.total) == (9, 9)


@pytest.mark.parametrize("field", ["bytes */4", "bytes */6", "bytes */*", "", "bytes 0-4/5"])
def test_a_range_that_cannot_be_satisfied(field: str) -> None:
    download = resumed()
    fields = [("ETag", '"tag"'), ("Content-Range", field)]
    assert download.on_response(416, fields) is Step.ASK_AGAIN
    assert download.request_fields() == ANEW
    assert download.on_response(416, fields) is Step.REFUSED


@pytest.mark.parametrize("tags", [[], [("ETag", '"other"')], [("ETag", 'W/"tag"')]])
def test_a_part_that_is_as_long_as_another_version(tags: Headers) -> None:
    assert resumed().on_response(416, [*tags, ("Content-Range", "bytes */5")]) is Step.ASK_AGAIN


@pytest.mark.parametrize("status", [201, 204, 206, 302, 304, 404, 416, 500])
def test_other_responses_are_no_answer(status: int) -> None:
    download = Download()
    download.request_fields()
    assert download.on_response(status, go_on()) is Step.REFUSED


def test_a_part_stays_when_the_response_is_no_answer() -> None:
    download = resumed()
    assert download.on_response(503, []) is Step.REFUSED
    assert (download.size, download.etag) == (5, '"tag"')


@pytest.mark.parametrize("part", [None, PART])
def test_more_or_less_than_was_announced(part: Part | None) -> None:
    def begun() -> Download:
        download = Download(part)
        download.request_fields()
        if part is None:
            download.on_response(200, [("Content-Length", "5")])
        else:
            download.on_response(206, go_on())
        return download

    download = begun()
    download.receive_data(4)
    with pytest.raises(ContentLengthError, match="were announced"):
        download.on_end()
    with pytest.raises(ContentLengthError, match="were announced"):
        begun().receive_data(6)


def test_an_empty_part_is_none() -> None:
    assert Download(Part(0, '"tag"')).request_fields() == ANEW


class Server:
    """Has one content after the other, and answers in any way that a server might."""

    def __init__(self) -> None:
        self.version = 0

    @property
    def content(self) -> bytes:
        return b"%d," % self.version * (10 + self.version % 3)

    @property
    def etag(self) -> str:
        return f'"{self.version}"'

    def answer(self, fields: Headers, mood: str) -> tuple[int, list[tuple[str, str]], bytes]:
        asked = dict(fields)
        content, tag = self.content, [("ETag", self.etag)]
        matches = asked.get("If-Range") == self.etag or mood == "ignores If-Range"
        if "Range" not in asked or not matches or mood == "has no ranges":
            length = [] if mood == "says no length" else [("Content-Length", str(len(content)))]
            return 200, tag + length, content
        start = int(asked["Range"].removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            return 416, [*tag, ("Content-Range", f"bytes */{len(content)}")], b""
        end = min(start + 4, len(content)) if mood == "sends less" else len(content)
        total = "*" if mood == "says no length" else len(content)
        part = [("Content-Range", f"bytes {start}-{end - 1}/{total}")]
        return 206, tag + part, content[start:end]


MOODS = ["fine", "ignores If-Range", "has no ranges", "says no length", "sends less"]


@given(
    st.lists(st.tuples(st.sampled_from(MOODS), st.integers(0, 40), st.booleans()), max_size=12),
    st.sampled_from(MOODS),
)
def test_what_is_complete_is_one_version(
    attempts: list[tuple[str, int, bool]], last_mood: str
) -> None:
    """Whatever breaks off, and whatever changes meanwhile."""
    server = Server()
    kept, etag = b"", None
    for mood, cut, changes in [*attempts, (last_mood, 10**6, False)]:
        server.version += changes
        download = Download(None if etag is None else Part(len(kept), etag))
        step = Step.ASK_AGAIN
        requests = 0
        while step is Step.ASK_AGAIN:
            requests += 1
            assert requests < 20
            status, fields, content = server.answer(download.request_fields(), mood)
            step = download.on_response(status, fields)
            if step is Step.BEGIN:
                kept = b""
            if step in (Step.BEGIN, Step.APPEND):
                kept += content[:cut]
                download.receive_data(len(content[:cut]))
                if cut < len(content):
                    break
                step = download.on_end()
        etag = download.etag
        assert len(kept) == download.size
        if step is Step.DONE:
            assert kept == server.content
            kept, etag = b"", None
