"""All numbers of a comparison, from its records: the contents of the JSON file, the table and the picture.

Runs are comparable if they have the same held-out problems and the same frozen attempts. Rollouts are held equal;
tokens, seconds, optimizer steps and distinct problems are reported beside them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeVar

import numpy as np

from fail2fix.compare import revisions
from fail2fix.compare.records import RunRecord, ValidatedStep, counts, different_models, require_same_origin
from fail2fix.method.errors import InputError
from fail2fix.report import statistics
from fail2fix.report.statistics import Band, Curve, Estimate, Measure, pass_at_k

MEASURES = {
    "accuracy": "accuracy",
    "revised": revisions.TITLES["revised"],
    "fix_rate": "fix rate",
    "break_rate": "break rate",
}
ALL_MEASURES = MEASURES | {"keep_rate": "keep rate", "copied": "wrong attempts copied"} | revisions.TITLES
AXES = ("rollouts", "tokens")
COSTS = {
    "rollouts": "rollouts",
    "tokens": "tokens",
    "seconds": "seconds",
    "optimizer_steps": "optimizer steps",
    "problems": "distinct problems",
}
STEP_SECONDS = {"step_seconds": "seconds a step"}
TOLERANCE_PERCENT = 1

Key = TypeVar("Key", str, int)
Ledger = Mapping[str, float]
"""The cumulative ledger of a run: {"total/rollouts": ..., "total/prompt_tokens": ..., "seconds": ...}."""
Cost = dict[str, float]
Estimates = dict[str, Estimate | None]
Measures = Mapping[Key, Measure | None]
Counts = Mapping[Any, tuple[int, int]]


@dataclass(frozen=True)
class SeedCurves:
    """A seed's validated steps: ``x`` {axis: cumulative} and ``y`` {measure: value}, None where not measured."""

    seed: int
    steps: tuple[int, ...]
    x: dict[str, tuple[float, ...]]
    y: dict[str, tuple[float | None, ...]]

    def curve(self, measure: str, axis: str) -> Curve | None:
        """The points where ``measure`` was measured; None if it never was."""
        points = [(x, y) for x, y in zip(self.x[axis], self.y[measure], strict=True) if y is not None]
        return ([x for x, _ in points], [y for _, y in points]) if points else None


@dataclass(frozen=True)
class ConfigSummary:
    """A config over its seeds.

    ``first`` and ``last``: `ALL_MEASURES` at the first and the last validation;
    None where a seed did not measure it. ``pass_at_k`` {k: at the end}. ``cost_ratios``: over the reference's.
    ``bands`` {measure: {axis: band over seeds}}.
    """

    name: str
    first: Estimates
    last: Estimates
    pass_at_k: dict[int, Estimate | None]
    cost: Cost
    cost_ratios: dict[str, float | None]
    seeds: tuple[SeedCurves, ...]
    bands: dict[str, dict[str, Band | None]]


@dataclass(frozen=True)
class Difference:
    """``config`` minus ``reference`` at the end, paired by seed and problem.

    ``over_majority``: after a revision, minus the reference's majority at equal tokens.
    """

    config: str
    reference: str
    last: Estimates
    pass_at_k: dict[int, Estimate | None]
    over_majority: Estimate | None


@dataclass(frozen=True)
class Comparison:
    """``problems`` held out, ``attempts`` frozen (0: none held out); ``rollouts`` spent by each run, by name."""

    reference: str
    problems: int
    attempts: int
    rollouts: dict[str, float]
    configs: tuple[ConfigSummary, ...]
    differences: tuple[Difference, ...]
    warnings: tuple[str, ...]


