"""Where rows come from, and what is said of rows, files and sets that are not as they should be."""

from __future__ import annotations

import gzip
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fail2fix.data.prepare.command import main, prepare
from fail2fix.data.prepare.sources import rows_of
from fail2fix.data.sets import all_sets, find_set
from tests.data.prepare.sets import samples

parquet = pytest.importorskip("pyarrow.parquet")

GOOD = {"question": "What is 600 + 600?", "answer": "600 + 600 = 1,200\n#### 1,200"}


def write_gsm8k(folder: Path, last: object) -> None:
    (folder / "gsm8k").mkdir(exist_ok=True)
    with gzip.open(folder / "gsm8k" / "train.jsonl.gz", "wt") as file:
        file.write(f"{json.dumps(GOOD)}\n{last if isinstance(last, str) else json.dumps(last)}\n")
    (folder / "gsm8k" / "test.jsonl").write_text(json.dumps(GOOD | {"question": "What is 700 + 500?"}))


def fails_with(capsys: pytest.CaptureFixture[str], *argv: object) -> str:
    with pytest.raises(SystemExit, match="2"):
        main([str(argument) for argument in argv])
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said.removeprefix("prepare: error: ").strip()


@pytest.mark.parametrize(
    ("last", "message"),
    [
        ({"question": "Q"}, "gsm8k: train.jsonl.gz, row 1: no column 'answer' (there are: question)"),
        ({"question": 3, "answer": "#### 3"}, "gsm8k: train.jsonl.gz, row 1: column 'question' is 3, not a text"),
        ({"question": " ", "answer": "#### 3"}, "gsm8k: train.jsonl.gz, row 1: column 'question' is ' ', not a text"),
        ({"question": "Q", "answer": None}, "gsm8k: train.jsonl.gz, row 1: column 'answer' is None, not a text"),
        ([1, 2], "gsm8k: train.jsonl.gz, row 1: not an object with columns"),
        ("{broken", "gsm8k: train.jsonl.gz, row 1: not JSON"),
    ],
)
def test_a_malformed_row_is_named_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], last: object, message: str
) -> None:
    write_gsm8k(tmp_path, last)
    assert fails_with(capsys, "gsm8k", "--out", tmp_path / "out", "--from", tmp_path).startswith(message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("form", ["lines", "every line", "list"])
def test_a_byte_order_mark_is_no_part_of_a_row(tmp_path: Path, form: str, packed: bool) -> None:
    """Editors on Windows write one at the head of a file; files that were joined have more of them."""
    rows = [json.dumps(GOOD | {"question": f"What is {n} + 1?"}) for n in range(3)]
    mark = "\ufeff"
    text = f"[{', '.join(rows)}]" if form == "list" else (f"\n{mark}" if form == "every line" else "\n").join(rows)
    content = (mark + text).encode()
    (tmp_path / "gsm8k").mkdir()
    name = ("train.json" if form == "list" else "train.jsonl") + (".gz" if packed else "")
    (tmp_path / "gsm8k" / name).write_bytes(gzip.compress(content) if packed else content)
    found = list(rows_of(find_set("gsm8k"), "train", tmp_path))
    assert [row.text("question") for row in found] == [f"What is {n} + 1?" for n in range(3)]


def test_a_row_that_cannot_be_judged_by_is_counted_in_the_card(tmp_path: Path) -> None:
    write_gsm8k(tmp_path, {"question": "Q", "answer": "it is 3"})
    made = prepare(find_set("gsm8k"), tmp_path / "out", tmp_path)
    assert made.dropped.counts["its answer does not end in '#### NUMBER'"] == 1
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["dropped"]["its answer does not end in '#### NUMBER'"]["first"] == ["gsm8k: train.jsonl.gz, row 1"]
    assert set(card["source"]) == {"train.jsonl.gz", "test.jsonl"}


def test_the_card_is_the_checksum_of_what_lies_beside_it(tmp_path: Path) -> None:
    from fail2fix.data.files import sha256

    write_gsm8k(tmp_path, {"question": "What is 2 - 5?", "answer": "#### -3"})
    for folder in ("one", "two"):
        prepare(find_set("gsm8k"), tmp_path / folder, tmp_path)
    cards = [json.loads((tmp_path / folder / "card.json").read_text()) for folder in ("one", "two")]
    assert cards[0] == cards[1], "the same rows give the same files"
    for name, digest in cards[0]["files"].items():
        assert sha256([tmp_path / "one" / name]) == digest
    answers = [
        row["reward_model"]["ground_truth"] for row in parquet.read_table(tmp_path / "one/train.parquet").to_pylist()
    ]
    assert answers == ["1200", "-3"]


def test_unknown_sets_empty_folders_and_empty_files_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fails_with(capsys, "gms8k", "--out", tmp_path).startswith(
        "'gms8k' is no set known here: use one of deepscaler"
    )
    arguments = ("aime24", "--out", tmp_path / "out", "--from", tmp_path)
    assert fails_with(capsys, *arguments).endswith("in it: check --from")
    (tmp_path / "aime24.jsonl").write_text("")
    assert fails_with(capsys, *arguments) == f"aime24: {tmp_path} has no rows in split 'train': the download is empty"
    (tmp_path / "aime24.jsonl").rename(tmp_path / "aime24.json")
    (tmp_path / "aime24.json").write_text("{}")
    assert fails_with(capsys, *arguments) == "aime24: aime24.json: not a list of rows: check --from"
    (tmp_path / "aime24.json").rename(tmp_path / "aime24.parquet")
    assert fails_with(capsys, *arguments).startswith("aime24: aime24.parquet: not a parquet file")


class Hub:
    """Stands where the hub's client does, since there is no hub here: rows as a set's schema promises, or an error."""

    def __init__(self, rows: list[dict[str, Any]] | None) -> None:
        self.rows, self.asked = rows, {}

    def load_dataset(self, name: str, config: str | None, *, split: str, revision: str) -> list[dict[str, Any]]:
        self.asked = {"name": name, "config": config, "split": split, "revision": revision}
        if self.rows is None:
            raise FileNotFoundError(f"Revision {revision} not found\nmore")
        return self.rows


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    hub = Hub(None)
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=hub.load_dataset))
    return hub


