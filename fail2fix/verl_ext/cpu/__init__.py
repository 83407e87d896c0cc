"""Run verl and vLLM without a GPU, if ``VERL_PLATFORM=cpu``.

verl loads this module in every process through the ``verl.plugins`` entry point. It registers a platform class in
verl's public registry, and applies three run-time patches for what the registry cannot express.
"""

import os

if os.environ.get("VERL_PLATFORM") == "cpu":
    from fail2fix.verl_ext.cpu import patches, platform  # noqa: F401  (importing `platform` registers it)

    patches.install()