def summarize(records: Sequence[RunRecord], warnings: Sequence[str] = ()) -> Comparison:
    """Compare records, at least two configs with the same seeds; the first record's config is the reference.

    Raises ``InputError``: two seeds of a config had other settings, or two runs other data, another model, other
    validation problems or other held-out attempts.
    """
    require_same_origin(records)
    problems = _shared(records, lambda step: step.problems, "problems were validated", "data.val_files")
    key = "fail2fix.held_out.file"
    attempts = _shared(records, lambda step: step.attempts, "held-out attempts were corrected", key)
    samples = min(n for record in records for _, n in record.last.problems.values())
    ks = sorted({2**power for power in range(samples.bit_length())} | {samples})
    names = list(dict.fromkeys(record.fingerprint.config for record in records))
    by_config = {name: [record for record in records if record.fingerprint.config == name] for name in names}
    lasts = {name: [record.last for record in runs] for name, runs in by_config.items()}
    order = sorted(problems)
    rates = {name: _rates(steps, order) for name, steps in lasts.items()}
    passes = {name: {k: _pass_at(steps, k) for k in ks} for name, steps in lasts.items()}
    costs = {name: _cost(runs) for name, runs in by_config.items()}

    def config_summary(name: str) -> ConfigSummary:
        seeds = tuple(map(_seed_curves, by_config[name]))
        return ConfigSummary(
            name=name,
            first=_estimates(_rates([record.first for record in by_config[name]], order)),
            last=_estimates(rates[name]),
            pass_at_k=_estimates(passes[name]),
            cost=costs[name],
            cost_ratios=ratios(costs[name], costs[names[0]]),
            seeds=seeds,
            bands={measure: {axis: _band(seeds, measure, axis) for axis in AXES} for measure in MEASURES},
        )

    return Comparison(
        reference=names[0],
        problems=len(problems),
        attempts=len(attempts),
        rollouts={record.name: record.ledger["total/rollouts"] for record in records},
        configs=tuple(map(config_summary, names)),
        differences=tuple(
            _difference(name, other, rates, passes) for index, name in enumerate(names) for other in names[:index]
        ),
        warnings=(*warnings, *_warnings(records, costs, min(map(len, by_config.values())))),
    )


def _cost(runs: Sequence[RunRecord]) -> Cost:
    return mean_cost([record.ledger for record in runs]) | {"step_seconds": _step_seconds(runs)}


def _difference(
    name: str,
    other: str,
    rates: Mapping[str, Mapping[str, Measure | None]],
    passes: Mapping[str, Mapping[int, Measure | None]],
) -> Difference:
    return Difference(
        name,
        other,
        last=_differences(rates[name], rates[other]),
        pass_at_k=_differences(passes[name], passes[other]),
        over_majority=_differences({"": rates[name]["revised"]}, {"": rates[other]["majority"]})[""],
    )


def tokens(ledger: Ledger) -> float:
    """Prompt and generated tokens together."""
    return ledger["total/prompt_tokens"] + ledger["total/generated_tokens"]


def mean_cost(ledgers: Sequence[Ledger]) -> Cost:
    """The mean cost of runs from their final ledgers, at least one; ``problems``: distinct training problems seen."""
    costs = [{**each, "rollouts": each["total/rollouts"], "tokens": tokens(each)} for each in ledgers]
    return {name: sum(cost[name] for cost in costs) / len(costs) for name in COSTS}


def _step_seconds(runs: Sequence[RunRecord]) -> float:
    """Mean over runs; 0 for runs without a training step."""
    return sum(run.ledger["seconds"] / max(run.points[-1].step, 1) for run in runs) / len(runs)


def ratios(cost: Cost, reference: Cost) -> dict[str, float | None]:
    """Each cost over the reference's; None where the reference's is 0."""
    return {name: value / reference[name] if reference[name] else None for name, value in cost.items()}


def unequal(rollouts: Mapping[str, float]) -> str:
    """Name the two runs whose rollouts differ most, if by more than 1 % of the smaller; else empty.

    ``rollouts``: {run: its total}, at least one. Example: ``grpo-seed0 spent 1,000 rollouts and cipo-seed0 1,011,
    1.1 % more``.
    """
    least, most = min(rollouts, key=rollouts.__getitem__), max(rollouts, key=rollouts.__getitem__)
    excess = rollouts[most] - rollouts[least]
    if 100 * excess <= TOLERANCE_PERCENT * rollouts[least]:
        return ""
    share = f", {100 * excess / rollouts[least]:.3g} % more" if rollouts[least] else ""
    return f"{least} spent {rollouts[least]:,.0f} rollouts and {most} {rollouts[most]:,.0f}{share}"


def _seed_curves(record: RunRecord) -> SeedCurves:
    points = record.points
    return SeedCurves(
        seed=record.fingerprint.seed,
        steps=tuple(point.step for point in points),
        x={
            "rollouts": tuple(point.ledger["total/rollouts"] for point in points),
            "tokens": tuple(tokens(point.ledger) for point in points),
        },
        y={name: tuple(getattr(point, name) for point in points) for name in MEASURES},
    )


def _band(seeds: Sequence[SeedCurves], measure: str, axis: str) -> Band | None:
    curves = [curve for seed in seeds if (curve := seed.curve(measure, axis))]
    return statistics.band(curves) if len(curves) == len(seeds) else None


