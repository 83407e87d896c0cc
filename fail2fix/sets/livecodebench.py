"""LiveCodeBench, release v6: 1,055 contest problems; the window of August 2024 to May 2025 has 454.

stdin problems are judged as their runner does (`comparison.same_output`), functional ones by `==` on JSON values, a
tuple standing for a list; all public tests, then all private ones. Private tests are a pickled text, read by an
unpickler that knows no classes. The hub's loader refuses the set's script, so its files are read directly.
"""

import base64
import io
import json
import pickle
import zlib
from typing import Any, NoReturn

from fail2fix.sets.spec import Problem, PublicSet, Record, Unusable
from fail2fix.verify.code.ground_truth import compressed

MAX_TESTS_BYTES = 1 << 29


def read(record: Record) -> Problem:
    tests = _json_list(record, "public_test_cases") + _private(record)
    if not tests:
        raise Unusable("it has no tests")
    starter = str(record.get("starter_code"))
    ground_truth = _calls(record, tests) if tests[0].get("testtype") == "functional" else _stdio(tests)
    form = f"Complete this:\n\n```python\n{starter}\n```" if starter.strip() else "Read stdin, print to stdout."
    tags = {
        "difficulty": record.text("difficulty"),
        "date": str(record.fields.get("contest_date", ""))[:10],
        "platform": str(record.fields.get("platform", "")),
    }
    text = f"{record.text('question_content')}\n\n{form}"
    return Problem(text, compressed(ground_truth), record.text("question_id"), tags=tags)


def _stdio(tests: list[dict[str, str]]) -> dict[str, Any]:
    return {"kind": "stdio", "tests": [{"stdin": test["input"], "stdout": test["output"]} for test in tests]}


def _calls(record: Record, tests: list[dict[str, str]]) -> dict[str, Any]:
    """The function's name stands in the metadata, or, in copies without them, in the starter code."""
    name = json.loads(str(record.fields.get("metadata") or "{}")).get("func_name")
    name = name or str(record.get("starter_code")).partition("def ")[2].partition("(")[0].strip()
    if not name:
        raise Unusable("its function has no name")
    calls = [
        {"args": [json.loads(line) for line in test["input"].split("\n")], "expected": json.loads(test["output"])}
        for test in tests
    ]
    return {
        "kind": "calls",
        "prelude": "from typing import *\n",
        "entry_point": f"Solution().{name}",
        "calls": calls,
        "compare": {"equality": "python", "tuples_as_lists": True},
    }


def _json_list(record: Record, column: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(record.text(column))
    return found


def _private(record: Record) -> list[dict[str, str]]:
    text = str(record.fields.get("private_test_cases") or "[]")
    try:
        found: list[dict[str, str]] = json.loads(text if text.startswith("[") else unpacked(text))
    except (ValueError, zlib.error, pickle.UnpicklingError, EOFError) as error:
        raise Unusable("its private tests cannot be read") from error
    return found


def unpacked(text: str) -> str:
    """The text in a base64-encoded, compressed pickle.

    Raises:
        ValueError, zlib.error, pickle.UnpicklingError: it is something else, or too large.
    """
    reader = zlib.decompressobj()
    content = reader.decompress(base64.b64decode(text, validate=True), MAX_TESTS_BYTES)
    found = _TextsOnly(io.BytesIO(content)).load()
    if not reader.eof or not isinstance(found, str):
        raise ValueError("not one text, or a larger one than may be")
    return found


class _TextsOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"{module}.{name} in a pickle that may hold a text only")


SETS = (
    PublicSet(
        name="livecodebench",
        hub_id="livecodebench/code_generation_lite",
        revision="0fe84c3912ea0c4d4a78037083943e8f0c4dd505",
        licence="cc",
        splits={"test": 1055},
        read=read,
        hub_files=("test.jsonl", *(f"test{number}.jsonl" for number in range(2, 7))),
        mirror={"test": ("livecodebench/test*.jsonl*", "livecodebench/refined_test*.jsonl*")},
        use="evaluation",
        ability="code",
        traps=(
            "a mirror has the public tests only, and no dates",
            "4.5 GB of tests; ground truths are compressed",
        ),
    ),
)
