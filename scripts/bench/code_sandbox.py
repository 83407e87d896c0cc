"""Compare the sandbox's verdicts with plain runs over the public code sets, and time warm starts against cold ones.

    scripts/bench/code_sandbox.py agreement humaneval [--limit 20] [--workers 1]
    scripts/bench/code_sandbox.py debugbench
    scripts/bench/code_sandbox.py starts [--limit 50]

Prints JSON. `agreement` (humaneval, mbpp, leetcode-v0.3.1-test, leetcode-v0.2.0-test, leetcode-v0.2.0-train): every
canonical solution and one mutant of it, each judged in the sandbox and by a plain `python -I` in a temporary folder,
which is no sandbox: the sets are trusted. Rows whose verdicts differ are listed by id. `debugbench`: rows usable for
training, whose oracle passes and whose bug fails. `starts`: seconds a verdict, sandboxes started ahead or not.
"""

import argparse
import ast
import asyncio
import gzip
import json
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

from fail2fix.verify.code.backend import Outcome
from fail2fix.verify.code.ground_truth import Limits, parse_ground_truth
from fail2fix.verify.code.local import LocalBackend
from fail2fix.verify.code.public_sets import debugbench, humaneval, leetcode, mbpp
from fail2fix.verify.errors import GroundTruthError

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
TEST_S, TOTAL_S = 6.0, 10.0
FILES = {
    "humaneval": "humaneval/HumanEval.jsonl.gz",
    "mbpp": "mbpp/mbpp.jsonl",
    "leetcode-v0.3.1-test": "leetcode_dataset/LeetCodeDataset-v0.3.1-test.jsonl.gz",
    "leetcode-v0.2.0-test": "leetcode_dataset/LeetCodeDataset-v0.2.0-test.jsonl.gz",
    "leetcode-v0.2.0-train": "leetcode_dataset/LeetCodeDataset-v0.2.0-train.jsonl.gz",
}
SWAPS: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Mod: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip


def read_rows(name: str) -> list[dict[str, Any]]:
    path = DATA / name
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()] if ".jsonl" in name else json.loads(text)


def canonical(name: str, row: dict[str, Any]) -> tuple[str, dict[str, Any], str]:
    """A row's solution, its ground truth, and the script that runs its tests plainly, which follows the solution."""
    if name == "humaneval":
        tests = f"{row['test']}\ncheck({row['entry_point']})\n"
        return row["prompt"] + row["canonical_solution"], humaneval(row), tests
    if name == "mbpp":
        return row["code"], mbpp(row), "\n".join([row["test_setup_code"], *row["test_list"]])
    return row["completion"], leetcode(row), f"{row['test']}\ncheck({row['entry_point']})\n"


def mutant(program: str, name: str) -> str:
    """`program` with one operator or number changed, or else a result withheld; the same one in every run.

    "" where it has none of these.
    """
    tree = ast.parse(program)
    nodes = list(ast.walk(tree))
    places = [node for node in nodes if _is_place(node)] or [node for node in nodes if isinstance(node, ast.Return)]
    if not places:
        return ""
    place: Any = places[zlib.crc32(name.encode()) % len(places)]
    if isinstance(place, ast.Return):
        place.value = None
    elif isinstance(place, ast.Constant):
        place.value += 1
    elif isinstance(place, ast.Compare):
        place.ops[0] = SWAPS[type(place.ops[0])]()
    else:
        place.op = SWAPS[type(place.op)]()
    return ast.unparse(ast.fix_missing_locations(tree))


def _is_place(node: Any) -> bool:
    if isinstance(node, ast.Constant):
        return type(node.value) is int
    if isinstance(node, ast.Compare):
        return type(node.ops[0]) in SWAPS
    return isinstance(node, (ast.BinOp, ast.BoolOp, ast.AugAssign)) and type(node.op) in SWAPS


