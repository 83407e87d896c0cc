"""Records of hand-made run folders."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fail2fix.compare.plan import Fingerprint
from fail2fix.compare.records import counts, make_record, read_record, write_record
from fail2fix.method.errors import InputError
from tests.compare.run_folder import ledger_row, write_lines, write_run

FINGERPRINT = Fingerprint("cipo", 2, 400, ("a=1",), "0.1.0")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_run(tmp_path / "run")
    return tmp_path / "run"


def correction(attempt: int, attempt_correct: bool, correct: bool, **changes: Any) -> dict[str, Any]:
    row = {"problem": f"p{attempt // 2}", "attempt_id": f"a{attempt}", "attempt_correct": attempt_correct}
    return row | {"correct": correct} | changes


def test_a_record_has_every_validated_step_with_its_ledger(folder: Path) -> None:
    record = make_record(folder, FINGERPRINT)
    assert [point.step for point in record.points] == [0, 2, 4]
    assert [point.ledger["total/rollouts"] for point in record.points] == [0, 200, 400]
    assert record.points[1].ledger["correction/generated_tokens"] == 500
    assert record.points[1].metrics == {"val-core/fake/acc/mean@4": 0.5, "fail2fix/held_out/fix_rate": 0.25}
    assert record.ledger["problems"] == 32
    assert (record.first.step, record.last.step) == (0, 4)
    assert record.name == "cipo-seed2"


def test_accuracy_and_counts_by_hand(folder: Path) -> None:
    rows = [{"input": "x", "score": 1.0}, {"input": "x", "score": 0.5}, {"input": "y", "score": 0.0, "acc": 1.0}]
    rows.append({"input": "z", "score": 0.0, "verify_status": "error"})
    write_lines(folder / "validation" / "4.jsonl", rows)
    record = make_record(folder, FINGERPRINT)
    assert list(record.last.problems.values()) == [(1, 2), (1, 1), (0, 1)]
    assert record.points[-1].accuracy == pytest.approx((0.5 + 1 + 0) / 3)
    assert record.points[-1].verifier_errors == 1


def test_corrections_are_counted_by_attempt_and_by_problem(folder: Path) -> None:
    rows = [
        correction(0, True, True),
        correction(0, True, False),
        correction(1, False, True),
        correction(1, False, False, status="error"),
        correction(2, False, False, status="error"),
        correction(3, False, False),
    ]
    write_lines(folder / "held_out_corrections" / "4.jsonl", rows)
    record = make_record(folder, FINGERPRINT)
    attempts = record.last.attempts
    assert attempts is not None
    assert [attempt_id for _, attempt_id, _ in attempts] == ["a0", "a1", "a2", "a3"]
    assert list(attempts.values()) == [(1, 2), (1, 1), (0, 0), (0, 1)]
    assert list(counts(attempts, of_correct=True).values()) == [(1, 2)]  # one of two broken
    assert list(counts(attempts, of_correct=False).values()) == [(1, 1), (0, 1)]
    last = record.points[-1]
    assert (last.fix_rate, last.break_rate, last.verifier_errors) == (0.5, 0.5, 2)


def test_copies_are_answers_of_wrong_attempts_given_again(folder: Path) -> None:
    answers = [(0, True, "5", "5"), (1, False, "6", "6"), (1, False, "6", "5"), (3, False, "", "")]
    rows = [correction(n, ok, False, attempt_answer=before, answer=after) for n, ok, before, after in answers]
    rows.append(correction(3, False, False, attempt_answer="7", answer="7", status="error"))
    write_lines(folder / "held_out_corrections" / "4.jsonl", rows)
    copied = make_record(folder, FINGERPRINT).last.copied
    assert copied is not None
    assert list(copied.values()) == [(1, 2), (0, 1)]
    del rows[0]["answer"]
    write_lines(folder / "held_out_corrections" / "4.jsonl", rows)
    assert make_record(folder, FINGERPRINT).last.copied is None


def test_a_record_without_later_measures_is_read_and_has_none(folder: Path, tmp_path: Path) -> None:
    write_record(tmp_path / "record.json", make_record(folder, FINGERPRINT))
    parts = json.loads((tmp_path / "record.json").read_text())
    for part in (parts["first"], parts["last"]):
        del part["copied"], part["own"]
    for point in parts["points"]:
        del point["revised"]
    (tmp_path / "record.json").write_text(json.dumps(parts))
    record = read_record(tmp_path / "record.json")
    assert (record.last.copied, record.last.own, record.points[-1].revised) == (None, None, None)


def test_a_run_without_held_out_corrections_has_no_rates(folder: Path) -> None:
    for path in (folder / "held_out_corrections").iterdir():
        path.unlink()
    record = make_record(folder, FINGERPRINT)
    assert record.last.attempts is None
    assert record.points[-1].fix_rate is None


def test_a_record_is_read_as_it_was_written(folder: Path, tmp_path: Path) -> None:
    record = make_record(folder, FINGERPRINT)
    write_record(tmp_path / "runs" / "cipo-seed2.json", record)
    assert read_record(tmp_path / "runs" / "cipo-seed2.json") == record
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["cipo-seed2.json"]


def test_a_record_needs_nothing_of_the_run_folder(folder: Path, tmp_path: Path) -> None:
    write_record(tmp_path / "record.json", make_record(folder, FINGERPRINT))
    text = (tmp_path / "record.json").read_text()
    assert str(tmp_path) not in text
    assert "/home/me" not in text  # the command's paths
    assert json.loads(text)["versions"]["platform"] == "fake"


def without_ledger(folder: Path) -> None:
    write_lines(folder / "metrics.jsonl", [{"step": step} for step in range(5)])


def not_validated_at_the_end(folder: Path) -> None:
    write_lines(folder / "metrics.jsonl", [ledger_row(step, 100) for step in range(6)])


def step_missing(folder: Path) -> None:
    write_lines(folder / "metrics.jsonl", [ledger_row(step, 100) for step in (0, 1, 3, 4)])


def never_validated(folder: Path) -> None:
    for path in (folder / "validation").iterdir():
        path.unlink()


def no_versions(folder: Path) -> None:
    (folder / "versions.json").unlink()


def malformed_correction(folder: Path) -> None:
    write_lines(folder / "held_out_corrections" / "4.jsonl", [correction(0, True, True) | {"correct": "yes"}])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without_ledger, r"metrics\.jsonl: step 0 has no 'fail2fix/ledger/total/rollouts'$"),
        (not_validated_at_the_end, "run: trained to step 5, last validated at step 4: "),
        (step_missing, r"metrics\.jsonl: no line for step 2, which was validated$"),
        (never_validated, "validation: no <step>.jsonl in it"),
        (no_versions, r"versions\.json: cannot be read"),
        (malformed_correction, r"4\.jsonl, line 1: 'correct' is 'yes', not true or false$"),
    ],
)
def test_what_is_missing_is_named_in_one_line(folder: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(folder)
    with pytest.raises(InputError, match=message) as caught:
        make_record(folder, FINGERPRINT)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "not an object"),
        ("{}", "not a record of format 1"),
        ('{"format": 1}', r"not a whole record \(KeyError: 'fingerprint'\)"),
    ],
)
def test_what_is_no_record_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(InputError, match=f"^{path}: {message}"):
        read_record(path)
