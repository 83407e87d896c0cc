"""Your own advantage estimator of corrections: `fail2fix.advantage.estimator`."""

from __future__ import annotations

import numpy as np

from fail2fix.method.advantage import (
    AdvantageRule,
    Advantages,
    CorrectionGroups,
    advantage_estimator,
    penalties,
)
from tests.doors.settings import settings_of


def signs(groups: CorrectionGroups, rule: AdvantageRule) -> Advantages:
    """+1 for a reward above the group's median, -1 for one below."""
    shaped = groups.plain - penalties(groups, rule)
    values = np.sign(shaped - np.median(shaped, axis=1, keepdims=True))
    return Advantages(values, zero_variance=~values.any(axis=1))


def test_your_own_estimator_gives_the_advantages() -> None:
    estimator = advantage_estimator(settings_of(advantage={"estimator": f"{__name__}.signs"}).advantage)
    plain = np.array([[1.0, 1, 0], [0, 0, 0]])
    groups = CorrectionGroups(plain, plain == 1, np.array([1.0, 1]), np.array([True, False]))
    result = estimator(groups, AdvantageRule())
    assert result.values.tolist() == [[0, 0, -1], [0, 0, 0]]
    assert result.zero_variance.tolist() == [False, True]
