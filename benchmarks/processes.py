"""Child processes: start, wait until ready, CPU time and memory, stop.  Linux only."""

from __future__ import annotations

import os
import resource
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")
_SYSTEM_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))


class MissingProgram(Exception):
    """A program that is needed is not installed."""


def find_program(name: str) -> str:
    """Return the path of the program ``name``.  Raises MissingProgram."""
    path = shutil.which(name, path=_SYSTEM_PATH)
    if path is None:
        raise MissingProgram(
            f"{name} is not installed (tests/interop/install-peers.sh installs it)"
        )
    return path


def allow_open_files(count: int) -> None:
    """Let this process and its children open ``count`` files.  Raises OSError if it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (count, max(hard, count)))
        except ValueError:
            raise OSError(f"{count} open files are needed, {hard} are allowed") from None


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on at the moment."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def wait_for_port(port: int, process: subprocess.Popen[Any], timeout: float = 20.0) -> None:
    """Wait until something accepts connections on ``port`` of 127.0.0.1.

    ``process``: its child, whatever it reads and writes (hence Any).  Raises RuntimeError
    when it ends first, TimeoutError after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None:
                raise RuntimeError(
                    f"{process.args!r} ended with {process.returncode} before it listened"
                ) from None
            if time.monotonic() > deadline:
                raise TimeoutError(f"nothing listens on port {port}") from None
            time.sleep(0.02)


class Child:
    """A child process that ends with the ``with`` block.

    Args:
        command: program and arguments.
        log: file for what it prints; its end is shown when the child fails.
        interactive: give it pipes for standard input and output instead.
    """

    def __init__(self, command: Sequence[str], log: Path, *, interactive: bool = False) -> None:
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE if interactive else subprocess.DEVNULL,
                stdout=subprocess.PIPE if interactive else output,
                stderr=output if interactive else subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_for_port(self, port: int) -> None:
        """Wait until the child listens.  Raises RuntimeError with the end of its log."""
        try:
            wait_for_port(port, self.process)
        except (RuntimeError, TimeoutError) as error:
            raise RuntimeError(f"{error}:\n{self.log_tail()}") from None

    def request(self, line: str, timeout: float = 120.0) -> str:
        """Write a line to an interactive child and return the line that it answers.

        Raises RuntimeError when the child ends instead, or has not answered after
        ``timeout`` seconds.
        """
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(line.encode() + b"\n")
        stdin.flush()
        # Nothing is left in the buffer of stdout: each request has one line for an answer.
        if not select.select([stdout], [], [], timeout)[0]:
            raise RuntimeError(f"{self.process.args!r}: no answer to {line!r} in {timeout} s")
        answer = stdout.readline().decode().strip()
        if not answer:
            self.process.wait(10)
            raise RuntimeError(f"{self.process.args!r} failed:\n{self.log_tail()}")
        return answer

    def log_tail(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]

    def cpu_seconds(self) -> float:
        """Return user and system time of the child and its descendants so far."""
        return sum(_cpu_seconds(pid) for pid in _tree(self.pid))

    def memory_bytes(self) -> int:
        """Return the resident memory of the child and its descendants."""
        return sum(_resident_bytes(pid) for pid in _tree(self.pid))

    def close(self) -> None:
        """Ask the child to end, and end it after five seconds, with all its descendants.

        A server that is killed leaves its workers behind, and some of them spin for ever.
        """
        process = self.process
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _tree(root: int) -> Iterator[int]:
    """Yield ``root`` and its descendants: servers with worker processes have some."""
    yield root
    for task in Path(f"/proc/{root}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _tree(int(child))


def _cpu_seconds(pid: int) -> float:
    # clock_getcpuclockid(3), which Python does not have: the clock of another process, all its
    # threads included.  /proc/PID/stat has the same in ticks of 10 ms, too coarse for a round.
    return time.clock_gettime(~pid << 3 | 2)


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_SIZE
