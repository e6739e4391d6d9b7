"""The same frames, whole and damaged, into the native and the reference WebSocket."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from plait_engine import Config, Role
from plait_engine.engines import EngineName, websocket_class
from plait_engine.testing import Fragmenter, counting_random, whole
from plait_engine.testing.strategies import fragmenters, mutated, websocket_streams
from plait_engine.websocket import BytesMessage, Ping, Pong, TextMessage, WebSocketClose
from tests.engine.differential.conftest import budget

CONFIG = Config(random=counting_random)
ROLES = st.sampled_from([Role.CLIENT, Role.SERVER])


@dataclass
class Outcome:
    """What an engine made of the bytes: the events, and with which code it ended."""

    events: list[tuple[str, object]] = field(default_factory=list)
    code: int | None = None
    failed: bool = False


def receive(engine: EngineName, role: Role, data: bytes, fragment: Fragmenter) -> Outcome:
    websocket = websocket_class(engine)(role, CONFIG, auto_pong=False)
    outcome = Outcome()

    def take() -> None:
        while (event := websocket.next_event()) is not None:
            if isinstance(event, WebSocketClose):
                outcome.code, outcome.failed = event.code, event.error is not None
            elif isinstance(event, TextMessage | BytesMessage):
                outcome.events.append((type(event).__name__, event.data))
            elif isinstance(event, Ping | Pong):
                outcome.events.append((type(event).__name__, event.payload))
        while websocket.data_to_send():
            pass

    for piece in fragment(data):
        websocket.receive_data(piece, 0.0)
        take()
    websocket.receive_eof(0.0)
    take()
    return outcome


def compare(role: Role, data: bytes, fragment: Fragmenter) -> None:
    """Both see the same, up to the fault if there is one."""
    native = receive("native", role, data, fragment)
    reference = receive("reference", role, data, whole)
    message = f"\nnative:    {native}\nreference: {reference}"
    if not native.failed:
        assert native == reference, message
        return
    # RFC 6455 section 7.1.7: a broken connection is failed.  Which of several faults is
    # named, and whether events before it in the same bytes are still told, is left open.
    assert reference.failed, message
    shared = min(len(native.events), len(reference.events))
    assert native.events[:shared] == reference.events[:shared], message


@budget(150)
@given(ROLES, st.data(), fragmenters())
def test_valid_frames(role: Role, data: st.DataObject, fragment: Fragmenter) -> None:
    compare(role, data.draw(websocket_streams(masked=role is Role.SERVER)), fragment)


@budget(400)
@given(ROLES, st.data(), fragmenters())
def test_damaged_frames(role: Role, data: st.DataObject, fragment: Fragmenter) -> None:
    raw = data.draw(mutated(websocket_streams(masked=role is Role.SERVER)))
    compare(role, raw, fragment)
