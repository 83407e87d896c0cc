"""Turn a public set into verl's parquet files.

    python -m fail2fix.data.prepare {gsm8k,deepscaler,leetcode} OUT [--source DIR]

Writes OUT/train.parquet and OUT/test.parquet. Without --source the set comes from the hub under the ids in
`SETS`; with it, from the .json, .jsonl, .json.gz or .jsonl.gz files of a local folder (a mirror; the column
may then be called `prompt` instead of `problem`). The prompt is the problem plus the set's instruction; the answer is
text and is compared by the reward's verifier, never here.

* gsm8k: the published split; the answer is what follows `####`, without thousands separators.
* deepscaler: one published split, of which 500 problems chosen by hash are held out for validation. Repeated
  problems are kept once; problems that occur with different answers are dropped altogether, as nothing tells
  which answer is right. Both are counted in the output.
* leetcode: the published split of LeetCodeDataset; the answer is its tests (`fail2fix.verify.code.ground_truth`).

A missing column or a malformed value stops the run with one line that names the set, the file, the row and
the column.
"""

import argparse
import gzip
import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fail2fix.core.config import BadInput
from fail2fix.data import Row, verl_row, write_splits
from fail2fix.verify.code.public_sets import leetcode

MATH = "\nPlease reason step by step, and put your final answer within \\boxed{}."
CODE = "\nThink it through, then give the whole program in one ```python code block at the end."
HELD_OUT = 500
SUFFIXES = (".json", ".jsonl", ".json.gz", ".jsonl.gz")
GSM8K_ANSWER = re.compile(r"####\s*(-?[0-9][0-9,]*(?:\.[0-9]+)?)\s*$")


@dataclass(frozen=True)
class Record:
    """One row as its source gives it, and where it stands: "gsm8k: train.jsonl.gz, row 17"."""

    place: str
    fields: dict[str, object]

    def text(self, column: str, alias: str = "") -> str:
        """The column's text, stripped; `alias` is a mirror's name for it."""
        name = alias if alias in self.fields and column not in self.fields else column
        if name not in self.fields:
            known = ", ".join(self.fields)
            raise BadInput(f"{self.place}: no column {column!r} (there are: {known}): is this the right set?")
        value = self.fields[name]
        if not isinstance(value, str) or not value.strip():
            raise BadInput(f"{self.place}: column {name!r} is {value!r}, not a text: repair the row")
        return value.strip()


@dataclass(frozen=True)
class Problem:
    text: str
    answer: str


@dataclass(frozen=True)
class Set:
    """Where a set lives and how its rows become problems; `finish` makes (train, test) of its splits."""

    hub_id: str
    hub_config: str | None
    splits: tuple[str, ...]
    read: Callable[[Record], Problem]
    finish: Callable[[dict[str, list[Problem]]], tuple[list[Problem], list[Problem]]]
    instruction: str = MATH
    ability: str = "math"


def read_gsm8k(record: Record) -> Problem:
    solution = record.text("answer")
    found = GSM8K_ANSWER.search(solution)
    if not found:
        end = solution[-40:]
        raise BadInput(f"{record.place}: column 'answer' ends in {end!r}, not in '#### NUMBER': repair the row")
    return Problem(record.text("question"), found[1].replace(",", ""))


def read_deepscaler(record: Record) -> Problem:
    return Problem(record.text("problem", alias="prompt"), record.text("answer"))


def read_leetcode(record: Record) -> Problem:
    columns = ("prompt", "test", "entry_point")
    return Problem(record.text("query"), json.dumps(leetcode({name: record.text(name) for name in columns})))


def keep_published_split(problems: dict[str, list[Problem]]) -> tuple[list[Problem], list[Problem]]:
    return problems["train"], problems["test"]


def clean_and_hold_out(problems: dict[str, list[Problem]]) -> tuple[list[Problem], list[Problem]]:
    """Drop repeats and conflicts, print how many, and hold out `HELD_OUT` problems by hash."""
    everything = problems["train"]
    kept, repeats, conflicts = drop_repeats(everything)
    dropped = f"{repeats} repeats and {conflicts} rows of problems with differing answers"
    print(f"dropped {dropped}, of {len(everything)} rows")
    return hold_out(kept, HELD_OUT)


def drop_repeats(problems: list[Problem]) -> tuple[list[Problem], int, int]:
    """(problems once each, repeated rows dropped, rows of problems with differing answers dropped)."""
    first: dict[str, Problem] = {}
    contradictory: set[str] = set()
    for problem in problems:
        key = problem_key(problem.text)
        if first.setdefault(key, problem).answer != problem.answer:
            contradictory.add(key)
    kept = [problem for key, problem in first.items() if key not in contradictory]
    conflicts = sum(problem_key(problem.text) in contradictory for problem in problems)
    return kept, len(problems) - conflicts - len(kept), conflicts


