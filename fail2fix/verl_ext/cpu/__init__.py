"""verl and vLLM on a machine without a GPU. Does nothing unless ``VERL_PLATFORM=cpu``.

verl loads this module in every process through the ``verl.plugins`` entry point. A platform class is
registered in verl's public registry; three run-time patches cover what the registry cannot express. No file
of verl or vLLM changes.
"""

import os

if os.environ.get("VERL_PLATFORM") == "cpu":
    from fail2fix.verl_ext.cpu import patches, platform  # noqa: F401  (importing `platform` registers it)

    patches.install()
