"""Tables of a replay: what the run did and what the replay's settings would do, in all and step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from fail2fix.replay.decide import ReplayedStep
from fail2fix.replay.figures import Figures, base_pull, figures_of
from fail2fix.report.console_table import NOTHING, Section, make_table, percent, section_table, share_of, shown
from fail2fix.report.transitions import TRANSITIONS

LEGEND = (
    "Pull: the mean absolute advantage a rollout of the stream, for corrections times lambda. Idle groups have no "
    "advantage: they teach nothing."
)
Show = Callable[[Figures], str]


def print_replay(steps: Sequence[ReplayedStep], words: Sequence[str], exact: bool, console: Console) -> None:
    """Print both tables. ``exact``: the recorded settings reproduce the run."""
    console.print(shown(verdict(steps, exact)), soft_wrap=True, style=None if exact else "bold red")
    if words:
        console.print(shown(f"Replayed with {' '.join(words)}"), soft_wrap=True)
    run, replay = figures_of(*(step.run for step in steps)), figures_of(*(step.replay for step in steps))
    sides = {"run": run, "replay": replay} if words else {"run": run}
    console.print(step_table(steps, bool(words)), crop=False)
    console.print(section_table(("", *sides), sections(list(sides.values()), base_pull(s.recorded for s in steps))))
    console.print(shown(LEGEND))
    if unknown := replay.attempts - replay.known if words else 0:
        note = (
            f"{unknown:,} attempts are chosen by the replay only. They were never corrected: the replay's transitions, "
        )
        console.print(shown(note + "groups and pulls are of the others."), soft_wrap=True)


def verdict(steps: Sequence[ReplayedStep], exact: bool) -> str:
    """Whether the recorded settings reproduce the run."""
    numbers = [step.recorded.step for step in steps]
    span = f"{len(steps):,} steps ({min(numbers)} to {max(numbers)})" if len(steps) > 1 else f"step {numbers[0]}"
    if exact:
        return f"The recorded settings reproduce {span}: the same attempts in the same order, the same advantages."
    return f"The recorded settings do not reproduce {span}: this code decides differently from the code of the run."


def sections(sides: Sequence[Figures], solving: float) -> list[Section]:
    """The table of all steps as plain texts; ``sides``: the run's, and the replay's; ``solving``: the base's pull."""
    tables: dict[str, Mapping[str, Show]] = {
        "Attempts": _ATTEMPTS,
        "Corrections": {name: _count(name) for name in TRANSITIONS} | _GROUPS,
        "Pull on the policy": {"solving": lambda _: f"{solving:.3f}"} | {n: _pull(n) for n in TRANSITIONS} | _RATIO,
    }
    if len(sides) > 1:
        both = sides[1].known
        tables["Attempts"] = _ATTEMPTS | {
            "chosen by both": lambda side: f"{both:,}",
            "by one only": lambda side: f"{side.attempts - both:,}",
        }
    return [
        Section(title, [(label, *(show(side) for side in sides)) for label, show in rows.items()])
        for title, rows in tables.items()
    ]


def _number(value: float | None, form: str = ".3f") -> str:
    return NOTHING if value is None else f"{value:{form}}"


def _count(name: str) -> Show:
    return lambda side: share_of(side.transitions[name], side.rollouts)


def _pull(name: str, form: str = ".3f") -> Show:
    return lambda side: _number(side.pull(name), form)


_ATTEMPTS: dict[str, Show] = {
    "chosen": lambda side: f"{side.attempts:,}",
    "correct among them": lambda side: share_of(side.correct, side.attempts),
    "wanted (rho, mean)": lambda side: percent(side.rho / side.steps),
    "with corrections": lambda side: share_of(side.known, side.attempts),
}
_GROUPS: dict[str, Show] = {"idle groups": lambda side: share_of(side.idle, side.groups)}
_RATIO: dict[str, Show] = {"broken : fixed": lambda side: _number(side.breaking_to_fixing, ".2f")}
_STEP: dict[str, Show] = {
    "rho": lambda side: f"{side.rho:.2f}",
    "correct": lambda side: f"{side.correct}/{side.attempts}",
    "idle": lambda side: f"{side.idle}/{side.groups}",
    "pull: fixed": _pull("fixed", ".2f"),
    "broken": _pull("broken", ".2f"),
}


def step_table(steps: Sequence[ReplayedStep], both: bool) -> Table:
    """One line a step: correct attempts, idle groups, pulls; a value that the replay changes as ``run > replay``."""
    columns = ["step", *_STEP, *(["in both"] if both else [])]
    rows = []
    for step in steps:
        sides = [figures_of(step.run), figures_of(step.replay)][: 2 if both else 1]
        values = [" > ".join(dict.fromkeys(show(side) for side in sides)) for show in _STEP.values()]
        rows.append([str(step.recorded.step), *values, *([f"{sides[1].known}/{sides[1].attempts}"] if both else [])])
    table = make_table(columns)
    for row in rows:
        table.add_row(*map(shown, row))
    for column, texts in zip(table.columns, zip(*rows, strict=True), strict=True):
        column.min_width = max(
            len(word) for text in texts for word in text.split()
        )  # a narrow terminal splits no number
    return table
