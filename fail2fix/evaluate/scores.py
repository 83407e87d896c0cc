"""The figures of one benchmark, from its answer records (METHOD.md, "Evaluation").

An answer without a verdict (the verifier failed), a refused one and one that could not be asked for are wrong, and
counted. Shapes: N questions, S samples of each.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fail2fix.evaluate.judging import CALLS, f1
from fail2fix.evaluate.questions import Question
from fail2fix.report.statistics import Floats, pass_at_k, share

AnswerRecords = Sequence[Mapping[str, Any]]
Bools = NDArray[np.bool_]
Score = dict[str, Any]

MOST_TAG_VALUES = 24
"""A tag with more values (a date) is no category."""


def score_rounds(records: AnswerRecords, questions: Sequence[Question]) -> list[Score]:
    """The scores of each round, 0 first; records question by question in each."""
    rounds = 1 + max(int(record["round"]) for record in records)
    return [score([r for r in records if r["round"] == number], questions) for number in range(rounds)]


def score(records: AnswerRecords, questions: Sequence[Question]) -> Score:
    """The scores of one round: shares are in [0, 1], lengths in tokens."""
    correct_NS, attempts_NS = verdicts(records, len(questions)), attempts(records, len(questions))
    critique = questions[0].task == "critique"
    found: Score = {
        "questions": len(questions),
        "samples": correct_NS.shape[1],
        **figures(correct_NS, None if critique else attempts_NS),
        "response_tokens": _lengths(records),
        "statuses": dict(Counter(str(record["status"]) for record in records)),
        "not_asked": sum(record["finish"] == "skipped" for record in records),
        "refused": sum(record["finish"] == "refused" for record in records),
        "shortened": sum(bool(record["shortened"]) for record in records),
        "by_tag": _by_tag(correct_NS, questions),
    }
    if critique and attempts_NS is not None:
        found["critique_f1"] = f1(attempts_NS.ravel().tolist(), [CALLS.get(r["pred"]) for r in records])
    return found


def verdicts(records: AnswerRecords, questions: int, column: str = "correct") -> Bools:
    """(N, S) whether each answer is right."""
    return np.array([bool(record[column]) for record in records]).reshape(questions, -1)


def attempts(records: AnswerRecords, questions: int) -> Bools | None:
    """(N, S) whether the attempt that each answer corrects was right; None where nothing is corrected."""
    corrected = all(record["attempt_correct"] is not None for record in records)
    return verdicts(records, questions, "attempt_correct") if corrected else None


def pass_curve(correct_NS: Bools) -> dict[int, Floats]:
    """{k: (N,) each problem's chance that one of k samples is right}, unbiased, for every k up to S."""
    samples, right_N = correct_NS.shape[1], correct_NS.sum(axis=1).tolist()
    return {k: np.array([pass_at_k(right, samples, k) for right in right_N]) for k in range(1, samples + 1)}


def measures(correct_NS: Bools, attempts_NS: Bools | None) -> dict[str, tuple[Floats, Floats]]:
    """{measure: (N,) numerators and denominators}: accuracy, pass@2 and up, and the rates of corrections."""
    ones = np.ones(len(correct_NS))
    found = {"accuracy": (correct_NS.mean(axis=1), ones)}
    found |= {f"pass@{k}": (values, ones) for k, values in pass_curve(correct_NS).items() if k > 1}
    if attempts_NS is not None:
        for name, changed, counted in (
            ("fix_rate", correct_NS & ~attempts_NS, ~attempts_NS),
            ("break_rate", ~correct_NS & attempts_NS, attempts_NS),
        ):
            found[name] = (changed.sum(axis=1).astype(float), counted.sum(axis=1).astype(float))
    return found


def figures(correct_NS: Bools, attempts_NS: Bools | None) -> Score:
    """Accuracy and pass@k; of corrections also the transition matrix, its rates, and the gain over keeping attempts."""
    shares = {name: _share(*sums) for name, sums in measures(correct_NS, attempts_NS).items()}
    curve = {str(k): _share(values) for k, values in pass_curve(correct_NS).items()}
    found: Score = {"accuracy": shares["accuracy"], "pass_at_k": curve}
    if attempts_NS is None:
        return found
    keep = float(attempts_NS.mean())
    return found | {
        "transition": {
            "fixed": int((correct_NS & ~attempts_NS).sum()),
            "kept": int((correct_NS & attempts_NS).sum()),
            "broken": int((~correct_NS & attempts_NS).sum()),
            "still_wrong": int((~correct_NS & ~attempts_NS).sum()),
        },
        "fix_rate": shares["fix_rate"],
        "break_rate": shares["break_rate"],
        "keep_policy": keep,
        "gain_over_keep": float(correct_NS.mean()) - keep,
    }


def _share(num_N: Floats, den_N: Floats | None = None) -> dict[str, float | None] | None:
    """An interval as JSON; without denominators, of a mean."""
    found = share(num_N, np.ones(len(num_N)) if den_N is None else den_N)
    return asdict(found) if found else None


def _lengths(records: AnswerRecords) -> dict[str, float]:
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
        different = np.unique(values).tolist()
        if 1 < len(different) <= MOST_TAG_VALUES:
            parts = {value: correct_NS[values == value].mean(axis=1) for value in different}
            found[tag] = {value: {"questions": len(part), "accuracy": _share(part)} for value, part in parts.items()}
    return found
