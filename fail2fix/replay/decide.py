"""Decide a recorded step again, by its own settings or by others, and tell where the two differ.

Corrections exist only for the attempts that the run chose. A decision has advantages for those of its attempts that
the run chose too; the others count as *unknown*.

Legend: K known attempts, those with corrections; G corrections each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from fail2fix.method.advantage import AdvantageRule, CorrectionGroups, advantage_estimator
from fail2fix.method.config import AdvantageConfig, ReplayConfig, RiskConfig
from fail2fix.method.errors import READ_ERRORS, InputError, reading
from fail2fix.method.objective import feasible_attempts
from fail2fix.method.ratio import RatioState, next_state, pass_rate_ratio
from fail2fix.method.rollouts import Bools, Floats, Ints
from fail2fix.method.selection import Selection, select_fitting, selection_rule
from fail2fix.method.shaping import penalty_rule
from fail2fix.replay.decisions import SECTIONS, RecordedStep, RewardedRows
from fail2fix.run.config import Fail2FixConfig
from fail2fix.run.settings import fail2fix_settings

REPLAYABLE = ("replay.", "ratio.", "risk.", "advantage.", "correction.weight")


@dataclass(frozen=True)
class Decision:
    """What some settings decide in a recorded step.

    Attributes:
        settings: the settings.
        state: the replay ratio's state as the step begins.
        selection: the chosen attempts, in order.
        known: (K,) places in ``selection.attempts`` of the attempts that have corrections.
        source: (K,) the recorded correction group of each.
        attempt_correct: (K,) their verdicts.
        correct, plain, taken, trained: (K, G) verdicts, R, the penalty taken, and whether the rollout is in the update.
        advantage: (K, G) as the update reads it; 0 outside the update.
    """

    settings: Fail2FixConfig
    state: RatioState
    selection: Selection
    known: Ints
    source: Ints
    attempt_correct: Bools
    correct: Bools
    plain: Floats
    taken: Floats
    trained: Bools
    advantage: NDArray[np.float32]

    @property
    def kept(self) -> Bools:
        """Groups (K,) in the update."""
        return np.asarray(self.trained.any(axis=1))

    @property
    def idle(self) -> Bools:
        """Groups (K,) in the update without an advantage: they teach nothing."""
        return self.kept & ~self.advantage.any(axis=1)

    @property
    def next_state(self) -> RatioState:
        """The replay ratio's state after the step, from the known corrections of correct attempts."""
        kept = self.correct[self.attempt_correct & self.kept]
        return next_state(self.state, int(kept.sum()) / kept.size, self.settings.ratio) if kept.size else self.state


@dataclass(frozen=True)
class ReplayedStep:
    """A recorded step, what the run decided in it, and what the settings of the replay decide."""

    recorded: RecordedStep
    run: Decision
    replay: Decision


def replayed(steps: Sequence[RecordedStep], words: Sequence[str]) -> list[ReplayedStep]:
    """Every step decided again with overrides like ``fail2fix.risk.penalty=2``; none: with its recorded settings.

    The replay ratio starts as recorded, or at ``ratio.initial`` if that is overridden, and follows from step to step
    the retention of the known corrections. While it equals the run's, it stays the run's (a resumption may reset it).

    Raises:
        InputError: an override that is malformed, is refused, or changes what a replay cannot change.
    """
    found: list[ReplayedStep] = []
    checked: list[tuple[Fail2FixConfig, Fail2FixConfig]] = []  # recorded settings, and the same with the overrides
    for step in steps:
        if not checked or checked[-1][0] != step.settings:
            checked.append((step.settings, overridden(step.settings, words)))
        settings = checked[-1][1]
        if found and found[-1].replay.next_state != found[-1].run.next_state:
            state = found[-1].replay.next_state
        elif found or not any(word.startswith("fail2fix.ratio.initial=") for word in words):
            state = step.state
        else:
            state = replace(step.state, rho=settings.ratio.initial)
        with _rules_of_ones_own(step, settings):
            found.append(ReplayedStep(step, happened(step), decide(step, settings, state)))
    return found


def _rules_of_ones_own(step: RecordedStep, settings: Fail2FixConfig) -> AbstractContextManager[None]:
    """Report what rules of one's own raise, or what fails on their results, as an ``InputError``."""
    rules = {
        "replay.rule": (settings.replay.rule, ReplayConfig.rule),
        "risk.rule": (settings.risk.rule, RiskConfig.rule),
        "advantage.estimator": (settings.advantage.estimator, AdvantageConfig.estimator),
    }
    own = [f"fail2fix.{key}={rule}" for key, (rule, shipped) in rules.items() if rule != shipped]
    what = f"step {step.step}: {', '.join(own)} fails, or returns a wrong value"
    return reading(what, Exception, hint="compare it with its protocol") if own else nullcontext()


