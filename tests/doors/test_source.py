"""Your own source of attempts: `fail2fix.replay.source`."""

from __future__ import annotations

import numpy as np
from omegaconf import OmegaConf

from fail2fix.verl_ext.sources import AttemptSource, source_class
from fail2fix.verl_ext.stream import Stream
from tests.doors.settings import settings_of
from tests.verl_ext.test_stream import stream


class FirstHalf(AttemptSource):
    """Replays this step's rollouts of the first half of its problems."""

    waits_for_base = True

    def attempts(self, base: Stream | None) -> Stream | None:
        return base and base.groups_at(np.arange(base.rollouts.groups // 2))


def test_your_own_source_gives_the_attempts() -> None:
    settings = settings_of(replay={"source": f"{__name__}.FirstHalf"})
    source = source_class(settings.replay)(OmegaConf.create({}))
    base = stream(4, 2)
    offered = source.attempts(base)
    assert offered is not None
    assert offered.rollouts.problems == base.rollouts.problems[:2]
