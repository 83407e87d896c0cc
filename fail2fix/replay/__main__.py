"""Replay a run's decisions: which attempts it chose and which advantages it gave, and what other settings would do.

    python -m fail2fix.replay [RUN] [--explain [--step N]] [--json] [fail2fix.ratio.initial=.5 ...]

Needs no engine. Overrides: fail2fix.replay.*, .ratio.*, .risk.*, .advantage.* and fail2fix.correction.weight.
Without RUN: a recorded sample. Exit status: 0 done; 1 the recorded settings do not reproduce the run; 2 bad input.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from fail2fix.console.command_line import OneLineParser, run_command
from fail2fix.console.printable import input_errors_in_one_line
from fail2fix.method.errors import InputError
from fail2fix.replay.decide import ReplayedStep, differences, replayed
from fail2fix.replay.decisions import read_decisions
from fail2fix.replay.explain import explain, telling_step
from fail2fix.replay.figures import base_pull, figures_of
from fail2fix.replay.table import print_replay
from fail2fix.replay.texts import read_texts
from fail2fix.report.console_table import shown

SAMPLE = Path(__file__).with_name("tour")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    arguments = parse(argv)
    with input_errors_in_one_line("replay"):
        overrides = [word for word in arguments.words if "=" in word and not Path(word).is_dir()]
        runs = [Path(word) for word in arguments.words if word not in overrides]
        if len(runs) > 1:
            raise InputError(f"{runs[1]}: one run at a time; an override is written key=value")
        run = runs[0] if runs else SAMPLE
        recorded = read_decisions(run)
        again = replayed(recorded, [])
        wrong = [line for step in again for line in differences(step)]
        steps = replayed(recorded, overrides) if overrides else again
        if arguments.json:
            print(json.dumps(as_json(steps, wrong), indent=1))
        elif arguments.explain:
            print_explanation(run, chosen_step(steps, arguments.step), overrides, Console())
        else:
            Console().print(shown(name_of(run)), style="bold", soft_wrap=True)
            print_replay(steps, overrides, not wrong, Console())
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = OneLineParser(
        prog="python -m fail2fix.replay",
        usage="%(prog)s [RUN] [--explain [--step N]] [--json] [fail2fix.ratio.initial=.5 ...]",
        description=__doc__.splitlines()[0],
        epilog=__doc__.split("\n\n", 2)[2],
    )
    parser.add_argument("words", nargs="*", metavar="RUN | key=value", help="a run's folder, and overrides")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--explain", action="store_true", help="walk through one step in words and tables")
    shape.add_argument("--json", action="store_true", help="print the figures of every step as JSON instead")
    parser.add_argument("--step", type=int, metavar="N", help="the step to explain (default: one with much to see)")
    arguments = parser.parse_intermixed_args(argv)
    if arguments.step is not None and not arguments.explain:
        parser.error(f"--step {arguments.step}: only --explain walks through one step; add it")
    return arguments


def chosen_step(steps: list[ReplayedStep], asked: int | None) -> ReplayedStep:
    """The step to explain. Raises ``InputError``."""
    if asked is None:
        return telling_step(steps)
    found = {step.recorded.step: step for step in steps}
    if asked not in found:
        raise InputError(f"--step {asked}: no such step; there are {', '.join(map(str, found))}")
    return found[asked]


def print_explanation(run: Path, step: ReplayedStep, overrides: Sequence[str], console: Console) -> None:
    """Print a step's explanation. Raises ``InputError`` as ``read_texts``."""
    texts = read_texts(run, step.recorded)
    console.print(shown(f"{name_of(run)}, step {step.recorded.step}"), style="bold", soft_wrap=True)
    if overrides:
        console.print(shown(f"As {' '.join(overrides)} would decide it"), soft_wrap=True)
    explain(step, texts, console)


def name_of(run: Path) -> str:
    """The name of a run in headings."""
    return "A recorded sample: SmolLM2-135M-Instruct learns arithmetic" if run == SAMPLE else str(run)


def as_json(steps: Sequence[ReplayedStep], wrong: Sequence[str]) -> dict[str, object]:
    """The figures of every step, and whether the recorded settings reproduce the run."""
    rows = [
        {
            "step": step.recorded.step,
            "run": asdict(figures_of(step.run)),
            "replay": asdict(figures_of(step.replay)),
            "base_pull": base_pull([step.recorded]),
        }
        for step in steps
    ]
    return {"reproduced": not wrong, "steps": rows}


if __name__ == "__main__":
    run_command(main)
