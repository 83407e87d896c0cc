"""Findings in words: what a reader of the curves should notice. ``RULES`` has each rule with its level and metric.

A rule reads one run and returns a sentence, or "" where it does not apply or nothing was measured.

Example::

    [finding.text for finding in findings(read_run(folder))]
    # ["The replay ratio has been at its upper bound (0.8) for 40 of 50 steps."]
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from math import sqrt

from fail2fix.method.config import RatioConfig, RiskConfig
from fail2fix.report.figures import STREAMS
from fail2fix.report.reading import PROBABILITY_CORRELATION, Row
from fail2fix.report.run_data import RunData, measured, number, shortened, total

WARNING, NOTE, GOOD = "warning", "note", "good"

AT_BOUND = 0.5  # share of steps
IDLE_GROUPS = 0.5  # share of a stream's groups, over the whole run
IN_SYNC = 0.99  # least correlation of the engines' and the trainer's probabilities, as in scripts/gpu
CUT_OFF = 0.1  # share of a stream's answers, last quarter
LOW_ENTROPY = 0.1  # entropy in the last quarter as a share of the first step's
OUTSIDE_BAND = 0.5  # share of the replayed attempts
FAILED_CHECKS = 0.01  # share of all groups
TIMEOUTS = 0.02  # share of all rollouts
FEWEST = 20  # attempts or rollouts that a share of a quarter needs
MARGIN = 0.02  # differences of shares below this are not mentioned, nor those below two standard errors
NO_EFFECT = 1e-6  # mean change of an advantage

Rule = Callable[[RunData], str]
Counts = Callable[[Sequence[Row]], tuple[float, float]]  # of a part, and of its whole

_TRANSITION, _REPLAY = "fail2fix/transition/", "fail2fix/replay/"


@dataclass(frozen=True)
class Finding:
    """A sentence about a run. ``level``: warning, note or good; ``metric``: where it comes from."""

    level: str
    text: str
    metric: str


def findings(run: RunData) -> list[Finding]:
    """All findings about a run: warnings first, then notes, then good news."""
    if not run.steps:
        return [Finding(NOTE, "There is no training step yet.", "step")]
    return [Finding(level, text, metric) for level in RULES for metric, rule in RULES[level] if (text := rule(run))]


# ---------------------------------------------------------------------------------------------------- shares


def _of(part: str, *whole: str) -> Counts:
    """A metric and the sum of others; ``*`` in a name stands for both streams."""
    return lambda rows: (total(rows, *_each(part)), total(rows, *(name for each in whole for name in _each(each))))


def _each(metric: str) -> list[str]:
    return list(dict.fromkeys(metric.replace("*", stream) for stream in STREAMS))


def _transitions(part: str, rest: str) -> Counts:
    return _of(_TRANSITION + part, _TRANSITION + part, _TRANSITION + rest)


def _high(counts: Counts, least: float, sentence: str) -> Rule:
    """Speaks of a share over all steps that is at least ``least``; ``sentence`` has {share}, {part} or {whole}."""

    def rule(run: RunData) -> str:
        part, whole = counts(run.steps)
        if not whole or part / whole < least:
            return ""
        return sentence.format(share=_percent(part / whole), part=f"{round(part):,}", whole=f"{round(whole):,}")

    return rule


def _growth(counts: Counts, what: str) -> Rule:
    """Speaks of a share that rose by more than chance explains, each rollout counted for itself."""

    def rule(run: RunData) -> str:
        (first, n), (last, m) = map(counts, run.quarters)
        if len(run.steps) < 2 or min(n, m) < FEWEST:
            return ""
        pooled = (first + last) / (n + m)
        chance = _chance(pooled * (1 - pooled) * (1 / n + 1 / m))
        rose = last / m - first / n > max(MARGIN, chance)
        return f"{what} rose from {_percent(first / n)} to {_percent(last / m)}, first quarter to last." if rose else ""

    return rule


def _solved(rows: Sequence[Row]) -> tuple[float, float]:
    pairs = [(number(row, "fail2fix/base/accuracy"), number(row, "fail2fix/base/rollouts")) for row in rows]
    known = [(share, n) for share, n in pairs if share is not None and n is not None]
    return sum(share * n for share, n in known), sum(n for _, n in known)


def _outside_the_band(rows: Sequence[Row]) -> tuple[float, float]:
    chosen = total(rows, _REPLAY + "chosen")
    return chosen - total(rows, _REPLAY + "medium"), chosen


# ---------------------------------------------------------------------------------------------- training at all


def weights_out_of_sync(run: RunData) -> str:
    """The engines sample from other weights than the trainer updates; a single step may be low by chance."""
    values = run.values(PROBABILITY_CORRELATION)
    low = {step: value for step, value in values.items() if value < IN_SYNC}
    lasting = [step for step in low if low.keys() >= {later for later in values if step <= later <= step + 1}]
    if not lasting:
        return ""
    return (
        f"Weights drifted out of sync at step {min(lasting)}: the engines' probabilities correlate with the trainer's "
        f"by {min(low.values()):.3f} at worst ({_count(low, run)} below {IN_SYNC})."
    )


def updates_skipped(run: RunData) -> str:
    """Updates without a finite gradient."""
    skipped = {step: value for step, value in run.values("fail2fix/update/skipped").items() if value > 0}
    many = f"{round(sum(skipped.values())):,} updates were skipped because their gradient was not finite"
    return f"{many} ({_at(skipped)})." if skipped else ""


def metrics_not_finite(run: RunData) -> str:
    """Metrics that were null or nan."""
    if not run.not_finite:
        return ""
    name, steps = max(run.not_finite.items(), key=lambda item: item[1])
    others = len(run.not_finite) - 1
    more = f" and {others:,} other metrics were not finite in up to" if others else " was not finite in"
    return f"{shortened(name, 80)}{more} {steps:,} of {len(run.steps):,} steps."


def accounting_open(run: RunData) -> str:
    """Prompts or rollouts that are not accounted for."""
    wrong = [row["step"] for row in run.steps if not all(_balances(row, stream) for stream in STREAMS)]
    return f"Accounting does not balance at {len(wrong):,} steps ({_at(wrong)})." if wrong else ""


def _balances(row: Row, stream: str) -> bool:
    prefix = f"fail2fix/accounting/{stream}"
    prompts, out = number(row, f"{prefix}/prompts"), [f"{prefix}/{name}" for name in ("trained", "skipped", "failed")]
    rollouts = {number(row, f"{prefix}/{name}") for name in ("generated", "verified", "recorded")} - {None}
    return (prompts is None or prompts == total([row], *out)) and len(rollouts) <= 1


def answers_cut_off(run: RunData) -> str:
    """Answers that end at the length limit."""
    shares = {stream: _last(run, f"fail2fix/{stream}/cut_off") for stream in STREAMS}
    high = [f"{_percent(share)} of {stream} answers" for stream, share in shares.items() if share and share >= CUT_OFF]
    return f"{' and '.join(high)} were cut off at the length limit in the last quarter." if high else ""


def entropy_collapsed(run: RunData) -> str:
    """The policy has become almost deterministic."""
    values, last = list(run.values("actor/entropy").values()), _last(run, "actor/entropy")
    if len(values) < 4 or last is None or values[0] <= 0 or last > LOW_ENTROPY * values[0]:
        return ""
    return f"Entropy has fallen from {values[0]:.3g} to {last:.3g}: answers hardly differ from one another any more."


# -------------------------------------------------------------------------------------------------- corrections


def ratio_at_bound(run: RunData) -> str:
    """The controller cannot move the ratio further."""
    rho = run.values("fail2fix/replay/rho")
    if not rho or not run.setting("fail2fix.ratio.adaptive", RatioConfig.adaptive):
        return ""
    upper = run.setting("fail2fix.ratio.maximum", RatioConfig.maximum)
    lower = run.setting("fail2fix.ratio.minimum", RatioConfig.minimum)
    at_upper = [step for step, value in rho.items() if value >= upper - 1e-9]
    at_lower = [step for step, value in rho.items() if value <= lower + 1e-9]
    side, steps, bound = ("upper", at_upper, upper) if len(at_upper) >= len(at_lower) else ("lower", at_lower, lower)
    often = len(steps) >= AT_BOUND * len(rho)
    return f"The replay ratio has been at its {side} bound ({bound:g}) for {_count(steps, run)}." if often else ""


def retention_below_target(run: RunData) -> str:
    """Corrections break more right attempts than the target allows."""
    target = run.setting("fail2fix.ratio.target_retention", RatioConfig.target_retention)
    kept, attempts = _transitions("kept", "broken")(run.quarters[1])
    if attempts < FEWEST or kept / attempts > target - max(MARGIN, _chance(target * (1 - target) / attempts)):
        return ""
    share = _percent(kept / attempts)
    return f"In the last quarter {share} of right attempts were kept; the target is {_percent(target)}."


def breaks_more_than_it_fixes(run: RunData) -> str:
    """More right attempts broken than wrong ones fixed."""
    fixed, broken = (total(run.quarters[1], _TRANSITION + name) for name in ("fixed", "broken"))
    more = broken - fixed > _chance(broken + fixed)
    told = f"In the last quarter corrections broke {round(broken):,} attempts and fixed only {round(fixed):,}."
    return told if more else ""


def no_better_than_constant(run: RunData) -> str:
    """Repeating the attempt, or solving again, would score more."""
    gain = _last(run, "fail2fix/correction/gain_over_constant")
    if gain is None or gain > -MARGIN:
        return ""
    return (
        f"In the last quarter corrections scored {-100 * gain:.0f} points less than the better of two constant "
        "policies: repeat the attempt, or solve the problem again."
    )


def too_few_attempts(run: RunData) -> str:
    """Fewer attempts existed than the correction stream wanted."""
    wanted, chosen = run.values(_REPLAY + "wanted"), run.values(_REPLAY + "chosen")
    short = [step for step, count in chosen.items() if count < wanted.get(step, 0.0)]
    return f"{_count(short, run)} had fewer attempts to correct than configured." if short else ""


def penalty_without_effect(run: RunData) -> str:
    """Attempts were broken, and the risk penalty changed no advantage."""
    effect, broken = measured(run.steps, "fail2fix/risk/effect"), total(run.steps, _TRANSITION + "broken")
    penalty = run.setting("fail2fix.risk.penalty", RiskConfig.penalty)
    if not broken or not effect or not penalty or max(effect) > NO_EFFECT:
        return ""
    return f"The risk penalty has changed no advantage, although {round(broken):,} right attempts were broken."


_LOST, _LATE_CHECKS = "fail2fix/*/excluded_groups", "fail2fix/*/verifier_timeouts"
_IDLE = "{{share}} of {} groups teach nothing: all rollouts of such a group have the same reward."
_FAILED = "{part} of {whole} groups left the update because their check failed."
_LATE = "{share} of all answers could not be checked in time and count as wrong."
_KEPT = "The share of right attempts that are kept"
_OUTSIDE = "{share} of the corrected attempts belong to problems outside the medium-difficulty band."


def _idle(stream: str) -> tuple[str, Rule]:
    metric = f"fail2fix/{stream}/zero_variance_groups"
    return metric, _high(_of(metric, f"fail2fix/{stream}/groups"), IDLE_GROUPS, _IDLE.format(stream))


RULES: dict[str, tuple[tuple[str, Rule], ...]] = {
    WARNING: (
        (PROBABILITY_CORRELATION, weights_out_of_sync),
        ("fail2fix/update/skipped", updates_skipped),
        ("fail2fix/accounting/*", accounting_open),
        _idle("correction"),
        _idle("base"),
        ("actor/entropy", entropy_collapsed),
        (", ".join(_each(_LOST)), _high(_of(_LOST, _LOST, "fail2fix/*/groups"), FAILED_CHECKS, _FAILED)),
        ("fail2fix/replay/rho", ratio_at_bound),
        ("fail2fix/replay/retention", retention_below_target),
        ("fail2fix/transition/broken", breaks_more_than_it_fixes),
        ("fail2fix/risk/effect", penalty_without_effect),
    ),
    NOTE: (
        ("metrics.jsonl", metrics_not_finite),
        (", ".join(_each("fail2fix/*/cut_off")), answers_cut_off),
        (", ".join(_each(_LATE_CHECKS)), _high(_of(_LATE_CHECKS, "fail2fix/*/rollouts"), TIMEOUTS, _LATE)),
        ("fail2fix/correction/gain_over_constant", no_better_than_constant),
        ("fail2fix/replay/chosen, fail2fix/replay/wanted", too_few_attempts),
        ("fail2fix/replay/medium", _high(_outside_the_band, OUTSIDE_BAND, _OUTSIDE)),
    ),
    GOOD: (
        ("fail2fix/base/accuracy", _growth(_solved, "Training accuracy")),
        ("fail2fix/transition/fix_rate", _growth(_transitions("fixed", "still_wrong"), "The fix rate")),
        ("fail2fix/transition/keep_rate", _growth(_transitions("kept", "broken"), _KEPT)),
    ),
}

# ------------------------------------------------------------------------------------------------------- wording


def _last(run: RunData, metric: str) -> float | None:
    """The mean of a metric in the last quarter."""
    values = measured(run.quarters[1], metric)
    return sum(values) / len(values) if values else None


def _chance(variance: float) -> float:
    """A difference that chance explains: two standard errors."""
    return 2 * sqrt(max(0.0, variance))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _count(steps: Collection[int], run: RunData) -> str:
    return f"{len(steps):,} of {len(run.steps):,} steps"


def _at(steps: Collection[int]) -> str:
    more = ", ..." if len(steps) > 5 else ""
    return f"step{'s' if len(steps) > 1 else ''} {', '.join(map(str, sorted(steps)[:5]))}{more}"
