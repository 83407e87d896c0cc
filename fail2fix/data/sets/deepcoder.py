"""DeepCoder-Preview: contest problems with tests, one set a config of the hub's: TACO, SYNTHETIC-1 (PrimeIntellect),
LiveCodeBench before August 2024, and Codeforces, which its authors evaluate on.

`tests` is JSON text in a shape of each config's own: `{"inputs", "outputs", "fn_name"}` of taco; a list of
`{"type": "stdin_stdout" or "function_call", "input", "output", "fn_name"}` of primeintellect; a list of `{"input",
"output", "testtype"}` of lcbv5, with the function's name in `metadata.func_name`; a list of `{"input", "output"}` of
codeforces. Read by shape. The rows were never seen here: shapes are those that public loaders of the set read.
"""

import json
from collections.abc import Mapping
from typing import Literal

from fail2fix.data.sets.contest_tests import Pair, argument_lists, entry_point, form, json_lines, pairs, parsed, stdio
from fail2fix.data.sets.spec import Problem, PublicSet, Record, UnusableRowError
from fail2fix.verify.code.ground_truth import compressed


def read(record: Record) -> Problem:
    text, starter = record.text("problem"), str(record.fields.get("starter_code") or "")
    tests, kind, function = _tests(record)
    if not tests:
        raise UnusableRowError("it has no tests")
    if kind == "functional" and not function:
        raise UnusableRowError("its function has no name")
    call = entry_point(function, text, starter)
    if kind == "functional":
        ground_truth = json_lines(call, tests)
    else:
        ground_truth = argument_lists(call, tests) if function else stdio(tests)
    return Problem(text, compressed(ground_truth), form=form(starter, function))


def _tests(record: Record) -> tuple[list[Pair], str, str]:
    """The tests, their kind where each names one, and the function's name, "" for programs that read stdin."""
    tests = parsed(record.text("tests"))
    found = pairs(tests)
    if isinstance(tests, Mapping):
        return found, "", str(tests.get("fn_name") or "")
    first = tests[0] if isinstance(tests, list) and tests else {}
    kind = str(first.get("testtype") or "")
    function = _metadata(record).get("func_name") if kind == "functional" else first.get("fn_name")
    return found, kind, str(function or "")


def _metadata(record: Record) -> Mapping[str, object]:
    """An object, or the JSON text of one."""
    found = record.fields.get("metadata") or {}
    found = json.loads(found) if isinstance(found, str) else found
    return found if isinstance(found, Mapping) else {}


def _config(
    name: str,
    use: Literal["training", "evaluation"],
    splits: Mapping[str, int],
    traps: tuple[str, ...],
    held_out: int = 0,
) -> PublicSet:
    """The set that the hub's config `name` is."""
    return PublicSet(
        name=f"deepcoder_{name}",
        hub_id="agentica-org/DeepCoder-Preview-Dataset",
        hub_config=name,
        revision="177913a7bd43791646ef6a43645caa3c871ab3db",
        licence="MIT",
        splits=splits,
        read=read,
        mirror={split: (f"deepcoder_{name}.*", f"deepcoder/{name}/{split}*") for split in splits},
        use=use,
        ability="code",
        held_out=held_out,
        traps=traps,
    )


SETS = (
    _config(
        "taco",
        "training",
        {"train": 7436},
        held_out=200,
        traps=(
            "`tests` is one object; an output may stand alone in a list or not, and either was meant",
            "numbers of rows were read in public text",
        ),
    ),
    _config(
        "primeintellect",
        "training",
        {"train": 16_252},
        held_out=200,
        traps=("`tests` names its type in every test", "an output may stand alone in a list or not"),
    ),
    _config(
        "lcbv5",
        "training",
        {"train": 599},
        held_out=50,
        traps=(
            "its problems are LiveCodeBench's, word for word, of May 2023 to July 2024",
            "those of the window that is evaluated on are dropped by their text, as from every training set",
            "its own test split is of August 2024 to January 2025, inside that window, and is not read",
        ),
    ),
    _config(
        "codeforces",
        "evaluation",
        {"test": 408},
        traps=(
            "378 problems have a single test",
            "no copy was at hand, so no hashes are shipped: training sets are not freed of its problems",
        ),
    ),
)
