"""How a step scales over ranks: each phase's seconds on one rank and on two, at the same rows and response lengths.

    python scripts/bench/ranks.py --out DIR [--ranks 1 2] [--repeats 3] [options and key=value of bench/step.py]

Runs bench/step.py's training once for each number of FSDP2 ranks, every rank with an engine of its own, and compares
its online steps; no row is left out of an update. On a CPU the ranks share the cores, so it shows what more ranks cost,
not what they gain. Prints and writes (DIR/ranks.json) the medians in seconds and, for each number of ranks, the ratio
to the first's.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from step import PHASES, arguments, machine, median, setting, timed_steps

from tests.e2e.support.turns import turn_of


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    given, overrides = parser.parse_known_args()
    given.out.mkdir(parents=True, exist_ok=True)
    overrides = setting(given, overrides)
    seconds: dict[int, dict[str, float]] = {}
    for ranks in given.ranks:
        steps = timed_steps(given, ["fail2fix.skip_idle_rows=false", *overrides, f"trainer.n_gpus_per_node={ranks}"])
        online = [row for row in steps if turn_of(row["step"]) == "online"]
        seconds[ranks] = {name: median(online, f"timing_s/{name}") for name in ("step", *PHASES)}
    first = seconds[given.ranks[0]]
    ratios = {
        ranks: {name: round(value / first[name], 3) for name, value in phases.items() if first[name]}
        for ranks, phases in seconds.items()
    }
    report = {"machine": machine(), "command": " ".join(sys.argv), "repeats": given.repeats, "seconds": seconds,
              "ratio_to_first": ratios}  # fmt: skip
    (given.out / "ranks.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
