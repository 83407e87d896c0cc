"""Train, and start again after a fault: ``python -m fail2fix.retry N [any argument of fail2fix.train]``

At most ``N`` restarts, each under the same run name and from the run's last checkpoint, after a pause that doubles.
Only what a restart can help is retried (`fail2fix.run.faults.Exit`): a fault, or a process killed from outside. Bad
input, a full disk, a diverged model, an unforeseen error and a signal to this process end it with the run's status.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from types import FrameType

from fail2fix.cluster.processes import become_subreaper, end_descendants
from fail2fix.run.faults import Exit
from fail2fix.run.folder import NAME_OF_STARTS, new_name

FIRST_PAUSE_S = 10.0
LONGEST_PAUSE_S = 600.0
ASKED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


def can_help(status: int) -> bool:
    """Whether a restart can help after this exit status (negative: the signal that killed the process)."""
    return status == Exit.FAULT or (status < 0 and -status not in ASKED)


def pause_s(restart: int) -> float:
    """Seconds before the ``restart``-th restart, counted from 1."""
    return min(FIRST_PAUSE_S * 2 ** (restart - 1), LONGEST_PAUSE_S)


class Retry:
    """The starts of one run.

    Args:
        command: starts the run; a restart adds to it.
        restarts: most restarts.
    """

    def __init__(self, command: list[str], restarts: int) -> None:
        self._command, self._restarts = command, restarts
        self._child: subprocess.Popen[bytes] | None = None
        self._asked = threading.Event()

    def run(self) -> int:
        """Start until the run is finished or a restart cannot help; the last exit status, as a shell counts it."""
        become_subreaper()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._forward)
        for restart in range(self._restarts + 1):
            again = ["fail2fix.run.restart=true"] if restart else []
            status = self._start([*self._command, *again])
            if not can_help(status) or self._asked.is_set() or restart == self._restarts:
                break
            pause = pause_s(restart + 1)
            _say(f"exit status {_as_shell(status)}: restart {restart + 1} of {self._restarts} in {pause:g} s")
            if self._asked.wait(pause):
                break
        return _as_shell(status)

    def _start(self, command: list[str]) -> int:
        self._child = subprocess.Popen(command)
        status = self._child.wait()
        end_descendants()  # a run that was killed could not do it
        return status

    def _forward(self, number: int, _: FrameType | None) -> None:
        """A signal to this process is meant for the run, and ends the retrying."""
        self._asked.set()
        # A terminal sends Ctrl-C to both; then the run has had it already.
        if self._child is not None and self._child.poll() is None and (number != signal.SIGINT or not _on_terminal()):
            self._child.send_signal(number)


def _on_terminal() -> bool:
    """Whether this process is in the foreground of a terminal."""
    try:
        with open("/dev/tty") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


def _as_shell(status: int) -> int:
    return 128 - status if status < 0 else status


def _say(text: str) -> None:
    print(f"fail2fix.retry: {text}", file=sys.stderr, flush=True)


def main() -> None:
    """The command line."""
    if len(sys.argv) < 2 or not sys.argv[1].isdigit():
        _say("usage: python -m fail2fix.retry N [any argument of fail2fix.train]; N is a number of restarts")
        sys.exit(Exit.BAD_INPUT)
    command = [sys.executable, "-m", "fail2fix.train", *sys.argv[2:]]
    os.environ[NAME_OF_STARTS] = new_name()  # a run that resumes from a folder of checkpoints has its name from there
    sys.exit(Retry(command, int(sys.argv[1])).run())


if __name__ == "__main__":
    main()
