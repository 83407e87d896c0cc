"""Break runs of the real stack in every way of tests/e2e/support/faults.py and write a table of what happened.

    python scripts/faults/inject_faults.py OUT [NAME ...]

OUT gets one JSON file a fault, faults.json and faults.md. A fault that has its file is not injected again, so the
script can be stopped and resumed; delete a file to repeat its fault. Each takes one to four minutes on two cores.
File systems that are full need root (a mount in a namespace of the run's own); without it those faults are skipped.
"""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.e2e.conftest import make_bench
from tests.e2e.support.faults import FAULTS, Outcome, break_run

FOLDERS = re.compile(r"/\S*/(global_step_\d+|stacks-\S+)")
HEAD = "| fault | exit status | seconds to the end | lost | its last words |\n|---|---|---|---|---|\n"


def main() -> None:
    """The command line."""
    if len(sys.argv) < 2:
        sys.exit("usage: python scripts/faults/inject_faults.py OUT [NAME ...]")
    out = Path(sys.argv[1]).absolute()
    bench = make_bench(out / "bench")
    for name in sys.argv[2:] or FAULTS:
        path = out / f"{name}.json"
        if path.exists() or (FAULTS[name].tmpfs and os.geteuid() != 0):
            continue
        outcome = break_run(bench, name)
        path.write_text(json.dumps(asdict(outcome), indent=2) + "\n")
        print(f"{name}: status {outcome.status} (wanted {outcome.wanted}) after {outcome.seconds} s", flush=True)
        write_table(out)


def write_table(out: Path) -> None:
    """The outcomes so far, as JSON and as a table."""
    paths = [out / f"{name}.json" for name in FAULTS]
    outcomes = [Outcome(**json.loads(path.read_text())) for path in paths if path.exists()]
    (out / "faults.json").write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=2) + "\n")
    (out / "faults.md").write_text(HEAD + "".join(_row(outcome) for outcome in outcomes))


def _row(outcome: Outcome) -> str:
    status = f"{outcome.status}" if outcome.as_wanted else f"**{outcome.status}, wanted {outcome.wanted}**"
    words = FOLDERS.sub(r"\1", outcome.line).removeprefix("fail2fix: error: ").replace("|", "\\|")
    return f"| {outcome.what} | {status} | {outcome.seconds:g} | {outcome.lost} | {words} |\n"


if __name__ == "__main__":
    main()
