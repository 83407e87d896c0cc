"""Choose how many examples a property is tried on; skip the tests that read ``../shared`` where it is absent."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.shared import SHARED, is_at_hand

settings.register_profile("quick", max_examples=25, deadline=None)
settings.register_profile("thorough", max_examples=500, deadline=None)  # scripts/test.sh --all
settings.load_profile("quick")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if is_at_hand():
        return
    absent = pytest.mark.skip(reason=f"{SHARED}: not beside this clone (development machines have it)")
    for item in items:
        if item.get_closest_marker("needs_shared"):
            item.add_marker(absent)
