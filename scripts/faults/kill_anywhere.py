"""Kill training runs at random instants, start them again, and compare them bit for bit with undisturbed ones.

    python scripts/faults/kill_anywhere.py --out DIR [--anywhere 12] [--saving 5] [--sources online ...]

Six steps of the tiny model on the CPU for each source of attempts (online, offline, lagged): killed so often anywhere
and so often while a checkpoint is being written.
Compared are weights, optimizer, data position, controller, attempts, verdicts, counts, dumps and every metric but
times, throughput, memory and the differences between the log-probs of rollout and actor. DIR/trials.jsonl gets a line
a kill; the same command resumes an interrupted series, in DIR/work. Exit status 1: a run differed, or did not end.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.e2e.conftest import Bench, make_bench
from tests.e2e.support.killing import Trial, Where, kill_and_resume, run_alone

SOURCES = ("online", "offline", "lagged")


def alone(bench: Bench, source: str, out: Path) -> tuple[Path, float]:
    """The undisturbed run of a source, made once."""
    note = out / f"{source}.json"
    if not note.exists():
        folder, seconds = run_alone(bench, source)
        note.write_text(json.dumps({"folder": str(folder), "seconds": seconds}))
    known = json.loads(note.read_text())
    return Path(known["folder"]), known["seconds"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--anywhere", type=int, default=12, help="kills a source (default: %(default)s)")
    parser.add_argument("--saving", type=int, default=5, help="kills a source (default: %(default)s)")
    parser.add_argument("--sources", nargs="+", choices=SOURCES, default=SOURCES)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    bench, file = make_bench((given.out / "work").resolve()), given.out / "trials.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    ended = [line for line in lines if line["found"]]  # a run that did not end is tried again
    done = {(line["source"], line["where"], line["seed"]): line for line in ended}
    plan: list[tuple[Where, int]] = [("anywhere", given.anywhere), ("saving", given.saving)]
    for seed in range(max(given.anywhere, given.saving)):
        for source in given.sources:
            for where, count in plan:
                if seed >= count or (source, where, seed) in done:
                    continue
                trial = one_trial(bench, source, where, seed, given.out)
                done[source, where, seed] = trial
                with file.open("a") as output:
                    output.write(json.dumps(trial) + "\n")
                print(json.dumps(trial), flush=True)
    bad = [line for line in done.values() if line["different"]]
    late = sum(line["found"] == "it had ended" for line in done.values())
    print(f"{len(done) - len(bad)} of {len(done)} runs are as if they had never been killed; {late} had ended before")
    return int(bool(bad))


def one_trial(bench: Bench, source: str, where: Where, seed: int, out: Path) -> dict[str, object]:
    folder, seconds = alone(bench, source, out)
    try:
        trial = kill_and_resume(bench, source, where, folder, seconds, seed)
    except RuntimeError as error:
        trial = Trial(source, where, 0.0, "", 0, 0.0, [f"did not end: {error}"])
    return asdict(trial) | {"seed": seed}


if __name__ == "__main__":
    sys.exit(main())
