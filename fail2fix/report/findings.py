"""Findings in words: what a reader of the curves should notice. Each rule is a function with its threshold and metric.

A rule reads one run and returns a sentence, or None where it does not apply or nothing was measured.

Example::

    [finding.text for finding in findings(read_run(folder))]
    # ["The replay ratio has been at its upper bound (0.8) for 40 of 50 steps."]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

from fail2fix.method.config import RatioConfig, RiskConfig
from fail2fix.report.figures import STREAMS, measured, total
from fail2fix.report.reading import PROBABILITY_CORRELATION, Row
from fail2fix.report.run_data import RunData, number, shortened

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

Rule = Callable[[RunData], str | None]


@dataclass(frozen=True)
class Finding:
    """A sentence about a run. ``level``: warning, note or good; ``metric``: where it comes from."""

    level: str
    text: str
    metric: str


_RULES: list[tuple[str, str, Rule]] = []


def rule(level: str, metric: str) -> Callable[[Rule], Rule]:
    """Register a rule with the level of its finding and the metric it reads."""

    def register(function: Rule) -> Rule:
        _RULES.append((level, metric, function))
        return function

    return register


def findings(run: RunData) -> list[Finding]:
    """All findings about a run: warnings first, then notes, then good news."""
    if not run.steps:
        return [Finding(NOTE, "There is no training step yet.", "step")]
    found = [Finding(level, text, metric) for level, metric, check in _RULES if (text := check(run))]
    return sorted(found, key=lambda finding: (WARNING, NOTE, GOOD).index(finding.level))


# ------------------------------------------------------------------------------------------------ training at all


@rule(WARNING, PROBABILITY_CORRELATION)
def weights_out_of_sync(run: RunData) -> str | None:
    """The engines sample from other weights than the trainer updates."""
    values = run.values(PROBABILITY_CORRELATION)
    low = {step: value for step, value in values.items() if value < IN_SYNC}
    lasting = [step for step in low if low.keys() >= {later for later in values if step <= later <= step + 1}]
    if not lasting:  # a single step may fall below by chance
        return None
    return (
        f"Weights drifted out of sync at step {min(lasting)}: the engines' probabilities correlate with the trainer's "
        f"by {min(low.values()):.3f} at worst ({_count(low, run)} below {IN_SYNC})."
    )


@rule(WARNING, "fail2fix/update/skipped")
def updates_skipped(run: RunData) -> str | None:
    """Updates without a finite gradient."""
    skipped = {step: value for step, value in run.values("fail2fix/update/skipped").items() if value > 0}
    if not skipped:
        return None
    return (
        f"{round(sum(skipped.values())):,} updates were skipped because their gradient was not finite ({_at(skipped)})."
    )


@rule(NOTE, "metrics.jsonl")
def metrics_not_finite(run: RunData) -> str | None:
    """Metrics that were null or nan."""
    if not run.not_finite:
        return None
    name, steps = max(run.not_finite.items(), key=lambda item: item[1])
    others = len(run.not_finite) - 1
    more = f" and {others:,} other metrics were not finite in up to" if others else " was not finite in"
    return f"{shortened(name, 80)}{more} {steps:,} of {len(run.steps):,} steps."


@rule(WARNING, "fail2fix/accounting/*")
def accounting_open(run: RunData) -> str | None:
    """Prompts or rollouts that are not accounted for."""
    wrong = [row["step"] for row in run.steps if not all(_balances(row, stream) for stream in STREAMS)]
    return f"Accounting does not balance at {len(wrong):,} steps ({_at(wrong)})." if wrong else None


def _balances(row: Row, stream: str) -> bool:
    prefix = f"fail2fix/accounting/{stream}"
    prompts, out = number(row, f"{prefix}/prompts"), [f"{prefix}/{name}" for name in ("trained", "skipped", "failed")]
    rollouts = {number(row, f"{prefix}/{name}") for name in ("generated", "verified", "recorded")} - {None}
    return (prompts is None or prompts == sum(total([row], name) for name in out)) and len(rollouts) <= 1


# -------------------------------------------------------------------------------------------------- both streams


@rule(WARNING, "fail2fix/correction/zero_variance_groups")
def idle_corrections(run: RunData) -> str | None:
    """Correction groups whose advantages are all zero."""
    return _idle(run, "correction")


@rule(WARNING, "fail2fix/base/zero_variance_groups")
def idle_base(run: RunData) -> str | None:
    """Base groups whose advantages are all zero."""
    return _idle(run, "base")


def _idle(run: RunData, stream: str) -> str | None:
    share = _share(run.steps, f"fail2fix/{stream}/zero_variance_groups", f"fail2fix/{stream}/groups")
    if share is None or share < IDLE_GROUPS:
        return None
    return f"{_percent(share)} of {stream} groups teach nothing: all rollouts of such a group have the same reward."


@rule(NOTE, "fail2fix/base/cut_off, fail2fix/correction/cut_off")
def answers_cut_off(run: RunData) -> str | None:
    """Answers that end at the length limit."""
    shares = {stream: _mean(measured(run.last_quarter, f"fail2fix/{stream}/cut_off")) for stream in STREAMS}
    high = [f"{_percent(share)} of {stream} answers" for stream, share in shares.items() if share and share >= CUT_OFF]
    return f"{' and '.join(high)} were cut off at the length limit in the last quarter." if high else None


@rule(WARNING, "actor/entropy")
def entropy_collapsed(run: RunData) -> str | None:
    """The policy has become almost deterministic."""
    values, last = run.values("actor/entropy"), _mean(measured(run.last_quarter, "actor/entropy"))
    if len(values) < 4 or last is None:
        return None
    first = next(iter(values.values()))
    if first <= 0 or last > LOW_ENTROPY * first:
        return None
    return f"Entropy has fallen from {first:.3g} to {last:.3g}: answers hardly differ from one another any more."


@rule(WARNING, "fail2fix/base/excluded_groups, fail2fix/correction/excluded_groups")
def checks_failed(run: RunData) -> str | None:
    """Groups that left the update because the verifier failed."""
    lost = sum(total(run.steps, f"fail2fix/{stream}/excluded_groups") for stream in STREAMS)
    groups = lost + sum(total(run.steps, f"fail2fix/{stream}/groups") for stream in STREAMS)
    if not groups or lost / groups < FAILED_CHECKS:
        return None
    return f"{round(lost):,} of {round(groups):,} groups left the update because their check failed."


@rule(NOTE, "fail2fix/base/verifier_timeouts, fail2fix/correction/verifier_timeouts")
def checks_timed_out(run: RunData) -> str | None:
    """Answers that the verifier could not judge in time, which count as wrong."""
    late = sum(total(run.steps, f"fail2fix/{stream}/verifier_timeouts") for stream in STREAMS)
    rollouts = sum(total(run.steps, f"fail2fix/{stream}/rollouts") for stream in STREAMS)
    if not rollouts or late / rollouts < TIMEOUTS:
        return None
    return f"{_percent(late / rollouts)} of all answers could not be checked in time and count as wrong."


# --------------------------------------------------------------------------------------------------- corrections


@rule(WARNING, "fail2fix/replay/rho")
def ratio_at_bound(run: RunData) -> str | None:
    """The controller cannot move the ratio further."""
    rho = run.values("fail2fix/replay/rho")
    if not rho or not run.setting("fail2fix.ratio.adaptive", RatioConfig.adaptive):
        return None
    upper = run.setting("fail2fix.ratio.maximum", RatioConfig.maximum)
    lower = run.setting("fail2fix.ratio.minimum", RatioConfig.minimum)
    at_upper = [step for step, value in rho.items() if value >= upper - 1e-9]
    at_lower = [step for step, value in rho.items() if value <= lower + 1e-9]
    side, steps, bound = ("upper", at_upper, upper) if len(at_upper) >= len(at_lower) else ("lower", at_lower, lower)
    if len(steps) < AT_BOUND * len(rho):
        return None
    return f"The replay ratio has been at its {side} bound ({bound:g}) for {_count(steps, run)}."


@rule(WARNING, "fail2fix/replay/retention")
def retention_below_target(run: RunData) -> str | None:
    """Corrections break more right attempts than the target allows."""
    target = run.setting("fail2fix.ratio.target_retention", RatioConfig.target_retention)
    kept, attempts = _transitions("kept", "broken")(run.last_quarter)
    if attempts < FEWEST or kept / attempts > target - max(MARGIN, _chance(target * (1 - target) / attempts)):
        return None
    share = _percent(kept / attempts)
    return f"In the last quarter {share} of right attempts were kept; the target is {_percent(target)}."


@rule(WARNING, "fail2fix/transition/broken")
def breaks_more_than_it_fixes(run: RunData) -> str | None:
    """More right attempts broken than wrong ones fixed."""
    fixed, broken = (total(run.last_quarter, f"fail2fix/transition/{name}") for name in ("fixed", "broken"))
    if broken - fixed <= _chance(broken + fixed):
        return None
    return f"In the last quarter corrections broke {round(broken):,} attempts and fixed only {round(fixed):,}."


@rule(NOTE, "fail2fix/correction/gain_over_constant")
def no_better_than_constant(run: RunData) -> str | None:
    """Repeating the attempt, or solving again, would score more."""
    gain = _mean(measured(run.last_quarter, "fail2fix/correction/gain_over_constant"))
    if gain is None or gain > -MARGIN:
        return None
    return (
        f"In the last quarter corrections scored {-100 * gain:.0f} points less than the better of two constant "
        "policies: repeat the attempt, or solve the problem again."
    )


@rule(NOTE, "fail2fix/replay/chosen, fail2fix/replay/wanted")
def too_few_attempts(run: RunData) -> str | None:
    """Fewer attempts existed than the correction stream wanted."""
    wanted, chosen = run.values("fail2fix/replay/wanted"), run.values("fail2fix/replay/chosen")
    short = [step for step, count in chosen.items() if count < wanted.get(step, 0.0)]
    return f"{_count(short, run)} had fewer attempts to correct than configured." if short else None


@rule(NOTE, "fail2fix/replay/medium")
def outside_the_band(run: RunData) -> str | None:
    """Most replayed attempts belong to problems that are too easy or too hard."""
    medium = _share(run.steps, "fail2fix/replay/medium", "fail2fix/replay/chosen")
    if medium is None or 1 - medium < OUTSIDE_BAND:
        return None
    return f"{_percent(1 - medium)} of the corrected attempts belong to problems outside the medium-difficulty band."


@rule(WARNING, "fail2fix/risk/effect")
def penalty_without_effect(run: RunData) -> str | None:
    """Attempts were broken, and the risk penalty changed no advantage."""
    effect, broken = run.values("fail2fix/risk/effect"), total(run.steps, "fail2fix/transition/broken")
    if not broken or not effect or not run.setting("fail2fix.risk.penalty", RiskConfig.penalty):
        return None
    if max(effect.values()) > NO_EFFECT:
        return None
    return f"The risk penalty has changed no advantage, although {round(broken):,} right attempts were broken."


# --------------------------------------------------------------------------------------------------- what it learned

Counts = Callable[[Sequence[Row]], tuple[float, float]]


@rule(GOOD, "fail2fix/base/accuracy")
def solves_more(run: RunData) -> str | None:
    """Training accuracy, first quarter against last."""
    return _growth(run, _solved, "Training accuracy")


@rule(GOOD, "fail2fix/transition/fix_rate")
def fixes_more(run: RunData) -> str | None:
    """Fix rate, first quarter against last."""
    return _growth(run, _transitions("fixed", "still_wrong"), "The fix rate")


@rule(GOOD, "fail2fix/transition/keep_rate")
def keeps_more(run: RunData) -> str | None:
    """Retention, first quarter against last."""
    return _growth(run, _transitions("kept", "broken"), "The share of right attempts that are kept")


def _growth(run: RunData, counts: Counts, what: str) -> str | None:
    """A share that rose by more than chance explains, each rollout counted for itself."""
    (first, n), (last, m) = counts(run.first_quarter), counts(run.last_quarter)
    if len(run.steps) < 2 or min(n, m) < FEWEST:
        return None
    pooled = (first + last) / (n + m)
    chance = _chance(pooled * (1 - pooled) * (1 / n + 1 / m))
    if last / m - first / n <= max(MARGIN, chance):
        return None
    return f"{what} rose from {_percent(first / n)} to {_percent(last / m)}, first quarter to last."


def _solved(rows: Sequence[Row]) -> tuple[float, float]:
    pairs = [(number(row, "fail2fix/base/accuracy"), number(row, "fail2fix/base/rollouts")) for row in rows]
    known = [(share, n) for share, n in pairs if share is not None and n is not None]
    return sum(share * n for share, n in known), sum(n for _, n in known)


def _transitions(part: str, rest: str) -> Counts:
    def counts(rows: Sequence[Row]) -> tuple[float, float]:
        found = [total(rows, f"fail2fix/transition/{name}") for name in (part, rest)]
        return found[0], sum(found)

    return counts


# ------------------------------------------------------------------------------------------------------- wording


def _share(rows: Sequence[Row], part: str, *whole: str) -> float | None:
    everything = sum(total(rows, name) for name in whole)
    return total(rows, part) / everything if everything else None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _chance(variance: float) -> float:
    """A difference that chance explains: two standard errors."""
    return 2 * sqrt(max(0.0, variance))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _count(steps: Iterable[int], run: RunData) -> str:
    return f"{len(list(steps)):,} of {len(run.steps):,} steps"


def _at(steps: Iterable[int]) -> str:
    shown = sorted(steps)
    more = ", ..." if len(shown) > 5 else ""
    return f"step{'s' if len(shown) > 1 else ''} {', '.join(map(str, shown[:5]))}{more}"
