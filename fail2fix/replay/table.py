"""Tables of a replay: what the run did and what the replay's settings would do, in all and step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

from fail2fix.replay.decide import ReplayedStep, differences
from fail2fix.replay.figures import Changes, Figures, base_pull, changes, figures_of
from fail2fix.report.console_table import NOTHING, Section, make_table, percent, section_table, shown
from fail2fix.report.transitions import TRANSITIONS

LEGEND = (
    "Pull: the mean absolute advantage a rollout of the stream, for corrections times lambda. Idle groups have no "
    "advantage: they teach nothing."
)


def print_replay(steps: Sequence[ReplayedStep], words: Sequence[str], exact: bool, console: Console) -> None:
    """Print both tables. ``exact``: the recorded settings reproduce the run."""
    console.print(shown(verdict(steps, exact)), soft_wrap=True, style=None if exact else "bold red")
    if words:
        console.print(shown(f"Replayed with {' '.join(words)}"), soft_wrap=True)
    console.print(step_table(steps, bool(words)))
    console.print(section_table(("", "run", "replay")[: 3 if words else 2], sections(steps, bool(words))))
    console.print(shown(LEGEND))
    if words and (unknown := changes(steps).only_replay):
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


def mismatches(steps: Sequence[ReplayedStep]) -> list[str]:
    """All differences of a replay with the recorded settings."""
    return [line for step in steps for line in differences(step)]


def sections(steps: Sequence[ReplayedStep], both: bool) -> list[Section]:
    """The table of all steps as plain texts; ``both``: with a column for the replay."""
    run, replay = figures_of(*(step.run for step in steps)), figures_of(*(step.replay for step in steps))
    sides = (run, replay) if both else (run,)
    return [
        Section("Attempts", _lines(sides, _ATTEMPTS) + (_changed(changes(steps)) if both else [])),
        Section("Corrections", _lines(sides, {**_COUNTS, **_GROUPS})),
        Section(
            "Pull on the policy",
            [("solving", *[f"{base_pull(s.recorded for s in steps):.3f}"] * len(sides)), *_lines(sides, _PULLS)],
        ),
    ]


def _changed(found: Changes) -> list[tuple[str, ...]]:
    return [
        ("chosen by both", f"{found.both:,}", f"{found.both:,}"),
        ("by one only", f"{found.only_run:,}", f"{found.only_replay:,}"),
    ]


Show = Callable[[Figures], str]


def _lines(sides: Sequence[Figures], rows: dict[str, Show]) -> list[tuple[str, ...]]:
    return [(label, *(show(side) for side in sides)) for label, show in rows.items()]


def _share(part: float, whole: float) -> str:
    return f"{part:,} ({percent(part / whole)})" if whole else NOTHING


def _number(value: float | None, form: str = ".3f") -> str:
    return NOTHING if value is None else f"{value:{form}}"


def _count(name: str) -> Show:
    return lambda side: _share(side.transitions[name], side.rollouts)


def _pull(name: str) -> Show:
    return lambda side: _number(side.pull(name))


_ATTEMPTS: dict[str, Show] = {
    "chosen": lambda side: f"{side.attempts:,}",
    "correct among them": lambda side: _share(side.correct, side.attempts),
    "wanted (rho, mean)": lambda side: percent(side.rho / side.steps),
    "with corrections": lambda side: _share(side.known, side.attempts),
}
_COUNTS = {name: _count(name) for name in TRANSITIONS}
_GROUPS: dict[str, Show] = {"idle groups": lambda side: _share(side.idle, side.groups)}
_PULLS = {name: _pull(name) for name in TRANSITIONS} | {
    "broken : fixed": lambda side: _number(side.breaking_to_fixing, ".2f")
}


def step_table(steps: Sequence[ReplayedStep], both: bool) -> Table:
    """One line a step: correct attempts, idle groups, pulls; a value that the replay changes as ``run > replay``."""
    columns = ["step", "rho", "correct", "idle", "pull: fixed", "broken"]
    table = make_table([*columns, "in both"] if both else columns)
    for step in steps:
        sides = [figures_of(step.run), figures_of(step.replay)][: 2 if both else 1]
        row = [str(step.recorded.step), *(_change(show, sides) for show in _STEP)]
        if both:
            row += [f"{sides[1].known}/{sides[1].attempts}"]
        table.add_row(*map(shown, row))
    return table


_STEP: tuple[Show, ...] = (
    lambda side: f"{side.rho:.2f}",
    lambda side: f"{side.correct}/{side.attempts}",
    lambda side: f"{side.idle}/{side.groups}",
    lambda side: _number(side.pull("fixed"), ".2f"),
    lambda side: _number(side.pull("broken"), ".2f"),
)


def _change(show: Show, sides: Sequence[Figures]) -> str:
    texts = [show(side) for side in sides]
    return " > ".join(dict.fromkeys(texts))
