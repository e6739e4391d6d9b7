"""The plugin, in the way that its users see it: by test files that it runs."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import pytest

pytest_plugins = ["pytester"]

Run = Callable[..., pytest.RunResult]

HEAD = """
import asyncio
import warnings

import pytest

from plait import web
from plait.test_utils import RawTestServer, TestClient, TestServer


async def hello(request):
    return web.Response(text="Hello, world")


def make_app(loop=None):
    app = web.Application()
    app.router.add_get("/", hello)
    return app
"""


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Runs a test file whose conftest loads the plugin."""

    def run_file(source: str, *arguments: str) -> pytest.RunResult:
        pytester.makeconftest('pytest_plugins = ["plait.pytest_plugin"]')
        pytester.makepyfile(HEAD + source)
        # Another test of this process may have imported the plugin.
        quiet = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
        return pytester.runpytest("-p", "no:cacheprovider", *arguments, *quiet)

    return run_file


# -- servers and clients -------------------------------------------------------------------


def test_a_client(run: Run) -> None:
    run(
        """
async def test_an_application(aiohttp_client):
    client = await aiohttp_client(make_app())
    assert isinstance(client, TestClient)
    async with client.get("/") as response:
        assert await response.text() == "Hello, world"

async def test_a_server(aiohttp_client):
    server = RawTestServer(hello)
    client = await aiohttp_client(server)
    assert client.server is server
    assert (await client.get("/any")).status == 200

async def test_a_factory(aiohttp_client, loop):
    given = []
    def make(*args, **kwargs):
        given.append((args, kwargs))
        return make_app()
    client = await aiohttp_client(make, 1, a=2)
    assert given == [((loop, 1), {"a": 2})]
    assert (await client.get("/")).status == 200

async def test_keywords(aiohttp_client, aiohttp_unused_port):
    port = aiohttp_unused_port()
    client = await aiohttp_client(make_app(), server_kwargs={"port": port}, http2=True)
    assert client.port == port
    assert (await client.get("/")).version == (2, 0)

async def test_in_memory(aiohttp_client):
    client = await aiohttp_client(make_app(), server_kwargs={"in_memory": True})
    assert client.server.in_memory
    assert (await client.get("/")).status == 200

async def test_misuse(aiohttp_client):
    with pytest.raises(AssertionError):
        await aiohttp_client(make_app(), 1)
    with pytest.raises(TypeError):
        await aiohttp_client(make_app(), nonsense=1)
    with pytest.raises(ValueError):
        await aiohttp_client("http://localhost")

def test_a_synchronous_test(loop, aiohttp_client):
    client = loop.run_until_complete(aiohttp_client(make_app))
    response = loop.run_until_complete(client.get("/"))
    assert response.status == 200
""",
        "-W",
        "error",
    ).assert_outcomes(passed=7)


def test_everything_is_closed_behind_a_test(run: Run) -> None:
    run(
        """
made = []

async def test_that_opens(aiohttp_client, aiohttp_server, aiohttp_raw_server):
    made.append(await aiohttp_server(make_app()))
    made.append(await aiohttp_raw_server(hello))
    client = await aiohttp_client(make_app())
    made.append(client.server)
    ws = await client.get("/")  # Nobody reads it.
    with pytest.raises(KeyError):
        def fail(loop): raise KeyError
        await aiohttp_client(fail)

async def test_that_fails_to_start(aiohttp_client):
    async def fail(app):
        raise KeyError
    app = make_app()
    app.on_startup.append(fail)
    made.append(TestServer(app))
    with pytest.raises(KeyError):
        await aiohttp_client(made[-1])

def test_all_is_closed():
    assert [server.closed for server in made] == [True] * 4
""",
        "-W",
        "error",
    ).assert_outcomes(passed=3)


def test_servers(run: Run) -> None:
    run(
        """
async def fetch(server):
    async with TestClient(server) as client, client.get("/") as response:
        return await response.text()

async def test_an_application(aiohttp_server, aiohttp_unused_port):
    port = aiohttp_unused_port()
    server = await aiohttp_server(make_app(), port=port, host="localhost")
    assert isinstance(server, TestServer) and server.port == port
    assert await fetch(server) == "Hello, world"

async def test_a_handler(aiohttp_raw_server):
    server = await aiohttp_raw_server(hello, in_memory=True)
    assert isinstance(server, RawTestServer)
    assert await fetch(server) == "Hello, world"
"""
    ).assert_outcomes(passed=2)


