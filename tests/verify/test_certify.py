"""The certificate's figures, its exit status, and one clear line for bad input."""

from __future__ import annotations

import gzip
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fail2fix.data.rows import write_parquet
from fail2fix.method.errors import InputError
from fail2fix.verify.attacks.corpus import Attack, corpus, drawn
from fail2fix.verify.certify import __main__ as certify
from fail2fix.verify.certify import peers
from fail2fix.verify.certify.figures import confusion, latency, respelled
from fail2fix.verify.certify.respellings import Respelling, figures_of
from fail2fix.verify.certify.rows import TruthRow, read_truth
from fail2fix.verify.verifier import Verdict

ROWS: list[dict[str, Any]] = [
    {"id": "a", "gold": "7", "response": r"So \boxed{7}.", "equal": True},
    {"id": "b", "gold": "7", "response": r"So \boxed{8}.", "equal": False},
    {"id": "c", "gold": ["1", "2"], "pred": r"\boxed{2, 1}", "equal": True},
    {"gold": "x+1", "pred": r"\boxed{1+x}", "equal": False},
    {"gold": "7", "pred": None, "equal": False},
]
HEDGE = Attack("a:1", "hedge", "7", r"\boxed{7} or \boxed{8}")
PAID = Attack("a:2", "honest", "7", r"\boxed{7}")


def write(path: Path, rows: list[Any]) -> Path:
    text = "\n".join(json.dumps(row) for row in rows) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_rows_are_read_plain_and_gzipped(tmp_path: Path, name: str) -> None:
    rows = read_truth(write(tmp_path / name, ROWS))
    assert rows[0] == TruthRow("a", "7", r"So \boxed{7}.", True)
    assert rows[2].gold == "1, 2"
    assert rows[3].id == "line 4"
    assert rows[4].text == ""


BAD: list[tuple[list[Any], str]] = [
    ([ROWS[0], {"gold": "7", "pred": "7"}], r"line 2: `equal` must be true or false"),
    ([ROWS[0], {"gold": 7, "pred": "7", "equal": True}], r"line 2: `gold` must be a text, got 7"),
    ([{"gold": "7", "equal": True}], r"line 1: `pred` must be a text"),
    ([{"gold": '{"answer": "x", "tolerance": 1}', "pred": "7", "equal": True}], "line 1: `gold` a tolerance, and"),
    ([{"gold": "", "pred": "7", "equal": False}], "line 1: `gold` is empty"),
    ([["7"]], r"line 1: not a JSON object"),
    ([], "holds no row"),
]


def test_answers_are_read_in_a_box_where_one_is_declared(tmp_path: Path) -> None:
    rows = [{"gold": "7", "pred": "7", "equal": True}, {"gold": "7", "response": "It is 7.", "equal": True}]
    path = write(tmp_path / "rows.jsonl", rows)
    assert [row.text for row in read_truth(path, boxed=True)] == [r"\boxed{7}", "It is 7."]
    assert [row.text for row in read_truth(path)] == ["7", "It is 7."]


