"""Tables of the HTML report: what runs achieved, what they spent, and how they were set. A column a run, plain texts.

Example::

    [row.label for row in summary([run])]  # "Held-out accuracy, before", ...
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from fail2fix.report.console_table import NOTHING, bounds, percent
from fail2fix.report.figures import STREAMS, accuracy, held_out_rates, total, transitions
from fail2fix.report.reading import dumped_steps, read_validation
from fail2fix.report.run_data import RunData, number, shortened

CELL_CHARS = 160
OTHER_SETTINGS = 30  # differing settings beside the fixed list

# What is shown of every config, in order; differing keys follow.
SETTINGS = (
    "actor_rollout_ref.model.path", "data.train_files", "fail2fix.seed", "data.train_batch_size",
    "actor_rollout_ref.rollout.n", "fail2fix.correction.enabled", "fail2fix.correction.attempts",
    "fail2fix.correction.rollouts", "fail2fix.correction.weight", "fail2fix.correction.form", "fail2fix.replay.source",
    "fail2fix.replay.rule", "fail2fix.ratio.adaptive", "fail2fix.ratio.initial", "fail2fix.risk.penalty",
    "fail2fix.advantage.scale", "fail2fix.advantage.baseline", "algorithm.adv_estimator",
    "actor_rollout_ref.actor.optim.lr", "actor_rollout_ref.actor.ppo_mini_batch_size",
    "actor_rollout_ref.rollout.temperature", "data.max_response_length",
)  # fmt: skip
# Names and places of a run, which always differ.
PLACES = ("fail2fix.run.", "trainer.experiment_name", "trainer.default_local_dir", "trainer.rollout_data_dir",
          "trainer.validation_data_dir", "fail2fix.offline.file", "fail2fix.held_out.file")  # fmt: skip


@dataclass(frozen=True)
class Line:
    """A table's line: a label and one text a column."""

    label: str
    cells: Sequence[str]

    @property
    def differs(self) -> bool:
        """Whether the cells are not all the same."""
        return len(set(self.cells)) > 1


Cell = Callable[[RunData], str]


def summary(runs: Sequence[RunData]) -> list[Line]:
    """What the runs achieved and how long they took."""
    held = [_held_out(run) for run in runs]
    lines = [Line(label, [found[label] for found in held]) for label in held[0]]
    cells: dict[str, Cell] = {
        "Training steps": lambda run: f"{len(run.steps):,}",
        "Fixed in training, first and last quarter": lambda run: _quarters(run, "fixed", "still_wrong"),
        "Broken in training, first and last quarter": lambda run: _quarters(run, "broken", "kept"),
        "Rollouts": lambda run: _count(run, "fail2fix/ledger/total/rollouts"),
        "Tokens read and written": _tokens,
        "Training time": lambda run: _duration(run, "fail2fix/ledger/seconds"),
        "Started": lambda run: "once" if run.starts == 1 else f"{run.starts:,} times",
    }
    lines += [Line(label, [cell(run) for run in runs]) for label, cell in cells.items()]
    return [line for line in lines if any(cell != NOTHING for cell in line.cells)]


def _held_out(run: RunData) -> dict[str, str]:
    """Held-out accuracy, fix rate and break rate, before and after training, with 95 % intervals over problems."""
    steps = dumped_steps(run.folder / "validation")
    ends = dict.fromkeys(steps[:1] + steps[-1:])
    rates = {
        "accuracy": [accuracy(step, read_validation(run.folder, step)) for step in ends],
        "fix rate": held_out_rates(run.folder, attempt_correct=False),
        "break rate": held_out_rates(run.folder, attempt_correct=True),
    }
    found = {}
    for what, values in rates.items():
        for when, rate in zip_longest(("before", "after"), values):
            text = f"{_percent(rate.value)} {bounds(rate.low, rate.high)}, step {rate.step}" if rate else NOTHING
            found[f"Held-out {what}, {when}"] = text
    return found


def _percent(share_: float) -> str:
    return percent(share_).replace(" ", "\u00a0")


def _quarters(run: RunData, part: str, rest: str) -> str:
    """A transition's share of the attempts with that verdict."""
    texts = []
    for rows in (run.first_quarter, run.last_quarter):
        found = [total(rows, f"fail2fix/transition/{name}") for name in (part, rest)]
        texts.append(_percent(found[0] / sum(found)) if sum(found) else NOTHING)
    return NOTHING if set(texts) == {NOTHING} else " → ".join(texts)


