"""An evaluation under a template of corrections: its words in the prompts, its answer in the verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fail2fix.data.sets.spec import GivenAttempt
from fail2fix.data.tasks import chain
from fail2fix.evaluate.benchmarks import Sampling
from fail2fix.evaluate.judging import Judge
from fail2fix.evaluate.openai_engine import OpenAIEngine
from fail2fix.evaluate.prompts import Answered, ChatPrompts, Completion, Request
from fail2fix.evaluate.questions import Question
from fail2fix.evaluate.run import Evaluation
from fail2fix.evaluate.settings import Settings, check
from fail2fix.evaluate.store import Store
from fail2fix.method.errors import InputError
from fail2fix.method.templates.verdict import RIGHT, Verdict
from fail2fix.verify.config import VerifierConfig
from tests.doors.test_family import NAME, Parity
from tests.evaluate.rows import question
from tests.evaluate.test_openai_engine import ANSWER
from tests.services import serving

SAMPLING = {"gsm8k": Sampling()}
VERDICT = {"template": "verdict"}


def chat(content: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    return {**ANSWER, "choices": [{"index": 0, "finish_reason": "stop", "message": message}]}


def evaluated(tmp_path: Path, answer: str, questions: Sequence[Question], **fields: Any) -> list[dict[str, Any]]:
    """The records of an evaluation by a service that always gives one answer."""
    with serving(answer=chat(answer)) as service, Judge(VerifierConfig()) as judge:
        settings = Settings("m", SAMPLING, engine="openai", endpoint=service.url + "v1", **fields)
        judge.require(questions)
        store = Store(tmp_path / "out")
        store.open({})
        return Evaluation(settings, {"gsm8k": questions}, store, judge, lambda: OpenAIEngine(settings)).run()["gsm8k"]


@pytest.mark.parametrize("correct", [True, False])
def test_an_attempt_that_stands_has_its_own_verdict(tmp_path: Path, correct: bool) -> None:
    attempt = GivenAttempt(f"\\boxed{{{4 if correct else 5}}}", correct)
    (record,) = evaluated(tmp_path, RIGHT, [question("q", attempt=attempt, task="correct")], correction=VERDICT)
    assert record["correct"] == correct
    assert record["response"] == RIGHT
    assert Verdict.instruction in record["prompt"]


def test_a_second_correction_is_of_the_attempt_that_stood(tmp_path: Path) -> None:
    attempt = GivenAttempt("It is \\boxed{4}.", True)
    rows = evaluated(tmp_path, RIGHT, [question("q", attempt=attempt, task="correct")], correction=VERDICT, rounds=2)
    assert [row["correct"] for row in rows] == [True] * 3
    assert all("<attempt>\nIt is \\boxed{4}.\n</attempt>" in row["prompt"] for row in rows)


def test_without_a_template_the_whole_response_is_judged(tmp_path: Path) -> None:
    attempt = GivenAttempt("\\boxed{4}", True)
    (record,) = evaluated(tmp_path, RIGHT, [question("q", attempt=attempt, task="correct")])
    assert not record["correct"]


def test_header_and_instruction_replace_the_template_s() -> None:
    settings = Settings("m", SAMPLING, correction={"template": "verdict", "header": "Seen:"})
    (prompt,) = ChatPrompts(settings).correct([(question("q"), Answered("5"))])
    assert prompt is not None
    assert prompt.messages is not None
    content = prompt.messages[-1]["content"]
    assert "\n\nSeen:\n\n<attempt>\n5\n</attempt>\n\n" + Verdict.instruction in content


@pytest.mark.parametrize(
    ("correction", "words"), [({"templet": "verdict"}, "--correction"), ({"template": "no.such"}, "cannot be loaded")]
)
def test_unknown_keys_and_templates_are_refused(correction: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        check(Settings("m", SAMPLING, correction=correction))


def test_a_family_s_own_reward_judges_its_rows() -> None:
    asked = "Add step by step, one sum per line: 7 + 5"
    messages = [{"role": "user", "content": asked}]
    rows = [
        Question("c", chain.DATA_SOURCE, "math", messages, "12"),
        Question("p", NAME, "math", [{"role": "user", "content": "Is 4 even or odd?"}], "even"),
    ]
    with Judge(VerifierConfig()) as judge:
        judge.require(rows)
        texts = [(rows[0], "7 + 5 = 12"), (rows[0], "12 or 13"), (rows[1], "even"), (rows[1], "even, I think")]
        verdicts = judge.submit(texts).result()
    assert [verdict["correct"] for verdict in verdicts] == [True, False, True, False]
    assert verdicts[1]["status"] == "no_answer"
    assert Parity.worked_solution("Is 4 even or odd?") == "even"


def test_every_answer_is_noted() -> None:
    noted: list[tuple[Request, Completion]] = []
    with serving(answer=chat("4")) as service:
        settings = Settings("m", SAMPLING, engine="openai", endpoint=service.url + "v1")
        engine = OpenAIEngine(settings, lambda *both: noted.append(both))
        prompt = engine.prompts.solve(question("q"))
        assert prompt is not None
        requests = [Request(prompt, Sampling(), seed) for seed in range(5)]
        engine.generate(requests, "test")
    assert sorted(request.seed or 0 for request, _ in noted) == list(range(5))
