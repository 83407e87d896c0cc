"""Throw random text at the math verifier, through the pool that training uses.

    python scripts/faults/fuzz_verifier.py --strings N [--seed S] [--truth FILE.jsonl[.gz]] [--workers N] [--deadline S]

A third each: random Unicode, sentences of a LaTeX grammar, and mutated real answers (of ``--truth``, else of the
attack corpus). Prints one JSON object: verdicts by status, crashes, the worst and 99th percentile of a verdict's
seconds, processes left behind, and the growth of this process's memory between the first tenth and the end. Exit
status: 1 for a crash, a leaked process, growth over 64 MiB or a verdict later than the deadline + 0.5 s.

As many strings are under way as there are workers, so a verdict's seconds hold no wait for one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import psutil

from fail2fix.verify.attacks.corpus import corpus
from fail2fix.verify.certify.figures import SLACK_S, latency
from fail2fix.verify.certify.origin import origin
from fail2fix.verify.certify.rows import read_truth
from fail2fix.verify.pool import VerifierPool

Pair = tuple[str, str]

GOLDS = (
    "7",
    r"\frac{1}{2}",
    "x+1",
    r"\sqrt{2}",
    "(1,2)",
    "[0,1)",
    r"\{1,2\}",
    "1, 2",
    "x = 7",
    "A",
    r"25\%",
    r"7 \text{ cm}",
    "",
)
FRAMES = (
    "ANSWER",
    r"So it is \boxed{ANSWER}.",
    "Answer: ANSWER",
    r"\boxed{ANSWER} or \boxed{7}",
    "<answer>ANSWER</answer>",
)
LEAVES = (
    "7", "0", "12", "0.25", "10^3", "x", "y", "n", "e", r"\pi", r"\infty", "99999999999", r"\text{cm}", "A", "%",
    r"\alpha", "7!",
    r"\emptyset", r"\mathbb{R}", "k", "-", "",
)  # fmt: skip
RULES = (
    "{A}+{A}", "{A}-{A}", "{A}{A}", "({A})", r"\frac{{{A}}}{{{A}}}", "{A}^{{{A}}}", r"\sqrt{{{A}}}",
    r"\sqrt[{A}]{{{A}}}", "{A}/{A}",
    r"\sin {A}", r"\log_{{{A}}} {A}", "{A}!", "|{A}|", "{A}={A}", r"{A} \leq {A}", "{A}, {A}", r"\{{{A}, {A}\}}",
    "[{A},{A})",
    r"{A} \cup {A}", r"{A} \pm {A}", r"{A} \text{{ or }} {A}", r"\left({A}\right)", r"\binom{{{A}}}{{{A}}}",
    r"{A} \cdot {A}",
    r"\sum_{{k=1}}^{{{A}}} {A}", r"\int_{{{A}}}^{{{A}}} {A} dx",
    r"\begin{{pmatrix}} {A} & {A} \\ {A} & {A} \end{{pmatrix}}", "{A}_{{{A}}}",
    r"{A} \approx {A}", r"\exp({A})", r"\overline{{{A}}}", r"{A}^{{-{A}}}", r"{A} \in {A}",
)  # fmt: skip
MAX_DEPTH = 4
WARM_UP = (r"\boxed{2x+2}", "2(x+1)")
MAX_GROWTH_BYTES = 64 * 2**20


def strings(draw: random.Random, seeds: Sequence[Pair]) -> Iterator[Pair]:
    """Responses and gold answers without end."""
    while True:
        yield draw.choice(FRAMES).replace("ANSWER", noise(draw)), draw.choice(GOLDS)
        yield draw.choice(FRAMES).replace("ANSWER", sentence(draw, MAX_DEPTH)), draw.choice(GOLDS)
        response, gold = draw.choice(seeds)
        yield mutated(draw, response), draw.choice((gold, gold, draw.choice(GOLDS)))


def noise(draw: random.Random) -> str:
    """Up to 60 characters of any kind, surrogates and control characters too, thick with those that mean something."""
    common = "\\{}[]()$^_|,.;:=<>!+-*/%&#~'\"` \n\t0123456789abxyzE"
    return "".join(
        draw.choice(common) if draw.random() < 0.6 else chr(draw.randrange(0x110000)) for _ in range(draw.randrange(60))
    )


def sentence(draw: random.Random, depth: int) -> str:
    """A random sentence of the LaTeX grammar."""
    if depth == 0 or draw.random() < 0.2:
        return draw.choice(LEAVES)
    template = draw.choice(RULES)
    while "{A}" in template:
        template = template.replace("{A}", sentence(draw, depth - 1).replace("{", "{{").replace("}", "}}"), 1)
    return template.replace("{{", "{").replace("}}", "}")


def mutated(draw: random.Random, text: str) -> str:
    """`text`'s last 2,000 characters with one to eight cuts, copies, swaps and insertions."""
    text = text[-2000:]
    for _ in range(draw.randint(1, 8)):
        place = draw.randrange(len(text) + 1)
        end = min(len(text), place + draw.randint(1, 20))
        piece = draw.choice(
            ("", text[place:end] * draw.randint(2, 4), noise(draw)[:5], draw.choice(LEAVES), "\\boxed{", "}")
        )
        text = text[:place] + piece + text[end:]
    return text


