"""Admission: which attempts the streaming schedule replays, each group decided by itself (ours; METHOD.md, item 2).

Serial selection ranks all attempts of a step, so the first correction waits for the last rollout. Here every rollout
has a priority, drawn before it is generated, and each side (correct, failed) a cutoff: how far down its line the step
before would have had to go for its quota. A group is decided as soon as its own rollouts are verified: its attempts
before the cutoffs are admitted, up to a limit a problem; a side that misses its quota because of the limit has a second
cutoff, to which the limit does not apply. An admission depends on neither what other groups write nor
on who finishes first, and a short answer is no likelier than a long one.

Length enters only here: a group with a rollout longer than the *patience*, in tokens, is late, and what it has admitted
is carried to the next step. Patience comes from the lengths of the step before, not from a clock.

A step's counts are those of serial selection on average: what it admits less or more than serial selection would from
the step before, the next cutoffs make up for. Else there would be too many, the fewer problems the more: a cutoff from
a step with few candidates meets a step with many.

Example::

    cutoffs = next_cutoffs(groups, Wanted(k=128, rho=0.3, patience=0.4), config, seed=0, step=1)
    admitted(group, cutoffs, config, seed=0, step=2)
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import inf

from fail2fix.method.config import ReplayConfig
from fail2fix.method.selection import Attempt, PromptGroup, distinct_candidates, in_band, select_attempts

NOBODY, EVERYBODY = -1.0, 4.0
"""Cutoffs before and behind every place: a line has two strata of attempts that ended and two of others, cut off."""
OWED_SHARE = 0.25
"""How much of K a step may make up for; an attempt at least."""


@dataclass(frozen=True)
class Wanted:
    """What a step shall admit.

    Attributes:
        k: attempts.
        rho: share of correct ones among them.
        patience: a group is late if its longest rollout is longer than this share of the last step's longest.
    """

    k: int
    rho: float
    patience: float


@dataclass(frozen=True)
class Cutoffs:
    """What a step's groups are decided by.

    Attributes:
        correct, failed: the last places of the two lines that are admitted.
        filled: the last place of those that fill what the other side cannot.
        limit: attempts a problem; only ``correct_beyond`` and ``failed_beyond`` exceed it.
        correct_beyond, failed_beyond: the last places of the two lines that are admitted beyond the limit.
        patience: tokens; a group with a longer rollout is late.
        wanted: attempts that the step shall admit, without those owed.
        wanted_correct: correct ones among them.
        owed: attempts that the steps before admitted less than they should (negative: more).
        owed_correct: correct ones among them.
    """

    correct: float
    failed: float
    filled: float
    limit: int
    patience: int
    wanted: int = 0
    wanted_correct: int = 0
    owed: int = 0
    owed_correct: int = 0
    correct_beyond: float = NOBODY
    failed_beyond: float = NOBODY

    def most(self, rollouts: int) -> int:
        """The largest number of attempts that a problem with ``rollouts`` rollouts can have admitted."""
        return min(rollouts, self.limit if self.correct_beyond == self.failed_beyond == NOBODY else rollouts)


@dataclass(frozen=True)
class _Entry:
    """An attempt at its place in its side's line."""

    attempt: Attempt
    place: float


def priority(seed: int, step: int, key: str, sample: int) -> float:
    """A number in [0, 1), drawn for a rollout of the problem ``key`` before it is generated."""
    words = f"{seed}:{step}:{len(key)}:{key}:{sample}".encode()
    return int.from_bytes(hashlib.blake2b(words, digest_size=8).digest(), "big") / 2**64


def admitted(
    group: PromptGroup, cutoffs: Cutoffs, config: ReplayConfig, seed: int, step: int
) -> tuple[list[Attempt], Counter[str]]:
    """The group's attempts that are replayed: in this step or, if the group is late, in the next.

    As in ``select_attempts``, a problem's correct attempts have the first claim on its limit, its failed ones the
    second, then come those beyond it, and last those that fill the other side's places. Counted as there: ``filled``
    and ``relaxed``.
    """
    entries = sorted(_entries([group], config, seed, step), key=lambda e: not e.attempt.correct)
    own = {True: cutoffs.correct, False: cutoffs.failed}
    beyond = {True: cutoffs.correct_beyond, False: cutoffs.failed_beyond}
    taken = [e for e in entries if e.place <= own[e.attempt.correct]][: cutoffs.limit]
    taken += [e for e in entries if e not in taken and e.place <= beyond[e.attempt.correct]]
    filling = [e for e in entries if e not in taken and own[e.attempt.correct] < e.place <= cutoffs.filled]
    filling = filling[: max(0, cutoffs.limit - len(taken))]
    taken += filling
    counts = Counter(filled=len(filling), relaxed=len(taken) - config.max_attempts_per_prompt)
    return [e.attempt for e in taken], +counts


