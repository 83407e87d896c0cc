"""Old names of config keys, configs, modules and metrics: refused with the new name, or read under it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fail2fix.report.figures import read_metrics
from fail2fix.run.renamed import renamed_in


def test_metrics_of_an_older_run_are_read_under_their_new_names(tmp_path: Path) -> None:
    row = {"step": 1, "fail2fix/conservation/base/trained": 8.0, "fail2fix/replay/rho": 0.3}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    expected = {"step": 1, "fail2fix/accounting/base/trained": 8.0, "fail2fix/replay/rho": 0.3}
    assert read_metrics(tmp_path) == [expected]


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (
            "Could not override 'fail2fix.schedule'.",
            "fail2fix.schedule: is now fail2fix.replay.source; remove ",
        ),
        ("full_key: fail2fix.streaming.patience", "fail2fix.streaming: no longer exists; remove its keys"),
        ("Cannot find primary config 'cipo_streaming'", "cipo_streaming: is now cipo_lagged; "),
        ("pkg://fail2fix.tasks.chain", "pkg://fail2fix.tasks: is now pkg://fail2fix.data.tasks; "),
        ("Could not override 'fail2fix.schedules'.", ""),
        ("Could not override 'mine.fail2fix.schedule'.", ""),
        ("pkg://fail2fix.data.tasks.chain", ""),
    ],
)
def test_an_old_name_is_found_as_a_whole_name(message: str, line: str) -> None:
    assert renamed_in(message).startswith(line)
    assert bool(renamed_in(message)) == bool(line)