def problem_key(text: str) -> str:
    """What two spellings of a problem share: letters, digits and operators.

    Spaces, dollar signs, braces and punctuation go. Operators stay: "the least x + y" is another problem than
    "the least xy".
    """
    return re.sub(r"[^\w+\-*/=<>^!|%]|_", "", text.lower())


def hold_out(problems: list[Problem], count: int) -> tuple[list[Problem], list[Problem]]:
    """(train, test): the `count` problems with the smallest hash are held out, in any order of rows."""
    if len(problems) <= count:
        raise BadInput(f"deepscaler: {len(problems)} problems, {count} to hold out: the source is incomplete")
    chosen = set(sorted((problem.text for problem in problems), key=_hash)[:count])
    train = [problem for problem in problems if problem.text not in chosen]
    return train, [problem for problem in problems if problem.text in chosen]


def _hash(text: str) -> bytes:
    return hashlib.sha256(problem_key(text).encode()).digest()


SETS = {
    "gsm8k": Set("openai/gsm8k", "main", ("train", "test"), read_gsm8k, keep_published_split),
    "deepscaler": Set("agentica-org/DeepScaleR-Preview-Dataset", None, ("train",), read_deepscaler, clean_and_hold_out),
    "leetcode": Set(
        "newfacade/LeetCodeDataset", None, ("train", "test"), read_leetcode, keep_published_split, CODE, "code"
    ),
}


def hub_records(name: str, split: str) -> Iterator[Record]:
    """The rows of one split, from the hub or its local cache."""
    import datasets

    chosen = SETS[name]
    try:
        rows = datasets.load_dataset(chosen.hub_id, chosen.hub_config, split=split)
    except Exception as error:  # the hub client raises many unrelated types; all mean "no data, for this reason"
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadInput(f"{name}: cannot load {chosen.hub_id} from the hub ({reason}): use --source DIR") from error
    for index, fields in enumerate(rows):
        yield Record(f"{name}: {chosen.hub_id} {split}, row {index}", dict(fields))


def local_records(name: str, split: str, source: Path) -> Iterator[Record]:
    """The rows of one split, from a folder: the files SPLIT.*, or all files of a set with one split."""
    files = sorted(path for path in source.glob("*") if path.name.endswith(SUFFIXES))
    if len(SETS[name].splits) > 1:
        files = [path for path in files if path.name.split(".")[0] == split]
    if not files:
        wanted = f"{split}.jsonl" if len(SETS[name].splits) > 1 else "*.json or *.jsonl"
        raise BadInput(f"{name}: {source}: no {wanted} (or .gz) in this folder: check --source")
    for path in files:
        for index, fields in enumerate(_read_objects(name, path)):
            place = f"{name}: {path.name}, row {index}"
            if not isinstance(fields, dict):
                raise BadInput(f"{place}: not an object with columns: repair or remove the row")
            yield Record(place, fields)


def _read_objects(name: str, path: Path) -> Iterable[object]:
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    if ".jsonl" in path.suffixes:
        # Not splitlines(): a JSON text may hold U+2028, which is a line end to that.
        lines = text.removesuffix("\n").split("\n")
        return [_parse(line, f"{name}: {path.name}, row {index}") for index, line in enumerate(lines)]
    rows = _parse(text, f"{name}: {path.name}")
    if not isinstance(rows, list):
        raise BadInput(f"{name}: {path.name}: not a list of rows: check --source")
    return rows


def _parse(text: str, place: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise BadInput(f"{place}: not JSON ({error}): repair or remove it") from error


def prepare(name: str, out: Path, source: Path | None = None) -> tuple[int, int]:
    """Write both splits of set `name` to `out`; returns their sizes."""
    chosen = SETS[name]
    problems: dict[str, list[Problem]] = {}
    for split in chosen.splits:
        records = local_records(name, split, source) if source else hub_records(name, split)
        problems[split] = [chosen.read(record) for record in records]
    train, test = chosen.finish(problems)
    write_splits(out, _rows(chosen, train, "train"), _rows(chosen, test, "test"))
    return len(train), len(test)


def _rows(chosen: Set, problems: list[Problem], split: str) -> list[Row]:
    prompts = (problem.text + chosen.instruction for problem in problems)
    return [
        verl_row(chosen.hub_id, prompt, problem.answer, split, index) | {"ability": chosen.ability}
        for index, (prompt, problem) in enumerate(zip(prompts, problems, strict=True))
    ]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m fail2fix.data.prepare", description=__doc__.splitlines()[0])
    parser.add_argument("set", choices=sorted(SETS))
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for train.parquet and test.parquet")
    parser.add_argument("--source", type=Path, metavar="DIR", help="local folder to read instead of the hub")
    arguments = parser.parse_args(argv)
    try:
        train, test = prepare(arguments.set, arguments.out, arguments.source)
    except BadInput as error:
        sys.exit(str(error))
    print(f"{arguments.out}: {train} problems to train on, {test} held out")


if __name__ == "__main__":
    main()
