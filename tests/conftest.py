"""Choose how many examples a property gets, read configs once, skip the tests whose ``../shared`` is absent."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import pytest
from hydra._internal.config_repository import ConfigRepository
from hydra.plugins.config_source import ConfigResult
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


@pytest.fixture(scope="session", autouse=True)
def configs_are_read_once() -> Iterator[None]:
    """Let Hydra read a file once a process. It reads 27 for each composition, more than half of its time."""
    read = ConfigRepository.load_config
    found: dict[tuple[str, ...], ConfigResult] = {}

    def load_config(self: ConfigRepository, config_path: str) -> ConfigResult | None:
        key = config_path, *(source.path for source in self.get_sources())
        if key not in found:
            result = read(self, config_path)
            if result is None or result.path.startswith("structured:"):  # what is registered may change
                return result
            found[key] = result
        return deepcopy(found[key])  # what is composed shares its parts with what was read

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConfigRepository, "load_config", load_config)
        yield
