"""Answers of real models that others have judged: LLMDebugger's seeds and LiveCodeBench's published runs.

Rows stand in ../shared/data beside the project. An answer is to a prepared question; where LiveCodeBench recorded the
private test at which it failed, to the same question with that test alone, read as the set's own rows are.
"""

from __future__ import annotations

import ast
import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from fail2fix.data.sets import find_set
from fail2fix.data.sets.contest_tests import fenced
from fail2fix.data.sets.spec import SourceRow
from fail2fix.evaluate.judging import Judge
from fail2fix.evaluate.questions import Question
from fail2fix.verify.config import CodeConfig, VerifierConfig
from tests.shared import DATA

Ending = Literal["right", "wrong", "timeout", "error"]
"""How an answer did; "wrong": its program ended by itself, with another result or with an error, or there is none."""

SEEDS = ("codellama", "starcoder", "gpt-3.5-turbo-0613")
RUNS = ("O1-Mini_codegen", "Qwen-3-8B_codegen", "Qwen2.5-Ins-7B_codegen", "Qwen2.5-Ins-7B_selfrepair")
ENDINGS: Mapping[int, Ending] = {-2: "wrong", -3: "timeout", -4: "wrong"}
"""{LiveCodeBench's error code: ending}: another result; too slow; an error."""

CUT = "...(truncated) ..."
"""Stands in the middle of a recorded text that was longer than 300 characters."""

Fields = Mapping[str, Any]
Questions = Mapping[str, Question]
"""{id: question}"""


@dataclass(frozen=True)
class Answer:
    """`id` names the model and the problem; `endings`: how others say that it did, of which any will do."""

    id: str
    question: Question
    text: str
    endings: tuple[Ending, ...]


def seeds(name: str, questions: Questions) -> list[Answer]:
    """LLMDebugger's programs of three models for HumanEval or MBPP, with the set's own tests."""
    return [
        Answer(
            f"{model} {row['task_id']}",
            questions[row["task_id"].removeprefix("MBPP/")],
            fenced(row["solution"]),
            ("right",) if row["is_solved"] else ("wrong", "timeout"),
        )
        for model in SEEDS
        for row in map(json.loads, (DATA / "llmdebugger_seeds" / f"{name}_seed_{model}.jsonl").open())
    ]


def passes(questions: Questions) -> list[Answer]:
    """LiveCodeBench's answers that passed all its tests, with the public ones."""
    return [_answer(run, row, questions[row["question_id"]], "right") for run, row, bad in _runs(questions) if not bad]


def failures(questions: Questions) -> list[Answer]:
    """Its answers that failed at a test that was recorded, with that test."""
    return [
        _answer(run, row, question, ENDINGS[failure["error_code"]])
        for run, row, failure in _runs(questions)
        if "inputs" in failure
        and (question := _with_test(questions[row["question_id"]], row, failure["inputs"], failure["expected"]))
    ]


def results(questions: Questions) -> list[Answer]:
    """Its programs that printed another result, with that test and the very result as the expected one.

    Of functions the arguments were recorded after the call, which may have changed them.
    """
    return [
        _answer(run, row, question, "right")
        for run, row, failure in _runs(questions)
        if "output" in failure
        and not row["starter_code"]
        and (question := _with_test(questions[row["question_id"]], row, failure["inputs"], failure["output"]))
    ]


def judged(answers: Sequence[Answer], workers: int = 1) -> list[Ending]:
    """How each answer does here, by the path of an evaluation."""
    with Judge(VerifierConfig(code=CodeConfig(workers=workers))) as judge:
        judge.require([each.question for each in answers])
        verdicts = judge.submit([(each.question, each.text) for each in answers]).result()
    return [_ending(verdict) for verdict in verdicts]


def _ending(verdict: Fields) -> Ending:
    if verdict["correct"]:
        return "right"
    endings: Mapping[str, Ending] = {"timeout": "timeout", "error": "error"}
    return endings.get(verdict["status"], "wrong")


def _answer(run: str, row: Fields, question: Question, ending: Ending) -> Answer:
    return Answer(f"{run} {row['question_id']}", question, row["output_list"][0], (ending,))


def _runs(questions: Questions) -> Iterator[tuple[str, Fields, Fields]]:
    """Each run's name, its rows of these questions, and how each failed ({} where it passed)."""
    for run in RUNS:
        with gzip.open(DATA / "livecodebench_rollouts" / f"{run}_eval_all.json.gz", "rt") as file:
            rows = json.load(file)
        for row in rows:
            if row["question_id"] in questions:
                yield run, row, {} if row["graded_list"][0] else json.loads(row["metadata"][0])


def _with_test(question: Question, row: Fields, given: str, wanted: str) -> Question | None:
    """The question with one recorded test in the place of its own; None: it was not recorded whole."""
    if CUT in given or CUT in wanted:
        return None
    test = {"input": given, "output": wanted, "testtype": "stdin"}
    if row["starter_code"]:
        try:
            arguments = [json.dumps(each) for each in ast.literal_eval(given)]
        except (ValueError, SyntaxError):
            return None
        test = {"input": "\n".join(arguments), "output": json.dumps(_value(wanted)), "testtype": "functional"}
    record = SourceRow("a recorded test", {**row, "public_test_cases": json.dumps([test]), "metadata": ""})
    return replace(question, ground_truth=find_set("livecodebench").read(record).answer)


def _value(text: str) -> object:
    """The value whose text was recorded; of a text itself it is the text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
