"""Held-out corrections: can the policy fix what the starting model got wrong, and keep what it got right? (ours)

The validation set exists a second time, as correction prompts: for every problem at most one right and one wrong
attempt of the starting model. They are frozen in a file, so that validations of a run, and runs that share the file,
answer the same prompts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from itertools import zip_longest
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from fail2fix.method.errors import InputError
from fail2fix.method.metrics import Metrics, held_out_metrics
from fail2fix.method.prompts import CorrectionPromptBuilder
from fail2fix.method.rollouts import Floats
from fail2fix.method.selection import Attempt, PromptGroup
from fail2fix.run.folder import folder_of
from fail2fix.run.provenance import check_provenance
from fail2fix.run.settings import fail2fix_settings
from fail2fix.verl_ext.own_answers import OwnAnswers
from fail2fix.verl_ext.replays import build_replays, correction_requests
from fail2fix.verl_ext.starting_policy import Messages, StartingRollouts
from fail2fix.verl_ext.stream import Answer, Stream
from fail2fix.verl_ext.stream_file import read_provenance, read_stream, write_stream

FILE = "held_out.parquet"
DUMPS = "held_out_corrections"
# What the file and the runs that share it must have in common.
SAME = ("model", "tokenizer", "val_files")


def frozen_attempts(groups: Sequence[PromptGroup]) -> list[Attempt]:
    """One right and one wrong attempt a problem, where there are any; which one, their contents decide."""
    chosen = []
    for group in groups:
        for correct in (True, False):
            side = [a for a in group.attempts if a.correct == correct and a.replayable]
            side.sort(key=lambda a: (a.cut_off, hashlib.blake2b(a.content, digest_size=8).digest(), a.sample))
            chosen += side[:1]
    return chosen


class HeldOutCorrections:
    """The frozen prompts, and their evaluation.

    Args:
        pool: the starting model's rollouts of the held-out problems, in the order of the validation set.
        groups: the same as selection reads them.
        builder: of correction prompts.
        samples: corrections a prompt.
        revisions: of each of the policy's own answers, which ``own`` evaluates; 0: None.
    """

    def __init__(
        self,
        pool: Stream,
        groups: Sequence[PromptGroup],
        builder: CorrectionPromptBuilder,
        samples: int,
        revisions: int = 0,
    ) -> None:
        self.pool, self.samples = pool, samples
        problems = pool.requests.rows(np.arange(0, len(pool), pool.rollouts.group_size))
        self.own = OwnAnswers(problems, builder, revisions) if revisions else None
        self.replays, counts = build_replays(pool, frozen_attempts(groups), builder)
        self.skipped = float(counts["skipped"])
        self.problems = float(len({replay.attempt.group for replay in self.replays}))

    def evaluate(self, answer: Answer, resolve: Floats, dump: Path) -> Metrics:
        """Answer every prompt and compare with the constant policies.

        Args:
            answer: asks the policy.
            resolve: (problems,) the current policy's held-out accuracy, in the order of the validation set; nan where
                no sample got a verdict.
            dump: where the corrections go, one JSON line each.
        """
        counts = {"fail2fix/held_out/skipped": self.skipped, "fail2fix/held_out/problems": self.problems}
        if not self.replays:
            return counts | {"fail2fix/held_out/corrections": 0.0, "fail2fix/held_out/excluded": 0.0}
        corrections, texts = answer(correction_requests(self.replays).repeat(self.samples), self.samples, 0)
        read = corrections.rollouts
        self._dump(corrections, texts, dump)
        problems = np.array([r.attempt.group for r in self.replays])
        # A verifier that failed on either side of the comparison takes the attempt out of both.
        kept = ~read.excluded & ~np.isnan(resolve[problems])
        counts["fail2fix/held_out/excluded"] = float((~kept).sum())
        right = np.array([r.attempt.correct for r in self.replays])[kept]
        correct = read.by_group(read.correct)[kept]
        return held_out_metrics(right, resolve[problems][kept], correct) | counts

    def _dump(self, corrections: Stream, texts: list[str], path: Path) -> None:
        before, after = self.pool.rollouts, corrections.rollouts
        uids, failed = corrections.rows.non_tensor_batch["uid"], after.ended_in("error")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            for row, text in enumerate(texts):
                attempt = self.replays[row // self.samples].attempt
                line = {
                    "problem": before.problems[attempt.group],
                    "attempt_id": str(uids[row]),
                    "attempt_correct": attempt.correct,
                    "correct": bool(after.correct[row]),
                    "status": "error" if failed[row] else "ok",
                    "attempt_answer": before.answers[self.pool.row_of(attempt)],
                    "answer": after.answers[row],
                    "output": text,
                }
                file.write(json.dumps(line) + "\n")


def load_held_out(
    config: DictConfig,
    policy: StartingRollouts,
    builder: CorrectionPromptBuilder,
    end_of_turn: Collection[int],
) -> HeldOutCorrections:
    """The run's held-out corrections: from their file, which the first run to look for it writes.

    ``end_of_turn``: tokens that end a response.

    Raises:
        InputError: the file is of another validation set, model or tokenizer.
    """
    settings = fail2fix_settings(config)
    path = held_out_file(config)
    if not path.exists():
        write_stream(path, policy.held_out_rollouts(settings.held_out.problems), policy.provenance)
    check_provenance(read_provenance(path), policy.provenance, f"fail2fix.held_out.file={path}", SAME)
    pool = read_stream(path, end_of_turn)
    _require_same_problems(path, pool, policy.held_out_problems(pool.rollouts.groups))
    held_out = settings.held_out
    return HeldOutCorrections(pool, pool.prompt_groups(builder.fits), builder, held_out.samples, held_out.revisions)


def _require_same_problems(path: Path, pool: Stream, problems: list[Messages]) -> None:
    """The attempts know their problems by their place in the validation set."""
    frozen = [list(row) for row in pool.requests.request.non_tensor_batch["raw_prompt"][:: pool.rollouts.group_size]]
    for place, (theirs, ours) in enumerate(zip_longest(frozen, problems)):
        if theirs != ours:
            raise InputError(
                f"fail2fix.held_out.file={path}: problem {place} is not this run's validation problem {place}: "
                "data.val_max_samples draws them by data.seed, and data.max_prompt_length leaves some out; make them "
                "the same, or name another file"
            )


def held_out_file(config: DictConfig) -> Path:
    return Path(config.fail2fix.held_out.file or folder_of(config) / FILE)