def _rates(steps: Sequence[ValidatedStep], problems: Sequence[str]) -> dict[str, Measure | None]:
    """Accuracy, rates of corrections, own answers of validations, one a seed; None where a seed did not measure it."""
    return {
        "accuracy": _pass_at(steps, 1),
        "fix_rate": _corrections(steps, of_correct=False),
        "break_rate": _corrections(steps, of_correct=True),
        "keep_rate": _complement(_corrections(steps, of_correct=True)),
        "copied": _copied(steps),
        **revisions.measures([step.own for step in steps], problems),
    }


def _pass_at(steps: Sequence[ValidatedStep], k: int) -> Measure:
    """pass@k a problem; with k = 1 its share of right answers."""
    problems = sorted(steps[0].problems)
    num = np.array([[pass_at_k(*step.problems[problem], k) for problem in problems] for step in steps])
    return Measure(num, np.ones(num.shape))


def _corrections(steps: Sequence[ValidatedStep], of_correct: bool) -> Measure | None:
    """The share of corrections that change the verdict, of the attempts that were right, or wrong."""
    attempts = [step.attempts for step in steps if step.attempts]
    if len(attempts) < len(steps):
        return None
    problems = sorted({problem for problem, _, _ in attempts[0]})
    found = [counts(each, of_correct) for each in attempts]
    table = np.array([[by_problem.get(problem, (0, 0)) for problem in problems] for by_problem in found])
    return Measure(table[..., 0], table[..., 1])


def _complement(measure: Measure | None) -> Measure | None:
    return Measure(measure.den_SP - measure.num_SP, measure.den_SP) if measure else None


def _copied(steps: Sequence[ValidatedStep]) -> Measure | None:
    """The share of corrections of wrong attempts that give the attempt's answer again."""
    found = [step.copied for step in steps if step.copied]
    if len(found) < len(steps):
        return None
    problems = sorted({problem for each in found for problem in each})
    table = np.array([[each.get(problem, (0, 0)) for problem in problems] for each in found])
    return Measure(table[..., 0], table[..., 1])


def _estimates(measures: Measures[Key]) -> dict[Key, Estimate | None]:
    return {name: statistics.estimate(found) if found else None for name, found in measures.items()}


def _differences(mine: Measures[Key], others: Measures[Key]) -> dict[Key, Estimate | None]:
    """The measures of mine minus the others', paired by seed."""
    pairs = {name: (found, others[name]) for name, found in mine.items()}
    return {name: statistics.difference(a, b) if a and b else None for name, (a, b) in pairs.items()}


def _shared(
    records: Sequence[RunRecord], counts_of: Callable[[ValidatedStep], Counts | None], what: str, key: str
) -> Set[Any]:
    """The keys that all runs have, among the runs that have any. Raises ``InputError`` where two differ."""
    found = [(record.name, counts_of(step)) for record in records for step in _ends(record)]
    sets = [(name, each.keys()) for name, each in found if each]
    for name, keys in sets:
        if different := len(keys ^ sets[0][1]):
            raise InputError(
                f"{name} and {sets[0][0]}: {different} {what} in one of them only: all runs of a comparison take the "
                f"same {key}"
            )
    return sets[0][1] if sets else frozenset()


def _ends(record: RunRecord) -> tuple[ValidatedStep, ValidatedStep]:
    return record.first, record.last


def _warnings(records: Sequence[RunRecord], costs: Mapping[str, Cost], seeds: int) -> Iterable[str]:
    """What a reader must know before believing the numbers."""
    if seeds == 1:
        yield "one seed: the intervals are over problems only and say nothing about another seed"
    if errors := sum(point.verifier_errors for record in records for point in record.points):
        yield f"{errors:,} held-out samples got no verdict: answers count as wrong, corrections not at all"
    own = [(step.own.votes(1.0), record.name, step.own) for record in records for step in _ends(record) if step.own]
    if short := [each for each in own if each[0] > each[2].samples]:
        wanted, name, found = max(short, key=itemgetter(0))
        key = "actor_rollout_ref.rollout.val_kwargs.n"
        yield f"revisions cost up to {wanted:.1f} samples' tokens ({name}), and {found.samples} vote: raise {key}"
    steps = {name: cost["optimizer_steps"] for name, cost in costs.items()}
    if len(set(steps.values())) > 1:
        said = ", ".join(f"{name} {count:g}" for name, count in steps.items())
        yield f"the same rollouts, not the same optimizer steps ({said}): batches of other sizes"
    if models := different_models(records):
        yield f"the seeds did not all start from one model ({models}): compare configs within a seed"
    flat = [{**record.versions, "packages": None} | record.versions["packages"] for record in records]
    names = sorted({name for version in flat for name in version})
    if differing := [name for name in names if len({str(version.get(name)) for version in flat}) > 1]:
        yield f"the runs differ in {', '.join(differing)}: neither their code nor their seconds may compare"
