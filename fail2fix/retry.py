"""Train with restarts after a fault: ``python -m fail2fix.retry N [any argument of fail2fix.train]``

At most ``N`` restarts, each under the same run name and from the run's last checkpoint, after a pause that doubles.
Restarted: after a fault, or a process killed from outside (`fail2fix.run.exit_status.Exit`). Not restarted: bad input,
a full disk, a diverged model, an unforeseen error, a signal to this process; these end it with the run's status.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from types import FrameType

from fail2fix.cluster.processes import become_subreaper, end_descendants
from fail2fix.run.exit_status import Exit
from fail2fix.run.folder import NAME_OF_STARTS, new_name

FIRST_PAUSE_S = 10.0
LONGEST_PAUSE_S = 600.0
REQUESTS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


def can_help(status: int) -> bool:
    """Whether a restart can help after this exit status (negative: the signal that killed the process)."""
    return status == Exit.FAULT or (status < 0 and -status not in REQUESTS)


def pause_s(restart: int) -> float:
    """Seconds before the ``restart``-th restart, counted from 1."""
    return min(FIRST_PAUSE_S * 2 ** (restart - 1), LONGEST_PAUSE_S)


def retry(command: list[str], restarts: int) -> int:
    """Start a run until it completes or a restart cannot help; return the last exit status, as a shell counts it.

    Args:
        command: starts the run; a restart adds to it.
        restarts: at most.
    """
    child: subprocess.Popen[bytes] | None = None
    signaled = threading.Event()

    def forward(number: int, _: FrameType | None) -> None:
        """Forward a signal to the run, and end the restarts."""
        signaled.set()
        # A terminal sends Ctrl-C to the run too.
        if child is not None and child.poll() is None and (number != signal.SIGINT or not _on_terminal()):
            child.send_signal(number)

    become_subreaper()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, forward)
    for restart in range(1, restarts + 2):
        child = subprocess.Popen(command if restart == 1 else [*command, "fail2fix.run.restart=true"])
        status = child.wait()
        end_descendants()  # a run that was killed could not
        shell_status = 128 - status if status < 0 else status
        if not can_help(status) or signaled.is_set() or restart > restarts:
            break
        pause = pause_s(restart)
        _say(f"exit status {shell_status}: restart {restart} of {restarts} in {pause:g} s")
        if signaled.wait(pause):
            break
    return shell_status


def _on_terminal() -> bool:
    """Whether this process is in the foreground of a terminal."""
    with suppress(OSError), open("/dev/tty") as terminal:
        return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    return False


def _say(text: str) -> None:
    print(f"fail2fix.retry: {text}", file=sys.stderr, flush=True)


def main() -> None:
    """Run the command line."""
    if sys.argv[1:] in (["-h"], ["--help"]):
        print(__doc__)
        return
    if len(sys.argv) < 2 or not sys.argv[1].isdigit():
        _say("usage: python -m fail2fix.retry N [any argument of fail2fix.train]; N is a number of restarts")
        sys.exit(Exit.BAD_INPUT)
    command = [sys.executable, "-m", "fail2fix.train", *sys.argv[2:]]
    os.environ[NAME_OF_STARTS] = new_name()  # unused by a run that resumes from a folder of checkpoints
    sys.exit(retry(command, int(sys.argv[1])))


if __name__ == "__main__":
    main()
