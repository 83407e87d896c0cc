"""Whether a run's recorded decisions, decided again, are what the run did and measured."""

from __future__ import annotations

from fail2fix.replay.decide import differences, replayed
from fail2fix.replay.decisions import read_decisions
from fail2fix.replay.figures import figures_of
from tests.e2e.conftest import Run


def check_replay(run: Run, steps: int) -> None:
    """The same attempts in the same order, the same advantages, and the figures of the metrics."""
    found, metrics = replayed(read_decisions(run.folder), []), run.metrics()
    # Another test may have resumed the run already, and then it has more.
    assert [step.recorded.step for step in found][:steps] == list(range(1, steps + 1))
    assert [line for step in found for line in differences(step)] == []
    for step in found:
        row, figures = metrics[step.recorded.step], figures_of(step.replay)
        assert step.replay.next_state.rho == row["fail2fix/replay/rho_next"]
        assert figures.idle == row.get("fail2fix/correction/zero_variance_groups", 0)
        for name, count in figures.transitions.items():
            assert count == row.get(f"fail2fix/transition/{name}", 0)
