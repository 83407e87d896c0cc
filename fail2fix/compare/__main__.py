"""Compare configs at equal cost, over seeds: a table, a JSON file and one picture.

    python -m fail2fix.compare CONFIG_A CONFIG_B ... --seeds N [options] [any Hydra override]

Runs what has no record yet, one run at a time, then writes DIR/comparison.json and DIR/comparison.png. The first
config is the reference. Exit status: 0 done; 1 a run failed; 2 bad input, or runs whose rollouts differ by more than
1 %; 130 interrupted.
"""

import argparse
import shlex
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from fail2fix.compare.plan import TRAIN, ComparisonPlan
from fail2fix.compare.records import read_record
from fail2fix.compare.run import RunError, remaining, train_remaining
from fail2fix.compare.summary import summarize, unequal
from fail2fix.compare.table import print_comparison
from fail2fix.console.command_line import OneLineParser, run_command
from fail2fix.console.printable import one_line
from fail2fix.data.atomic import write_json
from fail2fix.method.errors import InputError
from fail2fix.run.shipped_configs import config_dir


def main(argv: Sequence[str] | None = None, train: Sequence[str] = TRAIN) -> int:
    """The command line; ``train`` is the command that trains, without arguments."""
    given = parse(argv)
    overrides = tuple(word for word in given.words if "=" in word or word.startswith("~"))
    configs = tuple(word for word in given.words if word not in overrides)
    try:
        seeds = given.seeds, given.rollouts, given.first_seed
        plan = ComparisonPlan(given.out.resolve(), configs, *seeds, overrides, tuple(train))
        return compare(given, plan)
    except (InputError, RunError) as error:
        print(f"compare: error: {one_line(str(error))}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    except KeyboardInterrupt:
        print("compare: interrupted; the same call resumes here", file=sys.stderr)
        return 130


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments; ends the process with one line and status 2 if they are wrong."""
    parser = OneLineParser(
        prog="python -m fail2fix.compare",
        usage="%(prog)s CONFIG_A CONFIG_B ... --seeds N [options] [any Hydra override]",
        description=__doc__.splitlines()[0],
        epilog=__doc__.split("\n\n", 2)[2],
    )
    parser.add_argument("words", nargs="*", metavar="CONFIG | key=value", help="configs, and Hydra overrides for all")
    parser.add_argument("--seeds", type=int, required=True, metavar="N", help="how many seeds")
    parser.add_argument("--first-seed", type=int, default=0, metavar="S", help="seeds S to S + N - 1 (default: 0)")
    parser.add_argument("--rollouts", type=int, metavar="BUDGET", help="of each run (default: the configs' own length)")
    parser.add_argument("--out", type=Path, default=Path("outputs/compare"), metavar="DIR", help="default: %(default)s")
    parser.add_argument("--unequal", action="store_true", help="compare unequal rollouts, with a warning")
    parser.add_argument("--dry-run", action="store_true", help="print what would run, and run nothing")
    parser.add_argument("--only-report", action="store_true", help="run nothing; report from the records")
    return parser.parse_intermixed_args(argv)


def compare(arguments: argparse.Namespace, plan: ComparisonPlan) -> int:
    """Run and report as the arguments ask. Raises ``InputError`` and ``RunError``."""
    if plan.train == TRAIN:
        require_configs(plan)
    if not (arguments.dry_run or arguments.only_report):
        train_remaining(plan)
    left = remaining(plan)
    if arguments.dry_run:
        for run in plan.runs:
            print(shlex.join(run.command) if run in left else f"# {run.name}: kept, {run.record}")
    elif left:
        raise InputError(f"{left[0].record}: no such record, and --only-report runs nothing ({len(left)} missing)")
    else:
        report(plan, arguments.unequal)
    return 0


def require_configs(plan: ComparisonPlan) -> None:
    """Refuse a missing config before the others are trained. Raises ``InputError``."""
    if any(override.lstrip("+").startswith("hydra.searchpath") for override in plan.overrides):
        return  # Hydra looks in more places than this
    folder = Path(config_dir())
    for config in plan.configs:
        if not (folder / f"{config}.yaml").is_file():
            known = ", ".join(sorted(path.stem for path in folder.glob("*.yaml") if path.stem != "base"))
            raise InputError(f"{config}: no {config}.yaml in {folder}: use one of {known}, or add it there")


def report(plan: ComparisonPlan, allow_unequal: bool) -> None:
    """Print the table, write the JSON and the picture.

    Raises ``InputError``: rollouts differ by more than 1 % and that is not allowed; or runs that cannot be compared.
    """
    records = [read_record(run.record) for run in plan.runs]
    difference = unequal({record.name: record.ledger["total/rollouts"] for record in records})
    if difference and not allow_unequal:
        budget = "give all runs one budget" if plan.rollouts is None else "give a larger budget"
        raise InputError(f"not equal: {difference}; {budget} (--rollouts), or compare them as they are (--unequal)")
    comparison = summarize(records, [f"not at equal cost: {difference}"] if difference else [])
    # matplotlib takes a while to load, and no other path needs it.
    from fail2fix.compare.picture import draw_picture

    runs = {record.name: {"fingerprint": record.fingerprint, "versions": record.versions} for record in records}
    write_json(plan.out / "comparison.json", asdict(comparison) | {"runs": runs})
    draw_picture(comparison, plan.out / "comparison.png")
    print_comparison(comparison, Console())
    for name in ("comparison.json", "comparison.png", "runs"):
        print(plan.out / name)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    run_command(main)