def first_of_each_problem(keys: Sequence[Hashable]) -> list[int]:
    """Places of the problems that no earlier place of the step has: the others' attempts are not admitted.

    Their groups, decided each by itself, would admit the same samples and twice the limit.
    """
    return sorted({key: place for place, key in reversed(list(enumerate(keys)))}.values())


def is_late(longest: int, cutoffs: Cutoffs) -> bool:
    """Whether a group whose longest rollout has so many tokens is decided too late for its own step."""
    return longest > cutoffs.patience


def still_owed(cutoffs: Cutoffs, admitted: Counter[bool]) -> tuple[int, int]:
    """What is owed after a step: attempts, and correct ones among them.

    Args:
        admitted: how many the step did admit, by whether they are correct.
    """
    owed = cutoffs.owed + cutoffs.wanted - admitted.total()
    return owed, cutoffs.owed_correct + cutoffs.wanted_correct - admitted[True]


def next_cutoffs(
    groups: Sequence[PromptGroup],
    longest: Sequence[int],
    wanted: Wanted,
    config: ReplayConfig,
    seed: int,
    step: int,
    owed: tuple[int, int] = (0, 0),
) -> Cutoffs:
    """The cutoffs with which this step would have admitted what the next one shall.

    Args:
        groups: this step's problems and attempts, which are the sample that the next step is judged by.
        longest: tokens of each group's longest rollout.
        wanted: of the next step.
        owed: see ``still_owed``; a quarter of K is made up for in a step, and no more than K is remembered.
    """
    groups = [groups[place] for place in first_of_each_problem([group.key for group in groups])]
    owed_all, owed_correct = (_within(wanted.k, number) for number in owed)
    entries = _entries(groups, config, seed, step)
    most = max(1, int(OWED_SHARE * wanted.k))
    k = wanted.k + _within(most, owed_all)
    serial = select_attempts(groups, wanted.k, wanted.rho, config, seed, step)
    n_correct = max(0, min(k, serial.wanted_correct + _within(most, owed_correct)))
    widest = max((len(group.attempts) for group in groups), default=1)
    limit = config.max_attempts_per_prompt
    places, reached = _cutoffs(entries, k, n_correct, limit)
    while reached < min(k, len(entries)) and limit < widest:
        limit += 1
        places, reached = _cutoffs(entries, k, n_correct, limit)
    return Cutoffs(
        **places,
        limit=limit,
        patience=int(wanted.patience * max(longest, default=0)),
        wanted=len(serial.attempts),
        wanted_correct=serial.correct,
        owed=owed_all,
        owed_correct=owed_correct,
    )


def _within(most: int, number: int) -> int:
    return max(-most, min(most, number))


def _entries(groups: Sequence[PromptGroup], config: ReplayConfig, seed: int, step: int) -> list[_Entry]:
    """All candidates in line: attempts that were cut off come last; of each kind, those of medium problems first."""
    group_of = {group.attempts[0].group: group for group in groups}
    candidates, _ = distinct_candidates(groups)
    entries = []
    for attempt in candidates:
        group = group_of[attempt.group]
        outside = config.difficulty and not in_band(group.solved, len(group.attempts), config)
        chance = priority(seed, step, group.key, attempt.sample)
        entries.append(_Entry(attempt, 2 * attempt.cut_off + outside + chance))
    return sorted(entries, key=lambda e: (e.place, e.attempt.group, e.attempt.sample))


def _cutoffs(entries: list[_Entry], k: int, n_correct: int, limit: int) -> tuple[dict[str, float], int]:
    """All cutoffs by name, and how many attempts they admit: ``k`` if so many can be had."""
    sides = {
        "correct": [e for e in entries if e.attempt.correct],
        "failed": [e for e in entries if not e.attempt.correct],
    }
    quota = {"correct": n_correct, "failed": k - n_correct}
    taken: defaultdict[int, set[int]] = defaultdict(set)
    places, missing = {}, {}
    for side, line in sides.items():
        places[side], missing[side] = _advance(line, quota[side], limit, taken)
    for side, line in sides.items():
        beyond, missing[side] = _advance(line, missing[side], inf, taken)
        # A side of which nothing was seen says nothing of how far beyond the limit to go.
        places[f"{side}_beyond"] = beyond if line else NOBODY
    rest = [e for e in entries if e.place > places["correct" if e.attempt.correct else "failed"]]
    places["filled"], still_missing = _advance(rest, sum(missing.values()), limit, taken)
    return places, k - still_missing


def _advance(line: list[_Entry], wanted: int, limit: float, taken: defaultdict[int, set[int]]) -> tuple[float, int]:
    """Go down a line until ``wanted`` more are taken: the last place, and how many are still missing.

    ``taken``: samples by group; a group has at most ``limit``.
    """
    last = NOBODY
    for entry in line:
        samples = taken[entry.attempt.group]
        if wanted and entry.attempt.sample not in samples and len(samples) < limit:
            samples.add(entry.attempt.sample)
            last, wanted = entry.place, wanted - 1
    return (EVERYBODY if wanted else last), wanted