@pytest.mark.parametrize(("rows", "said"), BAD)
def test_bad_rows_are_named(tmp_path: Path, rows: list[Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read_truth(write(tmp_path / "bad.jsonl", rows))
    assert "bad.jsonl" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_input_is_one_line_and_exit_status_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "torn.jsonl").write_text('{"gold": "7"\n')
    for words in (
        [str(tmp_path / "torn.jsonl")],
        [str(tmp_path / "none.jsonl")],
    ):
        assert certify.main([*words, "--out", str(tmp_path / "out")]) == 2
        errors = capsys.readouterr().err.strip().splitlines()
        assert len(errors) == 1
        assert errors[0].startswith("certify: error: ")
        assert not (tmp_path / "out").exists()
    with pytest.raises(SystemExit, match="2"):
        certify.main(["--against", "nobody"])


def test_nothing_to_judge_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        certify.main(["--no-attacks", "--out", str(tmp_path / "out")])
    assert capsys.readouterr().err.splitlines() == [
        "certify: error: --no-attacks and no truth set: there is nothing to judge; name a FILE"
    ]
    assert not (tmp_path / "out").exists()


def test_the_help_says_what_is_read_written_and_returned(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        certify.main(["--help"])
    said = capsys.readouterr().out
    assert [
        word for word in ("gold", "response", "pred", "equal", "Exit status", "outputs/certificate") if word not in said
    ] == []
    example = next(line for line in said.splitlines() if line.strip().startswith("echo"))
    assert json.loads(example.split("'")[1])["response"] == r"So it is \boxed{0.5}."


@pytest.mark.parametrize("out", ["rows.jsonl", "rows.jsonl/out"])
def test_a_file_where_the_folder_should_be_is_said_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], out: str
) -> None:
    monkeypatch.setattr(certify, "judge_one_by_one", None)
    truth = write(tmp_path / "rows.jsonl", ROWS)
    assert certify.main([str(truth), "--no-attacks", "--out", str(tmp_path / out)]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("certify: error: --out ")
    assert errors.count("\n") == 1


def test_a_certificate_counts_what_it_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(certify, "corpus", lambda _: [HEDGE])
    monkeypatch.setitem(peers.PEERS, "hanging", f"{__name__}:hanging")
    words = [str(write(tmp_path / "rows.jsonl", ROWS)), "--out", str(tmp_path), "--workers", "1", "--deadline", "20"]
    words += ["--against", "hanging"]
    assert certify.main(words) == 0
    certificate = json.loads((tmp_path / "certificate.json").read_text())
    figures = certificate["truth"]["rows.jsonl"]
    assert figures["ours"]["confusion"] == {
        "true_accepts": 2, "false_accepts": 1, "false_rejects": 0, "true_rejects": 2,
    }  # fmt: skip
    assert figures["ours"]["statuses"] == {"ok": 4, "no_answer": 1}
    assert [row["id"] for row in figures["ours"]["wrong"]] == ["line 4"]
    theirs = figures["peers"]["hanging"]
    assert (theirs["statuses"], theirs["confusion"]["true_accepts"]) == ({"ok": 5}, 0)
    assert theirs["disagreements"] == [
        {"id": "a", "label": True, "ours": True},
        {"id": "c", "label": True, "ours": True},
        {"id": "line 4", "label": False, "ours": True},
    ]
    attacks = certificate["attacks"]
    assert (attacks["late"], attacks["executed"], attacks["ours"]["wrong"]) == (0, False, [])
    assert (attacks["ours"]["rows"], attacks["peers"]["hanging"]["rows"]) == (1, 1)
    assert {"commit", "packages", "cpus", "load"} <= certificate["origin"].keys()
    text = (tmp_path / "certificate.md").read_text()
    assert text.strip() in capsys.readouterr().out
    assert "| rows.jsonl | ours | 2 | 1 | 0 | 2 |" in text
    assert "| rows.jsonl | hanging | 0 | 0 | 2 | 3 |" in text
    assert "| attacks | ours | 0 | 0 | 0 | 1 |" in text
    assert "| line 4 | false accept | `x+1` | `1+x` | ok |" in text


def test_peers_are_asked_some_attacks_of_every_category() -> None:
    attacks = corpus(Path("/nowhere"))
    some = drawn(attacks, 3)
    counted = Counter(attack.category for attack in attacks)
    assert Counter(attack.category for attack in some) == {name: min(3, count) for name, count in counted.items()}
    assert [attack for attack in attacks if attack in some] == some
    assert drawn(attacks, 3) == some
    assert drawn(attacks, len(attacks)) == attacks


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    first, second = write(tmp_path / "a.jsonl", ROWS[:1]), write(tmp_path / "other" / "a.jsonl", ROWS[:2])
    third = write(tmp_path / "b.jsonl", ROWS[:1])
    words = [str(first), str(second), str(third), str(third), "--no-attacks", "--out", str(tmp_path)]
    assert certify.main([*words, "--workers", "1", "--deadline", "20"]) == 0
    truth = json.loads((tmp_path / "certificate.json").read_text())["truth"]
    assert {name: figures["ours"]["rows"] for name, figures in truth.items()} == {
        str(first): 1,
        str(second): 2,
        "b.jsonl": 1,
    }


def test_golds_are_respelled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"reward_model": {"ground_truth": gold, "style": "rule"}} for gold in ("12", "$x+1$", r"\frac{3}{4}")]
    write_parquet(tmp_path / "train.parquet", rows)
    words = [str(tmp_path / "train.parquet"), str(write(tmp_path / "rows.jsonl", ROWS)), "--respell", "4"]
    words += ["--no-attacks", "--out", str(tmp_path), "--workers", "1", "--deadline", "20"]
    assert certify.main(words) == 0
    certificate = json.loads((tmp_path / "certificate.json").read_text())
    found = certificate["respellings"]
    assert list(certificate["truth"]) == ["rows.jsonl"]
    # Of five golds, `7` of two rows is one; labelled wrong ones are not drawn.
    assert (found["golds"], found["not_judged"]) == (4, 0)
    counts = {
        name: [sum(kind[key] for kind in found[name].values()) for key in ("tried", "wrong")]
        for name in found
        if name in ("kept", "altered")
    }
    assert counts["kept"][0] > counts["altered"][0] > 40
    assert [wrong for _, wrong in counts.values()] == [0, 0]
    assert "4 gold answers re-spelled, seed 2605, 0 not judged" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--respell", "3"], ["--respell", "-1", "FILE"]])
