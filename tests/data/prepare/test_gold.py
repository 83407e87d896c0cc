"""Given a source's own solution as the answer, every row is judged right, but for those in `gold_exceptions.json`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from fail2fix.data.prepare.cleaning import Dropped, problem_id, read_all
from fail2fix.data.prepare.sources import reader_of, rows_of
from fail2fix.data.sets import all_sets, find_set
from fail2fix.data.sets.contest_tests import fenced
from fail2fix.data.sets.spec import Problem, PublicSet, SourceRow
from fail2fix.method.errors import InputError
from fail2fix.verify.config import CodeConfig, VerifierConfig
from fail2fix.verify.gold import parse_gold
from fail2fix.verify.registry import open_verifier, verifier_of
from tests.data.prepare.sets import samples
from tests.data.prepare.test_sets import LARGE, WRITTEN
from tests.shared import DATA
from tests.tiers import heavy_where

EXCEPTIONS = json.loads(Path(__file__).with_name("gold_exceptions.json").read_text())
"""{set: {id: why its own solution is not judged right}}"""

MATH = [name for name in WRITTEN if find_set(name).ability == "math"]
CODE = ["humaneval", "humanevalfix", "mbpp", "leetcode"]
SETTINGS = VerifierConfig(code=CodeConfig(workers=1))


def solution(problem: Problem, chosen: PublicSet) -> str:
    """The source's own solution as a policy would give it."""
    ability = chosen.ability_of(problem)
    if ability == "code":
        return fenced(problem.reference)
    if ability == "text":
        return rf"\boxed{{{json.loads(problem.answer)['answers'][0]}}}"
    return problem.reference or rf"\boxed{{{parse_gold(problem.answer).answer}}}"


def refused(chosen: PublicSet, problems: Sequence[Problem]) -> set[str]:
    """The ids of the problems whose own solution is not judged right."""
    abilities = {chosen.ability_of(each) for each in problems}
    try:
        verifiers = {ability: open_verifier(ability, SETTINGS) for ability in abilities}
    except InputError as error:
        pytest.skip(str(error))

    async def judged() -> list[bool]:
        found = await asyncio.gather(
            *(verifiers[chosen.ability_of(each)].verify(solution(each, chosen), each.answer) for each in problems)
        )
        return [verdict.correct for verdict in found]

    right = asyncio.run(judged())
    for verifier in verifiers.values():
        verifier.close()
    return {each.id or problem_id(each) for each, is_right in zip(problems, right, strict=True) if not is_right}


def local_problems(chosen: PublicSet) -> list[Problem]:
    rows = [row for split in chosen.splits for row in rows_of(chosen, split, DATA)]
    return read_all(rows, reader_of(chosen, DATA), chosen.ability, Dropped())


@pytest.mark.parametrize("name", all_sets())
def test_the_verifier_that_judges_a_sets_rows_is_the_sets(name: str) -> None:
    chosen = find_set(name)
    assert verifier_of(chosen.hub_id, SETTINGS) == chosen.ability
    for ability in ("code", "text") if name == "criticbench" else ():
        assert verifier_of(f"{chosen.hub_id}/{ability}", SETTINGS) == ability


@pytest.mark.parametrize("name", sorted(set(all_sets()) - {"debugbench", "am_distilled"}))
def test_the_samples_own_solutions_are_right(name: str) -> None:
    chosen = find_set(name)
    rows = [SourceRow(f"{name}: sample {index}", fields) for index, fields in enumerate(samples(name))]
    problems = read_all(rows, chosen.read, chosen.ability, Dropped())
    problems = [each for each in problems if chosen.ability_of(each) != "code" or each.reference]
    assert refused(chosen, problems) == set(EXCEPTIONS.get(f"{name} samples", {}))


@pytest.mark.needs_shared
@pytest.mark.parametrize("name", heavy_where(MATH, LARGE))
def test_every_own_solution_is_right_in_mathematics(name: str) -> None:
    chosen = find_set(name)
    assert refused(chosen, local_problems(chosen)) == set(EXCEPTIONS.get(name, {}))


@pytest.mark.needs_shared
@pytest.mark.heavy
@pytest.mark.parametrize("name", CODE)
def test_the_first_programs_pass_their_tests(name: str) -> None:
    chosen = find_set(name)
    first = local_problems(chosen)[:10]
    assert refused(chosen, first) <= set(EXCEPTIONS.get(name, {}))


@pytest.mark.needs_shared
@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", CODE)
def test_every_program_passes_its_tests(name: str) -> None:
    chosen = find_set(name)
    assert refused(chosen, local_problems(chosen)) == set(EXCEPTIONS.get(name, {}))