def test_a_class_of_ones_own(run: Run) -> None:
    run(
        """
class Own(TestClient): pass

@pytest.fixture
def aiohttp_client_cls(): return Own

async def test_it(aiohttp_client):
    assert type(await aiohttp_client(make_app())) is Own
"""
    ).assert_outcomes(passed=1)


def test_the_names_of_plait(run: Run) -> None:
    run(
        """
async def test_they_are_the_same(
    plait_client, plait_server, aiohttp_server,
    plait_raw_server, aiohttp_raw_server, plait_unused_port, aiohttp_unused_port,
):
    assert plait_server is aiohttp_server
    assert plait_raw_server is aiohttp_raw_server
    assert plait_unused_port is aiohttp_unused_port
    client = await plait_client(make_app())
    assert (await client.get("/")).status == 200

class TestBesideAnother:
    @pytest.fixture
    def aiohttp_client_cls(self): return int
    aiohttp_client = aiohttp_server = aiohttp_raw_server = aiohttp_unused_port = aiohttp_client_cls

    async def test_they_need_none_of_aiohttp(
        self, plait_client, plait_server, plait_raw_server, plait_unused_port, aiohttp_client
    ):
        assert aiohttp_client is int
        await plait_server(make_app(), port=plait_unused_port())
        client = await plait_client(await plait_raw_server(hello))
        assert (await client.get("/")).status == 200
"""
    ).assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("unused_port", "aiohttp_unused_port"),
        ("test_server", "aiohttp_server"),
        ("raw_test_server", "aiohttp_raw_server"),
        ("test_client", "aiohttp_client"),
    ],
)
def test_the_old_names(run: Run, old: str, new: str) -> None:
    result = run(f"def test_it({old}, {new}): assert {old} is {new}", "-W", "default")
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(f"*DeprecationWarning: Deprecated, use {new} fixture instead")


# -- loops ---------------------------------------------------------------------------------


def test_a_test_runs_on_its_loop(run: Run) -> None:
    run(
        """
async def test_with_loop(loop):
    assert asyncio.get_running_loop() is loop
    assert not loop.get_debug()

async def test_without():
    assert asyncio.get_running_loop()

def test_synchronous(loop):
    assert asyncio.get_event_loop() is loop

@pytest.fixture
def selector_loop():
    loop = asyncio.SelectorEventLoop()
    yield loop
    loop.close()

async def test_another_loop(selector_loop, loop):
    assert asyncio.get_running_loop() is selector_loop
""",
        "-W",
        "error",
    ).assert_outcomes(passed=4)


def test_the_options(run: Run) -> None:
    run(
        """
import gc

async def test_it(loop, fast, loop_debug, monkeypatch):
    assert fast and loop_debug and loop.get_debug()

def test_defaults_of_the_other_file(request):
    assert request.config.getoption("--aiohttp-fast")
""",
        "--aiohttp-fast",
        "--aiohttp-enable-loop-debug",
    ).assert_outcomes(passed=2)


def test_what_is_off_by_default(run: Run) -> None:
    run(
        """
def test_it(fast, loop_debug):
    assert not fast and not loop_debug
"""
    ).assert_outcomes(passed=1)


ONE_TEST = """
async def test_it(loop): ...
async def test_without(): ...
"""


@pytest.mark.parametrize("loops", ["pyloop", "all", "pyloop,nonsense?"])
def test_the_loops(run: Run, loops: str) -> None:
    both = loops == "all" and find_spec("uvloop") is not None
    result = run(ONE_TEST, f"--aiohttp-loop={loops}", "-v")
    result.assert_outcomes(passed=3 if both else 2)
    result.stdout.fnmatch_lines("*::test_it?pyloop? PASSED*")


def test_a_loop_that_is_not_known(run: Run) -> None:
    result = run(ONE_TEST, "--aiohttp-loop=nonsense")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines("*--aiohttp-loop: there is no loop 'nonsense', only pyloop*")


