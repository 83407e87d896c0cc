"""Own answers: the policy solves the held-out problems once and revises what it wrote (ours).

Frozen attempts are the starting model's; these are of the policy that corrects them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from fail2fix.method.metrics import Metrics, own_answer_metrics
from fail2fix.method.prompts import CorrectionPromptBuilder
from fail2fix.verl_ext.replays import Replay, build_replays, correction_requests
from fail2fix.verl_ext.requests import Requests
from fail2fix.verl_ext.stream import Answer, Stream

DUMPS = "own_answers"
FIRST_REQUEST, FIRST_REVISION = 1 << 28, 1 << 29
"""Numbers of the first requests, beyond those of frozen attempts."""


class OwnAnswers:
    """First answers to problems, and their revisions.

    Args:
        problems: one request a problem.
        builder: of correction prompts.
        samples: revisions of each answer.
    """

    def __init__(self, problems: Requests, builder: CorrectionPromptBuilder, samples: int) -> None:
        self.problems, self.builder, self.samples = problems, builder, samples

    def evaluate(self, answer: Answer, dump: Path) -> Metrics:
        """Solve and revise; ``dump``: where the revisions go, one JSON line each."""
        first, _ = answer(self.problems, 1, FIRST_REQUEST)
        groups = first.prompt_groups(self.builder.fits)
        attempts = [attempt for group in groups for attempt in group.attempts if attempt.replayable]
        replays, _ = build_replays(first, attempts, self.builder)
        counts = {"problems": float(len(self.problems)), "skipped": float(len(self.problems) - len(replays))}
        metrics: Metrics = {f"fail2fix/own_answers/{name}": count for name, count in counts.items()}
        if not replays:
            return metrics
        requests = correction_requests(replays).repeat(self.samples)
        revisions, texts = answer(requests, self.samples, FIRST_REVISION)
        self._dump(first, replays, revisions, texts, dump)
        read = revisions.rollouts
        kept, rows = ~read.excluded, np.array([replay.row for replay in replays])
        answers = np.array(read.answers, dtype=object).reshape(len(replays), -1)
        return metrics | own_answer_metrics(
            first.rollouts.correct[rows][kept],
            [replay.answer for replay, keep in zip(replays, kept, strict=True) if keep],
            read.by_group(read.correct)[kept],
            answers[kept].tolist(),
        )

    def _dump(self, first: Stream, replays: list[Replay], revisions: Stream, texts: list[str], path: Path) -> None:
        """Write a line for each revision, and one for each first answer that has no prompt and so stands."""
        before, after = first.rollouts, revisions.rollouts
        failed = after.ended_in("error")
        lines = [
            _attempt(first, replays[row // self.samples].row)
            | {
                "correct": bool(after.correct[row]),
                "status": "error" if failed[row] else "ok",
                "answer": after.answers[row],
                "tokens": int(after.response_tokens[row]),
                "output": text,
            }
            for row, text in enumerate(texts)
        ]
        judged = np.flatnonzero(~before.ended_in("error")).tolist()
        for row in sorted({*judged} - {replay.row for replay in replays}):
            line = _attempt(first, row)
            stands = {"correct": line["attempt_correct"], "answer": line["attempt_answer"], "tokens": 0, "output": ""}
            lines.append(line | stands | {"status": "skipped"})
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            file.writelines(json.dumps(line) + "\n" for line in sorted(lines, key=lambda line: line["place"]))


def _attempt(first: Stream, row: int) -> dict[str, Any]:
    read = first.rollouts
    return {
        "place": row,
        "problem": read.problems[row],
        "attempt_correct": bool(read.correct[row]),
        "attempt_answer": read.answers[row],
        "attempt_tokens": int(read.response_tokens[row]),
    }
