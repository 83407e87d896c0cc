"""Echoes of whole problems, found by the verifier; the file that remembers them; rows that get them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fail2fix.data import echoes
from fail2fix.data.echoes import Found, find_echoes, remembered, unsearched
from fail2fix.data.prepare.command import prepare
from fail2fix.data.rows import STATED, read_parquet
from fail2fix.data.sets import find_set
from fail2fix.method.errors import InputError
from fail2fix.verify.config import VerifierConfig

EXPAND = ("Expand $(x+2)(x-5)$.", "x^2-3x-10")
PROBLEMS: dict[tuple[str, str], Found] = {
    EXPAND: Found(("(x+2)(x-5)",)),
    ("Factor $x^2-4$.", "(x-2)(x+2)"): Found(("x^2-4",)),
    (r"Simplify $\frac{24}{\sqrt{2}}$.", r"12\sqrt{2}"): Found((r"\frac{24}{\sqrt{2}}",)),
    ("Let $f(x) = (3x-8)+(5x-7)$. Write it without brackets.", "8x-15"): Found(("f(x) = (3x-8)+(5x-7)",)),
    (r"Write $0.\overline{27}$ as a fraction.", r"\frac{3}{11}"): Found((r"0.\overline{27}",)),
    ("Heads has probability $0.5$; there are $1+1+1$ tosses. How likely is a tail?", r"\frac{1}{2}"): Found((), True),
    (r"Let $BC = 2\sqrt{3}$ and $AC=4$. Find the height.", r"2\sqrt{3}"): Found((), True),
    ("Is $y+x$ or $xy$ the sum of $x$ and $y$?", "x+y"): Found((), True),
    (r"Choose: $\textbf{(A)}\ x-1 \qquad \textbf{(B)}\ x+1$", "B"): Found((), True),
    ("A line is $3 = y+x$. Name it.", "x+y=3"): Found((), True),
    ("What is $3+4$?", "7"): Found(),
    ("Tom has 7 apples and eats 2. How many are left?", "5"): Found(),
    ("Expand (x+2)(x-5), with a tolerance.", '{"answer": "4.2", "tolerance": 0.1}'): Found(),
}


def test_expressions_that_equal_the_answer_are_echoes_unless_they_are_the_answer() -> None:
    for (pair, wanted), found in zip(PROBLEMS.items(), find_echoes(list(PROBLEMS)), strict=True):
        assert (pair, found) == (pair, wanted)


def test_what_was_found_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = remembered([EXPAND, EXPAND], tmp_path)
    monkeypatch.setattr(echoes, "find_echoes", lambda pairs: [Found()] * len(pairs))
    other = ("Expand $(x+1)(x-5)$.", "x^2-4x-5")
    assert remembered([other, EXPAND], tmp_path) == [Found(), first[1]]
    assert first == [Found(("(x+2)(x-5)",))] * 2
    (file,) = tmp_path.iterdir()
    file.write_text("{")
    with pytest.raises(InputError, match=f"{file.name}: not a file of echoes .*: delete it"):
        remembered([EXPAND], tmp_path)


def row(**changes: Any) -> dict[str, Any]:
    problem, truth = EXPAND
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": problem}]
    return {"data_source": "math", "prompt": messages, "reward_model": {"ground_truth": truth}} | changes


def test_rows_of_other_preparations_are_searched() -> None:
    settings = VerifierConfig(sources={"mine": "text"})
    assert unsearched(row(), "prompt", settings) == EXPAND
    assert unsearched(row(extra_info={"index": 3, STATED: None}), "prompt", settings) == EXPAND
    ready = [
        row(extra_info={STATED: False}),
        row(data_source="mine"),
        row(reward_model={"ground_truth": 7}),
        row(reward_model={"ground_truth": ["x"]}),
    ]
    assert [unsearched(each, "prompt", settings) for each in ready] == [None] * len(ready)
    assert unsearched(row(), "prompt", VerifierConfig(allow_echoes=True)) is None


def test_preparation_writes_and_counts_echoes(tmp_path: Path) -> None:
    rows = [
        {"problem": problem, "answer": answer, "solution": "", "unique_id": str(index)}
        for index, (problem, answer) in enumerate(
            [EXPAND, (r"Find $x$ if $x = \sqrt{3}$.", r"\sqrt{3}"), ("1+1?", "2")]
        )
    ]
    (tmp_path / "math500.jsonl").write_text("\n".join(json.dumps(each | {"solution": "s"}) for each in rows))
    prepare(find_set("math500"), tmp_path / "out", tmp_path)
    written = read_parquet(tmp_path / "out" / "test.parquet", "", "")
    assert [each["reward_model"]["ground_truth"] for each in written] == [
        json.dumps({"answer": "x^2-3x-10", "echoes": ["(x+2)(x-5)"]}), r"\sqrt{3}", "2",
    ]  # fmt: skip
    assert [each["extra_info"][STATED] for each in written] == [False, True, False]
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["echoes"] == {"problems": 1, "answer_in_problem": 1}
    assert "1 problems hold their answer as another expression" in (tmp_path / "out" / "README.md").read_text()
