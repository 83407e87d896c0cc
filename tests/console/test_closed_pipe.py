"""A command whose reader leaves, as in `... | head`, ends without a message and with a shell's status."""

import pytest

from tests.forked import run_code

CODE = """
import os, sys
from rich.console import Console
from fail2fix.console.command_line import run_command

reader, writer = os.pipe()
os.dup2(writer, 1)
os.close(writer)
os.close(reader)
run_command(lambda: {call})
"""

OTHER = """
import socket
from fail2fix.console.command_line import run_command

def main():
    ours, theirs = socket.socketpair()
    theirs.close()
    ours.sendall(b"x")

run_command(main)
"""
CLOSED = """
import sys
from fail2fix.console.command_line import run_command
sys.stdout = None
run_command(lambda: 0)
"""


@pytest.mark.parametrize(
    ("call", "status"),
    [
        ("print('one line')", 141),
        ("print('x' * 10**6)", 141),
        ("Console(file=sys.stdout).print('by rich')", 141),
        ("3", 3),
        ("None", 0),
        ("sys.exit(2)", 2),
    ],
)
def test_a_closed_pipe_ends_a_command_quietly(call: str, status: int) -> None:
    done = run_code(CODE.format(call=call), preload=["rich.console", "fail2fix.console.command_line"])
    assert (done.returncode, done.stderr) == (status, "")


def test_another_pipe_that_breaks_is_an_error() -> None:
    done = run_code(OTHER, preload=["fail2fix.console.command_line"])
    assert done.returncode == 1
    assert "BrokenPipeError" in done.stderr


def test_a_command_without_a_stdout_ends_with_its_status() -> None:
    done = run_code(CLOSED, preload=["fail2fix.console.command_line"])
    assert (done.returncode, done.stderr) == (0, "")
