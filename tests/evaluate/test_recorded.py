"""Given real answers that others have judged, our verdicts are theirs, but for those in `recorded_exceptions.json`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest

from fail2fix.data.prepare.command import prepare
from fail2fix.data.sets import find_set
from fail2fix.evaluate.questions import read_questions
from fail2fix.method.errors import InputError
from tests.evaluate.recorded import Answer, Questions, failures, judged, passes, results, seeds
from tests.shared import DATA

EXCEPTIONS: Mapping[str, Mapping[str, str]] = json.loads(
    Path(__file__).with_name("recorded_exceptions.json").read_text()
)
"""{recording: {answer: why our verdict is another one, or may be}}"""

MOST = 0.02
"""Of a recording's answers, so many at most are exceptions."""

RECORDINGS: Mapping[str, tuple[str, int, Callable[[Questions], list[Answer]]]] = {
    "humaneval": ("humaneval", 492, partial(seeds, "humaneval")),
    "mbpp": ("mbpp", 1500, partial(seeds, "mbpp")),
    "livecodebench passes": ("livecodebench", 1452, passes),
    "livecodebench failures": ("livecodebench", 2118, failures),
    "livecodebench results": ("livecodebench", 1100, results),
}
"""{recording: its set, how many answers it has, and how to read them}"""

LARGE = [name for name, (chosen, _, _) in RECORDINGS.items() if chosen == "livecodebench"]

SAMPLE = 12
"""Answers of a recording that are judged by default."""

Read = Callable[[str], list[Answer]]


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    """Reads a recording's answers to questions of the prepared set."""
    folder = tmp_path_factory.mktemp("data")

    def answers(recording: str) -> list[Answer]:
        name, _, answers_of = RECORDINGS[recording]
        path = folder / name / "test.parquet"
        if not path.is_file():
            prepare(find_set(name), path.parent, DATA)
        return answers_of({question.id: question for question in read_questions(path)})

    return answers


def differing(answers: Sequence[Answer]) -> dict[str, str]:
    """{answer: how it did here}, of those for which others say otherwise."""
    try:
        endings = judged(answers)
    except InputError as error:
        pytest.skip(str(error))
    pairs = zip(answers, endings, strict=True)
    return {answer.id: ending for answer, ending in pairs if ending not in answer.endings}


@pytest.mark.needs_shared
@pytest.mark.heavy
@pytest.mark.parametrize("recording", RECORDINGS)
def test_exceptions_are_few(read: Read, recording: str) -> None:
    answers = read(recording)
    assert len(answers) == RECORDINGS[recording][1]
    assert EXCEPTIONS[recording].keys() <= {answer.id for answer in answers}
    assert len(EXCEPTIONS[recording]) <= MOST * len(answers)


@pytest.mark.needs_shared
@pytest.mark.heavy
@pytest.mark.parametrize("recording", RECORDINGS)
def test_some_recorded_verdicts_are_ours(read: Read, recording: str) -> None:
    answers = read(recording)
    found = differing(answers[:: len(answers) // SAMPLE])
    assert {key: how for key, how in found.items() if key not in EXCEPTIONS[recording]} == {}


@pytest.mark.needs_shared
@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("recording", RECORDINGS)
def test_every_recorded_verdict_is_ours(read: Read, recording: str) -> None:
    found = differing(read(recording))
    assert {key: how for key, how in found.items() if key not in EXCEPTIONS[recording]} == {}
