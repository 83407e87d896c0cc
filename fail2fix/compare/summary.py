"""All numbers of a comparison, from its records: what the JSON holds and the table and the picture show.

Knows which measures are compared and what makes runs comparable (the same held-out problems, the same frozen
attempts). Must not know where records lie or how numbers are shown.

Example::

    comparison = summarise(records)
    comparison.configs[1].last["accuracy"].over_problems_and_seeds
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fail2fix.compare.equal_cost import Cost, mean_cost, ratios, tokens
from fail2fix.compare.origin import different_models
from fail2fix.compare.records import Attempts, Record, Validation, counts, require_same_origin
from fail2fix.method.errors import InputError
from fail2fix.report import statistics
from fail2fix.report.statistics import Band, Curve, Draws, Estimate, Measure, pass_at_k

CURVES = ("accuracy", "fix_rate", "break_rate")
AXES = ("rollouts", "tokens")
CORRECTIONS = {"fix_rate": False, "break_rate": True}  # whether the attempts counted are the right ones

Estimates = dict[str, Estimate | None]


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

    ``first`` and ``last``: accuracy, fix rate and break rate at the first and the last validation; None where a seed
    did not measure it. ``pass_at_k`` {k: at the end}. ``cost_ratios``: over the reference's. ``bands`` {measure:
    {axis: band over seeds}}.
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
    """``config`` minus ``reference`` at the end, paired by seed and problem."""

    config: str
    reference: str
    last: Estimates
    pass_at_k: dict[int, Estimate | None]


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


def summarise(records: Sequence[Record], warnings: Sequence[str] = ()) -> Comparison:
    """Compare records, at least two configs with the same seeds; the first record's config is the reference.

    Raises:
        InputError: two seeds of a config had other settings, or two runs other data, another model, other validation
            problems or other held-out attempts.
    """
    by_config: dict[str, list[Record]] = {}
    for record in records:
        by_config.setdefault(record.fingerprint.config, []).append(record)
    require_same_origin(records)
    problems, attempts = _same_problems(records), _same_attempts(records)
    measures = _Measures(problems, sorted({problem for problem, _, _ in attempts}))
    ks = powers_of_two(min(n for record in records for _, n in record.last.problems.values()))
    costs = {name: mean_cost([record.ledger for record in runs]) for name, runs in by_config.items()}
    reference = next(iter(by_config))
    names = list(by_config)
    return Comparison(
        reference=reference,
        problems=len(problems),
        attempts=len(attempts),
        rollouts={record.name: record.ledger["total/rollouts"] for record in records},
        configs=tuple(
            _summarise_config(name, runs, measures, ks, costs[name], costs[reference])
            for name, runs in by_config.items()
        ),
        differences=tuple(
            Difference(
                name,
                other,
                measures.differences([r.last for r in by_config[name]], [r.last for r in by_config[other]]),
                measures.pass_differences([r.last for r in by_config[name]], [r.last for r in by_config[other]], ks),
            )
            for index, name in enumerate(names)
            for other in names[:index]
        ),
        warnings=(*warnings, *_doubts(records, by_config)),
    )


def powers_of_two(n: int) -> list[int]:
    """1, 2, 4, ... up to ``n``, and ``n`` itself."""
    return sorted({2**power for power in range(n.bit_length())} | {n})


def _summarise_config(
    name: str, runs: Sequence[Record], measures: _Measures, ks: Sequence[int], cost: Cost, reference: Cost
) -> ConfigSummary:
    seeds = tuple(_seed_curves(record) for record in runs)
    lasts = [record.last for record in runs]
    return ConfigSummary(
        name=name,
        first=measures.estimates([record.first for record in runs]),
        last=measures.estimates(lasts),
        pass_at_k=measures.pass_estimates(lasts, ks),
        cost=cost,
        cost_ratios=ratios(cost, reference),
        seeds=seeds,
        bands={measure: {axis: _band(seeds, measure, axis) for axis in AXES} for measure in CURVES},
    )


def _seed_curves(record: Record) -> SeedCurves:
    points = record.points
    return SeedCurves(
        seed=record.fingerprint.seed,
        steps=tuple(point.step for point in points),
        x={
            "rollouts": tuple(point.ledger["total/rollouts"] for point in points),
            "tokens": tuple(tokens(point.ledger) for point in points),
        },
        y={
            "accuracy": tuple(point.accuracy for point in points),
            "fix_rate": tuple(point.fix_rate for point in points),
            "break_rate": tuple(point.break_rate for point in points),
        },
    )


def _band(seeds: Sequence[SeedCurves], measure: str, axis: str) -> Band | None:
    curves = [seed.curve(measure, axis) for seed in seeds]
    found = [curve for curve in curves if curve is not None]
    return statistics.band(found) if len(found) == len(curves) else None


class _Measures:
    """The measures of a comparison's validations, all from the same resamples of problems."""

    def __init__(self, problems: Sequence[str], corrected: Sequence[str]) -> None:
        self._problems = problems
        self._corrected = corrected
        self._draws = statistics.draw(len(problems))
        self._correction_draws = statistics.draw(len(corrected)) if corrected else None

    def estimates(self, validations: Sequence[Validation]) -> Estimates:
        """Accuracy, fix rate and break rate of validations, one a seed."""
        found: Estimates = {"accuracy": statistics.estimate(self._passes(validations, 1), self._draws)}
        for name, of_correct in CORRECTIONS.items():
            measure, draws = self._corrections(validations, of_correct)
            found[name] = statistics.estimate(measure, draws) if measure and draws else None
        return found

    def differences(self, mine: Sequence[Validation], others: Sequence[Validation]) -> Estimates:
        """The same, of mine minus others, paired by seed."""
        found: Estimates = {
            "accuracy": statistics.difference(self._passes(mine, 1), self._passes(others, 1), self._draws)
        }
        for name, of_correct in CORRECTIONS.items():
            a, draws = self._corrections(mine, of_correct)
            b, _ = self._corrections(others, of_correct)
            found[name] = statistics.difference(a, b, draws) if a and b and draws else None
        return found

    def pass_estimates(self, validations: Sequence[Validation], ks: Sequence[int]) -> dict[int, Estimate | None]:
        """{k: pass@k}."""
        return {k: statistics.estimate(self._passes(validations, k), self._draws) for k in ks}

    def pass_differences(
        self, mine: Sequence[Validation], others: Sequence[Validation], ks: Sequence[int]
    ) -> dict[int, Estimate | None]:
        """{k: pass@k of mine minus others}."""
        return {k: statistics.difference(self._passes(mine, k), self._passes(others, k), self._draws) for k in ks}

    def _passes(self, validations: Sequence[Validation], k: int) -> Measure:
        """pass@k a problem; with k = 1 its share of right answers."""
        num = [[pass_at_k(*v.problems[problem], k) for problem in self._problems] for v in validations]
        return Measure(np.array(num), np.ones((len(validations), len(self._problems))))

    def _corrections(self, validations: Sequence[Validation], of_correct: bool) -> tuple[Measure | None, Draws | None]:
        found = [counts(v.attempts, of_correct) for v in validations if v.attempts is not None]
        if len(found) < len(validations):
            return None, None
        table = np.array([[by_problem.get(problem, (0, 0)) for problem in self._corrected] for by_problem in found])
        return Measure(table[..., 0], table[..., 1]), self._correction_draws