def test_the_hub_is_asked_for_the_pinned_revision(hub: Hub) -> None:
    hub.rows = samples("aime24") * 30
    chosen = find_set("aime24")
    rows = list(rows_of(chosen, "train", None))
    assert hub.asked == {"name": chosen.hub_id, "config": None, "split": "train", "revision": chosen.revision}
    assert {chosen.read(row).answer for row in rows} == {"25"}


@pytest.fixture
def hub_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, str, str | None]]:
    """What is asked of the hub for single files: (set, file, revision). The first file holds the samples."""
    asked: list[tuple[str, str, str | None]] = []

    def download(name: str, file: str, *, repo_type: str, revision: str | None) -> str:
        chosen = next(each for each in all_sets().values() if each.hub_id == name)
        rows = samples(chosen.name) if file == chosen.hub_files[0] else []
        path = tmp_path / "hub" / file
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        assert repo_type == "dataset"
        asked.append((name, file, revision))
        return str(path)

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(hf_hub_download=download))
    return asked


@pytest.mark.parametrize("name", all_sets())
def test_every_set_is_prepared_of_the_hubs_columns(
    name: str, hub: Hub, hub_files: list[tuple[str, str, str | None]], tmp_path: Path
) -> None:
    rows = samples(name)
    chosen = replace(
        find_set(name),
        splits=dict.fromkeys(find_set(name).splits, len(rows)),
        held_out=0,
        runs_references=False,
        join=None,
    )
    hub.rows = rows
    made = prepare(chosen, tmp_path / "out")
    assert sum(made.written.values()) + sum(made.dropped.counts.values()) == sum(made.read.values())
    assert sum(made.written.values()) >= (name != "debugbench"), "DebugBench's tests are another set's"
    if chosen.hub_files:
        assert hub_files == [(chosen.hub_id, file, chosen.revision or None) for file in chosen.hub_files]
    else:
        split = list(chosen.splits)[-1]
        wanted = {"name": chosen.hub_id, "config": chosen.hub_config, "split": split, "revision": chosen.revision}
        assert hub.asked == wanted
    card = (tmp_path / "out" / "README.md").read_text()
    assert (f"revision {chosen.revision}" if chosen.revision else "no pinned revision") in card


def test_an_unpinned_set_says_so_and_is_not_counted(
    hub_files: list[tuple[str, str, str | None]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = find_set("am_distilled")
    assert len(list(rows_of(chosen, "train", None))) == len(samples("am_distilled")) != chosen.splits["train"]
    with pytest.raises(SystemExit, match="2"):
        main(["am_distilled", "--out", str(tmp_path / "out")])
    assert capsys.readouterr().out.startswith(
        "am_distilled: no revision of a-m-team/AM-DeepSeek-Distilled-40M is pinned"
    )


def test_dates_that_stand_in_another_file_are_found_by_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = samples("livecodebench")[0]
    dated = {name: row.pop(name) for name in ("contest_date", "platform")}
    (tmp_path / "livecodebench").mkdir()
    (tmp_path / "livecodebench" / "test.jsonl").write_text(json.dumps(row))
    arguments = ("livecodebench", "--out", tmp_path / "out", "--from", tmp_path)
    said = fails_with(capsys, *arguments)
    assert said.startswith("livecodebench: test.jsonl, row 0: no column 'platform' (there are: question_title")
    (tmp_path / "livecodebench_rollouts").mkdir()
    runs = [{"question_id": "other"} | dated | {"contest_date": "2020"}, {"question_id": row["question_id"]} | dated]
    (tmp_path / "livecodebench_rollouts" / "runs.json").write_text(json.dumps(runs))
    made = prepare(find_set("livecodebench"), tmp_path / "out", tmp_path)
    assert set(made.source) == {"test.jsonl", "runs.json"}
    (written,) = parquet.read_table(tmp_path / "out" / "test.parquet").to_pylist()
    assert written["extra_info"]["tags"]["date"] == "2024-08-03"


def test_a_revision_that_is_gone_or_changed_is_told(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    revision = find_set("aime24").revision
    said = fails_with(capsys, "aime24", "--out", tmp_path)
    assert said.startswith(f"aime24: cannot load HuggingFaceH4/aime_2024 at revision {revision} from the hub (Revision")
    hub.rows = samples("aime24")
    said = fails_with(capsys, "aime24", "--out", tmp_path)
    assert said.startswith("aime24: HuggingFaceH4/aime_2024 has 1 rows in split 'train', and 30 at the revision known")
    hub.rows = []
    assert fails_with(capsys, "aime24", "--out", tmp_path).endswith(
        "has no rows in split 'train': the download is empty"
    )


def test_a_file_where_the_folder_should_be_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    for out in ("file", "file/data"):
        assert "is a file: choose another folder" in fails_with(capsys, "gsm8k", "--out", tmp_path / out, "--from", ".")
