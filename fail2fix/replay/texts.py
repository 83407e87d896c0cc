"""Texts of a step's rollouts, from the run's dump of rollouts; all of them are untrusted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fail2fix.console.printable import one_line
from fail2fix.method.errors import READ_ERRORS, InputError, reading
from fail2fix.replay.decisions import RecordedStep, RewardedRows

WIDTH = 44
# The line before the user's words in a prompt that is decoded without special tokens, and the line after them.
BEFORE, AFTER = "\nuser\n", "\nassistant\n"


class StepTexts:
    """Problems and answers of a step, shortened to one line; empty where the run dumped no rollouts."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], recorded: RecordedStep) -> None:
        self._rows, self._recorded = rows, recorded

    @classmethod
    def read(cls, run: Path, recorded: RecordedStep) -> StepTexts:
        """Read ``rollouts/<step>.jsonl``.

        Raises:
            InputError: the file does not parse, or is not of this step.
        """
        path = run / "rollouts" / f"{recorded.step}.jsonl"
        if not path.exists():
            return cls([], recorded)
        with reading(f"{path}: not the rollouts of decisions/{recorded.step}.json", *READ_ERRORS, InputError):
            rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
            for stream in filter(None, (recorded.base, recorded.correction)):
                for row, right in zip(stream.dumped.tolist(), stream.correct.tolist(), strict=True):
                    if "verdict" in rows[row] and bool(rows[row]["verdict"]) != right:
                        raise InputError(f"line {row + 1} has another verdict")
        return cls(rows, recorded)

    def __bool__(self) -> bool:
        return bool(self._rows) and self._recorded.online

    def problem(self, group: int) -> str:
        """The problem of a group of the pool."""
        prompt = "\n" + str(self._field(self._of_pool(group, 0), "input"))
        return shortened(prompt.rpartition(BEFORE)[2].removesuffix(AFTER))

    def answer(self, group: int, sample: int) -> str:
        """The extracted answer of an attempt."""
        return shortened(str(self._field(self._of_pool(group, sample), "pred")), 16)

    def truth(self, group: int, sample: int) -> str:
        """The correct answer of an attempt's problem."""
        return shortened(str(self._field(self._of_pool(group, sample), "gts")), 16)

    def _of_pool(self, group: int, sample: int) -> int | None:
        base: RewardedRows = self._recorded.base
        return int(base.by_group(base.dumped)[group, sample]) if self else None

    def _field(self, row: int | None, name: str) -> Any:
        return "" if row is None else self._rows[row].get(name, "")


def shortened(text: str, width: int = WIDTH) -> str:
    """A text in one line of at most ``width`` characters."""
    line = one_line(text[: 4 * width])
    return line if len(line) <= width else line[: width - 3] + "..."
