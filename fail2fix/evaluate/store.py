"""Files of an evaluation: a plan, and two parquet files a batch.

    OUT/plan.json                      everything that the numbers depend on; only the same plan resumes
    OUT/batches/00000.answers.parquet  written when a batch is answered, .verdicts.parquet when it is judged
    OUT/BENCHMARK.parquet              one row an answer, at the end
    OUT/evaluation.json                settings, versions and numbers, written last: the evaluation is complete

Every file is renamed once complete. Nothing is pickled, because a model wrote the contents.
"""

import json
from pathlib import Path
from typing import Any, Literal

import pyarrow
import pyarrow.parquet as parquet

from fail2fix.data.atomic import write_json
from fail2fix.data.rows import read_parquet, write_parquet
from fail2fix.method.errors import InputError, reading

Rows = list[dict[str, Any]]
BatchFile = Literal["answers", "verdicts"]

PLAN, RESULT, BATCHES = "plan.json", "evaluation.json", "batches"
ANSWERS = pyarrow.schema(
    {
        "seed": pyarrow.int64(),
        "prompt": pyarrow.string(),
        "prompt_tokens": pyarrow.int64(),
        "response": pyarrow.string(),
        "response_ids": pyarrow.list_(pyarrow.int32()),
        "response_tokens": pyarrow.int64(),
        "finish": pyarrow.string(),
        "shortened": pyarrow.bool_(),
    }
)
VERDICTS = pyarrow.schema([("correct", pyarrow.bool_()), ("status", pyarrow.string()), ("pred", pyarrow.string())])
_WHERE = pyarrow.schema(
    {"id": pyarrow.string(), "round": pyarrow.int64(), "sample": pyarrow.int64(), "attempt_correct": pyarrow.bool_()}
)
RECORDS = pyarrow.schema([*_WHERE, *ANSWERS, *VERDICTS])


class Store:
    """The folder of one evaluation."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self, plan: dict[str, Any]) -> None:
        """Create the folder, or resume in it.

        Raises `InputError`: it holds another evaluation, and which field differs; or a plan that cannot be read.
        """
        path = self.folder / PLAN
        if path.exists():
            with reading(f"{path}: no plan of an evaluation", hint="choose another --out"):
                theirs = dict(json.loads(path.read_text(encoding="utf-8")))
            ours = json.loads(json.dumps(plan))
            for name in dict.fromkeys([*theirs, *ours]):
                if theirs.get(name) != ours.get(name):
                    raise InputError(
                        f"--out {self.folder}: holds an evaluation with another {name} "
                        f"({theirs.get(name)!r:.80}, now {ours.get(name)!r:.80}): choose another folder, or give the "
                        f"same {name} to resume"
                    )
            return
        if self.folder.exists() and any(self.folder.iterdir()):
            raise InputError(f"--out {self.folder}: holds files of no evaluation: choose another folder")
        (self.folder / BATCHES).mkdir(parents=True, exist_ok=True)
        write_json(path, plan)

    def read(self, batch: int, what: BatchFile) -> Rows | None:
        """The answers or verdicts of a batch; None where they are not written yet."""
        path = self._path(batch, what)
        return parquet.read_table(path).to_pylist() if path.exists() else None

    def write(self, batch: int, what: BatchFile, rows: Rows) -> None:
        write_parquet(self._path(batch, what), rows, ANSWERS if what == "answers" else VERDICTS)

    def engine(self) -> Any:
        """What an earlier call of this evaluation says that answered; None where none was finished."""
        path = self.folder / RESULT
        return json.loads(path.read_text(encoding="utf-8"))["engine"] if path.exists() else None

    def write_records(self, benchmark: str, rows: Rows) -> None:
        write_parquet(self.folder / f"{benchmark}.parquet", rows, RECORDS)

    def _path(self, batch: int, what: BatchFile) -> Path:
        return self.folder / BATCHES / f"{batch:05d}.{what}.parquet"


def read_records(folder: Path, benchmark: str) -> Rows:
    """The rows of a finished evaluation. Raises `InputError` where the file is missing or damaged."""
    path = folder / f"{benchmark}.parquet"
    return read_parquet(path, str(path), "run the evaluation again")
