"""Your own task family: a dotted path on the command line, and in the rows' `data_source`."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fail2fix.data.tasks import family


class Parity:
    """Parity: say whether a number is even or odd."""

    ABILITY = "math"

    @dataclass(frozen=True)
    class Dials:
        largest: int = field(default=99, metadata={"help": "the largest number"})

    @staticmethod
    def sample(dials: Parity.Dials, generator: random.Random) -> family.TaskProblem:
        question = f"Is {generator.randint(0, dials.largest)} even or odd?"
        return family.TaskProblem(question, Parity.worked_solution(question), key=question)

    @staticmethod
    def worked_solution(question: str) -> str:
        return "odd" if int(question.split()[1]) % 2 else "even"

    @staticmethod
    def compute_score(data_source: str, solution_str: str, ground_truth: str, extra_info: Any = None) -> dict[str, Any]:
        score = float(solution_str.strip() == ground_truth)
        return {"score": score, "acc": score}


NAME = f"{__name__}.Parity"


def test_your_own_family_writes_a_set_and_is_found_by_its_rows(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    family.main([NAME, str(tmp_path), "--train", "6", "--held-out", "4", "--largest", "20"])
    assert json.loads((tmp_path / "task.json").read_text())["dials"] == {"largest": 20}
    rows = parquet.read_table(tmp_path / "train.parquet").to_pylist()
    assert len(rows) == 6
    for row in rows:
        mine = family.family_of(row["data_source"])
        solution = mine.worked_solution(row["prompt"][0]["content"])
        assert mine.compute_score(NAME, solution, row["reward_model"]["ground_truth"])["acc"] == 1


def test_a_family_that_lacks_something_is_refused_in_one_line() -> None:
    with pytest.raises(SystemExit, match="FAMILY=math.floor: lacks ABILITY, Dials, compute_score, sample"):
        family.main(["math.floor", "out"])
