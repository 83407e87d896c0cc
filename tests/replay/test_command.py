"""The files of decisions and the command on them: damage is refused, texts stay texts, the sample explains itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fail2fix.method.errors import InputError
from fail2fix.replay.__main__ import SAMPLE, main
from fail2fix.replay.decide import differences, replayed
from fail2fix.replay.decisions import (
    RecordedStep,
    as_values,
    checksum_of,
    decisions_file,
    read_decisions,
    read_step,
    write_decisions,
)
from fail2fix.replay.texts import WIDTH
from fail2fix.run.config import Fail2FixConfig
from tests.replay import made_up

SAMPLE_STEPS = read_decisions(SAMPLE)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for step in made_up.recorded_run(made_up.settings(), 3):
        write_decisions(tmp_path, step)
    return tmp_path


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a file's values, with a checksum that fits."""
    body = json.loads(path.read_text())
    del body["checksum"]
    change(body)
    path.write_text(json.dumps({"checksum": checksum_of(body)} | body))


def output(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    assert main([str(word) for word in words]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """The one line on stderr of a call that ends in status 2."""
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


# ------------------------------------------------------------------------------------------------ files


@pytest.mark.parametrize("online", [True, False])
def test_a_step_is_read_as_it_was_written(tmp_path: Path, online: bool) -> None:
    (step,) = made_up.recorded_run(made_up.settings(), 1, online=online)
    write_decisions(tmp_path, step)
    assert as_values(read_step(decisions_file(tmp_path, 1))) == as_values(step)


def test_a_step_without_corrections_is_read_and_replayed(tmp_path: Path) -> None:
    (step,) = made_up.recorded_run(made_up.settings(), 1)
    write_decisions(
        tmp_path, replace(step, pool=[], chosen=[], wanted_correct=0, attempt_plain=np.zeros(0), correction=None)
    )
    (again,) = replayed(read_decisions(tmp_path), [])
    assert list(differences(again)) == []
    assert again.replay.next_state == again.run.state


@pytest.fixture(scope="module")
def one_step(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run of one step, and the text of its file."""
    folder = tmp_path_factory.mktemp("one")
    write_decisions(folder, made_up.recorded_run(made_up.settings(), 1)[0])
    return folder, decisions_file(folder, 1).read_text()


@given(data=st.data())
def test_a_changed_digit_is_refused(one_step: tuple[Path, str], data: st.DataObject) -> None:
    folder, text = one_step
    place = data.draw(st.sampled_from([i for i, c in enumerate(text) if c.isdigit()]))
    changed_text = text[:place] + str((int(text[place]) + 1) % 10) + text[place + 1 :]
    with suppress(json.JSONDecodeError):  # a number with a leading zero
        assume(json.loads(changed_text) != json.loads(text))  # the last digit of a float may say nothing
    decisions_file(folder, 1).write_text(changed_text)
    with pytest.raises(InputError, match=r"1\.json"):
        read_decisions(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body["correction"]["advantage"].__setitem__(0, 9.0),
        lambda body: body["chosen"].reverse() or body["correction"],
        lambda body: body.__setitem__("wanted_correct", 8),
        lambda body: body["ratio"].__setitem__("rho", 0.79),
    ],
)
def test_a_change_that_keeps_the_checksum_is_seen(
    run: Path, capsys: pytest.CaptureFixture[str], change: Callable[[dict[str, Any]], object]
) -> None:
    changed(decisions_file(run, 2), change)
    assert main([str(run)]) == 1
    told = capsys.readouterr()
    assert "do not reproduce" in told.out
    assert told.err.startswith("step 2: ")


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.__setitem__("schema", 2),
        lambda body: body.pop("pool"),
        lambda body: body["chosen"].append([99, 0]),
        lambda body: body["chosen"].__setitem__(0, [99, 0]),
        lambda body: body["base"]["reward"].pop(),
        lambda body: body["correction"].__setitem__("group_size", 0),
        lambda body: body["pool"][0].__setitem__("content", ["zz"]),
        lambda body: body["settings"]["risk"].__setitem__("penalty", "\x1b[2J"),
        lambda body: body.__setitem__("base", [[[]]]),
        lambda body: body.__setitem__("step", None),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_in_one_line(
    run: Path, capsys: pytest.CaptureFixture[str], change: Callable[[dict[str, Any]], object]
) -> None:
    changed(decisions_file(run, 2), change)
    line = refused(capsys, run)
    assert "2.json" in line
    assert line.isprintable()


@pytest.mark.parametrize("text", ["", "{", "[" * 10**5, "[]", "null", '{"checksum": 1}', "\ud800"])
def test_a_file_that_is_no_record_is_refused_in_one_line(
    run: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    decisions_file(run, 2).write_bytes(text.encode("utf-8", "surrogatepass"))
    assert "2.json" in refused(capsys, run)


def test_a_run_of_an_older_version_gets_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rollouts").mkdir()
    (tmp_path / "rollouts" / "1.jsonl").write_text("{}\n")
    assert "older runs cannot be replayed" in refused(capsys, tmp_path)
    assert "no such run folder" in refused(capsys, tmp_path / "none")


def test_a_step_that_did_not_finish_is_left_out(run: Path) -> None:
    (run / "metrics.jsonl").write_text('{"step": 0}\n{"step": 1}\n{"step": 2}\n')
    assert [step.step for step in read_decisions(run)] == [1, 2]


@pytest.fixture
def papers_sizes(monkeypatch: pytest.MonkeyPatch) -> Fail2FixConfig:
    """1,024 base rollouts and 1,024 corrections."""
    for name, size in (("PROBLEMS", 128), ("ROLLOUTS", 8), ("ATTEMPTS", 128), ("CORRECTIONS", 8)):
        monkeypatch.setattr(made_up, name, size)
    return made_up.settings()


def test_a_step_of_the_papers_sizes_is_a_small_file(tmp_path: Path, papers_sizes: Fail2FixConfig) -> None:
    write_decisions(tmp_path, made_up.recorded_run(papers_sizes, 1)[0])
    assert decisions_file(tmp_path, 1).stat().st_size < 250_000


def test_a_step_of_the_papers_sizes_is_explained_in_short_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], papers_sizes: Fail2FixConfig
) -> None:
    write_decisions(tmp_path, made_up.recorded_run(papers_sizes, 1)[0])
    told = output(capsys, tmp_path, "--explain")
    assert "116 more problems are not listed" in told
    assert told.count("\n") < 150


# ---------------------------------------------------------------------------------------------- command


def test_the_recorded_sample_is_reproduced_exactly() -> None:
    for step in replayed(SAMPLE_STEPS, []):
        assert list(differences(step)) == []
        assert step.replay.advantage.tobytes() == step.run.advantage.tobytes()


def test_half_correct_attempts_are_compared_in_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    told = output(capsys, "fail2fix.ratio.initial=.5")
    assert "recorded settings reproduce" in told
    for words in ("correct among them", "chosen by both", "fixed", "broken", "idle groups", "broken : fixed"):
        assert words in told


@pytest.mark.parametrize("columns", [30, 40, 80])
def test_a_narrow_terminal_splits_no_number(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    wide = output(capsys, "fail2fix.ratio.initial=.5")
    monkeypatch.setenv("COLUMNS", str(columns))
    narrow = output(capsys, "fail2fix.ratio.initial=.5")
    numbers = [
        set(re.findall(r"(?<!\S)[\d./]+(?!\S)", told[told.index("step ") : told.index("Attempts")]))
        for told in (wide, narrow)
    ]
    assert {"0.30", "0.06", "3/6", "5/6"} < numbers[0] == numbers[1]


@pytest.mark.parametrize("rule", ["nothing", "a_list", "foreign_attempts", "plain_counts", "fails"])
def test_a_rule_of_one_s_own_that_returns_a_wrong_value_is_one_line(
    run: Path, capsys: pytest.CaptureFixture[str], rule: str
) -> None:
    word = f"fail2fix.replay.rule=tests.replay.made_up.{rule}"
    if rule == "plain_counts":  # this one can be used
        assert "The rule" in output(capsys, run, "--explain", word)
        return
    line = refused(capsys, run, word)
    assert line.startswith(f"replay: error: step 1: {word} fails, or returns a wrong value (")


def test_the_sample_is_explained_from_attempts_to_the_next_ratio(capsys: pytest.CaptureFixture[str]) -> None:
    told = output(capsys, "--explain")
    headings = ["The attempts", "What is wanted", "What is chosen", "What the corrections earned", "The next step"]
    assert [told.index(heading) for heading in headings] == sorted(told.index(heading) for heading in headings)


def test_an_explanation_says_which_attempts_were_never_corrected(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = output(capsys, run, "--explain", "--step", "2", "fail2fix.ratio.initial=.8")
    assert "never corrected" in told
    assert "no such step; there are 1, 2, 3" in refused(capsys, run, "--explain", "--step", "9")


def test_json_has_both_sides_of_every_step(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(output(capsys, run, "--json", "fail2fix.correction.weight=2"))
    assert found["reproduced"]
    assert [step["step"] for step in found["steps"]] == [1, 2, 3]
    for step in found["steps"]:
        assert step["replay"]["pulls"]["fixed"] == pytest.approx(2 * step["run"]["pulls"]["fixed"])


HOSTILE = (
    "\x1b[2J\x1b]0;x\x07[red]",
    "[/bold]" * 99,
    "\r\n" * 50 + "+",
    "\u202e" * 9 + "</table>",
    "a" * 10**4,
    pytest.param("a" * 10**6, marks=pytest.mark.heavy),
    "\x00\u2028",
)


def dump_texts(run: Path, step: RecordedStep, text: str) -> None:
    """A dump of rollouts in which every text is ``text``."""
    rows = [{"input": text, "output": text, "pred": text, "gts": text, "verdict": int(v)} for v in step.base.correct]
    assert step.correction is not None
    rows += [{"input": text, "pred": text, "verdict": int(v)} for v in step.correction.correct]
    (run / "rollouts").mkdir(exist_ok=True)
    (run / "rollouts" / f"{step.step}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_stay_texts(run: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    step = read_decisions(run)[0]
    dump_texts(run, step, "x" * WIDTH)
    plain = output(capsys, run, "--explain", "--step", "1")
    dump_texts(run, step, text)
    told = output(capsys, run, "--explain", "--step", "1")
    assert all(line.isprintable() for line in told.split("\n"))
    assert len(told) < 2 * len(plain)
    assert told.count("\n1. ") == told.count("\n6. ") == 1


def test_a_line_that_is_being_written_is_no_finished_step(run: Path) -> None:
    (run / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"step": 3, "fail2f')
    assert [step.step for step in read_decisions(run)] == [1, 2]


def test_a_run_s_folder_may_have_an_equals_sign(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As folders of sweeps do."""
    sweep = run.with_name("lr=1e-6")
    run.rename(sweep)
    assert "reproduce 3 steps" in output(capsys, sweep, "fail2fix.risk.penalty=2")


@pytest.mark.parametrize("words", [["--step", "2"], ["--step", "2", "--json"], ["--explain", "--json"]])
def test_options_without_an_effect_are_refused(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert refused(capsys, *words).startswith("replay: error: ")


def test_other_rollouts_than_the_recorded_ones_are_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, _ = read_decisions(run)
    dump_texts(run, first, "x")
    (run / "rollouts" / "1.jsonl").rename(run / "rollouts" / "2.jsonl")
    assert f"decisions/{second.step}.json" in refused(capsys, run, "--explain", "--step", "2")
