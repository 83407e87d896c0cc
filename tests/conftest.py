"""Choose how many examples a property gets, read configs once, skip the tests whose ``../shared`` is absent."""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import omegaconf._utils
import omegaconf.base
import pytest
from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository, IConfigRepository
from hydra._internal.defaults_list import DefaultsList, Overrides, create_defaults_list
from hydra._internal.hydra import Hydra
from hydra.core.default_element import ResultDefault
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.plugins.config_source import ConfigResult
from hypothesis import settings
from omegaconf import DictConfig, grammar_parser
from tenacity.wait import wait_random_exponential

from fail2fix.verify import backoff
from fail2fix.verl_ext import compat
from tests.shared import SHARED, is_at_hand

gc.set_threshold(100_000, 20, 20)  # composing and checking configs makes many objects: a fifth of its time otherwise

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


def pytest_collection_finish() -> None:
    """Keep what collection imported, verl among it, out of garbage collections: each takes half a second otherwise."""
    gc.freeze()


@pytest.fixture
def quick_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between tries are a tenth of ours: services of tests are away for tenths of a second."""
    monkeypatch.setattr(backoff, "PAUSE", wait_random_exponential(multiplier=0.05, max=3.0))


def pickled(section: DictConfig, _: object) -> DictConfig:
    """A deep copy below the same parent, by a pickle, which takes a fifth of the time."""
    parent, section.__dict__["_parent"] = section.__dict__["_parent"], None
    try:
        own: DictConfig = pickle.loads(pickle.dumps(section))
    finally:
        section.__dict__["_parent"] = parent
    own.__dict__["_parent"] = parent
    return own


@pytest.fixture(scope="session", autouse=True)
def configs_are_composed_once() -> Iterator[None]:
    """Let Hydra read a file, and merge the files of a config, once a process: it applies overrides to a copy.

    OmegaConf parses an interpolation, Hydra an override, and our sources tell what they use of verl, once a process
    too; and pickles take the place of deep copies. All this is most of the time of a composition and of a check.
    """
    read, merge = ConfigRepository.load_config, ConfigLoaderImpl._compose_config_from_defaults_list
    found: dict[tuple[str, ...], bytes] = {}
    lists: dict[tuple[str | None, ...], DefaultsList] = {}
    merged: dict[int, bytes] = {}

    def load_config(self: ConfigRepository, config_path: str) -> ConfigResult | None:
        key = config_path, *(source.path for source in self.get_sources())
        if key not in found:
            result = read(self, config_path)
            if result is None or result.path.startswith("structured:"):  # what is registered may change
                return result
            found[key] = pickle.dumps(result)
        copy: ConfigResult = pickle.loads(found[key])  # what is composed shares its parts with what was read
        return copy

    def defaults_list(
        repo: IConfigRepository, config_name: str | None, overrides_list: list[Override], **flags: bool
    ) -> DefaultsList:
        """Overrides of single values do not change which files are merged."""
        values = Overrides(repo=repo, overrides_list=overrides_list).config_overrides
        groups = [override.input_line for override in overrides_list if override not in values]
        sources = [source.path for source in repo.get_sources()]
        key = config_name, str(flags), *groups, "from", *sources
        if key not in lists:
            lists[key] = create_defaults_list(repo, config_name, overrides_list, **flags)
        return replace(lists[key], config_overrides=values)

    def compose(self: ConfigLoaderImpl, defaults: list[ResultDefault], repo: IConfigRepository) -> DictConfig:
        if id(defaults) not in merged:
            merged[id(defaults)] = pickle.dumps(merge(self, defaults, repo))
        config: DictConfig = pickle.loads(merged[id(defaults)])
        return config

    parse_rule = OverridesParser.parse_rule

    @cache
    def parsed(text: str, rule: str) -> bytes:
        return pickle.dumps(parse_rule(OverridesParser.create(), text, rule))

    get_mode = Hydra.get_mode

    def mode(self: Hydra, config_name: str | None, overrides: list[str]) -> object:
        """Hydra's mode stands in no file of ours: no second composition has to tell it."""
        given = any("hydra" in override for override in overrides)
        return get_mode(self, config_name, overrides) if given else None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Hydra, "get_mode", mode)
        patch.setattr(DictConfig, "__deepcopy__", pickled)
        patch.setattr(ConfigRepository, "__deepcopy__", lambda self, _: copy.copy(self), raising=False)
        patch.setattr(OverridesParser, "parse_rule", lambda _, text, rule: pickle.loads(parsed(text, rule)))
        patch.setattr(ConfigRepository, "load_config", load_config)
        patch.setattr(config_loader_impl, "create_defaults_list", defaults_list)
        patch.setattr(ConfigLoaderImpl, "_compose_config_from_defaults_list", compose)
        for module in (omegaconf.base, omegaconf._utils):
            patch.setattr(module, "parse", cache(grammar_parser.parse))
        patch.setattr(compat, "seams", cache(compat.seams))
        yield
