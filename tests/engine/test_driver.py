"""The law of the contract, rule by rule, on a transport and a scheduler that note everything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plait_engine import (
    Accept,
    CloseAction,
    Config,
    ConnectionState,
    Data,
    EndOfMessage,
    Event,
    PriorKnowledge,
    Request,
    Response,
    Role,
    create_connection,
)
from plait_engine.driver import Driver, LazyTimer
from plait_engine.engines import EngineName
from plait_engine.http2.connection import HTTP2Connection
from plait_engine.streams import StreamListener
from plait_engine.testing import TEST_CONFIG, Clock, frames

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Transport:
    """Notes the calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.written: list[bytes] = []
        self.closing = False
        self.eof_fails = False

    def write(self, data: bytes, /) -> None:
        self.calls.append("write")
        self.written.append(data)

    def write_eof(self) -> None:
        self.calls.append("write_eof")
        if self.eof_fails:
            raise OSError("the peer reset the connection")

    def close(self) -> None:
        self.calls.append("close")
        self.closing = True

    def abort(self) -> None:
        self.calls.append("abort")
        self.closing = True

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        self.calls.append("pause_reading")

    def resume_reading(self) -> None:
        self.calls.append("resume_reading")


class Scheduler(Clock):
    """A clock that counts its timers and makes the calls of ``call_soon`` when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.armed = 0
        self.soon: list[Callable[[], object]] = []

    def call_at(self, when: float, callback: Callable[[], object], /):  # type: ignore[no-untyped-def]
        self.armed += 1
        return super().call_at(when, callback)

    def call_soon(self, callback: Callable[[], object], /) -> None:
        self.soon.append(callback)

    def turn(self) -> None:
        """Make them."""
        soon, self.soon = self.soon, []
        for callback in soon:
            callback()


class Listener:
    """Notes the events; answers requests at once, or when the batch ends."""

    driver: Driver

    def __init__(self) -> None:
        self.told: list[object] = []
        self.answers = False

    def on_event(self, event: Event) -> None:
        self.told.append(event)
        if self.answers and isinstance(event, Request):
            answer(self.driver, event.stream_id)

    def on_batch_end(self) -> None:
        self.told.append("end")


class NotingStream(StreamListener):
    """Notes what comes of a stream."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def on_data(self, event: Data) -> None:
        self.told.append(event.data)

    def on_end(self, event: EndOfMessage) -> None:
        self.told.append("end")


class Rig:
    """A started driver and all that it stands between."""

    def __init__(
        self,
        config: Config = TEST_CONFIG,
        *,
        role: Role = Role.SERVER,
        protocol: str = "http/1.1",
        engine: EngineName = "native",
        http2: EngineName | None = None,
    ) -> None:
        self.transport = Transport()
        self.scheduler = Scheduler()
        self.listener = Listener()
        connection = create_connection(role, protocol, config, engine=engine)
        self.driver = self.listener.driver = Driver(
            connection, self.transport, self.listener, self.scheduler, http2=http2
        )
        self.driver.start()


def answer(driver: Driver, stream_id: int, body: bytes = b"ok") -> None:
    driver.send(Response(stream_id, 200), Data(stream_id, body), EndOfMessage(stream_id))


@pytest.fixture(params=["native", "reference"])
def engine(request: pytest.FixtureRequest) -> EngineName:
    name: EngineName = request.param
    return name


def test_what_is_sent_while_events_are_told_is_written_at_once(engine: EngineName) -> None:
    """A handler that begins there may drop the connection behind its answer."""
    rig = Rig(engine=engine)

    class Hasty(Listener):
        def on_event(self, event: Event) -> None:
            super().on_event(event)
            if isinstance(event, Request):
                assert rig.transport.written[0].endswith(b"ok")
                rig.driver.abort()

    rig.driver.listener = listener = Hasty()
    listener.driver = rig.driver
    listener.answers = True
    rig.driver.receive_data(GET * 2)
    assert [type(event) for event in listener.told[:2]] == [Request, EndOfMessage]
    assert rig.transport.calls[:2] == ["write", "abort"]


