"""Find echoes: expressions of a problem that the verifier accepts as its answer (`fail2fix.verify.echoes`).

Knows: problems with their ground truths, the math verifier, a file of what was found before. Must not know: data sets,
training. Bounded: `MAX_EXPRESSIONS` checks a problem, `DEADLINE_S` seconds each; an expression over a limit is no echo.
"""

import asyncio
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fail2fix import verify
from fail2fix.console.progress import Done, stage
from fail2fix.data.atomic import write_json
from fail2fix.data.files import sha256
from fail2fix.data.rows import STATED
from fail2fix.method.errors import reading
from fail2fix.verify.config import Channel, VerifierConfig
from fail2fix.verify.echoes import Form, expressions, forms, is_choice, is_number
from fail2fix.verify.gold import parse_gold
from fail2fix.verify.math_answer import bare_gold
from fail2fix.verify.math_verifier import MathVerifier, open_verifier
from fail2fix.verify.registry import verifier_of

DEADLINE_S = 2.0
AT_A_TIME = 64

Pair = tuple[str, str]
"""A problem and its ground truth."""


@dataclass(frozen=True)
class Found:
    """A problem's echoes, and whether the problem states the answer itself: in its own form, or as another number."""

    echoes: tuple[str, ...] = ()
    stated: bool = False


def find_echoes(pairs: Sequence[Pair]) -> list[Found]:
    """What the math verifier finds in each problem."""
    if not pairs:
        return []
    settings = VerifierConfig(
        workers=os.cpu_count() or 1, deadline_s=DEADLINE_S, channel=Channel.boxed, allow_echoes=True
    )
    with closing(open_verifier(settings)) as verifier, stage("expressions of problems", len(pairs)) as done:
        return asyncio.run(_all(pairs, verifier, done))


def echo_counts(with_echoes: int, stated: int) -> str:
    """Numbers of problems with echoes, and of those that state their answer, in words."""
    return (
        f"{with_echoes:,} problems hold their answer as another expression, and an answer that restates it is wrong; "
        f"{stated:,} state the answer itself"
    )


async def _all(pairs: Sequence[Pair], verifier: MathVerifier, done: Done) -> list[Found]:
    places = asyncio.Semaphore(AT_A_TIME)

    async def one(pair: Pair) -> Found:
        async with places:
            found = await _found(*pair, verifier)
        done()
        return found

    return await asyncio.gather(*map(one, pairs))


async def _found(problem: str, ground_truth: str, verifier: MathVerifier) -> Found:
    gold = parse_gold(ground_truth).answer
    own, echoes, stated = forms(bare_gold(gold)), dict[frozenset[Form], str](), False
    for place, text in enumerate(expressions(problem)):
        if not (await verifier.verify(rf"\boxed{{{text}}}", ground_truth)).correct or forms(text) in echoes:
            continue
        # A number that is not what the problem is about may be the answer by chance.
        by_chance = place > 0 and is_number(text)
        if own <= forms(text) or forms(text) == {()} or is_choice(gold) or by_chance:
            stated = True
        else:
            echoes[forms(text)] = text
    return Found(tuple(echoes.values()), stated)


def unsearched(row: Mapping[str, Any], prompt_key: str, settings: VerifierConfig) -> Pair | None:
    """The pair of a row of verl's that the math verifier judges and no preparation of ours has searched; else None."""
    truth = row["reward_model"].get("ground_truth")
    searched = (row.get("extra_info") or {}).get(STATED) is not None
    if settings.allow_echoes or searched or not isinstance(truth, str):
        return None
    if verifier_of(row["data_source"], settings) != "math":
        return None
    return row[prompt_key][-1]["content"], truth


def remembered(pairs: Sequence[Pair], folder: Path) -> list[Found]:
    """As `find_echoes`; what was found by the same rules before is read from a file in `folder`.

    Raises:
        InputError: that file cannot be read.
    """
    rules = sha256([Path(__file__), *sorted(Path(verify.__file__).parent.glob("*.py"))])
    file, known = folder / f"{rules[:12]}.json", dict[str, list[Any]]()
    if file.exists():
        with reading(f"{file}: not a file of echoes", OSError, ValueError, hint="delete it"):
            known = json.loads(file.read_text(encoding="utf-8"))
    names = [hashlib.sha256("\0".join(pair).encode()).hexdigest()[:16] for pair in pairs]
    if new := {name: pair for name, pair in zip(names, pairs, strict=True) if name not in known}:
        for name, found in zip(new, find_echoes(list(new.values())), strict=True):
            known[name] = [found.stated, *found.echoes]
        write_json(file, known)
    return [Found(tuple(known[name][1:]), known[name][0]) for name in names]