async def fuzz(pool: VerifierPool, pairs: Iterator[Pair], at_once: int, found: dict[str, Any]) -> None:
    """Judge all pairs, `at_once` of them at a time."""

    async def judge_in_turn() -> None:
        for number, pair in enumerate(pairs):
            await one(pool, pair, found)
            if number % 100 == 0:
                found["memory"].append(psutil.Process().memory_info().rss)

    await pool.verify(*WARM_UP)
    await asyncio.gather(*(judge_in_turn() for _ in range(at_once)))


async def one(pool: VerifierPool, pair: Pair, found: dict[str, Any]) -> None:
    start = time.monotonic()
    try:
        verdict = await pool.verify(*pair)
        found["statuses"][verdict.status] += 1
    except Exception as error:
        found["crashes"].append({"error": repr(error)[:300], "response": pair[0], "gold": pair[1]})
    seconds = time.monotonic() - start
    found["seconds"].append(seconds)
    found["slowest"] = max(found["slowest"], (seconds, pair))


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    draw = random.Random(arguments.seed)
    seeds = [(row.text, row.gold) for row in read_truth(arguments.truth)] if arguments.truth else _attack_seeds()
    pairs = islice(strings(draw, seeds), arguments.strings)
    found: dict[str, Any] = {
        "statuses": Counter(), "crashes": [], "seconds": array("d"), "memory": [], "slowest": (0.0, ("", "")),
    }  # fmt: skip
    before = set(psutil.Process().children(recursive=True))
    start = time.monotonic()
    pool = VerifierPool(max_workers=arguments.workers, deadline_s=arguments.deadline)
    try:
        asyncio.run(fuzz(pool, pairs, arguments.workers, found))
        total = time.monotonic() - start
        pool_processes = set(psutil.Process().children(recursive=True)) - before
    finally:
        pool.close()
    _, alive = psutil.wait_procs([p for p in pool_processes if not _is_fork_server(p)], timeout=10)
    late = sum(seconds > arguments.deadline + SLACK_S for seconds in found["seconds"])
    memory = found["memory"]
    growth = memory[-1] - max(memory[: max(1, len(memory) // 10)])
    return {
        "origin": origin(),
        "strings": arguments.strings,
        "seed": arguments.seed,
        "seconds": round(total, 1),
        "strings_per_s": round(arguments.strings / total, 1),
        "statuses": dict(found["statuses"]),
        "crashes": found["crashes"],
        "latency_s": latency(found["seconds"]),
        "slowest": found["slowest"][1],
        "late": late,
        "leaked_processes": len(alive),
        "memory_growth_bytes": growth,
        "failed": bool(found["crashes"] or alive or late or growth > MAX_GROWTH_BYTES),
    }


def _attack_seeds() -> list[Pair]:
    return [(row.response, row.gold) for row in corpus(Path("/nonexistent/canary")) if len(row.response) < 2000]


def _is_fork_server(process: psutil.Process) -> bool:
    """multiprocessing's fork server and resource tracker live as long as this process, once for all pools."""
    try:
        command = " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return True
    is_direct = process.ppid() == psutil.Process().pid
    return is_direct and ("forkserver" in command or "resource_tracker" in command)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--strings", type=int, required=True, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    parser.add_argument("--truth", type=Path, metavar="FILE", help="real answers to mutate")
    parser.add_argument("--workers", type=int, default=2, metavar="N")
    parser.add_argument("--deadline", type=float, default=3.0, metavar="S")
    result = run(parser.parse_args(argv))
    print(json.dumps(result, indent=1))
    return int(result["failed"])


if __name__ == "__main__":
    sys.exit(main())