def overridden(settings: Fail2FixConfig, words: Sequence[str]) -> Fail2FixConfig:
    """The settings with overrides.

    Raises:
        InputError: as ``replayed``.
    """
    if not words:
        return settings
    for word in words:
        key, equals, _ = word.partition("=")
        if not equals or not key.startswith(tuple(f"fail2fix.{name}" for name in REPLAYABLE)):
            raise InputError(
                f"{word}: a replay changes only fail2fix.replay.*, .ratio.*, .risk.*, .advantage.* and "
                "fail2fix.correction.weight; write key=value"
            )
        if key == "fail2fix.replay.source":
            raise InputError(f"{word}: a run records the attempts of its own source only; train with another one")
    with reading(" ".join(words), OmegaConfBaseException, YAMLError, *READ_ERRORS):
        section = OmegaConf.to_container(OmegaConf.create({name: getattr(settings, name) for name in SECTIONS}))
        merged = OmegaConf.merge({"fail2fix": section}, OmegaConf.from_dotlist(list(words)))
    assert OmegaConf.is_dict(merged)
    return fail2fix_settings(merged)


def happened(step: RecordedStep) -> Decision:
    """What the run decided."""
    attempts = [step.attempts[place] for place in step.chosen]
    everything = np.arange(len(attempts))
    return _known(step, step.settings, step.state, Selection(attempts, step.wanted_correct), everything, everything)


def decide(step: RecordedStep, settings: Fail2FixConfig, state: RatioState) -> Decision:
    """What ``settings`` decide in a step that begins with ``state``.

    Raises:
        InputError: a rule of one's own does not load.
    """
    state = pass_rate_ratio(state, step.pool, settings.ratio)
    fits = partial(feasible_attempts, rollouts=settings.correction.rollouts, base_rows=step.base_rows, split=step.split)
    wanted, rule = settings.correction.attempts, selection_rule(settings.replay)
    selection = select_fitting(step.pool, wanted, fits, rule, state.rho, settings.replay, step.settings.seed, step.step)
    selection = Selection(selection.attempts, int(selection.wanted_correct), Counter(selection.counts))
    group_of = {place: group for group, place in enumerate(step.chosen)}
    places = [(attempt.group, attempt.sample) for attempt in selection.attempts]
    known = np.array([k for k, place in enumerate(places) if place in group_of], dtype=np.int64)
    source = np.array([group_of[places[k]] for k in known], dtype=np.int64)
    decision = _known(step, settings, state, selection, known, source)
    if not len(known):
        return decision
    groups = CorrectionGroups(
        plain=decision.plain,
        correct=decision.correct,
        attempt_plain=step.attempt_plain[source],
        attempt_correct=decision.attempt_correct,
        taken=decision.taken if settings.risk.beyond_broken else None,
    )
    weights = AdvantageRule.of(settings.advantage, settings.risk, step.leave_one_out)
    kept, values = decision.kept, np.zeros(decision.plain.shape)
    if kept.any():
        values[kept] = advantage_estimator(settings.advantage)(groups.kept(kept), weights).values
    return replace(decision, advantage=np.where(decision.trained, values, 0.0).astype(np.float32))


def _known(
    step: RecordedStep, settings: Fail2FixConfig, state: RatioState, selection: Selection, known: Ints, source: Ints
) -> Decision:
    """A decision with the recorded advantages."""
    verdicts = np.array([selection.attempts[k].correct for k in known], dtype=bool)
    rows = step.correction or RewardedRows.none(settings.correction.rollouts)
    columns = (rows.by_group(each)[source] for each in (rows.correct, rows.plain, rows.trained, rows.advantage))
    correct, plain, trained, advantage = columns
    taken = _taken(rows, step.settings.risk, settings.risk, verdicts, source)
    return Decision(settings, state, selection, known, source, verdicts, correct, plain, taken, trained, advantage)


def _taken(rows: RewardedRows, recorded: RiskConfig, risk: RiskConfig, verdicts: Bools, source: Ints) -> Floats:
    """(K, G) what the penalty takes: as recorded, or by another penalty or rule."""
    taken = rows.by_group(rows.taken)[source]
    if risk == recorded:
        return np.asarray(taken)
    given, correct = rows.by_group(rows.reward + rows.taken)[source], rows.by_group(rows.correct)[source]
    shape = penalty_rule(risk)
    pairs = zip(verdicts, given, correct, strict=True)
    shaped = [
        [shape(float(reward), bool(attempt), bool(right), risk) for reward, right in zip(*rows, strict=True)]
        for attempt, *rows in pairs
    ]
    return np.asarray(given - np.array(shaped).reshape(given.shape))


def differences(step: ReplayedStep) -> Iterator[str]:
    """Where a replay with the recorded settings differs from the run, one line each; nothing: it reproduces the run."""
    number, run, replay = step.recorded.step, step.run, step.replay
    if run.selection.wanted_correct != replay.selection.wanted_correct:
        wanted = run.selection.wanted_correct, replay.selection.wanted_correct
        yield f"step {number}: the run wanted {wanted[0]} correct attempts, the replay {wanted[1]}"
    if run.selection.attempts != replay.selection.attempts:
        yield f"step {number}: other attempts, or another order"
    elif run.advantage.tobytes() != replay.advantage.tobytes():
        yield f"step {number}: other advantages"
