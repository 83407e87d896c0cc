"""Which verifier judges a row, and what each says of a ground truth."""

import asyncio

import pytest

from fail2fix.core.config import BadInput, VerifierConfig
from fail2fix.verify.registry import SOURCES, VERIFIERS, ground_truth_problem, open_verifier, verifier_of


def test_the_data_source_decides_and_math_is_the_rest() -> None:
    settings = VerifierConfig()
    assert {verifier_of(source, settings) for source in SOURCES} == {"code", "text"}
    assert verifier_of("openai/gsm8k", settings) == verifier_of("somebody/else", settings) == "math"


def test_a_runs_own_list_outweighs_the_registrys() -> None:
    settings = VerifierConfig(sources={"mine": "code", "fail2fix/programs": "math"})
    assert (verifier_of("mine", settings), verifier_of("fail2fix/programs", settings)) == ("code", "math")


def test_an_unknown_verifier_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match=r"verifier\.sources: 'mine' is given to 'maths': use one of math, code, text"):
        verifier_of("mine", VerifierConfig(sources={"mine": "maths"}))


@pytest.mark.parametrize("name", VERIFIERS)
def test_every_verifier_judges_ground_truths(name: str) -> None:
    good = {
        "math": "7",
        "code": '{"kind": "calls", "entry_point": "f", "calls": [{"args": [1], "expected": 2}]}',
        "text": '{"answers": ["Fuji"]}',
    }
    assert ground_truth_problem(name, good[name]) == ""
    assert ground_truth_problem(name, " ") != ""


def test_the_math_verifier_reads_the_declared_channel() -> None:
    from fail2fix.core.config import Channel

    for channel, correct in ((Channel.auto, True), (Channel.boxed, False)):
        verifier = open_verifier("math", VerifierConfig(channel=channel))
        assert asyncio.run(verifier.verify("The answer is 7.", "7")).correct == correct
        verifier.close()


def test_a_service_without_its_client_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from fail2fix.core.config import CodeBackend, CodeConfig
    from fail2fix.verify.code import verifier

    monkeypatch.setattr(verifier, "find_spec", lambda _: None)
    service = CodeConfig(backend=CodeBackend.sandbox_fusion, endpoint="http://localhost:1")
    with pytest.raises(BadInput, match="pip install sandbox-fusion"):
        open_verifier("code", VerifierConfig(code=service))


def test_a_machine_without_a_sandbox_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(BadInput, match=r"fail2fix\.verifier\.code\.backend=local: .*bwrap is missing"):
        open_verifier("code", VerifierConfig())
