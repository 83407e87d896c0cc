"""DeepCoder-Preview: contest problems with tests, one set a config of the hub's: TACO, SYNTHETIC-1 (PrimeIntellect),
LiveCodeBench before August 2024, and Codeforces, which its authors evaluate on.

`tests` is JSON text in a shape of each config's own: `{"inputs", "outputs", "fn_name"}` of taco; a list of
`{"type": "stdin_stdout" or "function_call", "input", "output", "fn_name"}` of primeintellect; a list of `{"input",
"output", "testtype"}` of lcbv5, with the function's name in `metadata.func_name`; a list of `{"input", "output"}` of
codeforces. Read by shape. The rows were never seen here: shapes are those that public loaders of the set read.
"""

import json
from collections.abc import Mapping
from functools import partial

from fail2fix.sets.contest_tests import (
    UNREADABLE,
    Pair,
    argument_lists,
    entry_point,
    form,
    inputs_and_outputs,
    json_lines,
    stdio,
)
from fail2fix.sets.spec import Problem, PublicSet, Record, Unusable
from fail2fix.verify.code.ground_truth import compressed


def read(record: Record) -> Problem:
    text, starter = record.text("problem"), str(record.fields.get("starter_code") or "")
    pairs, kind, function = _tests(record)
    if not pairs:
        raise Unusable("it has no tests")
    if kind == "functional" and not function:
        raise Unusable("its function has no name")
    call = entry_point(function, text, starter)
    if kind == "functional":
        ground_truth = json_lines(call, pairs)
    else:
        ground_truth = argument_lists(call, pairs) if function else stdio(pairs)
    return Problem(text, compressed(ground_truth), form=form(starter, function))


def _tests(record: Record) -> tuple[list[Pair], str, str]:
    """The tests, their kind where each names one, and the function's name, "" for programs that read stdin."""
    text = record.text("tests")
    try:
        tests = json.loads(text)
    except ValueError:
        raise Unusable(UNREADABLE) from None
    if isinstance(tests, Mapping):
        return inputs_and_outputs(tests), "", str(tests.get("fn_name") or "")
    if not isinstance(tests, list) or not all(isinstance(test, Mapping) and test.keys() >= _KEYS for test in tests):
        raise Unusable(UNREADABLE)
    first = tests[0] if tests else {}
    kind = str(first.get("testtype") or "")
    function = _metadata(record).get("func_name") if kind == "functional" else first.get("fn_name")
    return [(test["input"], test["output"]) for test in tests], kind, str(function or "")


_KEYS = {"input", "output"}


def _metadata(record: Record) -> Mapping[str, object]:
    """An object, or the JSON text of one."""
    found = record.fields.get("metadata") or {}
    found = json.loads(found) if isinstance(found, str) else found
    return found if isinstance(found, Mapping) else {}


config = partial(
    PublicSet,
    hub_id="agentica-org/DeepCoder-Preview-Dataset",
    revision="177913a7bd43791646ef6a43645caa3c871ab3db",
    licence="MIT",
    read=read,
    ability="code",
)

SETS = (
    config(
        name="deepcoder_taco",
        hub_config="taco",
        splits={"train": 7436},
        mirror={"train": ("deepcoder_taco.*", "deepcoder/taco/train*")},
        use="training",
        held_out=200,
        traps=(
            "`tests` is one object; an output may stand alone in a list or not, and either was meant",
            "numbers of rows were read in public text",
        ),
    ),
    config(
        name="deepcoder_primeintellect",
        hub_config="primeintellect",
        splits={"train": 16_252},
        mirror={"train": ("deepcoder_primeintellect.*", "deepcoder/primeintellect/train*")},
        use="training",
        held_out=200,
        traps=("`tests` names its type in every test", "an output may stand alone in a list or not"),
    ),
    config(
        name="deepcoder_lcbv5",
        hub_config="lcbv5",
        splits={"train": 599},
        mirror={"train": ("deepcoder_lcbv5.*", "deepcoder/lcbv5/train*")},
        use="training",
        held_out=50,
        traps=(
            "its problems are LiveCodeBench's, word for word, of May 2023 to July 2024",
            "those of the window that is evaluated on are dropped by their text, as from every training set",
            "its own test split is of August 2024 to January 2025, inside that window, and is not read",
        ),
    ),
    config(
        name="deepcoder_codeforces",
        hub_config="codeforces",
        splits={"test": 408},
        mirror={"test": ("deepcoder_codeforces.*", "deepcoder/codeforces/test*")},
        use="evaluation",
        traps=(
            "378 problems have a single test",
            "no copy was at hand, so no hashes are shipped: training sets are not freed of its problems",
        ),
    ),
)