@pytest.mark.skipif("sys.platform == 'win32'")
def test_the_loop_of_windows(run: Run) -> None:
    run("async def test_it(proactor_loop): ...").assert_outcomes(skipped=1)


# -- coroutines ----------------------------------------------------------------------------


def test_fixtures(run: Run) -> None:
    run(
        """
events = []

@pytest.fixture
async def value(loop):
    assert asyncio.get_running_loop() is loop
    return 42

@pytest.fixture
async def generator(loop, value):
    events.append("set up")
    yield value + 1
    assert asyncio.get_running_loop() is loop
    events.append("torn down")

@pytest.fixture
async def asks(request, function=None):
    return request.function

@pytest.fixture(params=[1, 2])
async def parametrised(loop, request):
    return request.param

async def test_values(value, generator):
    assert (value, generator) == (42, 43)
    assert events == ["set up"]

def test_of_a_generator_the_rest_was_run():
    assert events == ["set up", "torn down"]

def test_synchronous(loop, value):
    assert value == 42

def test_request(loop, asks):
    assert asks is test_request

async def test_again(value, parametrised):
    assert parametrised in (1, 2)

class TestMethods:
    @pytest.fixture
    async def own(self, loop):
        self.set = "by the fixture"
        yield self

    async def test_the_instance_is_the_same(self, own):
        assert own is self
        assert self.set == "by the fixture"
""",
        "-W",
        "error",
    ).assert_outcomes(passed=7)


def test_a_fixture_needs_a_loop(run: Run) -> None:
    result = run(
        """
@pytest.fixture
async def value():
    return 42

def test_it(value): ...
"""
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines("*Asynchronous fixtures must depend on the 'loop' fixture*")


def test_a_fixture_that_yields_twice(run: Run) -> None:
    result = run(
        """
@pytest.fixture
async def twice(loop):
    yield 1
    yield 2

async def test_it(twice): ...
"""
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines("*fixture 'twice' yields more than once*")


def test_a_coroutine_that_nobody_awaits_fails_its_test(run: Run) -> None:
    result = run(
        """
async def test_good():
    assert await asyncio.sleep(0, 3) == 3

async def test_bad():
    hello(None)
""",
        "-W",
        "default",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines("*RuntimeError: 1 Runtime Warning*")


def test_other_warnings_are_passed_on(run: Run) -> None:
    source = """
async def test_it():
    warnings.warn("of my own", UserWarning)
"""
    result = run(source, "-W", "default")
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines("*UserWarning: of my own")
    run(source, "-W", "error").assert_outcomes(failed=1)


# -- beside others -------------------------------------------------------------------------


def test_what_anyio_runs_is_left_to_it(run: Run) -> None:
    """Each test runs once, and the fixtures of the plugin on the loop of its test."""
    run(
        """
runs = []

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.fixture
async def where():
    yield asyncio.get_running_loop()

@pytest.mark.anyio
async def test_of_anyio(where, aiohttp_client):
    runs.append("anyio")
    assert asyncio.get_running_loop() is where
    client = await aiohttp_client(make_app())
    assert (await client.get("/")).status == 200

async def test_of_the_plugin(aiohttp_client):
    runs.append("plugin")
    client = await aiohttp_client(make_app())
    assert (await client.get("/")).status == 200

def test_each_ran_once():
    assert runs == ["anyio", "plugin"]
""",
        "-W",
        "error",
    ).assert_outcomes(passed=3)


def test_a_test_that_runs_in_another_loop_than_its_fixtures(run: Run) -> None:
    run(
        """
def test_it(aiohttp_client, aiohttp_server):
    for open in (aiohttp_client, aiohttp_server):
        with pytest.raises(RuntimeError, match="another event loop"):
            asyncio.run(open(make_app()))
"""
    ).assert_outcomes(passed=1)


def test_it_is_not_loaded_by_itself(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(aiohttp_client): ...")
    result = pytester.runpytest("-p", "no:cacheprovider")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines("*fixture 'aiohttp_client' not found*")


def test_it_is_loaded_by_an_option(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("async def test_it(loop): ...")
    quiet = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
    result = pytester.runpytest("-p", "no:cacheprovider", "-p", "plait.pytest_plugin", *quiet)
    result.assert_outcomes(passed=1)
