r"""Re-spell gold answers, and count which spellings are refused and which changed answers are accepted.

A kind of the modules `keeping_*` writes the same answer in another way; a kind of `altering` writes another answer that
looks nearly the same. Each gold answer meets every kind that applies to it. No label is needed: the gold answer is the
label. Gold answers that the verifier does not accept as answers to themselves are left out, as preparation leaves them
out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from fail2fix.console.progress import Done, unseen
from fail2fix.verify.certify import altering, keeping_forms, keeping_marks, keeping_numbers
from fail2fix.verify.certify.judging import judge_one_by_one
from fail2fix.verify.errors import GroundTruthError
from fail2fix.verify.gold import parse_gold
from fail2fix.verify.math_verifier import accepts_itself

SEED = 2605
MAX_CHARS = 400
"""Of a gold answer: a longer one is hardly more than a text to the verifier."""

SHOWN = 5
"""Examples of each kind in a certificate."""

KEEPING = (*keeping_marks.KINDS, *keeping_numbers.KINDS, *keeping_forms.KINDS)
ALTERING = altering.KINDS


@dataclass(frozen=True)
class Respelling:
    """`equal`: whether the kind keeps the value."""

    kind: str
    gold: str
    text: str
    equal: bool


def draw_golds(texts: Iterable[str], count: int, seed: int = SEED) -> list[str]:
    """`count` different bare gold answers, or all if there are fewer; in a random order."""
    golds = sorted({gold for gold in map(_bare, texts) if gold and accepts_itself(gold)})
    Random(seed).shuffle(golds)
    return golds[:count]


def _bare(text: str) -> str:
    """The answer without dollars around it; "" if it is long, or has a tolerance that a changed value may meet."""
    try:
        gold = parse_gold(text)
    except GroundTruthError:
        return ""
    bare = gold.answer.strip()
    if bare.count("$") == 2 and bare[0] == bare[-1] == "$":
        bare = bare[1:-1].strip()
    return "" if gold.margin or len(bare) > MAX_CHARS else bare


def respellings(gold: str, seed: int = SEED) -> Iterator[Respelling]:
    """The gold answer in every kind that applies to it."""
    for kinds, equal in ((KEEPING, True), (ALTERING, False)):
        for kind in kinds:
            said = kind.change(gold, Random(f"{seed} {kind.name} {gold}"))
            if said and said != gold:
                yield Respelling(kind.name, gold, said, equal)


def figures_of(tried: Sequence[Respelling], accepted: Sequence[bool]) -> dict[str, Any]:
    """Counts of each kind, and its first wrong verdicts: kept values refused, altered ones accepted."""
    counts = Counter(each.kind for each in tried)
    wrong = defaultdict(list)
    for each, was in zip(tried, accepted, strict=True):
        if was != each.equal:
            wrong[each.kind].append({"gold": each.gold, "said": each.text})
    return {
        name: {
            kind.name: {
                "why": kind.why,
                "tried": counts[kind.name],
                "wrong": len(wrong[kind.name]),
                "examples": wrong[kind.name][:SHOWN],
            }
            for kind in kinds
        }
        for name, kinds in (("kept", KEEPING), ("altered", ALTERING))
    }


def certify_respellings(
    tried: Sequence[Respelling], workers: int, deadline_s: float, done: Done = unseen
) -> dict[str, Any]:
    """Figures of the verifier on re-spellings, each in a box. Calls `done` after each."""
    pairs = [(rf"\boxed{{{each.text}}}", each.gold) for each in tried]
    verdicts = judge_one_by_one(pairs, workers, deadline_s, "boxed", done).verdicts
    not_judged = sum(verdict.status in ("timeout", "error") for verdict in verdicts)
    return {"not_judged": not_judged, **figures_of(tried, [verdict.correct for verdict in verdicts])}
