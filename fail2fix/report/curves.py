"""Curves of the HTML report: one panel a quantity, all runs in it; transitions and seconds by step, a panel a run.

Example::

    panels([run])[0].svg  # of "Solved"
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from numpy.typing import NDArray

from fail2fix.report.picture import COLORS
from fail2fix.report.reading import Row
from fail2fix.report.run_data import RunData, number, total
from fail2fix.report.svg import inline_svg
from fail2fix.report.transitions import PICTURE_COLORS, TRANSITIONS

MAX_RUNS = 6
LETTERS = "ABCDEF"
MAX_POINTS = 300  # of a curve; a longer run is drawn by means of neighboring steps
BASE_COLOR, CORRECTION_COLOR, NEUTRAL = COLORS[0], COLORS[1], "#888888"

_VALIDATED = re.compile(r"val-core/.+/(acc|verdict)/mean@\d+")  # of one validation set, as verl names it

Value = Callable[[Row], float | None]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """A line of a panel, or ``points`` without a line. ``color``: in a report of one run; ``dash``: matplotlib's."""

    label: str
    value: Value
    color: str
    dash: str = "-"
    points: bool = False


@dataclass(frozen=True)
class Picture:
    """A drawn panel. ``svg`` is markup of ours; title and caption are text."""

    title: str
    what: str
    svg: Markup


def metric(name: str) -> Value:
    """A metric as it is."""
    return lambda row: number(row, name)


def ratio(part: str, whole: str) -> Value:
    """One metric as a share of another; None where there is nothing to share."""

    def value(row: Row) -> float | None:
        below, above = number(row, whole), number(row, part)
        return above / below if above is not None and below else None

    return value


def broken(row: Row) -> float | None:
    """The share of right attempts that corrections broke."""
    kept = number(row, "fail2fix/transition/keep_rate")
    return None if kept is None else 1 - kept


def held_out_accuracy(row: Row) -> float | None:
    """The mean over validation sets of their accuracy."""
    found = [value for name in row if _VALIDATED.fullmatch(name) and (value := number(row, name)) is not None]
    return sum(found) / len(found) if found else None


def _streams(value: Callable[..., Value], *forms: str) -> list[Curve]:
    """A quantity of both streams; each name has ``{}`` for the stream."""
    base, correction = (value(*(form.format(stream) for form in forms)) for stream in ("base", "correction"))
    return [Curve("base", base, BASE_COLOR), Curve("correction", correction, CORRECTION_COLOR, "--")]


def _in_training(value: Value, color: str, held_out: Value) -> list[Curve]:
    return [Curve("training", value, color), Curve("held out", held_out, color, points=True)]


def _rates(name: str, color: str, training: Value | None = None) -> list[Curve]:
    training = training or metric(f"fail2fix/transition/{name}_rate")
    return _in_training(training, PICTURE_COLORS[color], metric(f"fail2fix/held_out/{name}_rate"))


_RHO = [
    Curve("wanted", metric("fail2fix/replay/rho"), COLORS[2]),
    Curve("effective", metric("fail2fix/replay/rho_effective"), COLORS[3], ":"),
]
_REFERENCE = Curve("reference", metric("actor/kl_loss"), COLORS[2], ":")
_SOLVED = _in_training(metric("fail2fix/base/accuracy"), BASE_COLOR, held_out_accuracy)
_IDLE = _streams(ratio, "fail2fix/{}/zero_variance_groups", "fail2fix/{}/groups")
_KL = "mean over tokens: to the policy before the update, and to the reference"
# Title, what is measured, whether it is a share, and the curves.
PANELS: tuple[tuple[str, str, bool, list[Curve]], ...] = (
    ("Solved", "base rollouts that are correct", True, _SOLVED),
    ("Fixed", "corrections of wrong attempts that are correct", True, _rates("fix", "fixed")),
    ("Kept", "corrections of right attempts that are correct", True, _rates("keep", "kept")),
    ("Broken", "corrections of right attempts that are wrong", True, _rates("break", "broken", broken)),
    ("Replay ratio ρ", "share of right attempts among the corrected ones", True, _RHO),
    ("Groups that teach nothing", "zero-variance groups", True, _IDLE),
    ("Response length", "mean tokens of an answer", False, _streams(metric, "fail2fix/{}/response_length")),
    ("Cut off", "answers that end at the length limit", True, _streams(metric, "fail2fix/{}/cut_off")),
    ("Entropy", "mean over tokens, in nats", False, _streams(metric, "fail2fix/{}/entropy")),
    ("KL", _KL, False, [*_streams(metric, "fail2fix/{}/ppo_kl"), _REFERENCE]),
)


def panels(runs: Sequence[RunData]) -> list[Picture]:
    """The panels that have something to show."""
    drawn = ((title, what, _draw(title, percent, curves, runs)) for title, what, percent, curves in PANELS)
    return [Picture(title, what, svg) for title, what, svg in drawn if svg]


def run_color(run: RunData) -> str:
    """The color of a run among several."""
    return COLORS[LETTERS.index(run.letter)]


