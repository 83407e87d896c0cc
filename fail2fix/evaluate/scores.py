"""The numbers of one benchmark, from its records (METHOD.md, "Evaluation").

Knows: records as `store.RECORDS` has them. Must not know: engines, verifiers, files. An answer without a verdict (the
verifier failed), one that was refused and one that could not be asked for count as wrong, and are counted.

Shapes: N questions, S samples of each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fail2fix.evaluate import intervals
from fail2fix.evaluate.critique import RIGHT, WRONG, f1
from fail2fix.evaluate.questions import Question
from fail2fix.report.statistics import Interval, pass_at_k

Records = Sequence[Mapping[str, Any]]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Score = dict[str, Any]

_CALLS = {RIGHT: True, WRONG: False}
MOST_TAG_VALUES = 24
"""A tag with more values (a date) is no category."""


def score_rounds(records: Records, questions: Sequence[Question]) -> list[Score]:
    """The scores of each round, 0 first; records question by question in each."""
    rounds = 1 + max(int(record["round"]) for record in records)
    return [score([r for r in records if r["round"] == number], questions) for number in range(rounds)]


def score(records: Records, questions: Sequence[Question]) -> Score:
    """The scores of one round: shares are in [0, 1], lengths in tokens."""
    correct_NS = verdicts(records, len(questions))
    found: Score = {
        "questions": len(questions),
        "samples": correct_NS.shape[1],
        "accuracy": _interval(accuracy(correct_NS)),
        "pass_at_k": {str(k): _interval(mean(each)) for k, each in pass_curve(correct_NS).items()},
        "response_tokens": _lengths(records),
        "statuses": dict(Counter(str(record["status"]) for record in records)),
        "not_asked": sum(record["finish"] == "skipped" for record in records),
        "refused": sum(record["finish"] == "refused" for record in records),
        "shortened": sum(bool(record["shortened"]) for record in records),
        "by_tag": _by_tag(correct_NS, questions),
    }
    attempts_NS = attempts(records, len(questions))
    if attempts_NS is None:
        return found
    if questions[0].task == "critique":
        return found | {"critique_f1": f1(attempts_NS.ravel().tolist(), [_CALLS.get(r["pred"]) for r in records])}
    return found | transition(correct_NS, attempts_NS)


def verdicts(records: Records, questions: int) -> Bools:
    """(N, S) whether each answer is right."""
    return np.array([bool(record["correct"]) for record in records]).reshape(questions, -1)


def attempts(records: Records, questions: int) -> Bools | None:
    """(N, S) whether what each answer corrects was right; None where nothing is corrected."""
    if any(record["attempt_correct"] is None for record in records):
        return None
    return np.array([bool(record["attempt_correct"]) for record in records]).reshape(questions, -1)


def mean(values_N: Floats) -> Interval | None:
    """A mean over problems with its interval."""
    return intervals.share(values_N, np.ones(len(values_N)))


def accuracy(correct_NS: Bools) -> Interval | None:
    return mean(correct_NS.mean(axis=1))


def pass_curve(correct_NS: Bools) -> dict[int, Floats]:
    """{k: (N,) each problem's chance that one of k samples is right}, unbiased, for every k up to S."""
    samples = correct_NS.shape[1]
    right_N = correct_NS.sum(axis=1)
    return {
        k: np.array([pass_at_k(int(right), samples, k) for right in right_N], dtype=np.float64)
        for k in range(1, samples + 1)
    }


Sums = tuple[Floats, Floats]


def fix_sums(correct_NS: Bools, attempts_NS: Bools) -> Sums:
    """(N,) wrong attempts that were fixed, and (N,) wrong attempts."""
    return (correct_NS & ~attempts_NS).sum(axis=1).astype(float), (~attempts_NS).sum(axis=1).astype(float)


def break_sums(correct_NS: Bools, attempts_NS: Bools) -> Sums:
    """(N,) right attempts that were broken, and (N,) right attempts."""
    return (~correct_NS & attempts_NS).sum(axis=1).astype(float), attempts_NS.sum(axis=1).astype(float)


def transition(correct_NS: Bools, attempts_NS: Bools) -> Score:
    """The matrix of attempt and correction, its two rates, and the gain over repeating every attempt's answer."""
    keep = float(attempts_NS.mean())
    return {
        "transition": {
            "fixed": int((correct_NS & ~attempts_NS).sum()),
            "kept": int((correct_NS & attempts_NS).sum()),
            "broken": int((~correct_NS & attempts_NS).sum()),
            "still_wrong": int((~correct_NS & ~attempts_NS).sum()),
        },
        "fix_rate": _interval(intervals.share(*fix_sums(correct_NS, attempts_NS))),
        "break_rate": _interval(intervals.share(*break_sums(correct_NS, attempts_NS))),
        "keep_policy": keep,
        "gain_over_keep": float(correct_NS.mean()) - keep,
    }


def _lengths(records: Records) -> dict[str, float]:
    lengths = np.array([record["response_tokens"] for record in records if record["finish"] in ("stop", "length")])
    if not lengths.size:
        return {}
    cut_off = sum(record["finish"] == "length" for record in records)
    return {
        "mean": float(lengths.mean()),
        "median": float(np.median(lengths)),
        "p95": float(np.percentile(lengths, 95)),
        "total": int(lengths.sum()),
        "cut_off": cut_off / len(lengths),
    }


def _by_tag(correct_NS: Bools, questions: Sequence[Question]) -> dict[str, dict[str, Score]]:
    """{tag: {value: its questions and accuracy}}."""
    found: dict[str, dict[str, Score]] = {}
    for tag in dict.fromkeys(name for question in questions for name in question.tags):
        values = np.array([question.tags.get(tag, "") for question in questions])
        different = sorted(set(values.tolist()))
        if 1 < len(different) <= MOST_TAG_VALUES:
            found[tag] = {
                value: {
                    "questions": int((values == value).sum()),
                    "accuracy": _interval(accuracy(correct_NS[values == value])),
                }
                for value in different
            }
    return found


def _interval(interval: Interval | None) -> dict[str, float | None] | None:
    return None if interval is None else asdict(interval)
