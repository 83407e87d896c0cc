"""Which verifier judges a row, and what each says of a ground truth."""

import asyncio
import math

import numpy as np
import pytest

from fail2fix.data.sets import all_sets
from fail2fix.data.sets.spec import PublicSet
from fail2fix.data.tasks.family import FAMILIES
from fail2fix.method.errors import InputError
from fail2fix.verify.config import VerifierConfig
from fail2fix.verify.registry import (
    SOURCES,
    VERIFIERS,
    ground_truth_problem,
    ground_truth_text,
    open_verifier,
    verifier_of,
)


def test_the_data_source_decides_and_an_unknown_one_is_refused_with_both_ways_out() -> None:
    settings = VerifierConfig()
    assert {verifier_of(source, settings) for source in SOURCES} == set(VERIFIERS)
    assert verifier_of("openai/gsm8k", settings) == verifier_of("aime2026", settings) == "math"
    for unknown in ("openai/gsm8K", "gsm8k", "", "searchR1_nq"):
        with pytest.raises(InputError, match=r"fail2fix\.verifier\.sources.*reward\.custom_reward_function\.path"):
            verifier_of(unknown, settings)


def str_of(each: PublicSet | str) -> str:
    return each if isinstance(each, str) else each.name


@pytest.mark.parametrize("each", [*all_sets().values(), *FAMILIES], ids=str_of)
def test_every_set_and_task_family_of_ours_has_a_verifier(each: PublicSet | str) -> None:
    settings = VerifierConfig()
    if isinstance(each, str):
        assert verifier_of(f"fail2fix/{each}", settings) == "math"
    else:
        assert verifier_of(each.hub_id, settings) == each.ability


@pytest.mark.parametrize("value", ["4", ["4"], ("4",), np.array(["4"]), [["4"]], 4, [4], np.int64(4), np.array([4])])
def test_text_numbers_and_lists_of_one_are_read(value: object) -> None:
    assert ground_truth_text(value) == "4"


@pytest.mark.parametrize("value", [["3", "4"], [], {"target": ["4"]}, None, True, math.nan, math.inf, b"4", [None]])
def test_other_ground_truths_are_refused(value: object) -> None:
    with pytest.raises(InputError, match="must be text or a number"):
        ground_truth_text(value)


@pytest.mark.parametrize(
    "gold",
    ["The answer is 4.", "We add the numbers.\n#### 4", "<answer>4</answer>", "nan", "NaN", "None", "null", "['34']",
     "'34'", "b'34'", "array([34])", "tensor(34)", "np.float64(34.0)", "N/A", "unknown",
     "{'target': ['4']}", '[{"input": "1", "output": "2"}]', '{"inputs": ["1"], "outputs": ["2"]}'],
)  # fmt: skip
def test_what_no_right_answer_equals_is_no_ground_truth_of_mathematics(gold: str) -> None:
    assert ground_truth_problem("math", gold) != ""


@pytest.mark.parametrize(
    "gold", ["4", "-4.0", r"\frac{1}{2}", "[1, 2, 3]", '["34"]', r"\{1,2\}", "x=4", "no solution", "(A)", r"50\%"]
)
def test_ordinary_answers_are_ground_truths_of_mathematics(gold: str) -> None:
    assert ground_truth_problem("math", gold) == ""


def test_a_runs_own_list_outweighs_the_registrys() -> None:
    settings = VerifierConfig(sources={"mine": "code", "fail2fix/programs": "math"})
    assert (verifier_of("mine", settings), verifier_of("fail2fix/programs", settings)) == ("code", "math")


def test_an_unknown_verifier_is_refused_by_name() -> None:
    with pytest.raises(
        InputError, match=r"^fail2fix\.verifier\.sources\.mine=maths: .*; must be math, code, text, or "
    ):
        verifier_of("mine", VerifierConfig(sources={"mine": "maths"}))


@pytest.mark.parametrize("name", VERIFIERS)
def test_every_verifier_judges_ground_truths(name: str) -> None:
    good = {
        "math": "7",
        "code": '{"kind": "calls", "entry_point": "f", "calls": [{"args": [1], "expected": 2}]}',
        "text": '{"answers": ["Fuji"]}',
    }
    assert ground_truth_problem(name, good[name]) == ""
    assert ground_truth_problem(name, " ") != ""


def test_the_math_verifier_reads_the_declared_channel() -> None:
    from fail2fix.verify.config import Channel

    for channel, correct in ((Channel.auto, True), (Channel.boxed, False)):
        verifier = open_verifier("math", VerifierConfig(channel=channel))
        assert asyncio.run(verifier.verify("The answer is 7.", "7")).correct == correct
        verifier.close()


def test_a_service_without_its_client_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from fail2fix.verify.code import verifier
    from fail2fix.verify.config import CodeBackendName, CodeConfig

    monkeypatch.setattr(verifier, "find_spec", lambda _: None)
    service = CodeConfig(backend=CodeBackendName.sandbox_fusion, endpoint="http://localhost:1")
    with pytest.raises(InputError, match="pip install sandbox-fusion"):
        open_verifier("code", VerifierConfig(code=service))


def test_a_machine_without_a_sandbox_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(InputError, match=r"fail2fix\.verifier\.code\.backend=local: .*bwrap is missing"):
        open_verifier("code", VerifierConfig())
