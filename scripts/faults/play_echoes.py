r"""Copy the longest expression of each problem into a box, and count how often that is paid.

    python scripts/faults/play_echoes.py --from FOLDER --out FILE.json [--sets math deepscaler] [--limit N]

The sets' training rows are read from local copies as preparation reads them, and get their echoes. A copy is the
longest formula, or the longest side of a relation in it: as it stands (`plain`), with its terms or factors in reverse
order (`swapped`), and with a factor of one (`one`, two spellings). Rows that state their answer are counted and left
out. Prints and writes for each set: `paid_before`, judged without echoes; `paid`; their shares of the rows; and
`golds_refused`, gold answers that are right without echoes and wrong with them (all rows).
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


async def play(pairs: list[Pair], found: list[Found], strict: MathVerifier, lenient: MathVerifier) -> Counter[str]:
    """Paid answers of each kind, before and with echoes; and refused golds."""
    counts = Counter[str]()

    async def one(pair: Pair, known: Found) -> None:
        problem, truth = pair
        full, seen = with_echoes(truth, known.echoes), set[str]()
        if known.echoes:
            gold = rf"\boxed{{{bare_gold(parse_gold(truth).answer)}}}"
            right = (await lenient.verify(gold, truth)).correct
            counts["golds_refused"] += right and not (await strict.verify(gold, full)).correct
        for kind, text in copies(problem) if not known.stated else ():
            paid = (await lenient.verify(rf"\boxed{{{text}}}", truth)).correct
            kept = paid and (await strict.verify(rf"\boxed{{{text}}}", full)).correct
            # Of the spellings of a kind, one that is paid is enough.
            for name, holds in ((f"paid_before {kind}", paid), (f"paid {kind}", kept)):
                counts[name] += holds and name not in seen
                seen |= {name} if holds else set()
            if kept:
                print(json.dumps({"kind": kind, "copy": text, "ground_truth": full}), flush=True)

    for start in range(0, len(pairs), ROOM):
        chosen = slice(start, start + ROOM)
        await asyncio.gather(*(one(*row) for row in zip(pairs[chosen], found[chosen], strict=True)))
    return counts


def played(name: str, folder: Path, limit: int | None) -> dict[str, object]:
    chosen = find_set(name)
    problems = read_all(rows_of(chosen, "train", folder), reader_of(chosen, folder), chosen.ability, Dropped())[:limit]
    pairs = [(each.text, each.answer) for each in problems]
    found = find_echoes(pairs)
    settings = {"workers": os.cpu_count() or 1, "channel": Channel.boxed}
    with (
        closing(open_verifier(VerifierConfig(**settings))) as strict,  # type: ignore[arg-type]
        closing(open_verifier(VerifierConfig(allow_echoes=True, **settings))) as lenient,  # type: ignore[arg-type]
    ):
        counts = asyncio.run(play(pairs, found, strict, lenient))
    played = sum(not each.stated for each in found)
    return {
        "rows": len(pairs),
        "with_echoes": sum(bool(each.echoes) for each in found),
        "answer_in_problem": len(pairs) - played,
        "played": played,
        **{key: {"rows": n, "percent": round(100 * n / played, 4)} for key, n in sorted(counts.items()) if " " in key},
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