def test_http1_writes_a_command_at_once(engine: EngineName) -> None:
    rig = Rig(engine=engine)
    rig.driver.receive_data(GET)
    answer(rig.driver, 1)
    assert rig.transport.calls == ["write"]
    assert not rig.scheduler.soon


def test_http2_writes_the_commands_of_a_turn_together(engine: EngineName) -> None:
    rig = Rig(role=Role.CLIENT, protocol="h2", engine=engine)
    rig.driver.receive_data(frames.settings())
    rig.transport.written.clear()
    for _ in range(3):
        stream_id = rig.driver.engine.next_stream_id()
        rig.driver.send(Request(stream_id, "GET", "http", "a", "/", ()), EndOfMessage(stream_id))
    assert not rig.transport.written
    assert len(rig.scheduler.soon) == 1
    rig.scheduler.turn()
    assert len(rig.transport.written) == 1


def test_nothing_is_written_while_the_transport_is_full(engine: EngineName) -> None:
    rig = Rig(engine=engine)
    rig.driver.receive_data(GET)
    rig.driver.pause_writing()
    answer(rig.driver, 1)
    assert not rig.transport.written
    rig.driver.resume_writing()
    assert not rig.transport.written, "not from inside resume_writing"
    rig.scheduler.turn()
    assert rig.transport.written


def test_nothing_is_written_to_a_transport_that_has_failed(engine: EngineName) -> None:
    rig = Rig(engine=engine)
    rig.driver.receive_data(GET)
    rig.transport.closing = True
    limit = TEST_CONFIG.limits.write_high_water
    rig.driver.send(Response(1, 200))
    rig.driver.send(Data(1, bytes(limit)))
    assert not rig.transport.written
    assert not rig.driver.can_write
    rig.driver.send(Data(1, bytes(limit)))
    assert rig.driver.engine.send_capacity(1) <= 0, "who sends waits"


def test_reading_stops_and_goes_on_as_the_engine_wants_it(engine: EngineName) -> None:
    rig = Rig(engine=engine)
    size = TEST_CONFIG.limits.read_high_water + 1
    rig.driver.receive_data(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (2 * size)
    )
    rig.driver.receive_data(bytes(size))
    assert rig.transport.calls == ["pause_reading"]
    rig.driver.acknowledge(1, 1)
    rig.driver.acknowledge(1, size - 1)
    assert rig.transport.calls == ["pause_reading", "resume_reading"]


def test_a_deadline_that_moves_later_arms_nothing(engine: EngineName) -> None:
    rig = Rig(engine=engine)
    armed = rig.scheduler.armed
    assert armed == 1
    for _ in range(10):
        rig.scheduler.now += 1.0
        rig.driver.receive_data(GET)
        answer(rig.driver, rig.listener.told[-3].stream_id)  # type: ignore[attr-defined]
    # Of keep-alive and of heads: earlier than what was armed only while that was farther.
    assert rig.scheduler.armed <= armed + 1
    rig.scheduler.now += 200.0
    rig.scheduler.ring()
    assert rig.driver.engine.state is ConnectionState.CLOSED


def test_a_lazy_timer() -> None:
    scheduler = Scheduler()
    rang: list[str] = []
    timer = LazyTimer(scheduler)
    timer.arm(1010.0, lambda: rang.append("first"))
    timer.arm(1020.0, lambda: rang.append("later"))
    assert scheduler.armed == 1
    timer.arm(1005.0, lambda: rang.append("earlier"))
    assert (scheduler.armed, timer.at) == (2, 1005.0)
    scheduler.now = 1006.0
    scheduler.ring()
    assert rang == ["earlier"]
    scheduler.now = 1030.0
    scheduler.ring()
    assert rang == ["earlier"]
    timer.arm(1040.0, lambda: rang.append("never"))
    timer.cancel()
    timer.cancel()
    scheduler.now = 1050.0
    scheduler.ring()
    assert rang == ["earlier"]


@pytest.mark.parametrize("half_close", [True, False])
def test_the_end_after_an_answer(engine: EngineName, half_close: bool) -> None:
    rig = Rig(replace(TEST_CONFIG, half_close=half_close), engine=engine)
    rig.driver.receive_data(b"no request\r\n\r\n")
    last = "write_eof" if half_close else "close"
    assert rig.transport.calls == ["write", last]
    rig.driver.drain()
    assert rig.transport.calls == ["write", last], "once"


