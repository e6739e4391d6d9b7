"""Errors that are kept and raised again."""

from __future__ import annotations

import gc
import weakref

import pytest

from plait_engine import ErrorCode, RemoteProtocolError
from plait_engine.errors import copy_error


class Uncopyable(Exception):
    """Its constructor wants other arguments than it hands on."""

    def __init__(self, place: str, size: int) -> None:
        super().__init__(f"{place}: {size}")


class Holder:
    """Keeps an error, and raises copies of it."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def fail(self) -> None:
        raise copy_error(self.error)


def test_a_copy_says_what_the_error_says() -> None:
    error = RemoteProtocolError("too long", status_hint=431, code=ErrorCode.ENHANCE_YOUR_CALM)
    error.__cause__ = OSError("below")
    copied = copy_error(error)
    assert copied is not error
    assert isinstance(copied, RemoteProtocolError)
    assert str(copied) == "too long"
    assert (copied.status_hint, copied.code, copied.scope) == (
        *(431, ErrorCode.ENHANCE_YOUR_CALM),
        error.scope,
    )
    assert copied.__cause__ is error.__cause__


def test_raising_a_copy_leaves_no_frames_in_the_error() -> None:
    """A frame would keep alive who keeps the error."""
    error = RemoteProtocolError("kept")
    holder = Holder(error)
    with pytest.raises(RemoteProtocolError, match="kept") as caught:
        holder.fail()
    assert caught.value.__traceback__ is not None
    assert error.__traceback__ is None
    gone = weakref.ref(holder)
    del holder, caught
    gc.collect()
    assert gone() is None


def test_an_error_that_cannot_be_copied_is_raised_itself() -> None:
    error = Uncopyable("head", 9)
    assert copy_error(error) is error


def test_a_note_on_a_copy_is_on_no_other() -> None:
    error = RemoteProtocolError("kept")
    error.add_note("for all")
    first, second = copy_error(error), copy_error(error)
    first.add_note("for one")
    assert first.__notes__ == ["for all", "for one"]
    assert second.__notes__ == error.__notes__ == ["for all"]
