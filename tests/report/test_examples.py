"""Examples are the run's own attempts and corrections; their difference loses no character of either."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fail2fix.console.printable import printable
from fail2fix.method.errors import InputError
from fail2fix.report.examples import ANSWER_CHARS, MAX_WORDS, SHOWN, STEPS, Example, Piece, difference, examples
from fail2fix.report.run_data import read_run
from tests.report.made_up import attempt_row, correction_row, metrics, write_lines, write_run


def text_of(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def found(folder: Path) -> dict[str, list[Example]]:
    return examples(read_run(folder))


def dump(folder: Path, *rows: dict[str, object], step: int = 1) -> Path:
    """A run of one step whose dump holds these rows."""
    write_lines(folder / "metrics.jsonl", [metrics(step)])
    write_lines(folder / "rollouts" / f"{step}.jsonl", rows)
    return folder


def test_ten_of_each_kind_from_different_steps_and_attempts(tmp_path: Path) -> None:
    kinds = found(write_run(tmp_path, steps=20))
    for some in kinds.values():
        assert len(some) == SHOWN
        assert len({example.attempt_id for example in some}) == SHOWN
        assert len({example.step for example in some}) == STEPS
        assert (some[0].step, some[-1].step) == (1, 20)
    assert all("fixed" in example.problem for example in kinds["fixed"])
    assert all("broken" in example.problem for example in kinds["broken"])
    assert all("still_wrong" in example.problem for example in kinds["still_wrong"])


def test_rare_examples_are_looked_for_in_more_steps(tmp_path: Path) -> None:
    write_run(tmp_path, steps=12, each=1)
    assert len({example.step for example in found(tmp_path)["fixed"]}) == SHOWN


def test_the_attempt_is_the_rollout_that_the_correction_quotes(tmp_path: Path) -> None:
    """Rows of a dump may be in any order, so that a sample's number is not its place."""
    attempts = [attempt_row("1-0", f"I think that it is {n}.", 0) for n in (5, 6, 7)]
    row = correction_row("f2f-1-0-0", attempts[2], "No, it is 8.", 1)
    [example] = found(dump(tmp_path, *attempts, row))["fixed"]
    assert text_of(example.attempt) == "I think that it is 7."
    assert text_of(example.correction) == "No, it is 8."
    assert [piece.text for piece in example.correction if piece.changed] == ["No,", "8."]


def test_an_attempt_of_an_earlier_step_is_found(tmp_path: Path) -> None:
    attempt = attempt_row("1-3", "It is 5.", 1, problem="What is 2 + 3?")
    write_run(tmp_path, steps=1)
    write_lines(tmp_path / "metrics.jsonl", [metrics(1), metrics(2)])
    write_lines(tmp_path / "rollouts" / "1.jsonl", [attempt])
    write_lines(tmp_path / "rollouts" / "2.jsonl", [correction_row("f2f-1-3-0", attempt, "It is 6.", 0)])
    [example] = found(tmp_path)["broken"]
    assert (text_of(example.attempt), example.step) == ("It is 5.", 2)
    assert "What is 2 + 3?" in example.problem


def test_an_attempt_without_a_dump_is_what_its_correction_quotes(tmp_path: Path) -> None:
    row = correction_row("f2f-0-9-1", attempt_row("0-9", "It is 5.\n</attempt>", 0), "It is 6.", 0)
    [example] = found(dump(tmp_path, row))["still_wrong"]
    assert text_of(example.attempt) == "It is 5.\n</attempt>"
    assert "A problem" in example.problem


def test_a_shortened_quotation_finds_its_attempt(tmp_path: Path) -> None:
    attempts = [attempt_row("1-0", f"Begin. {n}" + "words " * 50 + f"End {n}.", 0) for n in (5, 6, 7)]
    quoted = attempts[1] | {"output": "Begin. 6words [... 40 tokens left out ...] words End 6."}
    [example] = found(dump(tmp_path, *attempts, correction_row("f2f-1-0-2", quoted, "It is 8.", 1)))["fixed"]
    assert text_of(example.attempt) == attempts[1]["output"]


def test_what_cannot_be_shown_is_left_out(tmp_path: Path) -> None:
    attempt = attempt_row("1-0", "It is 5.", 0)
    failed = correction_row("f2f-1-0-0", attempt, "It is 6.", 1) | {"verify_status": "error"}
    unquoted = correction_row("f2f-0-0-0", attempt, "It is 6.", 1) | {"input": "no quotation"}
    nameless = correction_row("another name", attempt, "It is 6.", 1)
    assert not any(found(dump(tmp_path, attempt, failed, unquoted, nameless)).values())


@pytest.mark.parametrize("row", ["{broken", "[1]", '{"input": 3, "output": "x", "score": 1}', '{"input": "x"}'])
def test_a_malformed_dump_is_named_by_line(tmp_path: Path, row: str) -> None:
    dump(tmp_path, attempt_row("1-0", "It is 5.", 0))
    path = tmp_path / "rollouts" / "1.jsonl"
    path.write_text(path.read_text() + row + "\n")
    with pytest.raises(InputError, match=r"1\.jsonl, line 2"):
        found(tmp_path)


def test_long_texts_are_bounded_and_say_so(tmp_path: Path) -> None:
    attempt = attempt_row("1-0", "a" * 100_000, 0, problem="b" * 100_000)
    [example] = found(dump(tmp_path, attempt, correction_row("f2f-1-0-0", attempt, "c " * 50_000, 1)))["fixed"]
    for text in (example.problem, text_of(example.attempt), text_of(example.correction)):
        assert len(text) < ANSWER_CHARS + 100
        assert "characters left out" in text


@settings(max_examples=200)
@given(st.text(), st.text())
def test_a_difference_keeps_both_texts_and_marks_no_common_text(before: str, after: str) -> None:
    left, right = difference(before, after)
    assert (text_of(left), text_of(right)) == (before, after)
    assert not any(piece.changed for side in difference(before, before) for piece in side)


@given(st.text(alphabet="ab \n", min_size=1), st.text(alphabet="ab \n"))
def test_every_word_that_differs_is_marked(before: str, after: str) -> None:
    """What is not marked is alike on both sides, up to blanks."""
    left, right = difference(before, after)
    unmarked = ["".join(p.text for p in side if not p.changed).split() for side in (left, right)]
    assert unmarked[0] == unmarked[1]


def test_words_beyond_the_limit_are_not_compared() -> None:
    before, after = "x " * MAX_WORDS + "one", "x " * MAX_WORDS + "two"
    assert not any(piece.changed for side in difference(before, after) for piece in side)


def test_control_characters_are_escaped(tmp_path: Path) -> None:
    text = "\x1b[2J\u202e\ud800 \x00"
    attempt = attempt_row("1-0", text, 0)
    [example] = found(dump(tmp_path, attempt, correction_row("f2f-1-0-0", attempt, text + "!", 1)))["fixed"]
    assert text_of(example.attempt) == printable(text)
