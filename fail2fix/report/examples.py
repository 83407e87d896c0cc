"""Real attempts and their corrections, from a run's rollout dumps, with their difference marked.

``rollouts/<step>.jsonl``: one object a rollout. A correction's ``attempt_id`` is ``f2f-<uid>-<sample>``, where
``<uid>`` names the attempted problem and begins with the step that generated the attempt. Every text is untrusted.

Example::

    [example.problem for example in examples(run)["fixed"]]
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from os.path import commonprefix
from pathlib import Path
from typing import Any

import numpy as np

from fail2fix.method.markers import CLOSE_DELIMITER, OPEN_DELIMITER
from fail2fix.report.reading import NUMBER, TEXT, Row, is_right, read_lines
from fail2fix.report.run_data import RunData, number, shortened

KINDS = {"fixed": (0, 1), "broken": (1, 0), "still_wrong": (0, 0)}  # verdicts of attempt and correction
SHOWN = 10  # of each kind
STEPS = 5  # dumps read for each kind, up to twice as many more where examples are rare: a dump may be large
PROBLEM_CHARS, ANSWER_CHARS, PRED_CHARS = 2_000, 4_000, 200
MAX_WORDS = 1_500  # compared of each answer; what follows is left unmarked

_ATTEMPT_ID = re.compile(r"f2f-((\d+)-.*)-(\d+)")
_WORD = re.compile(r"\S+\s*|\s+")


@dataclass(frozen=True)
class Piece:
    """Part of an answer, as text; ``changed``: the other answer does not have it."""

    text: str
    changed: bool


@dataclass(frozen=True)
class Example:
    """An attempt and one of its corrections. Texts have their control characters escaped and are bounded."""

    step: int
    attempt_id: str
    problem: str
    attempt: Sequence[Piece]
    correction: Sequence[Piece]
    attempt_answer: str
    answer: str


def examples(run: RunData) -> dict[str, list[Example]]:
    """At most ``SHOWN`` examples of each kind, from different steps and attempts where there are enough.

    Raises:
        InputError: a malformed dump, by file, line and field.
    """
    read: dict[int, dict[str, list[Example]]] = {}
    chosen = {}
    for kind in KINDS:
        some: list[list[Example]] = []
        for place, step in enumerate(_steps_with(run, kind)):
            if place >= STEPS and sum(map(len, some)) >= SHOWN:
                break
            if step not in read:
                dump = Dump(run.folder, step)
                read[step] = {each: list(dump.examples(each)) for each in KINDS}
            some.append(read[step][kind])
        # One of each step, then a second one of each step, and so on.
        mixed = [example for turn in zip_longest(*some) for example in turn if example]
        chosen[kind] = sorted(mixed[:SHOWN], key=lambda example: example.step)
    return chosen


def _steps_with(run: RunData, kind: str) -> list[int]:
    """Steps that have rollouts of a kind and a dump: first ``STEPS`` spread over the run, then as many in between."""
    steps = [row["step"] for row in run.steps if number(row, f"fail2fix/transition/{kind}")]
    steps = [step for step in steps if _path(run.folder, step).exists()]
    if not steps:
        return []
    spread = [steps[round(place)] for many in (STEPS, 2 * STEPS + 1) for place in np.linspace(0, len(steps) - 1, many)]
    return list(dict.fromkeys(spread))


def _path(folder: Path, step: int) -> Path:
    return folder / "rollouts" / f"{step}.jsonl"


def _read(path: Path) -> list[Row]:
    return read_lines(path, {"input": TEXT, "output": TEXT, "score": NUMBER})


class Dump:
    """The rollouts of one step, and those of the steps that its attempts come from."""

    def __init__(self, folder: Path, step: int) -> None:
        self._folder, self._step = folder, step
        self._rows = _read(_path(folder, step))
        self._by_step = {step: self._rows}

    def examples(self, kind: str) -> Iterator[Example]:
        """Corrections of a kind, at most ``SHOWN``, one an attempt."""
        seen: set[str] = set()
        for row in self._rows:
            name = str(row.get("attempt_id") or row.get("uid"))
            verdicts = row.get("attempt_correct"), is_right(row)
            if len(seen) == SHOWN or name in seen or row.get("verify_status") == "error" or verdicts != KINDS[kind]:
                continue
            if attempt := self._attempt(name, row):
                seen.add(name)
                yield _example(self._step, name, row, attempt)

    def _attempt(self, name: str, correction: Row) -> dict[str, Any] | None:
        """The attempt's row: the rollout that the correction quotes, or the quotation where no dump has it."""
        if not (parts := _ATTEMPT_ID.fullmatch(name)):
            return None
        uid, step, sample = parts[1], int(parts[2]), int(parts[3])
        if step not in self._by_step:
            path = _path(self._folder, step)
            self._by_step[step] = _read(path) if path.exists() else []
        group = enumerate(row for row in self._by_step[step] if row.get("uid") == uid)
        # A dump's rows may be rearranged among ranks: the quotation decides, then the place.
        alike = [
            (_in_common(row["output"], correction["input"]), place == sample, row)
            for place, row in group
            if is_right(row) == correction["attempt_correct"]
        ]
        if alike:
            return max(alike, key=lambda one: one[:2])[2]
        problem, opened, rest = correction["input"].partition(f"{OPEN_DELIMITER}\n")
        quoted, closed, _ = rest.rpartition(f"\n{CLOSE_DELIMITER}")
        return {"input": problem, "output": quoted} if opened and closed else None


