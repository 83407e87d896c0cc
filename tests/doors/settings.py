"""The typed settings of a run, as its config gives them."""

from __future__ import annotations

from typing import Any

from omegaconf import OmegaConf

from fail2fix.preflight.doors import check_doors
from fail2fix.run.config import Fail2FixConfig
from fail2fix.run.settings import fail2fix_settings


def settings_of(**sections: Any) -> Fail2FixConfig:
    """The section `fail2fix:` of a config, after the checks that a run makes before it starts."""
    settings = fail2fix_settings(OmegaConf.create({"fail2fix": sections}))
    check_doors(settings)
    return settings
