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

from fail2fix.report import console_table
from fail2fix.report.console_table import NOTHING, bounds, clock
from fail2fix.report.figures import STREAMS, Transitions, held_out, transitions
from fail2fix.report.run_data import RunData, measured, shortened, total

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
SECONDS = "fail2fix/ledger/seconds"


def summary(runs: Sequence[RunData]) -> list[Line]:
    """What the runs achieved and how long they took."""
    held = [_held_out(run) for run in runs]
    lines = [Line(label, [found[label] for found in held]) for label in held[0]]
    cells: dict[str, Cell] = {
        "Training steps": lambda run: f"{len(run.steps):,}",
        "Fixed in training, first and last quarter": lambda run: _quarters(run, "fixed", "still_wrong"),
        "Broken in training, first and last quarter": lambda run: _quarters(run, "broken", "kept"),
        "Rollouts": lambda run: _counts(run, "total/rollouts"),
        "Tokens read and written": lambda run: _counts(run, "total/prompt_tokens", "total/generated_tokens"),
        "Training time": lambda run: "".join(clock(seconds, hours=True) for seconds in _last(run, SECONDS)) or NOTHING,
        "Started": lambda run: "once" if run.starts == 1 else f"{run.starts:,} times",
    }
    lines += [Line(label, [cell(run) for run in runs]) for label, cell in cells.items()]
    return [line for line in lines if any(cell != NOTHING for cell in line.cells)]


def _held_out(run: RunData) -> dict[str, str]:
    """Held-out accuracy, fix rate and break rate, before and after training, with 95 % intervals over problems."""
    found = {}
    for what, values in zip(("accuracy", "fix rate", "break rate"), held_out(run), strict=True):
        for when, rate in zip_longest(("before", "after"), values):
            text = f"{percent(rate.value)} {bounds(rate.low, rate.high)}, step {rate.step}" if rate else NOTHING
            found[f"Held-out {what}, {when}"] = text
    return found


def percent(share: float) -> str:
    """A share that a page does not break over lines."""
    return console_table.percent(share).replace(" ", "\u00a0")


def matrices(run: RunData) -> list[Transitions]:
    """The transition matrix of the first and the last quarter; none without corrections."""
    spans = run.quarters if len(run.steps) > 1 else (run.steps,)
    found = [transitions(rows) for rows in spans if rows]
    return [matrix for matrix in found if any(matrix.counts.values())]


def _quarters(run: RunData, part: str, rest: str) -> str:
    """A transition's share of the attempts with that verdict."""
    shares = [transitions(rows).share(part, part, rest) for rows in run.quarters if rows]
    texts = [NOTHING if share is None else percent(share) for share in shares]
    return " → ".join(texts) if set(texts) - {NOTHING} else NOTHING


def _last(run: RunData, *names: str) -> list[float]:
    """The last values of some metrics; none unless all were measured."""
    found = [measured(run.lines, name)[-1:] for name in names]
    return [value for values in found for value in values] if all(found) else []


def _counts(run: RunData, *names: str) -> str:
    return (
        " + ".join(f"{value:,.0f}" for value in _last(run, *(f"fail2fix/ledger/{name}" for name in names))) or NOTHING
    )


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
        cells = [_counts(run, f"{stream}/{name}") for stream in STREAMS]
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