def _in_common(answer: str, prompt: str) -> int:
    """Characters of the longest beginning and the longest end of an answer that a prompt contains."""
    text = answer.strip()
    lengths = range(1, len(text) + 1)
    beginning = bisect(lengths, False, key=lambda length: text[:length] not in prompt)
    return beginning + bisect(lengths, False, key=lambda length: text[-length:] not in prompt)


def _example(step: int, name: str, row: Row, attempt: dict[str, Any]) -> Example:
    before, after = (shortened(text.strip(), ANSWER_CHARS) for text in (attempt["output"], row["output"]))
    marked, marked_after = difference(before, after)
    return Example(
        step=step,
        attempt_id=shortened(name, 80),
        problem=shortened(attempt["input"].strip(), PROBLEM_CHARS),
        attempt=marked,
        correction=marked_after,
        attempt_answer=shortened(attempt.get("pred") or "", PRED_CHARS),
        answer=shortened(row.get("pred") or "", PRED_CHARS),
    )


def difference(before: str, after: str) -> tuple[list[Piece], list[Piece]]:
    """Two answers in pieces, what only one of them has marked word by word; together they are the answers.

    Beginnings alike are taken off first: in long answers difflib starts from words that occur rarely.
    """
    a, b = _WORD.findall(before), _WORD.findall(after)
    words = [[word.strip() for word in side[:MAX_WORDS]] for side in (a, b)]
    alike = len(commonprefix(words))
    opcodes = SequenceMatcher(None, words[0][alike:], words[1][alike:]).get_opcodes()
    spans = [(False, a[:alike], b[:alike])]
    spans += [(tag != "equal", a[alike + i : alike + j], b[alike + k : alike + m]) for tag, i, j, k, m in opcodes]
    spans.append((False, a[MAX_WORDS:], b[MAX_WORDS:]))
    left = [piece for changed, part, _ in spans for piece in _pieces("".join(part), changed)]
    right = [piece for changed, _, part in spans for piece in _pieces("".join(part), changed)]
    return left, right


def _pieces(text: str, changed: bool) -> list[Piece]:
    """The text as one piece, or its marked words and the blanks after them."""
    words = text.rstrip() if changed else text
    return [piece for piece in (Piece(words, changed), Piece(text[len(words) :], False)) if piece.text]
