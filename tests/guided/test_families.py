"""The guided start of every task family: a model's own rejected rollouts become corrections to learn."""

from __future__ import annotations

import importlib
import random
from pathlib import Path
from typing import Any

import pytest

from fail2fix.collect import main as collect
from fail2fix.data import organism
from fail2fix.data.rows import read_parquet
from fail2fix.data.tasks.family import FAMILIES, SHIPPED
from fail2fix.guided.chats import Mix, mixed_chats
from fail2fix.teach import main as teach
from tests.guided.classroom import completion, rows_of
from tests.services import serving


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "arithmetic"])  # it has no sizes
def test_rejected_rollouts_of_a_family_become_its_second_warm_up(tmp_path: Path, name: str) -> None:
    family = importlib.import_module(SHIPPED[name])
    family.main([str(tmp_path), "--train", "12", "--held-out", "4"])

    def student(request: Any) -> dict[str, Any]:
        question, seed = request["messages"][0]["content"], request["seed"]
        near = family.corrupt(question, random.Random(seed))
        return completion(near if seed % 3 else family.worked_solution(question))

    with serving(answer=student) as service:
        asked = ["--model", "m", "--endpoint", f"{service.url}v1", "--data", str(tmp_path / "train.parquet")]
        collect([*asked, "--samples", "4", "--out", str(tmp_path / "attempts")])
    attempts = rows_of(tmp_path / "attempts" / "attempts.parquet")
    words = ["--correction", '{"template": "diagnosis"}']
    teach(
        [
            "--attempts",
            str(tmp_path / "attempts" / "attempts.parquet"),
            "--from",
            "worked",
            "--out",
            str(tmp_path / "chats"),
            *words,
        ]
    )

    chats = rows_of(tmp_path / "chats" / "chats.parquet")
    wrong = {row["extra_info"]["attempt"] for row in attempts if not row["extra_info"]["attempt_correct"]}
    quoted = [
        row["messages"][0]["content"].partition("<attempt>\n")[2].partition("\n</attempt>")[0]
        for row in chats
        if row["kind"] == "correction" and not row["attempt_correct"]
    ]
    assert quoted
    assert set(quoted) <= wrong
    texts = [turn["content"] for row in read_parquet(tmp_path / "train.parquet", "", "") for turn in row["prompt"]]
    mixed = mixed_chats([tmp_path / "chats" / "chats.parquet"], organism.make_tokenizer(texts, 512), Mix(), 16, 4, 0)
    assert (len(mixed.train), mixed.left_out) == (16, 0)
    assert sum("<attempt>" in chat[0]["content"] for chat in mixed.train) == 8
