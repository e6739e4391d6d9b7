"""Content-Disposition: RFC 6266, RFC 7578 section 4.2, RFC 8187, RFC 2231 section 3."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine.content.disposition import (
    Problem,
    find_parameter,
    format_disposition,
    parse_disposition,
    quoted_string,
)


@pytest.mark.parametrize(
    ("field", "kind", "parameters"),
    [
        ("inline", "inline", {}),
        (" Form-Data ", "form-data", {}),
        ("attachment;filename=a.txt", "attachment", {"filename": "a.txt"}),
        ('form-data ; NAME = "a" ;\tfilename="b"', "form-data", {"name": "a", "filename": "b"}),
        (r'form-data; name="a\"b\\c"', "form-data", {"name": r'a"b\c'}),
        ('form-data; name="a;b\\"; c"; x=1', "form-data", {"name": 'a;b"; c', "x": "1"}),
        ('form-data; name=""', "form-data", {"name": ""}),
        # Quotes that are not escaped.
        ('form-data; name="C:\\"', "form-data", {"name": "C:\\"}),
        ('form-data; name="say "hi" now"; x=1', "form-data", {"name": 'say "hi" now', "x": "1"}),
        # Browsers.
        ('form-data; name="\u00e9\u65e5"', "form-data", {"name": "\u00e9\u65e5"}),
        ('form-data; name="a%22b%0D%0A%41"', "form-data", {"name": "a%22b%0D%0A%41"}),
        # No path by its beginning; what is no file name stays.
        ('attachment; filename="/etc/passwd"', "attachment", {"filename": "etc/passwd"}),
        ('attachment; filename="\\\\\\\\host\\\\x"', "attachment", {"filename": "host\\x"}),
        ('attachment; filename="../../x"', "attachment", {"filename": "../../x"}),
        ('form-data; name="/a"', "form-data", {"name": "/a"}),
        # RFC 8187.
        ("attachment; filename*=UTF-8'en'%e2%82%ac", "attachment", {"filename*": "\u20ac"}),
        ("attachment; filename*=iso-8859-1''%E9", "attachment", {"filename*": "\u00e9"}),
        # RFC 2231, section by section.
        (
            "attachment; filename*0*=UTF-8''%c3%a9; filename*1=\"a b\"",
            "attachment",
            {"filename*0*": "UTF-8''%c3%a9", "filename*1": "a b"},
        ),
    ],
)
def test_fields(field: str, kind: str, parameters: dict[str, str]) -> None:
    assert parse_disposition(field) == (kind, parameters, ())


@pytest.mark.parametrize("field", [None, ""])
def test_nothing_to_read(field: str | None) -> None:
    assert parse_disposition(field) == (None, {}, ())


@pytest.mark.parametrize(
    "field",
    [
        '"inline"',
        "form data",
        "; name=a",
        "name=a; form-data",
        "form-data; name",
        "form-data; name=",
        "form-data; name=a b",
        "form-data; name=a ; x=1",
        "form-data; name=\u00e9",
        'form-data; name="a',
        'form-data; name="a"b',
        "form-data; name=a; Name=b",
        "form-data; ; name=a",
        "form-data, name=a",
    ],
)
def test_fields_that_say_nothing(field: str) -> None:
    assert parse_disposition(field) == (None, {}, (Problem(field, whole=True),))


@pytest.mark.parametrize(
    "parameter",
    [
        "a b=c",
        "=c",
        "a*=\"UTF-8''x\"",
        "a*=UTF-8'x",
        "a*=x",
        "a*=UTF-8''%ff",
        "a*=nothing''%41",
        "a*=undefined''%41",
        "a*=base64''%41",
        "a*0=b c",
    ],
)
def test_parameters_that_are_left_out(parameter: str) -> None:
    read = parse_disposition(f"form-data;{parameter};x=1")
    assert read == ("form-data", {"x": "1"}, (Problem(parameter, whole=False),))


def test_empty_parameters() -> None:
    field = "form-data;;x=1;" + ";" * 100_000
    assert parse_disposition(field) == ("form-data", {"x": "1"}, (Problem(field, whole=True),))


@pytest.mark.parametrize(
    ("parameters", "value"),
    [
        ({}, None),
        ({"filenames": "a"}, None),
        ({"filename": "a"}, "a"),
        ({"filename": "a", "filename*": "b"}, "b"),
        ({"filename*0": "a"}, "a"),
        ({"filename*1": "b", "filename*0": "a"}, "ab"),
        ({"filename*0": "a", "filename*2": "c"}, "a"),
        ({"filename*1": "b"}, None),
        ({"filename*0": "a", "filename*01": "b"}, "a"),
        ({"filename*0*": "utf-8'en'%c3", "filename*1*": "%a9", "filename*2": "%41"}, None),
        ({"filename*0*": "utf-8'en'%c3%a9", "filename*1*": "%41", "filename*2": "%41"}, "\u00e9A%41"),
        ({"filename*0*": "''%41"}, "A"),
        ({"filename*0*": "nothing''%41"}, None),
        ({"filename*0": "it's", "filename*1": " 'it'"}, "it's 'it'"),
        ({"filename*0*": "100%"}, "100%"),
        ({f"filename*{n}": str(n % 10) for n in range(12)}, "012345678901"),
        ({"filename*99999999999999": "x"}, None),
    ],
)  # fmt: skip
def test_the_value_of_a_parameter(parameters: dict[str, str], value: str | None) -> None:
    assert find_parameter(parameters) == value


def test_a_parameter_of_another_name() -> None:
    assert find_parameter({"name*0": "a", "filename": "b"}, "name") == "a"


@pytest.mark.parametrize(
    ("parameters", "quoted", "raw"),
    [
        ({}, "form-data", "form-data"),
        ({"name": "a b"}, 'form-data; name="a b"', 'form-data; name="a b"'),
        ({"name": 'a"\\'}, 'form-data; name="a\\"\\\\"', 'form-data; name="a\\"\\\\"'),
        ({"name": "é"}, "form-data; name*=utf-8''%C3%A9", 'form-data; name="é"'),
        ({"filename": "é/b"}, 'form-data; filename="%C3%A9%2Fb"', 'form-data; filename="é/b"'),
    ],
)
def test_formatting(parameters: dict[str, str], quoted: str, raw: str) -> None:
    assert format_disposition("form-data", parameters) == quoted
    assert format_disposition("form-data", parameters, quote_fields=False) == raw


def test_formatting_in_a_charset() -> None:
    assert format_disposition("inline", {"a": "é"}, charset="latin-1") == "inline; a*=latin-1''%E9"


@pytest.mark.parametrize("kind", ["", "form data", "inline\r\n"])
def test_what_is_no_type(kind: str) -> None:
    with pytest.raises(ValueError, match="type"):
        format_disposition(kind, {})


@pytest.mark.parametrize("name", ["", "a b", "a\n", "é"])
def test_what_is_no_parameter(name: str) -> None:
    with pytest.raises(ValueError, match="parameter"):
        format_disposition("inline", {name: "x"})


@pytest.mark.parametrize("text", ["a\rb", "a\nb", "a\0b", "\x7f"])
def test_control_characters_are_never_sent(text: str) -> None:
    with pytest.raises(ValueError, match="control"):
        format_disposition("form-data", {"name": text}, quote_fields=False)
    with pytest.raises(ValueError, match="quoted string"):
        quoted_string(text)
    for name in ("name", "filename"):
        assert text not in format_disposition("form-data", {name: text})


texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(texts)
def test_what_is_formatted_is_what_is_read(text: str) -> None:
    read = parse_disposition(format_disposition("form-data", {"name": text}))
    assert read.problems == ()
    assert find_parameter(read.parameters, "name") == text


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])))
def test_raw_text_is_read_too(text: str) -> None:
    field = format_disposition("form-data", {"name": text, "x": "1"}, quote_fields=False)
    assert parse_disposition(field) == ("form-data", {"name": text, "x": "1"}, ())


pieces = st.sampled_from(
    ["form-data", ";", " ", "=", '"', "\\", "name", "filename", "*", "*0", "*1*", "'", "%c3", "é", "utf-8"]
)  # fmt: skip


@given(st.lists(pieces).map("".join))
def test_any_text_is_read(text: str) -> None:
    read = parse_disposition(text)
    for name in ("name", "filename"):
        find_parameter(read.parameters, name)
    if read.type is None:
        assert read.parameters == {}
