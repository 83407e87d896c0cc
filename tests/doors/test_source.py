"""Your own source of attempts: `fail2fix.replay.source`."""

from __future__ import annotations

from omegaconf import OmegaConf

from fail2fix.verl_ext.sources import AttemptSource, source_class
from fail2fix.verl_ext.stream import Stream
from tests.doors.settings import settings_of


class OddSteps(AttemptSource):
    """Replays this step's rollouts in every second step."""

    waits_for_base = True
    step = 0

    def attempts(self, base: Stream | None) -> Stream | None:
        self.step += 1
        return base if self.step % 2 else None


def test_your_own_source_gives_the_attempts() -> None:
    settings = settings_of(replay={"source": f"{__name__}.OddSteps"})
    source = source_class(settings.replay.source)(OmegaConf.create({}))
    rollouts: Stream = object()  # type: ignore[assignment]
    assert [source.attempts(rollouts) for _ in range(3)] == [rollouts, None, rollouts]
