"""What a case of the public Http11Probe list is, and the rules that judge one.

The list sends raw bytes over a connection, in one or more steps, and gives a verdict on
what it saw: pass, warn or fail.  The cases are in ``probe_compliance``, ``probe_smuggling``,
``probe_malformed`` and ``probe_application``, as facts: what is sent, and the rule.

``test_probe`` tries them on the engine, where every cut of the bytes can be tried;
``tests/interop/test_http11probe.py`` on a server, over sockets, as the list does.

plait passes every case but those that say in ``warned`` why they get a warning: an RFC
decides otherwise, or the list knows no better verdict.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias


class Verdict(enum.Enum):
    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"


class Engine(enum.Enum):
    """What the engine alone does with the bytes of the first step."""

    REFUSES = "answers the head itself; no request reaches the application"
    REFUSES_BODY = "answers the body itself; the request never ends"
    ACCEPTS = "hands the request over whole; the answer is the application's"
    WAITS = "waits for the rest"
    OTHER = "has a test of its own"


@dataclass(frozen=True)
class Answer:
    """What one step saw."""

    status: int | None
    """``None``: the connection ended without an answer, or was closed before the step."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    body: bytes = b""
    closed: bool = False
    """The server had closed, or half-closed, the connection after the step."""
    executed: bool = True
    """False: an earlier step found the connection closed."""
    count: int = 1
    """How many answers came; more than one means that content was read as a request."""

    @property
    def successful(self) -> bool:
        return self.status in OK


Judge: TypeAlias = Callable[[Sequence[Answer]], Verdict]
Step: TypeAlias = bytes | Callable[[Answer], bytes]
"""Bytes, or what makes them of the answer to the first step."""


@dataclass(frozen=True)
class Case:
    """One case.

    Args:
        name: its id in the list.
        steps: what is sent; a step is sent when the answer to the one before is complete.
        judge: the rule of the list.
        engine: what the engine does.
        content: the content of a request that the engine accepts.
        scored: whether the list counts the verdict.
        warned: why plait's verdict is "warn"; empty: it passes.
    """

    name: str
    steps: tuple[Step, ...]
    judge: Judge
    engine: Engine = Engine.REFUSES
    content: bytes = b""
    scored: bool = True
    warned: str = ""

    @property
    def data(self) -> bytes:
        """The bytes of the first step."""
        first = self.steps[0]
        assert isinstance(first, bytes)
        return first

    @property
    def suite(self) -> str:
        return self.name.partition("-")[0]


OK = range(200, 300)


def expect(
    passes: Container[int], warns: Container[int] = (), silence: Verdict = Verdict.PASS
) -> Judge:
    """Judge by the status; ``silence`` is the verdict on a close without an answer."""

    def judge(answers: Sequence[Answer]) -> Verdict:
        status = answers[0].status
        if status is None:
            return silence
        if status in passes:
            return Verdict.PASS
        return Verdict.WARN if status in warns else Verdict.FAIL

    return judge


ONLY_400 = expect({400}, silence=Verdict.FAIL)
"""For what the RFCs say 400 to in so many words."""
REFUSAL = expect({400})
PREFERS_400 = expect({400}, silence=Verdict.WARN)
FORGIVES = expect({400}, warns=OK)
"""A refusal is preferred; to accept is allowed."""
FORGIVES_400 = expect({400}, warns=OK, silence=Verdict.WARN)
SUCCESS = expect(OK)
NO_UPGRADE = expect([status for status in range(100, 600) if status != 101])


def echoes(content: bytes) -> Judge:
    """The answer has the content of the request."""

    def judge(answers: Sequence[Answer]) -> Verdict:
        good = answers[0].successful and answers[0].body == content
        return Verdict.PASS if good else Verdict.FAIL

    return judge


def has_field(
    name: str, statuses: Container[int] = OK, *, passes: Container[int] = (), lacking: Verdict
) -> Judge:
    """The answer has one of the statuses, and with it the field."""

    def judge(answers: Sequence[Answer]) -> Verdict:
        answer = answers[0]
        if answer.status in passes:
            return Verdict.PASS
        if answer.status not in statuses:
            return Verdict.FAIL
        return Verdict.PASS if name in answer.headers else lacking

    return judge


def succeeds_and_closes(answers: Sequence[Answer]) -> Verdict:
    good = answers[0].successful and answers[0].closed
    return Verdict.PASS if good else Verdict.FAIL


def is_safe(answer: Answer) -> bool:
    """The step was refused, or the connection ended with it."""
    return answer.status == 400 or answer.closed


def refuses_or_closes(answers: Sequence[Answer]) -> Verdict:
    """Nothing that follows an ambiguous request is read; only one answer comes."""
    if answers[0].count > 1 or not is_safe(answers[0]):
        return Verdict.FAIL
    return Verdict.PASS


def stays_in_step(answers: Sequence[Answer]) -> Verdict:
    """The content of the first request is no part of the second."""
    first, second = answers
    if is_safe(first) or first.status == 417:
        return Verdict.PASS
    if not first.successful:
        return Verdict.FAIL
    return Verdict.PASS if second.successful and second.count == 1 else Verdict.WARN


def case(
    name: str,
    data: bytes,
    judge: Judge = REFUSAL,
    *then: Step,
    engine: Engine = Engine.REFUSES,
    content: bytes = b"",
    scored: bool = True,
    warned: str = "",
) -> Case:
    return Case(name, (data, *then), judge, engine, content, scored, warned)


def accepted(
    name: str,
    data: bytes,
    judge: Judge = SUCCESS,
    content: bytes = b"",
    *then: Step,
    scored: bool = True,
    warned: str = "",
) -> Case:
    return Case(name, (data, *then), judge, Engine.ACCEPTS, content, scored, warned)


HOST = b"Host: localhost:8080\r\n"


def head(line: bytes, *fields: bytes, host: bytes = HOST) -> bytes:
    """Return a request without content."""
    return line + b"\r\n" + host + b"".join(line + b"\r\n" for line in fields) + b"\r\n"


def get(*fields: bytes, target: bytes = b"/", host: bytes = HOST) -> bytes:
    return head(b"GET " + target + b" HTTP/1.1", *fields, host=host)


def post(*fields: bytes, body: bytes = b"hello", target: bytes = b"/") -> bytes:
    return head(b"POST " + target + b" HTTP/1.1", *fields) + body


def length(value: bytes, *fields: bytes, body: bytes = b"hello") -> bytes:
    return post(b"Content-Length: " + value, *fields, body=body)


def chunked(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", body=body)


FOLLOW_UP = get()