def run_plainly(python: str, program: str, ground_truth: dict[str, Any], tests: str) -> bool:
    """Whether the script passes in a folder of its own. NOT a sandbox: for the sets' own programs only."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.py"
        path.write_text("\n".join([ground_truth.get("prelude", ""), program, tests]), encoding="utf-8")
        try:
            done = subprocess.run(
                [python, "-I", str(path)],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=TOTAL_S,
                env={"LC_ALL": "C.UTF-8"},
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
    return done.returncode == 0


async def agreement(name: str, backend: LocalBackend, python: str, start: int, limit: int | None) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    lists: dict[str, list[Any]] = {"exceptions": [], "canonical_fails": [], "refused": [], "together": []}
    for row in read_rows(FILES[name])[start:][:limit]:
        key = str(row["task_id"])
        program, ground_truth, tests = canonical(name, row)
        try:
            parsed = parse_ground_truth(ground_truth)
        except GroundTruthError as error:
            lists["refused"].append([key, str(error)])
            continue
        if ground_truth.get("isolation") == "together":
            lists["together"].append(key)
        for kind, source in (("canonical", program), ("mutant", mutant(program, key))):
            if not source:
                counts["no_mutant"] += 1
                continue
            began = time.perf_counter()
            outcome = await backend.run(source, parsed)
            counts[f"{kind}_sandbox_ms"] += round(1000 * (time.perf_counter() - began))
            began = time.perf_counter()
            plain = run_plainly(python, source, ground_truth, tests)
            counts[f"{kind}_plain_ms"] += round(1000 * (time.perf_counter() - began))
            counts[f"{kind}_{'passes' if plain else 'fails'}_plainly"] += 1
            counts[f"status_{outcome.status}"] += 1
            if outcome.correct != plain:
                lists["exceptions"].append([key, kind, {"plain": plain, "sandbox": vars(outcome)}])
            if kind == "canonical" and not outcome.correct:
                lists["canonical_fails"].append(key)
    return {"set": name, "start": start, **counts, **lists}


async def usable_debugbench(backend: LocalBackend, start: int, limit: int | None) -> dict[str, Any]:
    tests = {row["task_id"]: debugbench(row) for row in read_rows(FILES["leetcode-v0.2.0-train"])}
    coverage = read_rows("debugbench/coverage_leetcode_v0.2.json")
    files = {path.stem.removeprefix("python3_"): path for path in (DATA / "debugbench").glob("python3_*.json")}
    rows = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in files.items()}
    judged: dict[tuple[str, str], Outcome] = {}
    counts: Counter[str] = Counter()
    differ = []
    for place in coverage[start:][:limit]:
        row = rows[place["file"].replace(" ", "_")][place["index"]]
        parsed = parse_ground_truth(tests[place["slug"]])
        outcomes = {}
        for kind in ("oracle_code", "buggy_code"):
            key = (place["slug"], row[kind])
            if key not in judged:
                judged[key] = await backend.run(row[kind], parsed)
            outcomes[kind] = judged[key].correct
        counts["rows"] += 1
        counts["oracle_passes"] += outcomes["oracle_code"]
        usable = outcomes["oracle_code"] and not outcomes["buggy_code"]
        counts["usable"] += usable
        if usable != (place["oracle"] == "ok" and place["buggy"] != "ok"):
            differ.append([place["file"], place["index"], outcomes, place["oracle"], place["buggy"]])
    statuses = Counter(outcome.status for outcome in judged.values())
    return {"set": "debugbench", "start": start, **counts, "runs": statuses, "differs_from_data_md": differ}


async def starts(limit: int) -> dict[str, Any]:
    """Sandboxes started ahead or not: seconds a verdict for one caller, and verdicts a second for a whole batch.

    The caller pauses before each verdict, as between the answers of a batch that trickle in.
    """
    tests = parse_ground_truth({"kind": "calls", "entry_point": "f", "calls": [{"args": [1], "expected": 2}]})
    program = "def f(x): return x + 1"
    backends = {"warm": LocalBackend(workers=1), "cold": LocalBackend(workers=1, spares=0)}
    seconds: dict[str, list[float]] = {name: [] for name in backends}
    rates = {}
    for _ in range(limit):
        for name, backend in backends.items():
            await asyncio.sleep(0.2)
            began = time.perf_counter()
            assert (await backend.run(program, tests)).correct
            seconds[name].append(time.perf_counter() - began)
    for name, backend in backends.items():
        began = time.perf_counter()
        await asyncio.gather(*(backend.run(program, tests) for _ in range(limit)))
        rates[name] = limit / (time.perf_counter() - began)
        backend.close()
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "verdicts": limit,
        "median_s": medians,
        "cold_over_warm": medians["cold"] / medians["warm"],
        "batch_verdicts_per_s": rates,
    }


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["agreement", "debugbench", "starts"])
    parser.add_argument("set", nargs="?", choices=sorted(FILES), default="humaneval")
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--python", default="/usr/bin/python3", help="of the plain runs; the sandbox gets the same")
    options = parser.parse_args()
    if options.what == "starts":
        report = await starts(options.limit or 50)
    else:
        backend = LocalBackend(options.workers, Limits(test_s=TEST_S, total_s=TOTAL_S), python=options.python)
        began = time.perf_counter()
        if options.what == "agreement":
            report = await agreement(options.set, backend, options.python, options.start, options.limit)
        else:
            report = await usable_debugbench(backend, options.start, options.limit)
        report |= {"seconds": round(time.perf_counter() - began, 1), "isolation": backend.isolation}
        backend.close()
    json.dump(report, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    asyncio.run(main())