def test_a_tunnel_goes_on_where_half_closing_is_impossible(engine: EngineName) -> None:
    rig = Rig(replace(TEST_CONFIG, half_close=False), engine=engine)
    rig.driver.receive_data(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n")
    rig.driver.send(Accept(1), EndOfMessage(1))
    assert rig.driver.engine.wants_close is CloseAction.WRITE_EOF
    assert rig.transport.calls == ["write"]
    rig.driver.receive_data(b"more")
    assert isinstance(rig.listener.told[-2], Data)
    rig.driver.receive_eof()
    assert rig.transport.calls == ["write", "close"]


def test_a_transport_that_fails_to_half_close_is_dropped() -> None:
    rig = Rig()
    rig.transport.eof_fails = True
    rig.driver.receive_data(b"no request\r\n\r\n")
    assert rig.transport.calls == ["write", "write_eof", "abort"]


def test_a_transport_that_does_not_finish_closing_is_aborted(engine: EngineName) -> None:
    rig = Rig(replace(TEST_CONFIG, half_close=False), engine=engine)
    rig.driver.receive_data(b"no request\r\n\r\n")
    rig.scheduler.now += TEST_CONFIG.timeouts.close + 0.1
    rig.scheduler.ring()
    assert rig.transport.calls[-1] == "abort"


def test_closing_waits_until_all_is_written(engine: EngineName) -> None:
    rig = Rig(replace(TEST_CONFIG, half_close=False), engine=engine)
    rig.driver.pause_writing()
    rig.driver.receive_data(b"no request\r\n\r\n")
    assert not rig.transport.calls
    rig.driver.resume_writing()
    rig.scheduler.turn()
    assert rig.transport.calls == ["write", "close"]


def test_a_lost_connection_leaves_no_timer(engine: EngineName) -> None:
    rig = Rig(replace(TEST_CONFIG, half_close=False), engine=engine)
    rig.driver.receive_data(b"no request\r\n\r\n")
    rig.driver.connection_lost(None)
    calls = list(rig.transport.calls)
    rig.scheduler.now += 1000.0
    rig.scheduler.ring()
    rig.driver.close()
    rig.driver.abort()
    rig.driver.resume_writing()
    rig.scheduler.turn()
    assert rig.transport.calls == calls
    assert rig.driver.is_closing


def test_http2_with_prior_knowledge_replaces_the_engine(engine: EngineName) -> None:
    config = replace(TEST_CONFIG, detect_http2=True)
    rig = Rig(config, engine=engine, http2=engine)
    rig.driver.receive_data(frames.PREFACE + frames.settings())
    assert rig.driver.engine.protocol == "h2"
    assert not any(isinstance(event, PriorKnowledge) for event in rig.listener.told)
    assert frames.split_frames(rig.transport.written[0])[0].type == 4  # SETTINGS


def test_a_listener_may_make_the_next_engine_itself(engine: EngineName) -> None:
    rig = Rig(replace(TEST_CONFIG, detect_http2=True), engine=engine)
    rig.driver.receive_data(frames.PREFACE)
    assert rig.listener.told[0] == PriorKnowledge(frames.PREFACE)


# -- short paths -------------------------------------------------------------------------


class QuickListener(Listener):
    """Answers requests by the short path while events are told, as an eager task does."""

    def on_event(self, event: Event) -> None:
        self.told.append(event)
        if isinstance(event, Request):
            assert self.driver.send_response(event.stream_id, 200, (), b"ok")


@pytest.mark.parametrize("requests", [1, 2, 5])
def test_a_response_by_the_short_path_is_the_same(requests: int) -> None:
    general = Rig()
    general.listener.answers = True
    general.driver.receive_data(GET * requests)
    quick = Rig()
    quick.driver.listener = listener = QuickListener()
    listener.driver = quick.driver
    quick.driver.receive_data(GET * requests)
    assert b"".join(quick.transport.written) == b"".join(general.transport.written)
    assert [e for e in listener.told if e != "end"] == [
        e for e in general.listener.told if e != "end"
    ]
    assert quick.driver.engine.next_timeout() == general.driver.engine.next_timeout()


def test_a_response_takes_no_short_path_past_what_waits() -> None:
    def send_response(rig: Rig) -> bool:
        return rig.driver.send_response(1, 200, (), b"ok")

    rig = Rig()
    rig.driver.receive_data(GET)
    rig.driver.pause_writing()
    assert not send_response(rig), "the transport is full"
    rig.driver.resume_writing()
    rig.transport.closing = True
    assert not send_response(rig), "the transport has failed"
    rig.transport.closing = False
    assert not rig.transport.written
    assert send_response(rig)
    assert len(rig.transport.written) == 1
    http2 = Rig(protocol="h2")
    assert not send_response(http2), "nobody has asked"
    reference = Rig(engine="reference")
    reference.driver.receive_data(GET)
    assert not send_response(reference)


def test_bytes_of_a_tunnel_take_no_short_path_past_what_waits() -> None:
    rig = Rig()
    rig.driver.receive_data(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n")
    rig.driver.send(Accept(1))
    assert rig.driver.write_tunnel(b"direct")
    assert rig.transport.written[-1] == b"direct"
    rig.driver.pause_writing()
    assert not rig.driver.write_tunnel(b"full")
    rig.driver.send(Data(1, b"first"))
    rig.driver.resume_writing()
    assert not rig.driver.write_tunnel(b"second"), "it would overtake what the engine holds"
    rig.scheduler.turn()
    assert rig.driver.write_tunnel(b"second")
    assert rig.transport.written[-2:] == [b"first", b"second"]
    rig.transport.closing = True
    assert not rig.driver.write_tunnel(b"failed")


def test_content_goes_straight_to_a_transport_that_takes_it() -> None:
    rig = Rig()
    driver, transport = rig.driver, rig.transport
    driver.receive_data(GET)
    assert not driver.send_data(1, b"early"), "the head is due"
    driver.send(Response(1, 200, (("Content-Length", "6"),)))
    assert driver.send_data(1, b"ab")
    assert transport.written[-1] == b"ab"
    driver.pause_writing()
    assert not driver.send_data(1, b"cd")
    driver.send(Data(1, b"cd"))
    driver.resume_writing()
    assert not driver.send_data(1, b"ef"), "it would overtake what waits"
    driver.send(Data(1, b"ef"))
    rig.scheduler.turn()
    assert b"".join(transport.written).endswith(b"abcdef")
    transport.close()
    assert not driver.send_data(1, b"g")
    driver.connection_lost(None)
    assert not driver.send_data(1, b"g")


# -- short paths -------------------------------------------------------------------------


def stop(rig: Rig, why: str) -> None:
    if why == "full":
        rig.driver.pause_writing()
    elif why == "closing":
        rig.transport.closing = True
    elif why == "lost":
        rig.driver.connection_lost(None)


@pytest.mark.parametrize("why", ["", "full", "closing", "lost"])
def test_a_whole_response_is_written_at_once_or_not_at_all(why: str) -> None:
    rig = Rig()
    rig.driver.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    stop(rig, why)
    assert rig.driver.send_response(1, 200, (), b"ok") is (not why)
    written = b"".join(rig.transport.written)
    assert written.startswith(b"HTTP/1.1 200 OK\r\n") is (not why)
    assert written.endswith(b"\r\n\r\nok") is (not why)


@pytest.mark.parametrize("why", ["", "full", "closing", "lost"])
def test_a_whole_request_is_written_at_once_or_not_at_all(why: str) -> None:
    rig = Rig(role=Role.CLIENT)
    stop(rig, why)
    request = Request(1, "GET", "http", "a", "/", ())
    assert rig.driver.send_request(request) is (not why)
    assert rig.transport.written == ([] if why else [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"])


def test_a_request_that_is_not_simple_is_left_to_send() -> None:
    rig = Rig(role=Role.CLIENT)
    assert not rig.driver.send_request(Request(1, "POST", "http", "a", "/", ()))
    assert rig.transport.written == []
    http2 = Rig(role=Role.CLIENT, protocol="h2")
    assert not http2.driver.send_request(Request(1, "POST", "http", "a", "/", ()))


def test_requests_of_one_turn_leave_together_on_http_2() -> None:
    rig = Rig(role=Role.CLIENT, protocol="h2")
    del rig.transport.written[:]
    for stream_id in (1, 3):
        assert rig.driver.send_request(Request(stream_id, "GET", "http", "a", "/", ()))
    assert rig.transport.written == []
    rig.scheduler.turn()
    assert len(rig.transport.written) == 1


def test_a_response_that_is_not_simple_is_left_to_send() -> None:
    rig = Rig()
    assert not rig.driver.send_response(1, 200, (), b"nobody asked")
    assert rig.transport.written == []


@pytest.mark.parametrize("why", ["", "full", "closing", "lost"])
def test_bytes_of_a_tunnel_are_written_at_once_or_not_at_all(why: str) -> None:
    rig = Rig()
    stop(rig, why)
    assert rig.driver.write_tunnel(b"bytes") is (not why)
    assert rig.transport.written == ([] if why else [b"bytes"])


def test_http2_writes_the_responses_of_a_batch_together() -> None:
    def ask(rig: Rig) -> None:
        streams = [frames.headers(n, frames.request_block(), end_stream=True) for n in (1, 3)]
        rig.driver.receive_data(frames.PREFACE + frames.settings() + b"".join(streams))
        del rig.transport.written[:]

    general, quick = Rig(protocol="h2"), Rig(protocol="h2")
    ask(general)
    ask(quick)
    for stream_id in (1, 3):
        answer(general.driver, stream_id)
        assert quick.driver.send_response(stream_id, 200, (), b"ok")
    assert not quick.transport.written
    general.scheduler.turn()
    quick.scheduler.turn()
    assert len(quick.transport.written) == 1
    assert quick.transport.written == general.transport.written


DATA_SIZES = st.lists(st.tuples(st.sampled_from([0, 1, 1000, 16384]), st.integers(0, 3)))


@given(DATA_SIZES, st.sampled_from([1, 40000, 262144]))
@example([(16384, 0)] * 20, 40000)
def test_http2_drains_after_an_acknowledgement_if_there_is_anything_to_write(
    plan: list[tuple[int, int]], window: int
) -> None:
    seen = []
    for always in (False, True):
        with pytest.MonkeyPatch.context() as patch:
            if always:
                patch.setattr(HTTP2Connection, "has_output", True)
            limits = replace(TEST_CONFIG.limits, stream_window=window)
            rig = Rig(replace(TEST_CONFIG, limits=limits), protocol="h2")
            head = frames.headers(1, frames.request_block("PUT"))
            rig.driver.receive_data(frames.PREFACE + frames.settings() + head)
            rig.driver.receive_data(frames.settings_ack())
            owed: list[int] = []
            for size, then in plan:
                rig.driver.receive_data(frames.data(1, bytes(size)))
                owed += [e.credit for e in rig.listener.told if isinstance(e, Data)]
                rig.listener.told = [e for e in rig.listener.told if not isinstance(e, Data)]
                for credit in owed[:then]:
                    rig.driver.acknowledge(1, credit)
                    assert always or bool(rig.scheduler.soon) is rig.driver.engine.has_output
                del owed[:then]
                rig.scheduler.turn()
                assert always or not rig.driver.engine.has_output
            seen.append((rig.transport.calls, rig.transport.written, repr(rig.listener.told)))
    assert seen[0] == seen[1]


def test_the_events_of_streams_go_to_who_has_them(engine: EngineName) -> None:
    streams: dict[int, StreamListener] = {}
    stream = NotingStream()

    class Opening(Listener):
        def on_event(self, event: Event) -> None:
            super().on_event(event)
            if isinstance(event, Request):
                streams[event.stream_id] = stream

    listener = Opening()
    connection = create_connection(Role.SERVER, "http/1.1", TEST_CONFIG, engine=engine)
    driver = Driver(connection, Transport(), listener, Scheduler(), streams=streams)
    driver.start()
    driver.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
    assert stream.told == [b"hi", "end"]
    assert [type(event) for event in listener.told] == [Request, str]
    assert listener.told[-1] == "end"
