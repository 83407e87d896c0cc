"""One sandbox process: started early, given one job, read under deadlines, killed.

Knows: pipes and processes. Must not know: what reports mean. The reader limits the effect of a sandbox on this process:
silence, total time, length of a line.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

from fail2fix.verify.code.backend import InfrastructureError, Report, read_report
from fail2fix.verify.code.cgroup import Group
from fail2fix.verify.code.ground_truth import Limits
from fail2fix.verify.code.inside.pipes import readable
from fail2fix.verify.code.memory import MemoryWatch

GRACE_S = 0.5
"""The supervisor inside enforces the time of a test; this much later it counts as stuck and is killed from outside."""

START_S = 60.0
"""Seconds from the start of a sandbox to its first report."""

END_S = 5.0
"""Seconds for bwrap to name its sandbox's process 1, and to end after it."""

READ_BYTES = 1 << 16

NICENESS = 10
"""Added to this process's own, since training has priority on a busy machine."""


class Sandbox:
    """A started bubblewrap.

    `group`: its control group, if any. `watched_bytes`: memory of all its processes together that ends it; 0 if a
    control group limits it.
    """

    def __init__(
        self, command: Callable[[int], list[str]], seccomp: bytes, uid: int, group: Group | None, watched_bytes: int = 0
    ) -> None:
        self._group, self._watched_bytes = group, watched_bytes
        with contextlib.ExitStack() as stack:
            filter_fd = _readable(seccomp, stack) if seccomp else -1
            info, info_out = os.pipe()
            stack.callback(os.close, info_out)
            without_process = stack.enter_context(contextlib.ExitStack())
            without_process.callback(os.close, info)
            self._info = info
            arguments = command(filter_fd)
            arguments[1:1] = ["--info-fd", str(info_out)]
            switch = {"user": uid, "group": uid, "extra_groups": []} if uid != os.getuid() else {}
            self._process: subprocess.Popen[bytes] = subprocess.Popen(
                arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                cwd="/",
                env={},
                start_new_session=True,
                pass_fds=[fd for fd in (filter_fd, info_out) if fd >= 0],
                **switch,  # type: ignore[call-overload]
            )
            without_process.pop_all()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        os.set_blocking(self._stdin.fileno(), False)
        self._text = b""
        self._memory = MemoryWatch(0, self._process.pid)
        self._first: int | None = None
        self._lock = threading.Lock()

    def wait_ready(self) -> None:
        """Wait for the supervisor, and put it into its control group before it starts anything.

        Raises:
            InfrastructureError: with the last line of bwrap or Python on stderr.
        """
        deadline = time.monotonic() + START_S
        if "ready" not in next(self._lines(b"", deadline, lambda: deadline, READ_BYTES)):
            self._kill_start()
            assert self._process.stderr is not None
            said = self._process.stderr.read(4000) if readable(self._process.stderr.fileno(), END_S) else b""
            complaint = said.decode("utf-8", "replace").strip().splitlines()
            raise InfrastructureError(complaint[-1] if complaint else "the sandbox did not start")
        pid = self._find_first_process()
        os.setpriority(os.PRIO_PROCESS, pid, niceness())
        self._memory = MemoryWatch(self._watched_bytes, pid)
        if self._group is not None:
            self._group.add(pid)

    def _find_first_process(self) -> int:
        """The pid of the sandbox's process 1 as seen here; opens a lasting handle on it.

        Raises:
            InfrastructureError: bwrap has not named it within `END_S` seconds.
        """
        told = b""
        # bwrap writes in several pieces and then closes its end.
        while readable(self._info, END_S) and (piece := os.read(self._info, 4096)):
            told += piece
        try:
            pid = int(json.loads(told)["child-pid"])
            self._first = os.pidfd_open(pid)
        except (OSError, ValueError, KeyError) as error:
            raise InfrastructureError(f"bwrap does not name the sandbox's process: {error}") from None
        return pid

    def run(self, job: bytes, limits: Limits) -> Iterator[Report]:
        """Send the job and yield its reports; the last one is `{"end": ...}`, "lost" if the sandbox vanished."""
        # A character of output takes up to six in JSON.
        longest = 6 * limits.output_kb * 2**10 + 4096
        deadline = time.monotonic() + limits.total_s
        patience = limits.test_s + GRACE_S
        yield from self._lines(job, deadline, lambda: time.monotonic() + patience, longest)

    def _lines(self, data: bytes, deadline: float, next_due: Callable[[], float], longest: int) -> Iterator[Report]:
        """Write `data` while reading lines, each due by `next_due()` and all by `deadline` (monotonic seconds)."""
        due, poll = next_due(), select.poll()
        poll.register(self._stdout, select.POLLIN)
        if data:
            poll.register(self._stdin, select.POLLOUT)
        while True:
            while b"\n" in self._text:
                line, self._text = self._text.split(b"\n", 1)
                report = read_report(line)
                yield report
                if "end" in report:
                    return
                due = next_due()
            left = min(due, deadline) - time.monotonic()
            if left <= 0 or len(self._text) > longest or self._memory.is_exceeded():
                yield {"end": "timeout" if left <= 0 else "limit"}
                return
            ready = {descriptor for descriptor, _ in poll.poll(min(left, self._memory.look_s) * 1000)}
            if self._stdin.fileno() in ready:
                data = self._write(data)
                if not data:
                    poll.unregister(self._stdin)
            if self._stdout.fileno() in ready:
                text = self._stdout.read(READ_BYTES)
                if not text:
                    yield {"end": "lost"}
                    return
                self._text += text

    def _write(self, data: bytes) -> bytes:
        """The rest of `data` after writing what the pipe takes; empty if the reader is gone."""
        with contextlib.suppress(BrokenPipeError):
            return data[self._stdin.write(data[:READ_BYTES]) or 0 :]
        return b""

    def kill(self) -> None:
        """End it from any thread: process 1 dies, and the kernel ends all processes of its namespace.

        bwrap then reaps process 1 and ends by itself. If bwrap were killed first, each sandbox would leave a dead
        process to this machine's init, which in many containers reaps none.
        """
        with self._lock, contextlib.suppress(ProcessLookupError):
            if self._first is not None:
                signal.pidfd_send_signal(self._first, signal.SIGKILL)
            else:
                self._kill_start()

    def _kill_start(self) -> None:
        """End bwrap and what it has started: killed alone, it leaves a process that waits for it forever."""
        with contextlib.suppress(ProcessLookupError):
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Kill, reap, and release everything.

        A starting sandbox continues until its process 1 can be killed, or for `END_S` seconds.
        """
        if self._first is None:
            with contextlib.suppress(InfrastructureError):
                self._find_first_process()
        self.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=END_S)
        self._kill_start()
        self._process.wait()
        with self._lock:
            if self._first is not None:
                os.close(self._first)
                self._first = None
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert stream is not None
            stream.close()
        os.close(self._info)
        if self._group is not None:
            self._group.remove()


def niceness() -> int:
    """Niceness of programs: this process's own and `NICENESS`, up to the system's 19."""
    return min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)


def _readable(content: bytes, stack: contextlib.ExitStack) -> int:
    """A pipe that holds `content`, up to a pipe's size, and then ends."""
    reader, writer = os.pipe()
    stack.callback(os.close, reader)
    os.write(writer, content)
    os.close(writer)
    return reader
