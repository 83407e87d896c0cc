"""Near misses: wrong by the family's own reward, in one step, and consistent after it."""

from __future__ import annotations

import random
import re
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fail2fix.data.tasks import arithmetic, chain, sorting, two_digit
from fail2fix.data.tasks.family import draw_splits, near_miss, near_number
from fail2fix.method.errors import InputError
from tests.data.tasks.test_families import DIALS, GENERATED, SEEDS, families
from tests.doors.test_family import NAME, Parity


def drawn(family: ModuleType, data: st.DataObject, seed: int) -> list[tuple[str, str, str]]:
    """(question, worked solution, near miss) of some problems."""
    train, _ = draw_splits(family.sample, data.draw(DIALS[family]), seed, 5, 1)
    generator = random.Random(seed)
    return [
        (each.question, family.worked_solution(each.question), family.corrupt(each.question, generator))
        for each in train
    ]


@families
@given(data=st.data(), seed=SEEDS)
def test_a_near_miss_is_wrong_and_has_an_answer(family: ModuleType, data: st.DataObject, seed: int) -> None:
    for question, right, wrong in drawn(family, data, seed):
        result = family.compute_score(family.DATA_SOURCE, wrong, right)
        assert result["acc"] == 0.0, question
        assert result["pred"]


@pytest.mark.parametrize("family", [*GENERATED, arithmetic])
def test_the_generator_decides_and_reaches_several(family: ModuleType) -> None:
    if family is arithmetic:
        question = arithmetic.question((7, "+", 5))
    else:
        question = draw_splits(family.sample, family.Dials(), 0, 1, 1)[0][0].question
    found = [family.corrupt(question, random.Random(seed)) for seed in range(40)]
    assert found == [family.corrupt(question, random.Random(seed)) for seed in range(40)]
    assert len(set(found)) > 1
    with pytest.raises(InputError, match="is no question of this"):
        family.corrupt("What is love?", random.Random(0))


@given(data=st.data(), seed=SEEDS)
def test_a_chain_has_one_wrong_sum_and_goes_on_from_it(data: st.DataObject, seed: int) -> None:
    for question, right, wrong in drawn(chain, data, seed):
        total, wrong_sums = None, 0
        asked = [int(number) for number in re.findall(r"\d+", question)]
        assert len(wrong.splitlines()) == len(right.splitlines())
        for line, number in zip(wrong.splitlines(), asked[1:], strict=True):
            before, added, claimed = map(int, re.findall(r"\d+", line))
            assert (before, added) == (asked[0] if total is None else total, number)
            wrong_sums += before + added != claimed
            total = claimed
        assert wrong_sums == 1


@given(data=st.data(), seed=SEEDS)
def test_a_list_has_one_item_in_a_wrong_place(data: st.DataObject, seed: int) -> None:
    for _, right, wrong in drawn(sorting, data, seed):
        ours, theirs = right.split(", "), wrong.split(", ")
        assert sorted(theirs) == ours != theirs
        assert any([x for x in theirs if x != moved] == [x for x in ours if x != moved] for moved in ours)


@given(data=st.data(), seed=SEEDS)
def test_a_sum_has_one_wrong_place(data: st.DataObject, seed: int) -> None:
    for _, right, wrong in drawn(two_digit, data, seed):
        assert str(abs(int(right) - int(wrong))).strip("0") == "1"


@given(st.integers(0, 10**9), SEEDS)
def test_a_near_number_is_another_one_and_none_is_negative(number: int, seed: int) -> None:
    near = near_number(number, random.Random(seed))
    assert near >= 0
    assert str(abs(near - number)).strip("0") == "1"


@pytest.mark.parametrize("operator", arithmetic.OPERATORS)
def test_a_fact_s_near_miss_is_the_answer_to_a_fact_beside_it(operator: str) -> None:
    for a in arithmetic.OPERANDS:
        for b in arithmetic.OPERANDS:
            question = arithmetic.question((a, operator, b))
            beside = [(x, o, y) for x in (a - 1, a, a + 1) for y in (b - 1, b, b + 1) for o in arithmetic.OPERATORS]
            beside = [f for f in beside if sum(map(lambda p, q: p != q, f, (a, operator, b))) == 1]
            for seed in range(8):
                wrong = arithmetic.corrupt(question, random.Random(seed))
                assert arithmetic.compute_score("", wrong, arithmetic.answer((a, operator, b)))["acc"] == 0.0
                assert wrong in map(arithmetic.answer, beside)


def test_a_family_of_yours_needs_the_function() -> None:
    with pytest.raises(InputError, match=r"Parity: has no corrupt\(question, generator\)"):
        near_miss(NAME, Parity.worked_solution("Is 4 even or odd?"), random.Random(0))
