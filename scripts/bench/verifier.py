r"""CPU seconds of a verdict: ours against math-verify and verl's scorer, on the same rows in the same run.

    python scripts/bench/verifier.py TRUTH [--rows N] [--repeats 3] [--peers math-verify,verl]

TRUTH is the folder of truth sets. Three sets of different pairs of an answer and its gold answer:

- `full`: whole solutions of ProcessBench;
- `boxed`: their last boxes alone, `\boxed{...}`;
- `hard`: the answers of hardverify_math in a box.

Each side judges in one process of its own, in one thread, without a pool: what counts is the work on one core, not how
many processes share it. Ours runs all rungs; verl's is the function that its pool runs. Libraries are warm, remembered
answers are dropped before each round, and the sides take turns. A verdict that takes longer than the deadline of CPU
seconds is ended and counts with what it took.

Prints one JSON object: for each set and side CPU milliseconds a verdict (median of the rounds, and each), how many
times ours a peer takes, and the machine with its load.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import pkgutil
import random
import signal
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import lru_cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

from fail2fix.method.errors import InputError
from fail2fix.verify.answer_text import find_answer
from fail2fix.verify.certify.judging import WARM_UP, Pair
from fail2fix.verify.certify.origin import origin
from fail2fix.verify.certify.rows import read_truth
from fail2fix.verify.math_answer import judge

SIDES = {
    "ours": "__mp_main__:ours",
    "math-verify": "fail2fix.verify.certify.peers:math_verify_accepts",
    "verl": "__mp_main__:verl_scores",
}
DEADLINE_S = 10.0
SEED = 0


class LateError(BaseException):
    """A verdict took longer than the deadline. No `except Exception` of a library holds it up."""


def ours(response: str, gold: str) -> bool:
    """The rungs that run in the trainer, then the one that runs in a worker."""
    from fail2fix.verify.pool import check_symbolically

    answer = find_answer(response)
    decided = judge(answer, gold)
    return check_symbolically(answer, gold) if decided is None else decided


def verl_scores(response: str, gold: str) -> bool:
    """What `compute_score` runs in its pool."""
    return bool(_verl_scorer()._verify_in_subprocess(f"\\boxed{{{gold}}}", response) > 0.5)


@lru_cache
def _verl_scorer() -> Any:
    """The module of verl's scorer, without the package around it, which imports torch."""
    package = find_spec("verl")
    if package is None or package.origin is None:
        raise InputError("verl is not installed: leave it out of --peers")
    path = Path(package.origin).parent / "utils" / "reward_score" / "math_verify.py"
    spec = spec_from_file_location("verl_scorer", path)
    module = module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


def sets(truth: Path, rows: int) -> dict[str, list[Pair]]:
    full = [(row.text, row.gold) for row in read_truth(truth / "processbench_pairs.jsonl.gz")]
    boxed = [(rf"\boxed{{{find_answer(text, 'boxed').text}}}", gold) for text, gold in full if r"\boxed" in text]
    hard = [(rf"\boxed{{{row.text}}}", row.gold) for row in read_truth(truth / "hardverify_math.jsonl")]
    draw = random.Random(SEED)
    named = {"full": full, "boxed": boxed, "hard": hard}
    different = {name: list(dict.fromkeys(pairs)) for name, pairs in named.items()}
    return {name: draw.sample(pairs, min(rows, len(pairs))) for name, pairs in different.items()}


def serve(function: str, pipe: Connection) -> None:
    """Runs in a side's process: receives lists of pairs, and sends their CPU seconds and how many were late."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115  it lives as long as the process
    logging.disable()
    signal.signal(signal.SIGPROF, _late)
    accepts = pkgutil.resolve_name(function)
    accepts(*WARM_UP)
    pipe.send("ready")
    while pairs := pipe.recv():
        _forget()
        start = time.process_time()
        late = sum(_is_late(accepts, pair) for pair in pairs)
        pipe.send((time.process_time() - start, late))


def _late(_: int, __: FrameType | None) -> None:
    raise LateError


def _is_late(accepts: Callable[[str, str], bool], pair: Pair) -> bool:
    try:
        signal.setitimer(signal.ITIMER_PROF, DEADLINE_S)
        with suppress(Exception):  # whatever a peer raises on a text, it took its time
            accepts(*pair)
        signal.setitimer(signal.ITIMER_PROF, 0)
    except LateError:
        return True
    return False


def _forget() -> None:
    """Drop remembered answers, ours and sympy's."""
    for name, module in list(sys.modules.items()):
        if name.startswith("fail2fix.verify"):
            for value in vars(module).values():
                getattr(value, "cache_clear", lambda: None)()
    if cache := sys.modules.get("sympy.core.cache"):
        cache.clear_cache()


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    context = multiprocessing.get_context("spawn")
    pipes: dict[str, Connection] = {}
    with ExitStack() as stack:
        for side in ("ours", *arguments.peers):
            pipes[side], theirs = context.Pipe()
            process = context.Process(target=serve, args=(SIDES[side], theirs), daemon=True)
            process.start()
            stack.callback(process.kill)
        for pipe in pipes.values():
            pipe.recv()
        found = {name: _rounds(pairs, pipes, arguments.repeats) for name, pairs in arguments.sets.items()}
    settings = {"repeats": arguments.repeats, "deadline_s": DEADLINE_S}
    return {"origin": origin(), "settings": settings, "sets": found, "load_at_the_end": os.getloadavg()}


def _rounds(pairs: Sequence[Pair], pipes: dict[str, Connection], repeats: int) -> dict[str, Any]:
    each: dict[str, list[tuple[float, int]]] = {side: [] for side in pipes}
    for _ in range(repeats):
        for side, pipe in pipes.items():
            pipe.send(pairs)
            each[side].append(pipe.recv())
    sides = {side: _figures(rounds, len(pairs)) for side, rounds in each.items()}
    mine = sides["ours"]["cpu_ms"]
    times = {side: round(figures["cpu_ms"] / mine, 2) for side, figures in sides.items() if side != "ours"}
    return {"rows": len(pairs), "sides": sides, "times_ours": times}


def _figures(rounds: Sequence[tuple[float, int]], rows: int) -> dict[str, Any]:
    each = [1000 * seconds / rows for seconds, _ in rounds]
    return {
        "cpu_ms": round(statistics.median(each), 4),
        "each": [round(one, 4) for one in each],
        "late": max(late for _, late in rounds),
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("truth", type=Path, metavar="TRUTH", help="folder of the truth sets")
    parser.add_argument("--rows", type=int, default=5000, metavar="N", help="of each set, sampled with a fixed seed")
    parser.add_argument("--repeats", type=int, default=3, metavar="N")
    parser.add_argument("--peers", default="math-verify,verl", metavar="NAMES", help="(%(default)s)")
    arguments = parser.parse_args(argv)
    arguments.peers = [name for name in arguments.peers.split(",") if name]
    arguments.sets = sets(arguments.truth, arguments.rows)
    print(json.dumps(measure(arguments), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
