"""How many answers a second the math verifier judges, against verl's own, and with bombs among them.

    python scripts/bench/verifier.py TRUTH.jsonl[.gz] [--rows N] [--repeats 3] [--workers 2] [--no-verl]

Judges the same real solutions (`response` and `gold`, each pair once, the memo empty) with `VerifierPool` and with
verl's `math_verify.compute_score` through its own process pool, called from 32 threads at once as verl's reward loop
calls it (`run_in_executor`, whose default pool has so many at most). Both pools are warm before the clock starts. Then
the same solutions again with 5 % unique bombs mixed in, two kinds: `known` ones, after FIELD.md and the attack corpus,
as answers to the same problems; and `costly` ones, which pass the cost rules and reach a worker, as answers to
expressions: the most a policy could make the verifier work.

Prints one JSON object: rows per second (median, and each repeat), the ratio to verl, the ratio of the mixed rates to
the clean one (honest rows per second), and the machine with its load: other work beside it slows both sides.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from fail2fix.verify.certify.judging import WARM_UP, Pair
from fail2fix.verify.certify.origin import origin
from fail2fix.verify.certify.rows import read_truth
from fail2fix.verify.latex_text import clean, key
from fail2fix.verify.math_verifier import MathVerifier
from fail2fix.verify.pool import VerifierPool
from fail2fix.verify.verifier import Verdict

BOMB_SHARE = 0.05
THREADS = 32
SEED = 0

KNOWN = (
    "{n}^{{{n}^{{{n}^{n}}}}}", "{n}99999999!", "(({n}!)!)!", "9^{{99999{n}}}", r"\binom{{10^9}}{{{n}}}",
    "(a+b+c+d+e+{n})^{{999}}",
    r"\sum_{{k=1}}^{{10^9}} k^{n}", r"\sqrt{{{n}+\sqrt{{2+\sqrt{{3+\sqrt{{4+\sqrt{{5}}}}}}}}}}",
)  # fmt: skip
COSTLY = (
    r"((((x+{n})^{{12}}+y)^{{12}}+z)^{{12}}+w)^{{12}}", r"(\sqrt{{2}}+\sqrt{{3}}+\sqrt{{5}}+\sqrt{{{n}}})^{{12}}",
    r"\frac{{1}}{{x^{{11}}+y^{{11}}}}-\frac{{{n}}}{{(x+y+z)^{{12}}}}", r"((((x+{n}))))+\sin(\cos(x^{{12}}))",
    "|x-|y-|z-{n}|||",
)  # fmt: skip
EXPRESSIONS = ("x+1", r"\sqrt{2}", r"\frac{\pi}{3}", "x^2+y^2")


def bombs(templates: Sequence[str], golds: Sequence[str], count: int, draw: random.Random) -> list[Pair]:
    """Unique responses that would cost a computer algebra system much."""
    made = (draw.choice(templates).format(n=number) for number in range(2, count + 2))
    return [(rf"\boxed{{{bomb}}}", draw.choice(golds)) for bomb in made]


def our_rate(pairs: Sequence[Pair], honest: int, workers: int, deadline_s: float) -> tuple[float, dict[str, int]]:
    """Honest rows per second, and the statuses of all."""
    clean.cache_clear()
    key.cache_clear()
    with closing(VerifierPool(max_workers=workers, deadline_s=deadline_s)) as pool:
        asyncio.run(pool.verify(*WARM_UP))
        start = time.monotonic()
        verdicts = asyncio.run(flood(MathVerifier(pool, "auto"), pairs))
        total_s = time.monotonic() - start
    return honest / total_s, dict(Counter(verdict.status for verdict in verdicts))


async def flood(verifier: MathVerifier, pairs: Sequence[Pair]) -> Sequence[Verdict]:
    """The verdicts on all pairs, judged together as in a step of training."""
    return await asyncio.gather(*(verifier.verify(*pair) for pair in pairs))


def verl_rate(pairs: Sequence[Pair]) -> float:
    """Rows per second of verl's function, flooded from threads; its pool of four processes is warm."""
    accepts: Callable[[str, str], bool] = importlib.import_module("fail2fix.verl_ext.stock_verifier").accepts
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(lambda _: accepts(r"\boxed{x+1}", "x+1"), range(4 * THREADS)))
        start = time.monotonic()
        list(threads.map(lambda pair: accepts(*pair), pairs))
        return len(pairs) / (time.monotonic() - start)


def repeated(measure: Callable[[], float], repeats: int) -> dict[str, Any]:
    each = [measure() for _ in range(repeats)]
    return {"rows_per_s": round(statistics.median(each), 1), "each": [round(rate, 1) for rate in each]}


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    draw = random.Random(SEED)
    pairs = list(dict.fromkeys((row.text, row.gold) for row in read_truth(arguments.truth)))
    pairs = draw.sample(pairs, min(arguments.rows, len(pairs)))
    result: dict[str, Any] = {
        "origin": origin(),
        "rows": len(pairs),
        "workers": arguments.workers,
        "deadline_s": arguments.deadline,
    }
    result["ours"] = repeated(
        lambda: our_rate(pairs, len(pairs), arguments.workers, arguments.deadline)[0], arguments.repeats
    )
    if not arguments.no_verl:
        result["verl"] = repeated(lambda: verl_rate(pairs), arguments.repeats)
        result["times_verl"] = round(result["ours"]["rows_per_s"] / result["verl"]["rows_per_s"], 2)
    kinds = {"known": (KNOWN, [gold for _, gold in pairs]), "costly": (COSTLY, EXPRESSIONS)}
    for kind, (templates, golds) in kinds.items():
        mixed = [*pairs, *bombs(templates, golds, round(BOMB_SHARE * len(pairs) / (1 - BOMB_SHARE)), draw)]
        draw.shuffle(mixed)
        statuses: list[dict[str, int]] = []

        def one_run(mixed: Sequence[Pair] = mixed, statuses: list[dict[str, int]] = statuses) -> float:
            rate, found = our_rate(mixed, len(pairs), arguments.workers, arguments.deadline)
            statuses.append(found)
            return rate

        figures = repeated(one_run, arguments.repeats)
        share = round(figures["rows_per_s"] / result["ours"]["rows_per_s"], 3)
        result[f"mixed_with_{kind}_bombs"] = figures | {"of_the_clean_rate": share, "statuses": statuses[0]}
    result["load_at_the_end"] = os.getloadavg()
    return result


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("truth", type=Path, metavar="TRUTH", help="rows with response and gold")
    parser.add_argument("--rows", type=int, default=1000, metavar="N", help="sampled with a fixed seed (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, metavar="N")
    parser.add_argument("--workers", type=int, default=2, metavar="N")
    parser.add_argument("--deadline", type=float, default=3.0, metavar="S")
    parser.add_argument("--no-verl", action="store_true", help="only our own rates")
    print(json.dumps(measure(parser.parse_args(argv)), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