def _same_problems(records: Sequence[Record]) -> list[str]:
    expected = records[0].last.problems.keys()
    for record in records:
        for validation in (record.first, record.last):
            if different := len(expected ^ validation.problems.keys()):
                raise InputError(
                    f"{record.name} and {records[0].name}: {different} problems were validated in one of them only: "
                    "all runs of a comparison take the same data.val_files"
                )
    return sorted(expected)


def _same_attempts(records: Sequence[Record]) -> frozenset[tuple[str, str, bool]]:
    """The attempts that every run with held-out corrections corrected; none if no run has them."""
    found: list[tuple[str, Attempts]] = [
        (record.name, validation.attempts)
        for record in records
        for validation in (record.first, record.last)
        if validation.attempts is not None
    ]
    if not found:
        return frozenset()
    first_name, first = found[0]
    for name, attempts in found:
        if different := len(first.identity ^ attempts.identity):
            raise InputError(
                f"{name} and {first_name}: {different} held-out attempts were corrected in one of them only: all runs "
                "of a comparison take the same fail2fix.held_out.file"
            )
    return first.identity


def _doubts(records: Sequence[Record], by_config: Mapping[str, Sequence[Record]]) -> list[str]:
    """What a reader must know before believing the numbers."""
    doubts = []
    if min(len(runs) for runs in by_config.values()) == 1:
        doubts.append("one seed: the intervals are over problems only and say nothing about another seed")
    if errors := sum(point.verifier_errors for record in records for point in record.points):
        doubts.append(f"{errors:,} held-out samples got no verdict: answers count as wrong, corrections not at all")
    steps = {name: mean_cost([run.ledger for run in runs]).optimizer_steps for name, runs in by_config.items()}
    if len(set(steps.values())) > 1:
        said = ", ".join(f"{name} {count:g}" for name, count in steps.items())
        doubts.append(f"the same rollouts, not the same optimiser steps ({said}): batches of other sizes")
    if models := different_models(record.member for record in records):
        doubts.append(f"the seeds did not all start from one model ({models}): compare configs within a seed")
    if differing := _differing_versions([record.versions for record in records]):
        doubts.append(f"the runs differ in {', '.join(differing)}: neither their code nor their seconds may compare")
    return doubts


def _differing_versions(versions: Sequence[Mapping[str, object]]) -> list[str]:
    flat = [_flat(version) for version in versions]
    names = sorted({name for version in flat for name in version})
    return [name for name in names if len({str(version.get(name)) for version in flat}) > 1]


def _flat(version: Mapping[str, object]) -> dict[str, object]:
    packages = version.get("packages")
    return {**version, "packages": None} | (packages if isinstance(packages, dict) else {})
