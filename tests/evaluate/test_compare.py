"""Comparing two evaluations: paired by problem, honest about what differs, and safe to open."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from fail2fix.data.atomic import write_json
from fail2fix.evaluate.compare import compare, load_side
from fail2fix.evaluate.compare_command import main
from fail2fix.evaluate.scores import score_rounds
from fail2fix.evaluate.store import Store
from fail2fix.method.errors import InputError
from tests.evaluate.rows import question, records

HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}{% raw %}\x1b[31m\u202e"


def evaluation(folder: Path, name: str, rows: list[dict[str, Any]], **settings: Any) -> Path:
    folder.mkdir(parents=True)
    questions = [question(key) for key in dict.fromkeys(row["id"] for row in rows)]
    Store(folder).write_records(name, rows)
    sampling = {name: {"samples": 2, "temperature": 0.7, "top_p": 1.0, "max_tokens": 64}}
    result = {
        "settings": {"model": folder.name, "sampling": sampling, "limit": None} | settings,
        "model_digest": "d",
        "versions": {"packages": {}},
        "benchmarks": {name: {"rounds": score_rounds(rows, questions)}},
    }
    write_json(folder / "evaluation.json", result)
    return folder


def test_differences_are_b_minus_a_over_shared_problems(tmp_path: Path) -> None:
    a = evaluation(tmp_path / "a", "gsm8k", records([[True, False], [False, False], [True, True]]))
    b = evaluation(tmp_path / "b", "gsm8k", records([[True, True], [True, False]]))
    (found,), warnings = compare(load_side(a), load_side(b))
    assert found.questions == 2
    assert found.differences["accuracy"].value == pytest.approx(0.75 - 0.25)  # type: ignore[union-attr]
    assert found.differences["pass@2"].value == pytest.approx(0.5)  # type: ignore[union-attr]
    assert warnings == ["gsm8k: 2 problems are compared; A has 3, B 2"]


def test_rates_of_corrections_are_compared_too(tmp_path: Path) -> None:
    before = [False, True]
    a = evaluation(tmp_path / "a", "debugbench", records([[True, False], [False, True]], before))
    b = evaluation(tmp_path / "b", "debugbench", records([[True, True], [True, True]], before))
    (found,), warnings = compare(load_side(a), load_side(b))
    assert found.differences["fix_rate"].value == 0.5  # type: ignore[union-attr]
    assert found.differences["break_rate"].value == -0.5  # type: ignore[union-attr]
    assert not warnings


def test_other_ways_of_asking_are_named(tmp_path: Path) -> None:
    rows = records([[True, False]])
    a = evaluation(tmp_path / "a", "gsm8k", rows)
    b = evaluation(tmp_path / "b", "gsm8k", rows, channel="auto", model="other")
    _, warnings = compare(load_side(a), load_side(b))
    assert warnings == ['the two evaluations used different channel: null and "auto"']


def test_nothing_in_common_is_refused(tmp_path: Path) -> None:
    a = evaluation(tmp_path / "a", "gsm8k", records([[True]]))
    b = evaluation(tmp_path / "b", "math500", records([[True]]))
    with pytest.raises(InputError, match="no benchmark in common"):
        compare(load_side(a), load_side(b))
    with pytest.raises(InputError, match="no finished evaluation"):
        load_side(tmp_path)


class Structure(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))


def structure(path: Path) -> list[tuple[str, tuple[str, ...]]]:
    parser = Structure()
    parser.feed(path.read_text(encoding="utf-8"))
    return parser.tags


@pytest.mark.parametrize("text", ["harmless", HOSTILE], ids=["harmless", "hostile"])
def test_the_page_is_one_file_whose_structure_no_text_changes(tmp_path: Path, text: str) -> None:
    before = [True, False]
    wrong = records([[False, False], [True, False]], before, response=text, prompt=text)
    right = records([[True, True], [False, False]], before, response=text, prompt=text)
    a, b = evaluation(tmp_path / "a", "gsm8k", wrong), evaluation(tmp_path / "b", "gsm8k", right)
    main([str(a), str(b), "--out", str(tmp_path / "out")])
    html = (tmp_path / "out" / "comparison.html").read_text(encoding="utf-8")
    tags = structure(tmp_path / "out" / "comparison.html")
    assert [tag for tag, _ in tags].count("pre") == 6
    assert [tag for tag, _ in tags].count("img") == 1
    assert not any(tag == "script" or any(name.startswith("on") for name in names) for tag, names in tags)
    assert not re.search(r"(?:src|href)=\"(?!data:)", html)
    assert "default-src 'none'" in html
    assert "49" not in re.sub(r"base64,[^\"]+", "", html)
    assert (tmp_path / "out" / "comparison.png").read_bytes().startswith(b"\x89PNG")
    fields = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert fields["rounds"][0]["differences"]["accuracy"]["value"] == 0.25
