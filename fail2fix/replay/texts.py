"""Texts of a step's rollouts, from the run's dump of rollouts; all of them are untrusted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from fail2fix.console.printable import one_line
from fail2fix.method.errors import READ_ERRORS, InputError, reading
from fail2fix.replay.decisions import RecordedStep

WIDTH = 44
# The line before the user's words in a prompt that is decoded without special tokens, and the line after them.
BEFORE, AFTER = "\nuser\n", "\nassistant\n"

Texts = Callable[[int, int, str], str]
"""A field of the attempt of a group and sample, like ``pred``; empty where the dump does not have it."""


def read_texts(run: Path, recorded: RecordedStep) -> Texts | None:
    """Read ``rollouts/<step>.jsonl``; None where it is missing, or where the attempts are of another step.

    Raises:
        InputError: the file does not parse, or is not of this step.
    """
    path = run / "rollouts" / f"{recorded.step}.jsonl"
    if not path.exists():
        return None
    with reading(f"{path}: not the rollouts of decisions/{recorded.step}.json", *READ_ERRORS, InputError):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
        for stream in filter(None, (recorded.base, recorded.correction)):
            for row, right in zip(stream.dumped.tolist(), stream.correct.tolist(), strict=True):
                if "verdict" in rows[row] and bool(rows[row]["verdict"]) != right:
                    raise InputError(f"line {row + 1} has another verdict")
    places = recorded.base.by_group(recorded.base.dumped)
    return (lambda group, sample, name: str(rows[places[group, sample]].get(name, ""))) if recorded.online else None


def problem_of(prompt: str) -> str:
    """The user's words of a prompt, shortened."""
    return shortened(f"\n{prompt}".rpartition(BEFORE)[2].removesuffix(AFTER))


def shortened(text: str, width: int = WIDTH) -> str:
    """A text in one line of at most ``width`` characters."""
    line = one_line(text[: 4 * width])
    return line if len(line) <= width else line[: width - 3] + "..."
