r"""Copy the longest expression of each problem into a box, and count how often that is paid.

    python scripts/faults/play_echoes.py --from FOLDER --out FILE.json [--sets math deepscaler] [--limit N]

The sets' training rows are read from local copies as preparation reads them. A copy is the longest formula, or the
longest side of a relation in it: as it stands (`plain`), with its terms or factors in reverse order (`swapped`), and
with a factor of one (`one`, two spellings). The problems of rows with a right copy are searched for echoes. Of these
rows, those that state their answer are counted and left out. Prints and writes for each set: rows with a paid copy of
each kind, before and with echoes, and their share; and `golds_refused`, gold answers of these rows that are wrong.
"""

import argparse
import asyncio
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from fail2fix.data.atomic import write_json
from fail2fix.data.echoes import Found, Pair, find_echoes
from fail2fix.data.prepare.cleaning import Dropped, read_all
from fail2fix.data.prepare.sources import reader_of, rows_of
from fail2fix.data.sets import find_set
from fail2fix.verify.config import Channel, VerifierConfig
from fail2fix.verify.gold import parse_gold, with_echoes
from fail2fix.verify.math_answer import bare_gold
from fail2fix.verify.math_verifier import MathVerifier, open_verifier

FORMULA = re.compile(r"\$\$(.+?)\$\$|\$(.+?)\$|\\\[(.+?)\\\]|\\\((.+?)\\\)", re.DOTALL)
RELATION = re.compile(r"=|<|>|\\(?:le|ge|leq|geq|in|approx|equiv)(?![a-zA-Z])")
ROOM = 1000  # rows judged at a time


def copies(problem: str) -> Iterator[tuple[str, str]]:
    """The kind and text of each answer of the policy."""
    formulas = [next(filter(None, groups)).strip(" .,;\n") for groups in FORMULA.findall(problem)]
    if not formulas:
        return
    sides = [side.strip(" .,;\n") for formula in formulas for side in RELATION.split(formula)]
    for name, text in (("formula", max(formulas, key=len)), ("side", max(sides, key=len))):
        yield f"{name} plain", text
        if turned := swapped(text):
            yield f"{name} swapped", turned
        yield f"{name} one", rf"1 \cdot ({text})"
        yield f"{name} one", rf"\frac{{{text}}}{{1}}"


def swapped(text: str) -> str:
    """The expression with its outer terms, or else its outer factors, in reverse order; "" if there is only one."""
    terms = outer(text, "+-")
    if len(terms) > 1:
        signed = [term if term[0] in "+-" else f"+{term}" for term in terms]
        return "".join(reversed(signed)).removeprefix("+")
    factors = [factor for factor in outer(text, "(") if factor]
    if len(factors) > 1 and all(factor.endswith(")") for factor in factors[1:]):
        return "".join(reversed(factors))
    parts = re.split(r"\\cdot|\\times", text)
    return r" \cdot ".join(reversed(parts)) if len(parts) > 1 and text.count("{") == 0 else ""


def outer(text: str, before: str) -> list[str]:
    """The text cut before each of these characters outside brackets."""
    parts, depth = [""], 0
    for character in text:
        if depth == 0 and character in before and parts[-1].strip():
            parts.append("")
        depth += (character in "([{") - (character in ")]}")
        parts[-1] += character
    return parts


async def paid_copies(pairs: list[Pair], verifier: MathVerifier) -> list[list[tuple[str, str]]]:
    """The copies of each problem that are right as answers."""

    async def one(problem: str, truth: str) -> list[tuple[str, str]]:
        said = list(copies(problem))
        return [(kind, text) for kind, text in said if (await verifier.verify(boxed(text), truth)).correct]

    found = []
    for start in range(0, len(pairs), ROOM):
        found += await asyncio.gather(*(one(*pair) for pair in pairs[start : start + ROOM]))
    return found


async def play(
    paid: list[tuple[Pair, list[tuple[str, str]]]], found: list[Found], strict: MathVerifier
) -> Counter[str]:
    """Rows with a paid answer of each kind, before and with echoes; and refused golds."""
    counts = Counter[str](golds_refused=0)
    for ((_, truth), said), known in zip(paid, found, strict=True):
        full = with_echoes(truth, known.echoes)
        gold = boxed(bare_gold(parse_gold(truth).answer))
        counts["golds_refused"] += not (await strict.verify(gold, full)).correct
        if known.stated:
            continue
        kept = [(kind, text) for kind, text in said if (await strict.verify(boxed(text), full)).correct]
        # Of the spellings of a kind, one that is paid is enough.
        counts.update({f"{kind}, before" for kind, _ in said} | {kind for kind, _ in kept})
        for kind, text in kept:
            print(json.dumps({"kind": kind, "copy": text, "ground_truth": full}), flush=True)
    return counts


def boxed(text: str) -> str:
    return rf"\boxed{{{text}}}"


def played(name: str, folder: Path, limit: int | None) -> dict[str, object]:
    chosen = find_set(name)
    problems = read_all(rows_of(chosen, "train", folder), reader_of(chosen, folder), chosen.ability, Dropped())[:limit]
    pairs = [(each.text, each.answer) for each in problems]
    settings = VerifierConfig(workers=os.cpu_count() or 1, channel=Channel.boxed)
    with closing(open_verifier(settings)) as strict:
        # The bare ground truths have no echoes.
        copied = asyncio.run(paid_copies(pairs, strict))
        paid = [(pair, said) for pair, said in zip(pairs, copied, strict=True) if said]
        found = find_echoes([pair for pair, _ in paid])
        counts = asyncio.run(play(paid, found, strict))
    stated = sum(each.stated for each in found)
    kinds = sorted(key for key in counts if " " in key)
    return {
        "rows": len(pairs),
        "answer_in_problem": stated,
        "played": (left := len(pairs) - stated),
        "paid": {key: {"rows": counts[key], "percent": round(100 * counts[key] / left, 4)} for key in kinds},
        "golds_refused": counts["golds_refused"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", type=Path, dest="folder", required=True, help="local copies of the sets")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=["math", "deepscaler"])
    parser.add_argument("--limit", type=int, help="first rows of each set")
    given = parser.parse_args()
    result = {name: played(name, given.folder, given.limit) for name in given.sets}
    write_json(given.out, result)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
