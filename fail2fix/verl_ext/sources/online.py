"""``online``, the method: a step replays its own base rollouts."""

from __future__ import annotations

from fail2fix.verl_ext.sources import AttemptSource
from fail2fix.verl_ext.stream import Stream


class OnlineAttempts(AttemptSource):
    """This step's rollouts (CIPO)."""

    waits_for_base = True

    def attempts(self, base: Stream | None) -> Stream | None:
        return base
