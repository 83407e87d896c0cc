"""A malformed ground truth is one clear error that names the field."""

import base64
import json
from typing import Any

import pytest

from fail2fix.verify.code.ground_truth import compressed, parse_ground_truth
from fail2fix.verify.errors import GroundTruthError

CALLS = {"kind": "calls", "entry_point": "f", "calls": [{"args": [1], "expected": 2}]}
STDIO = {"kind": "stdio", "tests": [{"stdin": "", "stdout": "1"}]}
ASSERTIONS = {"kind": "assertions", "functions": ["f"], "tests": ["assert f(1) == 2"]}

MALFORMED: list[tuple[Any, str]] = [
    ("{", "not JSON"),
    ("zlib:!", "not JSON"),
    ("zlib:" + base64.b64encode(b"no").decode(), "not JSON"),
    (compressed({"kind": "calls"})[:-8], "not JSON"),
    ("[1]", "ground truth must be an object, not list"),
    ({}, "kind is missing"),
    ({"kind": "exec"}, "kind='exec' must be one of calls, stdio, assertions"),
    (CALLS | {"entrypoint": "g"}, "unknown field entrypoint"),
    (CALLS | {"entry_point": "__import__('os').system"}, "entry_point=.* is not a name"),
    (CALLS | {"calls": []}, "calls is empty"),
    (CALLS | {"calls": [{"args": [1]}]}, r"calls\[0\].expected is missing"),
    (CALLS | {"calls": [{"args": 1, "expected": 2}]}, r"calls\[0\].args must be list, not int"),
    (CALLS | {"calls": [3]}, r"calls\[0\] must be dict, not int"),
    (CALLS | {"calls": [{"expected": 2, "kwargs": {}}]}, r"unknown field calls\[0\].kwargs"),
    (CALLS | {"compare": {"equality": "fuzzy"}}, "compare.equality='fuzzy'"),
    (CALLS | {"compare": {"tuples_as_lists": 1}}, "compare.tuples_as_lists must be bool, not int"),
    (CALLS | {"compare": {"order": 1}}, "unknown field compare.order"),
    (STDIO | {"tests": [{"stdin": 1, "stdout": ""}]}, r"tests\[0\].stdin must be str, not int"),
    (STDIO | {"tests": [{"stdin": "", "output": ""}]}, r"tests\[0\].stdout is missing"),
    (STDIO | {"tolerance": -1}, "tolerance=-1 must be at least 0"),
    (STDIO | {"tolerance": "1e-6"}, "tolerance must be int or float, not str"),
    (STDIO | {"block": "first"}, "block='first' must be one of last_python, livecodebench"),
    (ASSERTIONS | {"tests": ["assert f(1) =="]}, r"tests\[0\] is not Python"),
    (ASSERTIONS | {"tests": ["f(1)"]}, r"tests\[0\] holds no assertion"),
    (ASSERTIONS | {"functions": []}, "assertions need entry_point"),
    (ASSERTIONS | {"functions": ["a.b"]}, "functions and records hold names"),
    (ASSERTIONS | {"isolation": "none"}, "isolation='none'"),
]


@pytest.mark.parametrize(("ground_truth", "message"), MALFORMED)
def test_malformed(ground_truth: Any, message: str) -> None:
    with pytest.raises(GroundTruthError, match=message):
        parse_ground_truth(ground_truth)


@pytest.mark.parametrize("ground_truth", [CALLS, STDIO, ASSERTIONS])
def test_text_and_object_read_alike(ground_truth: dict) -> None:
    assert parse_ground_truth(json.dumps(ground_truth)) == parse_ground_truth(ground_truth)


def test_a_compressed_ground_truth_is_the_same() -> None:
    many = STDIO | {"tests": STDIO["tests"] * 1000}
    text = compressed(many)
    assert len(text) < len(json.dumps(many)) / 20
    assert parse_ground_truth(text) == parse_ground_truth(many)


def test_a_compressed_ground_truth_does_not_fill_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fail2fix.verify.code.ground_truth.MAX_EXPANDED_BYTES", 1000)
    with pytest.raises(GroundTruthError, match="larger than 1000 bytes"):
        parse_ground_truth(compressed(STDIO | {"tests": STDIO["tests"] * 1000}))