def test_respelling_needs_a_number_and_golds(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        certify.main(words)
    assert "--respell" in capsys.readouterr().err


def test_a_file_without_golds_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_parquet(tmp_path / "other.parquet", [{"text": "7"}])
    (tmp_path / "torn.parquet").write_text("7")
    for name in ("other", "torn", "none"):
        assert certify.main([str(tmp_path / f"{name}.parquet"), "--respell", "3", "--out", str(tmp_path / "out")]) == 2
        errors = capsys.readouterr().err.strip().splitlines()
        assert len(errors) == 1
        assert f"{name}.parquet" in errors[0]


def test_wrong_kinds_are_shown() -> None:
    tried = [Respelling("dollars", "7", "$7$", True), Respelling("one digit", "7", "8", False)]
    found = {"golds": 1, "seed": 1, "not_judged": 0} | figures_of(tried, [True, True])
    said = "\n".join(respelled(found))
    assert "0 of 1 refused (0.000 %)" in said
    assert "1 of 1 accepted (100.000 %)" in said
    assert "| altered | `one digit` | 1 | 1 | `7` | `8` |" in said


def test_ground_truths_are_judged_as_in_training(tmp_path: Path) -> None:
    gold = '{"answer": "4.2", "tolerance": 0.1}'
    rows = [{"gold": gold, "response": rf"\boxed{{{n}}}", "equal": n == 4.25} for n in (4.25, 4.4)]
    words = [str(write(tmp_path / "rows.jsonl", rows)), "--no-attacks", "--out", str(tmp_path)]
    assert certify.main([*words, "--deadline", "20"]) == 0
    ours = json.loads((tmp_path / "certificate.json").read_text())["truth"]["rows.jsonl"]["ours"]
    assert ours["wrong"] == []


def test_a_peer_is_given_the_bare_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(peers.PEERS, "hanging", f"{__name__}:hanging")
    judging = peers.ask("hanging", [("7", '{"answer": "7", "tolerance": 1}')], deadline_s=20.0)
    assert judging.verdicts == [Verdict(True)]


@pytest.mark.parametrize(("channel", "accepts"), [("auto", True), ("boxed", False), ("answer_line", True)])
def test_the_channel_is_the_users(tmp_path: Path, channel: str, accepts: bool) -> None:
    rows = [{"gold": "7", "response": "So it is.\nAnswer: 7", "equal": accepts}]
    words = [str(write(tmp_path / "rows.jsonl", rows)), "--no-attacks", "--out", str(tmp_path), "--channel", channel]
    assert certify.main([*words, "--deadline", "20"]) == 0
    certificate = json.loads((tmp_path / "certificate.json").read_text())
    assert certificate["settings"]["channel"] == channel
    assert certificate["truth"]["rows.jsonl"]["ours"]["wrong"] == []


def test_an_accepted_attack_is_exit_status_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certify, "corpus", lambda _: [HEDGE, PAID])
    assert certify.main(["--out", str(tmp_path), "--deadline", "20"]) == 1
    certificate = json.loads((tmp_path / "certificate.json").read_text())
    assert [row["id"] for row in certificate["attacks"]["ours"]["wrong"]] == ["honest, a:2"]


def test_an_executed_attack_is_exit_status_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    canary = tmp_path / "canary"
    monkeypatch.setattr(certify, "CANARY", canary)
    monkeypatch.setattr(certify, "corpus", lambda _: [HEDGE])
    judge = certify.judge_one_by_one
    monkeypatch.setattr(certify, "judge_one_by_one", lambda *words: (canary.touch(), judge(*words))[1])
    assert certify.main(["--out", str(tmp_path / "out"), "--deadline", "20"]) == 1
    assert json.loads((tmp_path / "out" / "certificate.json").read_text())["attacks"]["executed"] is True


def test_every_canary_of_the_corpus_is_the_callers() -> None:
    attacks = corpus(Path("/there"))
    assert any("/there" in attack.response for attack in attacks)
    assert not any("@CANARY@" in attack.response for attack in attacks)


def test_no_verdict_counts_as_refused() -> None:
    rows = [TruthRow("a", "7", "7", True), TruthRow("b", "7", "8", False)]
    assert confusion(rows, [Verdict(False, status="error")] * 2) == {
        "true_accepts": 0, "false_accepts": 0, "false_rejects": 1, "true_rejects": 1,
    }  # fmt: skip


def test_latency_of_one_and_of_many() -> None:
    assert latency([0.5]) == {"p50": 0.5, "p99": 0.5, "worst": 0.5}
    assert latency([float(n) for n in range(1000)]) == {"p50": 500.0, "p99": 990.0, "worst": 999.0}


def hanging(response: str, gold: str) -> bool:
    """A peer for the test below, as `module:function` names it."""
    if response == "hang":
        time.sleep(1000)
    if response == "raise":
        raise ValueError(response)
    return response == gold


def test_a_peer_that_hangs_is_killed_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(peers.PEERS, "hanging", f"{__name__}:hanging")
    judging = peers.ask("hanging", [("7", "7"), ("hang", "7"), ("raise", "7"), ("8", "7")], deadline_s=2.0)
    assert [verdict.correct for verdict in judging.verdicts] == [True, False, False, False]
    assert [verdict.status for verdict in judging.verdicts] == ["ok", "timeout", "error", "ok"]
    assert 2.0 <= judging.seconds[1] < 5.0
