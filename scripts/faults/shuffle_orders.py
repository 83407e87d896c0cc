"""Repeat a training step with other finishing orders of its rollouts, and compare batches and metrics.

    python scripts/faults/shuffle_orders.py --out DIR [--orders 100] [--steps 2] [key=value ...]

The tiny model on the real stack (tests/e2e/support/shuffling.py): each step is repeated from the same weights,
optimizer and state. DIR/orders.json reports per step the number of finishing orders of each stream, the number of
tensors, columns and metrics compared, and which of them differed. Exit status 1: any did. With
fail2fix.replay.source=lagged both streams share the engines.
"""

import argparse
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.e2e.conftest import Bench, make_bench
from tests.e2e.support import killing

ROOT = Path(__file__).resolve().parents[2]
TRAIN = "from tests.e2e.support.shuffling import main; main()"
LIMIT_S = 7200.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--orders", type=int, default=100, help="of each step (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=2, help="(default: %(default)s)")
    given, overrides = parser.parse_known_args()
    given.out.mkdir(parents=True, exist_ok=True)
    bench = make_bench((given.out / "work").resolve())
    steps = shuffled(bench, given.out.resolve() / "orders.jsonl", given.orders, given.steps, overrides)
    report = {"command": " ".join(sys.argv), "steps": steps}
    (given.out / "orders.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))
    return int(len(steps) != given.steps or any(step["differing"] for step in steps))


def shuffled(bench: Bench, report: Path, orders: int, steps: int, overrides: list[str]) -> list[dict[str, object]]:
    """Run the repetitions; one report per step."""
    report.unlink(missing_ok=True)
    settings = [
        f"trainer.total_training_steps={steps}",
        "fail2fix.watchdog.limit_s=3600",
        "trainer.resume_mode=disable",
    ]
    name = f"shuffled-{os.getpid()}"
    _, _, *arguments = bench.arguments(name, *settings, *overrides)  # without "-m fail2fix.train"
    command = [sys.executable, "-c", TRAIN, str(orders), str(report), *arguments]
    killing.LIMIT_S = LIMIT_S
    with killing.Started(command, bench.root, {"PYTHONPATH": str(ROOT)}) as run:
        run.finish()
    return [json.loads(line) for line in report.read_text().splitlines()]


if __name__ == "__main__":
    sys.exit(main())
