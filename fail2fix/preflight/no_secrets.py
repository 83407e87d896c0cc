"""Refuse secrets in a config: it is written to the run's folder, printed, and sent to trackers."""

from __future__ import annotations

import os
import re
from contextlib import suppress

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fail2fix.console.secret_text import refuse_secret, secrets_of
from fail2fix.run.renamed import texts

# The value of another key, which is checked itself.
REFERENCE = re.compile(r"\$\{(?:oc\.select:)?\s*[\w.]+(?:,\s*\w*)?\}")


def refuse_secrets(config: DictConfig) -> None:
    """Refuse the first value that holds a secret, written out or interpolated from the environment.

    Raises:
        InputError: names the key, and does not repeat the secret.
    """
    secrets = dict(secrets_of(os.environ))
    for key, text in texts(OmegaConf.to_container(config, resolve=False)):
        refuse_secret(key, text, secrets)
        if "${" in text and not REFERENCE.fullmatch(text):
            with suppress(OmegaConfBaseException):  # an interpolation that fails is refused by other checks
                refuse_secret(key, str(OmegaConf.select(config, key)), secrets)
