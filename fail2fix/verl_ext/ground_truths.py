"""Before training: can the run's verifiers read every row's ground truth, and can they run on this machine?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fail2fix.core.config import VerifierConfig
from fail2fix.verify.registry import ground_truth_problem, open_verifier, verifier_of


class GroundTruths:
    """The verifiers that the rows seen so far ask for."""

    def __init__(self, settings: VerifierConfig) -> None:
        self._settings = settings
        self._names: set[str] = set()

    def problem(self, row: Mapping[str, Any]) -> str:
        """What is wrong with a row's ground truth for the verifier of its data source; "" if nothing is.

        Raises:
            BadInput: the data source is given to a verifier that does not exist.
        """
        name = verifier_of(str(row["data_source"]), self._settings)
        self._names.add(name)
        said = ground_truth_problem(name, str(row["reward_model"]["ground_truth"]))
        return said and f"'reward_model': ground_truth, for the {name} verifier: {said}"

    def check_they_run(self, reward_workers: int = 1) -> list[str]:
        """Open and close each of them; what isolates untrusted programs, one line each verifier that runs any.

        Raises:
            BadInput: one cannot run here; what to install or set.
        """
        lines = []
        for name in sorted(self._names):
            verifier: Any = open_verifier(name, self._settings)
            if hasattr(verifier, "describe"):
                lines.append(verifier.describe(reward_workers))
            verifier.close()
        return lines
