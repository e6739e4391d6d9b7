"""What the benchmark makes of its figures."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.__main__ import main
from benchmarks.processes import Child
from benchmarks.profiler import Hotspot, hotspots
from benchmarks.report import as_json, print_results
from benchmarks.rounds import Bench, Result
from benchmarks.scenarios import SCENARIOS, Scenario
from benchmarks.subjects import Start, Subject, Workplace


class Fake:
    """A subject with figures of its own."""

    pid = None

    def __init__(self, name: str, figures: list[float], turns: list[str]) -> None:
        self.name = name
        self.figures = iter(figures)
        self.turns = turns

    def measure(self, seconds: float) -> float:
        self.turns.append(self.name)
        return next(self.figures)


def scenario(
    contenders: Mapping[str, Start],
    *,
    name: str = "varied",
    asked: Mapping[str, float] | None = None,
    hello: str | None = None,
    starts: int = 1,
    scale: float = 1.0,
) -> Scenario:
    return Scenario(name, name, contenders, asked or {}, hello, starts, "µs", scale)


def never(workplace: Workplace, warm_up: float) -> Subject:
    raise AssertionError("nobody starts it")


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench(rounds=3, seconds=0.1, profiler=None, progress=lambda text: None)
    with closing(made):
        yield made


HELLO = Result(
    scenario({"plait": never, "peer": never}, name="hello"),
    {"plait": [10.0, 20.0, 30.0], "peer": [40.0, 40.0, 40.0]},
)
VARIED = Result(
    scenario({"plait": never, "peer": never}, asked={"peer": 0.5}, hello="hello"),
    {"plait": [30.0, 60.0, 90.0], "peer": [60.0, 60.0, 300.0]},
)


def test_a_ratio_is_the_median_of_pairs_and_not_the_ratio_of_medians() -> None:
    assert VARIED.ratios("peer") == [0.5, 1.0, 0.3]
    assert VARIED.ratio("peer") == 0.5
    assert VARIED.ratio("plait") == 1.0
    assert (VARIED.median("plait"), VARIED.median("peer")) == (60.0, 60.0)


def test_a_ratio_is_met_when_it_is_at_most_what_is_asked() -> None:
    assert VARIED.met("peer") is True
    missed = Result(scenario({}, asked={"peer": 0.49}), VARIED.figures)
    assert missed.met("peer") is False
    assert HELLO.met("peer") is None


def test_the_height_of_the_cliff_is_how_often_a_hello_fits() -> None:
    assert VARIED.height("plait", [HELLO, VARIED]) == 3.0
    assert VARIED.height("peer", [HELLO, VARIED]) == 1.5
    assert VARIED.height("plait", [VARIED]) is None
    assert HELLO.height("plait", [HELLO, VARIED]) is None


def test_the_table_and_the_json_say_the_same() -> None:
    output = io.StringIO()
    console = Console(file=output, width=100)
    print_results(console, [HELLO, VARIED], {"broken": "no [wrk]"}, {"python": "3.11"})
    lines = [line.split() for line in output.getvalue().splitlines()]
    assert ["varied", "plait", "60.0", "µs", "3.00"] in lines
    assert ["peer", "60.0", "µs", "0.50", "0.30-1.00", "0.50", "met", "1.50"] in lines
    assert "broken was not measured: no [wrk]" in output.getvalue()

    data = json.loads(
        json.dumps(as_json([HELLO, VARIED], {"broken": "no [wrk]"}, {"python": "3.11"}))
    )
    assert data["failures"] == {"broken": "no [wrk]"}
    hello, varied = data["scenarios"]
    assert varied["hello"] == hello["name"] == "hello"
    assert varied["contenders"]["peer"] == {
        "figures": [60.0, 60.0, 300.0],
        "median": 60.0,
        "ratio": 0.5,
        "asked": 0.5,
        "met": True,
        "of_hello": 1.5,
    }


def test_contenders_take_turns_and_who_went_first_goes_last(bench: Bench) -> None:
    turns: list[str] = []

    def start(name: str, figures: list[float]) -> Start:
        return lambda workplace, warm_up: Fake(name, figures, turns)

    result = bench.run(
        scenario({"a": start("a", [1000, 2000, 3000]), "b": start("b", [4, 5, 6])}, scale=1000)
    )
    assert turns == ["a", "b", "b", "a", "a", "b"]
    assert result.figures == {"a": [1.0, 2.0, 3.0], "b": [0.004, 0.005, 0.006]}


def test_a_peer_is_the_fastest_of_its_starts_and_the_others_are_ended(bench: Bench) -> None:
    turns: list[str] = []
    ended: list[str] = []
    peers = iter([("slow", [9.0]), ("fast", [3.0, 4.0, 4.0, 4.0]), ("middling", [5.0])])

    def plait(workplace: Workplace, warm_up: float) -> Subject:
        return Fake("plait", [1.0, 1.0, 1.0], turns)

    def peer(workplace: Workplace, warm_up: float) -> Subject:
        name, figures = next(peers)
        workplace.stack.callback(ended.append, name)
        return Fake(name, figures, turns)

    def note(text: str) -> None:
        if text.startswith("round 1"):
            assert sorted(ended) == ["middling", "slow"]

    bench.progress = note
    result = bench.run(scenario({"plait": plait, "peer": peer}, starts=3))
    assert result.figures["peer"] == [4.0, 4.0, 4.0]
    assert turns.count("plait") == 3  # Started once, measured in the rounds alone.
    assert ended[-1] == "fast"


def test_what_was_started_is_ended_when_a_start_fails(bench: Bench) -> None:
    ended: list[str] = []

    def start(workplace: Workplace, warm_up: float) -> Subject:
        workplace.stack.callback(ended.append, "child")
        if len(ended) == 0 and workplace.folder.name == "varied":
            raise RuntimeError("it does not listen")
        raise AssertionError

    with pytest.raises(RuntimeError, match="does not listen"):
        bench.run(scenario({"plait": start}))
    assert ended == ["child"]


def test_the_scenarios_hold_together() -> None:
    names = [each.name for each in SCENARIOS]
    assert len(set(names)) == len(names)
    before: dict[str, Scenario] = {}
    for each in SCENARIOS:
        assert set(each.asked) <= set(each.contenders) - {next(iter(each.contenders))}
        if each.hello:
            # Measured before.
            assert "plait" in each.contenders.keys() & before[each.hello].contenders.keys()
            assert each.unit == before[each.hello].unit
        before[each.name] = each


def test_the_time_of_a_process_is_what_the_process_says(tmp_path: Path) -> None:
    program = (
        "import sys, threading, time\n"
        "for line in sys.stdin:\n"
        "    worker = threading.Thread(target=lambda: sum(range(3_000_000)))\n"
        "    worker.start(); worker.join()\n"
        "    print(time.process_time(), flush=True)\n"
    )
    command = [sys.executable, "-c", program]
    with Child(command, tmp_path / "log", interactive=True) as child:
        before = child.cpu_seconds()
        said = float(child.request("go"))
        seen = child.cpu_seconds()
    assert before < said <= seen < said + 0.5


def test_a_child_that_does_not_answer_is_not_waited_for(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with (
        Child(command, tmp_path / "log", interactive=True) as child,
        pytest.raises(RuntimeError, match="no answer to 'go'"),
    ):
        child.request("go", timeout=0.1)


def test_a_child_that_ends_says_why(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "input(); raise SystemExit('out of memory')"]
    with (
        Child(command, tmp_path / "log", interactive=True) as child,
        pytest.raises(RuntimeError, match="out of memory"),
    ):
        child.request("go")


def test_collapsed_stacks_become_shares() -> None:
    collapsed = "main (a.py:1);read (b.py:7) 6\nmain (a.py:2);read (b.py:9) 2\nmain (a.py:3) 2\n"
    assert hotspots(collapsed) == [
        Hotspot("read (b.py)", 0.8, 0.8),
        Hotspot("main (a.py)", 0.2, 1.0),
    ]


def test_scenarios_are_named_and_chosen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["bench", "--list", "--only", "ws-*"])
    assert main() == 0
    output = capsys.readouterr().out
    assert "ws-64k" in output
    assert "h1-hello" not in output


@pytest.mark.parametrize("arguments", [["--only", "h3"], ["--rounds", "0"], ["--seconds", "0"]])
def test_a_wrong_option_is_said(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["bench", *arguments])
    with pytest.raises(SystemExit) as raised:
        main()
    assert raised.value.code == 2
    assert arguments[0].removeprefix("--") in capsys.readouterr().err or "h3" in arguments
