"""Curves of the HTML report: one panel a quantity, all runs in it; transitions and seconds by step, a panel a run.

Example::

    panels([run])[0].svg  # of "Solved"
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fail2fix.report.picture import COLORS
from fail2fix.report.reading import Row
from fail2fix.report.run_data import RunData, number
from fail2fix.report.svg import Drawing
from fail2fix.report.transitions import PICTURE_COLORS, TRANSITIONS

MAX_RUNS = 6
MAX_POINTS = 300  # of a curve; a longer run is drawn by means of neighboring steps
BASE_COLOR, CORRECTION_COLOR, NEUTRAL = COLORS[0], COLORS[1], "#888888"

_VALIDATED = re.compile(r"val-core/.+/(acc|verdict)/mean@\d+")  # of one validation set, as verl names it

Value = Callable[[Row], float | None]


@dataclass(frozen=True)
class Curve:
    """A line of a panel, or ``points`` without a line. ``color``: in a report of one run; ``dash``: matplotlib's."""

    label: str
    value: Value
    color: str
    dash: str = "-"
    points: bool = False


@dataclass(frozen=True)
class Panel:
    """A panel before it is drawn: a title, what is measured, and its curves."""

    title: str
    what: str
    curves: tuple[Curve, ...]
    percent: bool = True


@dataclass(frozen=True)
class Picture:
    """A drawn panel. ``svg`` is markup of ours; title and caption are text."""

    title: str
    what: str
    svg: str


def metric(name: str) -> Value:
    """A metric as it is."""
    return lambda row: number(row, name)


def ratio(part: str, whole: str) -> Value:
    """One metric as a share of another; None where there is nothing to share."""

    def value(row: Row) -> float | None:
        below, above = number(row, whole), number(row, part)
        return above / below if above is not None and below else None

    return value


def complement(name: str) -> Value:
    """1 minus a share."""

    def value(row: Row) -> float | None:
        found = number(row, name)
        return None if found is None else 1 - found

    return value


def held_out_accuracy(row: Row) -> float | None:
    """The mean over validation sets of their accuracy."""
    found = [value for name in row if _VALIDATED.fullmatch(name) and (value := number(row, name)) is not None]
    return sum(found) / len(found) if found else None


def _streams(form: str) -> tuple[Curve, Curve]:
    """A metric of both streams; ``form`` has ``{}`` for the stream."""
    base, correction = metric(form.format("base")), metric(form.format("correction"))
    return Curve("base", base, BASE_COLOR), Curve("correction", correction, CORRECTION_COLOR, "--")


def _in_training(value: Value, color: str, held_out: Value) -> tuple[Curve, Curve]:
    return Curve("training", value, color), Curve("held out", held_out, color, points=True)


_IDLE = "fail2fix/{}/zero_variance_groups", "fail2fix/{}/groups"
_HELD, _TRANSITION = "fail2fix/held_out/", "fail2fix/transition/"
PANELS = (
    Panel(
        "Solved",
        "base rollouts that are correct",
        _in_training(metric("fail2fix/base/accuracy"), BASE_COLOR, held_out_accuracy),
    ),
    Panel(
        "Fixed",
        "corrections of wrong attempts that are correct",
        _in_training(metric(_TRANSITION + "fix_rate"), PICTURE_COLORS["fixed"], metric(_HELD + "fix_rate")),
    ),
    Panel(
        "Kept",
        "corrections of right attempts that are correct",
        _in_training(metric(_TRANSITION + "keep_rate"), PICTURE_COLORS["kept"], metric(_HELD + "keep_rate")),
    ),
    Panel(
        "Broken",
        "corrections of right attempts that are wrong",
        _in_training(complement(_TRANSITION + "keep_rate"), PICTURE_COLORS["broken"], metric(_HELD + "break_rate")),
    ),
    Panel(
        "Replay ratio ρ",
        "share of right attempts among the corrected ones",
        (
            Curve("wanted", metric("fail2fix/replay/rho"), COLORS[2]),
            Curve("effective", metric("fail2fix/replay/rho_effective"), COLORS[3], ":"),
        ),
    ),
    Panel(
        "Groups that teach nothing",
        "zero-variance groups",
        (
            Curve("base", ratio(*(name.format("base") for name in _IDLE)), BASE_COLOR),
            Curve("correction", ratio(*(name.format("correction") for name in _IDLE)), CORRECTION_COLOR, "--"),
        ),
    ),
    Panel("Response length", "mean tokens of an answer", _streams("fail2fix/{}/response_length"), percent=False),
    Panel("Cut off", "answers that end at the length limit", _streams("fail2fix/{}/cut_off")),
    Panel("Entropy", "mean over tokens, in nats", _streams("fail2fix/{}/entropy"), percent=False),
    Panel(
        "KL",
        "mean over tokens: to the policy before the update, and to the reference",
        (*_streams("fail2fix/{}/ppo_kl"), Curve("reference", metric("actor/kl_loss"), COLORS[2], ":")),
        percent=False,
    ),
)


def panels(runs: Sequence[RunData]) -> list[Picture]:
    """The panels that have something to show."""
    drawn = ((panel, _draw(panel, runs)) for panel in PANELS)
    return [Picture(panel.title, panel.what, svg) for panel, svg in drawn if svg]


def run_color(place: int) -> str:
    """The color of a run among several."""
    return COLORS[place % MAX_RUNS]