def _draw(title: str, percent: bool, curves: Sequence[Curve], runs: Sequence[RunData]) -> Markup | None:
    pairs = ((run, curve) for run in runs for curve in curves)
    drawn = [(run, curve, *thinned(run.lines if curve.points else run.steps, curve.value)) for run, curve in pairs]
    known = [(run, curve, x, y) for run, curve, x, y in drawn if len(x)]

    def draw(axes: Axes) -> None:
        for run, curve, x, y in known:
            color, label = (run_color(run), f"{run.letter} {curve.label}") if run.letter else (curve.color, curve.label)
            dash, marker = ("", "D") if curve.points else (curve.dash, "o" if len(x) <= 12 else "")
            axes.plot(x, y, color=color, linestyle=dash, marker=marker, markersize=4, label=label, clip_on=False)
        if percent:
            low, high = axes.get_ylim()
            axes.set_ylim(max(-0.02, low), min(1.02, max(high, low + 0.1)))

    return inline_svg(title, draw, percent=percent, columns=2 if len(runs) == 2 else 3) if known else None


def thinned(rows: Sequence[Row], value: Value) -> tuple[Values, Values]:
    """Steps and values where there are any, at most ``MAX_POINTS``: means of neighboring steps."""
    found = [(row["step"], y) for row in rows if (y := value(row)) is not None]
    return _merged([x for x, _ in found]), _merged([y for _, y in found])


def _spans(count: int) -> int:
    return min(MAX_POINTS, count) or 1


def _merged(values: Sequence[float], merge: Callable[[Values], np.floating] = np.mean) -> Values:
    """Means, or sums, of neighboring values, at most ``MAX_POINTS`` of them."""
    given = np.array(values, dtype=float)
    return np.array([merge(part) for part in np.array_split(given, _spans(len(given)))]) if values else given


# ---------------------------------------------------------------------------------------------- stacks, run by run


def transition_picture(run: RunData) -> Picture | None:
    """Shares of fixed, kept, broken and still wrong by step; None without corrections."""
    names = [f"fail2fix/transition/{name}" for name in TRANSITIONS]
    parts = [_merged([total([row], name) for row in run.steps], np.sum) for name in names]
    whole = np.sum(parts, axis=0)
    if not whole.any():
        return None
    shares = [np.divide(part, whole, out=np.zeros_like(part), where=whole > 0) for part in parts]
    columns = zip(shares, PICTURE_COLORS.items(), strict=True)
    stacks = {name.replace("_", " "): (share, color) for share, (name, color) in columns}
    svg = _stack(run, stacks, "transitions", percent=True, columns=4)
    return Picture("Transitions", "share of all corrections of a step", svg)


# A phase of a step, its color, and the timer of it. Generation is split below.
PHASES = {
    "update": (COLORS[2], "update_actor"),
    "old log-probs": (COLORS[3], "old_log_prob"),
    "reference": (COLORS[4], "ref"),
    "weight sync": (COLORS[5], "update_weights"),
    "checkpoint": ("#8C6D46", "save_checkpoint"),
}
_PHASE_COLORS = {name: color for name, (color, _) in PHASES.items()} | {
    "base rollouts": BASE_COLOR,
    "corrections": CORRECTION_COLOR,
    "rest": NEUTRAL,
    "validation": "#B9B9B9",
}


def seconds_picture(run: RunData) -> Picture | None:
    """Seconds of a step by phase, validation on top; None without timings."""
    split = [seconds_by_phase(row) for row in run.steps]
    columns = {name: [row[name] for row in split] for name in (split[0] if split else {})}
    stacks = {name: (_merged(column), _PHASE_COLORS[name]) for name, column in columns.items() if max(column) > 0}
    if not stacks:
        return None
    svg = _stack(run, stacks, "seconds", percent=False, columns=3)
    return Picture("Seconds by phase", "of a step, and of its validation", svg)


def seconds_by_phase(row: Row) -> dict[str, float]:
    """Seconds by phase. Streams generated at once overlap: corrections get the time beyond the base rollouts."""

    def seconds(name: str) -> float:
        return number(row, f"timing_s/{name}") or 0.0

    base = seconds("gen_base")
    found = {"base rollouts": base, "corrections": max(0.0, seconds("gen") - base)}
    if not seconds("gen"):
        found["corrections"] = seconds("gen_correction")
    found |= {name: seconds(timer) for name, (_, timer) in PHASES.items()}
    found["rest"] = max(0.0, seconds("step") - sum(found.values()))
    return found | {"validation": seconds("testing")}


def _stack(run: RunData, stacks: Mapping[str, tuple[Values, str]], name: str, *, percent: bool, columns: int) -> Markup:
    steps = np.array_split([row["step"] for row in run.steps], _spans(len(run.steps)))
    edges = [steps[0][0] - 0.5, *(part[-1] + 0.5 for part in steps)]

    def draw(axes: Axes) -> None:
        below = np.zeros(len(steps))
        for label, (values, color) in stacks.items():
            axes.stairs(below + values, edges, baseline=below, fill=True, color=color, label=label)
            below = below + values
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(0, 1 if percent else None)

    return inline_svg(f"{name}{run.letter}", draw, percent=percent, columns=columns)
