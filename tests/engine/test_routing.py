"""Templates and the table of routes."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine.routing import (
    NOT_FOUND,
    FileTree,
    NoMatch,
    RouteTable,
    Subtree,
    Template,
    decode_path,
    decode_value,
    file_name,
)

# -- paths -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoded", "decoded"),
    [
        ("/plain", "/plain"),
        ("/a%20b", "/a b"),
        ("/%C3%A9", "/é"),
        ("/a%2Fb", "/a%2Fb"),
        ("/a%2fb", "/a%2Fb"),
        ("/100%25", "/100%25"),
        ("/%252F", "/%252F"),
        ("/%ff", "/%ff"),
        ("/%C3%A9%ff", "/%C3%A9%ff"),
        ("/%", "/%"),
        ("/%zz", "/%zz"),
        ("/é", "/é"),
        ("*", "*"),
    ],
)
def test_decode_path(encoded: str, decoded: str) -> None:
    """Decoded once; an encoded slash is no separator (attack A73)."""
    assert decode_path(encoded) == decoded


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_encoded_completely_decodes_to_itself(text: str) -> None:
    assert decode_value(decode_path(quote(text, safe=""))) == text


# -- templates -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "names", "prefix", "canonical"),
    [
        ("", (), "/", ""),
        ("/", (), "/", "/"),
        ("/a/b", (), "/a/b", "/a/b"),
        ("/a/b/", (), "/a/b", "/a/b/"),
        ("/a b", (), "/a b", "/a%20b"),
        ("/é", (), "/é", "/%C3%A9"),
        ("/%C3%A9", (), "/é", "/%C3%A9"),
        ("/{x}", ("x",), "/", "/{x}"),
        ("/a/{x}/c/{y_2}", ("x", "y_2"), "/a", "/a/{x}/c/{y_2}"),
        ("/a/b{x}", ("x",), "/a", "/a/b{x}"),
        (r"/a/{x:\d{2,3}}.txt", ("x",), "/a", "/a/{x}.txt"),
        ("{x}", ("x",), "/", "{x}"),
    ],
)
def test_parse(path: str, names: tuple[str, ...], prefix: str, canonical: str) -> None:
    template = Template(path)
    assert template.names == names
    assert template.prefix == prefix
    assert template.canonical == canonical
    assert (template.literal is None) == bool(names)


@pytest.mark.parametrize(
    "path",
    ["/{", "/}", "/{}", "/{x", "/x}", "/{1x}", "/{x-y}", "/{x:}", "/{x:(}", "/{x}{x}", "/{ é}"],
)
def test_paths_that_cannot_be_parsed(path: str) -> None:
    with pytest.raises(ValueError, match=r"Invalid path|Bad pattern"):
        Template(path)


@pytest.mark.parametrize(
    ("template", "path", "params"),
    [
        ("/a", "/a", {}),
        ("/a", "/a/", None),
        ("/a", "/A", None),
        ("/a.b", "/axb", None),
        ("/{x}", "/a", {"x": "a"}),
        ("/{x}", "/", None),
        ("/{x}", "/a/b", None),
        ("/{x}", "/a%2Fb", {"x": "a/b"}),
        ("/{x}", "/%252F", {"x": "%2F"}),
        ("/{x}", "/a{b", None),
        ("/{x}/{y}", "/1/2", {"x": "1", "y": "2"}),
        ("/{x}-{y}", "/a-b-c", {"x": "a-b", "y": "c"}),
        (r"/{x:\d+}", "/12", {"x": "12"}),
        (r"/{x:\d+}", "/1a", None),
        (r"/{x:\d+}", "/12\n", None),
        ("/{x:.*}", "/", {"x": ""}),
        ("/{x:.*}", "/a/b", {"x": "a/b"}),
        ("/{x:(a)|b}", "/b", {"x": "b"}),
    ],
)
def test_match(template: str, path: str, params: dict[str, str] | None) -> None:
    assert Template(template).match(decode_path(path)) == params


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=3))
def test_what_is_built_matches(values: list[str]) -> None:
    names = [f"v{index}" for index in range(len(values))]
    template = Template("/x" + "".join(f"/{{{name}:.+}}" for name in names))
    given_values = {
        name: value.replace("/", "") or "-" for name, value in zip(names, values, strict=True)
    }
    path = template.build(given_values)
    assert path.isascii()
    found = template.match(decode_path(path))
    # "." matches no line end, and a separator of segments was taken out above.
    if not any("\n" in value for value in given_values.values()):
        assert found == given_values


def test_build_needs_every_variable() -> None:
    with pytest.raises(KeyError):
        Template("/{x}").build({"y": "1"})
    assert Template("/a b/{x}").build({"x": "c d", "y": "unused"}) == "/a%20b/c%20d"


@pytest.mark.parametrize(
    ("path", "matches"),
    [("/a", True), ("/a/", True), ("/a/b/c", True), ("/ab", False), ("/", False)],
)
def test_subtree(path: str, matches: bool) -> None:
    assert (Subtree("/a").match(path) is not None) == matches
    assert Subtree("/a/").match("/a") is not None
    assert Subtree("").match(path) is not None
    with pytest.raises(ValueError, match="no variables"):
        Subtree("/{x}")


# -- the table -----------------------------------------------------------------------------------


def table_of(*templates: str) -> RouteTable[str]:
    """Return a table in which each template has one route for GET: its own text."""
    table: RouteTable[str] = RouteTable()
    for template in templates:
        table.add(Template(template), {"GET": template})
    return table


def test_the_longest_prefix_wins_then_the_order() -> None:
    table = table_of("/{x:.*}", "/a/{x}", "/a/{y:.*}", "/a/b", "/", "/a/{z}/c")
    assert table.match("GET", "/a/b") == ("/a/b", {})
    assert table.match("GET", "/a/x") == ("/a/{x}", {"x": "x"})
    assert table.match("GET", "/a/x/c") == ("/a/{y:.*}", {"y": "x/c"})
    assert table.match("GET", "/") == ("/{x:.*}", {"x": ""})
    assert table.match("GET", "/b/c") == ("/{x:.*}", {"x": "b/c"})


def test_methods() -> None:
    table: RouteTable[str] = RouteTable()
    table.add(Template("/a"), {"GET": "get", "POST": "post"})
    table.add(Template("/{x}"), {"PUT": "put"})
    table.add(Template("/any"), {"GET": "get any", "*": "any"})
    assert table.match("GET", "/a") == ("get", {})
    assert table.match("PUT", "/a") == ("put", {"x": "a"})
    assert table.match("HEAD", "/a") == NoMatch(frozenset({"GET", "POST", "PUT"}))
    assert table.match("HEAD", "/b") == NoMatch(frozenset({"PUT"}))
    assert table.match("GET", "/any") == ("get any", {})
    assert table.match("FOO", "/any") == ("any", {})
    assert table.match("GET", "/a/b") is NOT_FOUND
    assert table.match("OPTIONS", "*") is NOT_FOUND
    assert table.match("CONNECT", "a:80") is NOT_FOUND


def test_each_match_has_its_own_params() -> None:
    table = table_of("/{x:.*}", "/")
    for path in ("/", "/a"):
        first, second = table.match("GET", path), table.match("GET", path)
        assert isinstance(first, tuple)
        assert isinstance(second, tuple)
        first[1]["x"] = "changed"
        assert second[1]["x"] == path[1:]


def test_routes_may_be_added_after_a_match() -> None:
    routes = {"GET": "get"}
    table: RouteTable[str] = RouteTable()
    table.add(Template("/a"), routes)
    assert table.match("POST", "/a") == NoMatch(frozenset({"GET"}))
    routes["POST"] = "post"
    assert table.match("POST", "/a") == ("post", {})
    table.add(Template("/b"), {"GET": "b"})
    assert table.match("GET", "/b") == ("b", {})


SEGMENTS = st.sampled_from(["a", "b", "ab", "{x}", "{y:.*}", r"{z:\d+}", ""])
PATHS = st.lists(st.sampled_from(["a", "b", "ab", "c", "7", ""]), max_size=4).map(
    lambda segments: "/" + "/".join(segments)
)


@given(
    st.lists(st.lists(SEGMENTS, max_size=3).map(lambda parts: "/" + "/".join(parts)), max_size=8),
    st.lists(PATHS, min_size=1, max_size=5),
)
def test_the_table_finds_what_a_list_would(templates: list[str], paths: list[str]) -> None:
    """The same as trying each template, sorted by the rules of the module."""
    templates = [t for t in templates if len(set(re.findall(r"[xyz]", t))) == t.count("{")]
    table = table_of(*templates)
    ranked = sorted(templates, key=lambda template: -len(Template(template).prefix))
    for path in paths:
        expected = next(
            ((t, params) for t in ranked if (params := Template(t).match(path)) is not None),
            NOT_FOUND,
        )
        assert table.match("GET", path) == expected
        assert len(list(table.candidates(path))) == sum(
            Template(template).match(path) is not None for template in templates
        )


@given(
    st.lists(
        st.tuples(
            st.lists(SEGMENTS, max_size=3).map(lambda parts: "/" + "/".join(parts)),
            st.sets(st.sampled_from(["GET", "POST", "*"]), min_size=1),
        ),
        max_size=8,
    ),
    st.sampled_from(["GET", "POST", "PUT"]),
    PATHS | st.just("*") | st.just("a:80"),
)
def test_a_match_is_the_first_candidate_that_has_the_method(
    resources: list[tuple[str, set[str]]], method: str, path: str
) -> None:
    """The short path of ``match`` beside the general ``candidates``."""
    table: RouteTable[tuple[int, str]] = RouteTable()
    for number, (template, methods) in enumerate(resources):
        if len(set(re.findall(r"[xyz]", template))) == template.count("{"):
            table.add(Template(template), {name: (number, name) for name in methods})
    expected: object = None
    allowed: set[str] = set()
    for routes, params in table.candidates(path):
        route = routes.get(method) or routes.get("*")
        if route is not None:
            expected = route, params
            break
        allowed |= set(routes)
    assert table.match(method, path) == (expected or NoMatch(frozenset(allowed)))


def test_a_path_of_slashes_costs_little() -> None:
    """Attack A73: only prefixes that exist are looked up."""
    looked_up = []

    class Recorder(dict):  # type: ignore[type-arg]  # of any prefixes
        def get(self, key: str, default: object = None) -> object:
            looked_up.append(key)
            return super().get(key, default)

    table = table_of("/a/b/c", "/{x}")
    table._by_prefix = Recorder(table._by_prefix)
    assert table.match("GET", "/" * 8000) is NOT_FOUND
    assert len(looked_up) < 20


# -- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("", ""),
        ("a.txt", "a.txt"),
        ("a/b/", "a/b/"),
        ("a//b", "a//b"),
        ("./a", "./a"),
        ("a b\u00e9", "a b\u00e9"),
        ("....//a", "....//a"),
        ("..a/b..", "..a/b.."),
        ("100%25", "100%"),
        ("%252e%252e/a", "%2e%2e/a"),  # A name, and not decoded twice.
        ("%252Fa", "%2Fa"),
        ("a%FFb", "a\udcffb"),
        ("12:30.log", "12:30.log"),
        ("con", "con"),
    ],
)
def test_the_name_of_a_file(path: str, name: str) -> None:
    assert file_name(path) == name


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "../a",
        "a/../b",
        "a/..",
        "/a",
        "//server/share",
        "\\\\server\\share",
        "..\\a",
        "a\\b",
        "C:/x",
        "c:x",
        "c:",
        "..%2Fa",
        "a%2Fb",
        "a\0b",
        "a\r\nb",
        "%FF/%2e%2e/a",  # What is not UTF-8 was not decoded.
        "%FF%5c..",
        "%FF%00",
    ],
)
def test_no_name_of_a_file(path: str) -> None:
    """Attacks A1 and A3."""
    assert file_name(path) is None


@pytest.mark.parametrize(
    "path",
    [
        "CON",
        "nul",
        "NUL.txt",
        "a/AUX.txt.html",
        "a/prn/b",
        "COM1",
        "COM1 ",
        "com\xb9.txt",
        "LPT9",
        "CONIN$",
        "file::$DATA",
        "file:stream",
        "a.",
        "a ",
        "a./b",
    ],
)
def test_no_name_of_a_file_on_windows(path: str) -> None:
    """Attack A7."""
    assert file_name(path, windows=True) is None
    assert file_name(path) == path
    assert FileTree("/x", windows=True).match(f"/x/{path}") is None


@pytest.mark.parametrize("path", ["a.txt", "console", "com", "com10", "nul_", "a/b.c/d", ""])
def test_a_name_on_windows(path: str) -> None:
    assert file_name(path, windows=True) == path


@given(st.text(st.sampled_from("./\\%25eEfFa:\0")))
def test_no_name_leads_out(encoded: str) -> None:
    name = file_name(decode_path(encoded))
    if name is not None:
        assert not name.startswith(("/", "\\"))
        assert ".." not in name.replace("\\", "/").split("/")
        assert "\0" not in name


@pytest.mark.parametrize("prefix", ["/static", "/static/", ""])
def test_a_tree_of_files(prefix: str) -> None:
    tree = FileTree(prefix)
    root = prefix.rstrip("/")
    assert tree.match(f"{root}/a/b.txt") == {"filename": "a/b.txt"}
    assert tree.match(f"{root}/") == {"filename": ""}
    assert tree.match(root) == {"filename": ""}
    assert tree.match(f"{root}/../a") is None
    assert tree.match("/statics/a") == (None if root else {"filename": "statics/a"})


def test_a_tree_of_files_in_a_table() -> None:
    table: RouteTable[str] = RouteTable()
    table.add(FileTree("/static"), {"GET": "file"})
    table.add(Template("/static/known"), {"GET": "known"})
    assert table.match("GET", "/static/known") == ("known", {})
    assert table.match("GET", "/static/other") == ("file", {"filename": "other"})
    assert table.match("GET", "/static/a/b") == ("file", {"filename": "a/b"})
    assert table.match("GET", "/static/../static/a") == NOT_FOUND
    assert table.match("POST", "/static/a") == NoMatch(frozenset({"GET"}))
