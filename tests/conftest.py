"""Skip the tests that read ``../shared`` where it is absent: development machines have it, a clone alone does not."""

from __future__ import annotations

import pytest

from tests.shared import SHARED, is_at_hand


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if is_at_hand():
        return
    absent = pytest.mark.skip(reason=f"{SHARED}: not beside this clone (development machines have it)")
    for item in items:
        if item.get_closest_marker("needs_shared"):
            item.add_marker(absent)
