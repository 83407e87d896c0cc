"""Progress: bars on a terminal, plain lines elsewhere, always on stderr."""

from __future__ import annotations

import contextlib

import pytest

from fail2fix.console.progress import stage


def test_elsewhere_a_stage_is_one_plain_line(capsys: pytest.CaptureFixture[str]) -> None:
    with stage("set [bold], peer", 1500) as done:
        done()
    assert capsys.readouterr() == ("", "set [bold], peer: 1,500\n")


@pytest.mark.parametrize("calls", [0, 3])
def test_a_bar_begins_empty_and_ends_full(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], calls: int
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes the stream for a terminal
    with stage("set [bold], peer", 3) as done:
        begun = capsys.readouterr()
        for _ in range(calls):
            done()
    ended = capsys.readouterr()
    assert begun.out == ended.out == ""
    assert "set [bold], peer" in begun.err
    assert "0/3" in begun.err
    assert "3/3" in ended.err


def test_a_stage_that_fails_does_not_look_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with contextlib.suppress(ValueError), stage("set", 3) as done:
        done()
        raise ValueError
    assert "3/3" not in capsys.readouterr().err
