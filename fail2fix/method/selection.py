"""Replay selection: which of a step's attempts become correction prompts (CIPO; METHOD.md, item 2).

A pure function of (seed, step, verdicts, lengths, texts). Chance enters as a hash of the attempt's own content. Neither
the order in which rollouts finish nor their place in the batch changes what is chosen. Must not know: tokenizers,
rewards, tensors.

Example::

    attempts = (Attempt(0, 0, True, b"12"), Attempt(0, 1, False, b"11"))
    group = PromptGroup(key="What is 7 + 5?", attempts=attempts)
    select_attempts([group], k=1, rho=0.5, config=ReplayConfig(), seed=0, step=1).attempts
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import floor
from typing import Protocol

from fail2fix.method.config import ReplayConfig
from fail2fix.method.doors import Door


@dataclass(frozen=True)
class Attempt:
    """A rollout that may be replayed.

    Attributes:
        group: index of its problem's group in the step.
        sample: index among the group's rollouts.
        correct: its verdict v(y).
        content: what was written, or a digest of it (a run's: of the token ids); equal content of one problem is one
            attempt.
        cut_off: it ended at the length limit.
        replayable: False: never chosen, because its check timed out (it cannot be read) or its prompt has no room for
            an attempt.
    """

    group: int
    sample: int
    correct: bool
    content: bytes
    cut_off: bool = False
    replayable: bool = True


@dataclass(frozen=True)
class PromptGroup:
    """A problem and its G rollouts. ``key`` identifies the problem by content."""

    key: str
    attempts: tuple[Attempt, ...]

    @property
    def solved(self) -> int:
        """Correct rollouts of the G: the integer behind the empirical pass rate."""
        return sum(attempt.correct for attempt in self.attempts)


@dataclass(frozen=True)
class Selection:
    """Chosen attempts, problems in the step's order, and how each place was filled.

    Attributes:
        attempts: the chosen attempts.
        wanted_correct: n+, how many of them should be correct.
        counts: places filled by their own side from inside and outside the band (``medium``, ``fallback``); places
            filled by the other side (``filled``). ``relaxed``: places of either side beyond
            ``max_attempts_per_prompt``. ``cut_off``: chosen attempts that ended at the length limit. ``candidates``,
            and attempts that were none: ``duplicates``, ``unreplayable``.
    """

    attempts: list[Attempt]
    wanted_correct: int
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def correct(self) -> int:
        return sum(attempt.correct for attempt in self.attempts)

    @property
    def rho_effective(self) -> float:
        """Share of correct attempts among the chosen; nan when none is chosen."""
        return self.correct / len(self.attempts) if self.attempts else float("nan")


class SelectionRule(Protocol):
    """Chooses a step's attempts: a pure function (``fail2fix.replay.rule``)."""

    def __call__(
        self, groups: Sequence[PromptGroup], k: int, rho: float, config: ReplayConfig, seed: int, step: int, /
    ) -> Selection:
        """At most ``k`` replayable attempts, no two with equal content of one problem.

        Args:
            groups: the problems of the source of attempts, G rollouts each.
            k: the number of correction prompts wanted; at most the number of distinct candidates.
            rho: the wanted share of correct attempts, in [0, 1].
            config: the section ``fail2fix.replay``.
            seed: the run's seed.
            step: the number of the step, from 1. With ``seed``, the only source of chance.

        Returns:
            the attempts, in the order of their correction groups. ``wanted_correct`` and ``counts`` become metrics.

        Raises:
            Exception: any; it ends the run. So does the choice of an attempt that is not replayable and has no prompt.
        """


selection_rule: Door[SelectionRule] = Door(
    "fail2fix.replay.rule",
    SelectionRule,
    quotas="fail2fix.method.selection.select_attempts",
    uniform="fail2fix.method.selection.select_uniform",
)


def in_band(solved: int, rollouts: int, config: ReplayConfig) -> bool:
    """Whether solved/rollouts lies in the medium band, compared as integer counts, bounds included."""
    low = Fraction(config.band_low).limit_denominator(10_000)
    high = Fraction(config.band_high).limit_denominator(10_000)
    return low * rollouts <= solved <= high * rollouts


def wanted_correct(k: int, rho: float, has_correct: bool, has_failed: bool, keep_probe: bool) -> int:
    """n+ = floor(rho K + 1/2), with the probes of ``keep_probe`` (METHOD.md, item 2; ours)."""
    n = floor(rho * k + 0.5)
    if keep_probe and k >= 2 and has_failed:
        n = min(n, k - 1)
    if keep_probe and has_correct:
        n = max(n, 1)
    return min(n, k)


def distinct_candidates(groups: Sequence[PromptGroup]) -> tuple[list[Attempt], Counter[str]]:
    """Attempts that may be replayed, identical ones once, and the counts of the others by reason.

    A problem may have several groups. If identical attempts have different verdicts, the failed one is kept.
    """
    key = {attempt.group: group.key for group in groups for attempt in group.attempts}
    seen: set[tuple[str, bytes]] = set()
    kept: list[Attempt] = []
    dropped: Counter[str] = Counter(duplicates=0, unreplayable=0)
    for attempt in sorted((a for group in groups for a in group.attempts), key=lambda a: a.correct):
        identity = (key[attempt.group], attempt.content)
        if not attempt.replayable:
            dropped["unreplayable"] += 1
        elif identity in seen:
            dropped["duplicates"] += 1
        else:
            seen.add(identity)
            kept.append(attempt)
    return kept, dropped


def select_attempts(
    groups: Sequence[PromptGroup], k: int, rho: float, config: ReplayConfig, seed: int, step: int
) -> Selection:
    """At most ``k`` attempts, ``rho`` of them correct, medium problems first (CIPO; METHOD.md, item 2).

    rho (the paper's) comes before the limit per problem (ours): a side exceeds the limit before the other side fills
    in. Fewer than ``k`` are returned only if fewer distinct attempts exist.
    """
    key = {attempt.group: group.key for group in groups for attempt in group.attempts}
    candidates, counts = distinct_candidates(groups)
    counts["candidates"] = len(candidates)
    medium = _medium_problems(groups, config)
    luck = {id(a): _luck(seed, step, key[a.group], a.content) for a in candidates}
    first = medium if config.difficulty else set(key.values())
    line = sorted(candidates, key=lambda a: (a.cut_off, key[a.group] not in first, luck[id(a)]))
    sides = {True: [a for a in line if a.correct], False: [a for a in line if not a.correct]}

    k = min(k, len(candidates))
    n_correct = wanted_correct(k, rho, bool(sides[True]), bool(sides[False]), config.keep_probe)
    quota = {True: n_correct, False: k - n_correct}
    chosen = _Chosen(config.max_attempts_per_prompt, key, counts)
    # First one of each side, the side with fewer problems before the other. Otherwise a problem at its limit could
    # exclude the other side's only attempts.
    rarest = sorted(quota, key=lambda side: len({key[a.group] for a in sides[side]}))
    places = [(side, min(1, quota[side])) for side in rarest] + list(quota.items())
    for side, wanted in places:
        for attempt in chosen.take(sides[side], wanted - chosen.of(side)):
            counts["medium" if key[attempt.group] in medium else "fallback"] += 1
    for side, wanted in quota.items():
        counts["relaxed"] += len(chosen.take(sides[side], wanted - chosen.of(side), relaxed=True))
    counts["filled"] += len(chosen.take(line, k - len(chosen.attempts)))
    counts["relaxed"] += len(chosen.take(line, k - len(chosen.attempts), relaxed=True))

    attempts = sorted(chosen.attempts, key=lambda a: (a.group, luck[id(a)]))
    counts["cut_off"] = sum(a.cut_off for a in attempts)
    return Selection(attempts, n_correct, counts)


def select_uniform(
    groups: Sequence[PromptGroup], k: int, rho: float, config: ReplayConfig, seed: int, step: int
) -> Selection:
    """The rule ``uniform``: one attempt of each problem by chance, then further ones (ThinkTwice, arXiv 2604.01591).

    Neither verdicts nor ``rho`` count.
    """
    key = {attempt.group: group.key for group in groups for attempt in group.attempts}
    candidates, counts = distinct_candidates(groups)
    counts["candidates"] = len(candidates)
    line = sorted(candidates, key=lambda a: _luck(seed, step, key[a.group], a.content))
    chosen = _Chosen(1, key, counts)
    chosen.take(line, k)
    counts["relaxed"] += len(chosen.take(line, k - len(chosen.attempts), relaxed=True))
    attempts = sorted(chosen.attempts, key=lambda a: (a.group, a.sample))
    counts["cut_off"] = sum(a.cut_off for a in attempts)
    return Selection(attempts, sum(a.correct for a in attempts), counts)


def select_fitting(
    groups: Sequence[PromptGroup],
    wanted: int,
    fits: Callable[[int], int],
    rule: SelectionRule,
    rho: float,
    config: ReplayConfig,
    seed: int,
    step: int,
) -> Selection:
    """Choose by a rule as many attempts as the batch has places for.

    Args:
        wanted: the configured K.
        fits: the largest number of attempts, at most its argument, whose rows divide.
    """
    available = min(wanted, len(distinct_candidates(groups)[0]))
    k = fits(available)
    chosen = rule(groups, k, rho, config, seed, step)
    # A rule of your own may choose any number.
    kept = fits(min(len(chosen.attempts), k))
    chosen.counts["trimmed"] = available - k + len(chosen.attempts) - kept
    return replace(chosen, attempts=chosen.attempts[:kept])


def _medium_problems(groups: Sequence[PromptGroup], config: ReplayConfig) -> set[str]:
    """Keys of the problems inside the band, over all their groups."""
    solved: Counter[str] = Counter()
    rollouts: Counter[str] = Counter()
    for group in groups:
        solved[group.key] += group.solved
        rollouts[group.key] += len(group.attempts)
    return {problem for problem in rollouts if in_band(solved[problem], rollouts[problem], config)}


class _Chosen:
    """Attempts taken so far, with the limit per problem."""

    def __init__(self, limit: int, key: dict[int, str], counts: Counter[str]) -> None:
        self.attempts: list[Attempt] = []
        self._limit = limit
        self._key = key
        self._taken: set[int] = set()
        self._per_problem: Counter[str] = Counter()
        for name in ("medium", "fallback", "filled", "relaxed"):
            counts[name] += 0

    def of(self, correct: bool) -> int:
        return sum(a.correct == correct for a in self.attempts)

    def take(self, line: Iterable[Attempt], wanted: int, relaxed: bool = False) -> list[Attempt]:
        """Take up to ``wanted`` more of a line; ``relaxed``: also of problems at their limit."""
        taken: list[Attempt] = []
        for attempt in line:
            if len(taken) >= wanted:
                break
            problem = self._key[attempt.group]
            full = not relaxed and self._per_problem[problem] >= self._limit
            if id(attempt) in self._taken or full:
                continue
            self._taken.add(id(attempt))
            self._per_problem[problem] += 1
            taken.append(attempt)
        self.attempts.extend(taken)
        return taken


def _luck(seed: int, step: int, key: str, content: bytes) -> bytes:
    head = f"{seed}:{step}:{len(key)}:{key}:".encode()
    return hashlib.blake2b(head + content, digest_size=8).digest()