def _draw(panel: Panel, runs: Sequence[RunData]) -> str:
    drawing, empty, alone = Drawing(), True, len(runs) == 1
    axes = drawing.axes
    for place, run in enumerate(runs):
        for curve in panel.curves:
            x, y = thinned(run.lines if curve.points else run.steps, curve.value)
            if not x:
                continue
            empty = False
            color = curve.color if alone else run_color(place)
            label = curve.label if alone else f"{run.letter} {curve.label}"
            dash, marker = ("", "D") if curve.points else (curve.dash, "o" if len(x) <= 12 else "")
            axes.plot(x, y, color=color, linestyle=dash, marker=marker, markersize=4, label=label, clip_on=False)
    if empty:
        return ""
    if panel.percent:
        low, high = axes.get_ylim()
        axes.set_ylim(max(-0.02, low), min(1.02, max(high, low + 0.1)))
    return drawing.svg(panel.title, percent=panel.percent, columns=2 if len(runs) == 2 else 3)


def thinned(rows: Sequence[Row], value: Value) -> tuple[list[float], list[float]]:
    """Steps and values where there are any, at most ``MAX_POINTS``: means of neighboring steps."""
    found = [(row["step"], y) for row in rows if (y := value(row)) is not None]
    if len(found) <= MAX_POINTS:
        return [x for x, _ in found], [y for _, y in found]
    parts = np.array_split(np.array(found, dtype=float), MAX_POINTS)
    return [float(part[:, 0].mean()) for part in parts], [float(part[:, 1].mean()) for part in parts]


# ---------------------------------------------------------------------------------------------- stacks, run by run


def transition_picture(run: RunData) -> Picture | None:
    """Shares of fixed, kept, broken and still wrong by step; None without corrections."""
    counts = {name: [number(row, _TRANSITION + name) or 0.0 for row in run.steps] for name in TRANSITIONS}
    parts = _binned(counts)
    whole = np.sum(list(parts.values()), axis=0) if parts else np.zeros(0)
    if not whole.any():
        return None
    shares = {name: np.divide(part, whole, out=np.zeros_like(part), where=whole > 0) for name, part in parts.items()}
    stacks = {name.replace("_", " "): (shares[name], PICTURE_COLORS[name]) for name in TRANSITIONS}
    svg = _stack(run, stacks, "transitions", percent=True, columns=4)
    return Picture("Transitions", "share of all corrections of a step", svg)


# A phase of a step, its color, and the timers that it sums. Generation is split below.
PHASES = {
    "update": (COLORS[2], ("update_actor",)),
    "old log-probs": (COLORS[3], ("old_log_prob",)),
    "reference": (COLORS[4], ("ref",)),
    "weight sync": (COLORS[5], ("update_weights",)),
    "checkpoint": ("#8C6D46", ("save_checkpoint",)),
}


def seconds_picture(run: RunData) -> Picture | None:
    """Seconds of a step by phase, validation on top; None without timings."""
    split = [seconds_by_phase(row) for row in run.steps]
    names = [name for name in (split[0] if split else {}) if any(row[name] > 0 for row in split)]
    if not names:
        return None
    parts = _binned({name: [row[name] for row in split] for name in names}, np.mean)
    colors = {name: color for name, (color, _) in PHASES.items()}
    colors |= {"base rollouts": BASE_COLOR, "corrections": CORRECTION_COLOR, "rest": NEUTRAL, "validation": "#B9B9B9"}
    stacks = {name: (part, colors[name]) for name, part in parts.items()}
    svg = _stack(run, stacks, "seconds", percent=False, columns=3)
    return Picture("Seconds by phase", "of a step, and of its validation", svg)


def seconds_by_phase(row: Row) -> dict[str, float]:
    """Seconds by phase. Streams generated at once overlap: corrections get the time beyond the base rollouts."""

    def seconds(*names: str) -> float:
        return sum(number(row, f"timing_s/{name}") or 0.0 for name in names)

    base = seconds("gen_base")
    found = {"base rollouts": base, "corrections": max(0.0, seconds("gen") - base)}
    if not seconds("gen"):
        found["corrections"] = seconds("gen_correction")
    found |= {name: seconds(*timers) for name, (_, timers) in PHASES.items()}
    found["rest"] = max(0.0, seconds("step") - sum(found.values()))
    return found | {"validation": seconds("testing")}


def _binned(columns: Mapping[str, Sequence[float]], merge: Callable[..., np.ndarray] = np.sum) -> dict[str, np.ndarray]:
    """Columns of one value a step in at most ``MAX_POINTS`` spans of steps."""
    spans = min(MAX_POINTS, *(len(column) for column in columns.values())) if columns else 0
    if not spans:
        return {}
    return {
        name: np.array([merge(part) for part in np.array_split(np.array(column, dtype=float), spans)])
        for name, column in columns.items()
    }


def _stack(
    run: RunData, stacks: Mapping[str, tuple[np.ndarray, str]], name: str, *, percent: bool, columns: int
) -> str:
    drawing = Drawing()
    spans = len(next(iter(stacks.values()))[0])
    steps = np.array_split([row["step"] for row in run.steps], spans)
    edges = [steps[0][0] - 0.5, *(part[-1] + 0.5 for part in steps)]
    below = np.zeros(spans)
    for label, (values, color) in stacks.items():
        drawing.axes.stairs(below + values, edges, baseline=below, fill=True, color=color, label=label)
        below = below + values
    drawing.axes.set_xlim(edges[0], edges[-1])
    drawing.axes.set_ylim(0, 1 if percent else None)
    return drawing.svg(f"{name}{run.letter}", percent=percent, columns=columns)