def _last(run: RunData, name: str) -> float | None:
    return next((value for row in reversed(run.lines) if (value := number(row, name)) is not None), None)


def _count(run: RunData, name: str) -> str:
    value = _last(run, name)
    return NOTHING if value is None else f"{value:,.0f}"


def _tokens(run: RunData) -> str:
    texts = [_count(run, f"fail2fix/ledger/total/{name}") for name in ("prompt_tokens", "generated_tokens")]
    return NOTHING if NOTHING in texts else " + ".join(texts)


def _duration(run: RunData, name: str) -> str:
    seconds = _last(run, name)
    if seconds is None:
        return NOTHING
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


# --------------------------------------------------------------------------------------------------- transitions


@dataclass(frozen=True)
class Matrix:
    """Count and share of all corrections by transition, over a span of steps."""

    span: str
    counts: Mapping[str, tuple[str, str]]


def matrices(run: RunData) -> list[Matrix]:
    """The transition matrix of the first and the last quarter; none without corrections."""
    found = []
    for rows in (run.first_quarter, run.last_quarter) if len(run.steps) > 1 else (run.steps,):
        if not rows:
            continue
        result = transitions(rows)
        everything = sum(result.counts.values())
        first, last = result.first_step, result.last_step
        span = f"step {first}" if first == last else f"steps {first} to {last}"
        if everything:
            texts = {name: (f"{count:,}", _percent(count / everything)) for name, count in result.counts.items()}
            found.append(Matrix(span, texts))
    return found


# ---------------------------------------------------------------------------------------------------- accounting

ACCOUNT = ("prompts", "trained", "skipped", "failed", "generated", "verified", "recorded")
COSTS = ("rollouts", "prompt_tokens", "generated_tokens", "verifier_calls", "seconds")


def accounting(run: RunData) -> list[Line]:
    """Both streams' accounts summed over steps, and the ledger's costs; a cell a stream."""
    lines = []
    for name in ACCOUNT:
        names = [f"fail2fix/accounting/{stream}/{name}" for stream in STREAMS]
        cells = [f"{total(run.steps, each):,.0f}" if run.values(each) else NOTHING for each in names]
        lines.append(Line(f"{'rollouts ' if name in ACCOUNT[4:] else ''}{name}", cells))
    for name in COSTS:
        cells = [_count(run, f"fail2fix/ledger/{stream}/{name}") for stream in STREAMS]
        lines.append(Line(f"cost: {name.replace('_', ' ')}", cells))
    return [line for line in lines if any(cell != NOTHING for cell in line.cells)]


# ------------------------------------------------------------------------------------------------------ settings


def settings(runs: Sequence[RunData]) -> list[Line]:
    """The main settings and versions of each run, then the other settings in which the runs differ."""
    flat = [dict(_flat(run.config)) for run in runs]
    keys = [key for key in SETTINGS if any(key in each for each in flat)]
    others = sorted({key for each in flat for key in each if not key.startswith(PLACES)} - set(keys))
    differing = [key for key in others if len({each.get(key, NOTHING) for each in flat}) > 1]
    lines = [Line(key, [each.get(key, NOTHING) for each in flat]) for key in keys + differing[:OTHER_SETTINGS]]
    lines = [Line(shortened(line.label, CELL_CHARS), line.cells) for line in lines]
    if len(differing) > OTHER_SETTINGS:
        lines.append(Line(f"{len(differing) - OTHER_SETTINGS:,} more settings differ", [""] * len(runs)))
    return lines + _versions(runs)


def _versions(runs: Sequence[RunData]) -> list[Line]:
    packages = [each if isinstance(each := run.versions.get("packages"), Mapping) else {} for run in runs]
    texts = [
        {shortened(name, CELL_CHARS): _text(value) for name, value in each.items()}
        | {name: _text(run.versions[name]) for name in ("python", "platform", "commit") if name in run.versions}
        for each, run in zip(packages, runs, strict=True)
    ]
    names = dict.fromkeys(name for each in texts for name in each)
    return [Line(name, [each.get(name, NOTHING) for each in texts]) for name in list(names)[:OTHER_SETTINGS]]


def _flat(config: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in config.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{key}.")
        else:
            yield key, _text(value)


def _text(value: object) -> str:
    return shortened(value if isinstance(value, str) else json.dumps(value, default=str), CELL_CHARS)
